"""Mistakes seen in the field with networks that do as they like, one regression test each."""

import numpy as np
import pytest
import torch
from cases import occluded, random_images, total
from torch import nn

import eyeline
from eyeline.errors import ModelError, UnsupportedError


class InPlace(nn.Module):
    """A first layer that writes into its input, and one activation used twice; `inplace=False` is the same function."""

    def __init__(self, inplace):
        super().__init__()
        torch.manual_seed(1)
        self.activation = nn.ReLU(inplace=inplace)
        self.first, self.last = nn.Conv2d(2, 4, 3, padding=1), nn.Linear(4 * 6 * 5, 3)

    def forward(self, images):
        return self.last(self.activation(self.first(self.activation(images))).flatten(1))


@pytest.mark.parametrize("batch", [None, 1, 4])
def test_activations_in_place_and_used_twice_change_nothing(batch):
    image = random_images(2, 6, 5, 2) - 0.5
    kept = image.copy()
    plain, inplace = (eyeline.load(InPlace(flag), input_size=(6, 5)) for flag in (False, True))
    for method in (eyeline.Occlusion(window=2, stride=1, batch=batch), eyeline.Gradient(channels=None, batch=batch)):
        np.testing.assert_allclose(method(inplace, image, 1).maps, method(plain, image, 1).maps, atol=1e-6)
        np.testing.assert_array_equal(image, kept)


def test_a_function_that_writes_into_its_input_changes_nothing():
    def writes(images):
        images -= 0.25
        images *= 2
        return total(images)

    image = random_images(2, 6, 5, 2)
    kept = image.copy()
    expected = occluded(eyeline.load(lambda x: total(2 * (x - 0.25)), input_size=(6, 5)), image, window=2, stride=1)
    for batch in (None, 1, 3):
        model = eyeline.load(writes, input_size=(6, 5))
        for keep in (False, True):
            maps = occluded(model, image, window=2, stride=1, batch=batch, keep=keep)
            np.testing.assert_allclose(maps, expected, atol=1e-5)
    np.testing.assert_array_equal(image, kept)


@pytest.mark.parametrize("fill", [eyeline.Blur(), eyeline.Mean(), eyeline.Noise(), eyeline.Constant()])
def test_a_read_only_image_is_accepted_and_kept(fill):
    image = random_images(1, 6, 5, 2)
    kept = image.copy()
    image.setflags(write=False)
    result = eyeline.explain(eyeline.load(total, input_size=(6, 5)), image, baseline=fill)
    np.testing.assert_array_equal(image, kept)
    np.testing.assert_array_equal(result.images, kept)


class Moody(nn.Module):
    """Another answer in training mode; stops at the given call."""

    def __init__(self, stops=None):
        super().__init__()
        torch.manual_seed(0)
        self.norm, self.drop, self.last = nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Linear(3 * 16, 2)
        self.calls, self.stops = 0, stops
        self.last.weight.requires_grad_(False)

    def forward(self, images):
        self.calls += 1
        if self.calls == self.stops:
            raise RuntimeError("the network stops here")
        return self.last(self.drop(self.norm(images)).flatten(1))


def state(network):
    """Everything that must be as before."""
    return (
        [module.training for module in network.modules()],
        [(name, each.requires_grad, each.grad) for name, each in network.named_parameters()],
        [value.tolist() for value in network.state_dict().values()],
        [
            (len(module._forward_hooks), len(module._forward_pre_hooks), len(module._backward_hooks))
            for module in network.modules()
        ],
        torch.is_grad_enabled(),
    )


@pytest.mark.parametrize("stops", [None, 1, 4])
@pytest.mark.parametrize(
    "method", [eyeline.Occlusion(window=2, batch=1), eyeline.Gradient()], ids=["occlusion", "gradient"]
)
@pytest.mark.parametrize("mode", ["train", "eval", "mixed"])
def test_the_network_is_as_before_also_after_an_error(method, mode, stops):
    network = Moody().train(mode != "eval")
    if mode == "mixed":
        network.norm.eval()
    before = state(network)
    network.stops = stops
    model = eyeline.load(network, input_size=(4, 4))
    image = random_images(1, 4, 4, 3)
    if stops == 1 or (stops and isinstance(method, eyeline.Occlusion)):
        with pytest.raises(ModelError, match="the network stops here"):
            method(model, image, 0)
    else:
        first, second = method(model, image, 0).maps, method(model, image, 0).maps
        np.testing.assert_array_equal(first, second)
    assert state(network) == before


class Squeezing(nn.Module):
    """Returns (classes,) for a batch of one, as `squeeze()` does."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(4, 3)

    def forward(self, images):
        return self.last(images.mean((2, 3))).squeeze()


def test_a_batch_of_one_keeps_its_axis():
    model = eyeline.load(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)), input_size=(5, 6))
    for image in (random_images(5, 6, 4), random_images(1, 5, 6, 4)):
        assert eyeline.explain(model, image, window=2, batch=1).maps.shape == (1, 5, 6)
        assert eyeline.explain(model, image, method="gradient").maps.shape == (1, 5, 6)
        assert eyeline.explain(model, image, method="gradient", channels=None).maps.shape == (1, 5, 6, 4)


def test_a_batch_of_one_that_the_network_squeezes_is_an_error():
    """Three scores of one image must never be taken for one score of three images."""
    model = eyeline.load(Squeezing(), input_size=(5, 6))
    with pytest.raises(UnsupportedError, match="one row of scores per image"):
        eyeline.explain(model, random_images(1, 5, 6, 4), window=2)


@pytest.mark.parametrize("engine", ["full", "incremental", "folded"])
def test_a_shortcut_that_skips_pixels_sees_nothing_of_them(engine):
    """A 1 x 1 convolution of stride 2 never reads odd rows or columns: covering one of those alone changes nothing."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 1, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 4 * 3, 2))
    model, settings = eyeline.load(network, input_size=(7, 6)), {"window": 1, "stride": 1, "batch": 5}
    maps = occluded(model, random_images(1, 7, 6, 2), engine=engine, **settings)[0]
    read = np.zeros((7, 6), dtype=bool)
    read[::2, ::2] = True
    assert np.abs(maps[~read]).max() < 1e-6
    assert np.abs(maps[read]).max() > 1e-3


def test_a_model_out_of_memory_gets_smaller_batches_and_the_same_map():
    sizes = []

    def tight(images):
        sizes.append(len(images))
        if len(images) > 3:
            raise MemoryError("out of memory")
        return total(images)

    image = random_images(2, 8, 9, 1)
    expected = occluded(eyeline.load(total, input_size=(8, 9)), image, window=3, stride=2)
    np.testing.assert_allclose(
        occluded(eyeline.load(tight, input_size=(8, 9)), image, window=3, stride=2), expected, atol=1e-6
    )
    assert max(sizes) > 3
