"""Layers of a PyTorch network by name: what is listed, what a layer gives, derivatives against differences."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import eyeline
from eyeline.command import tables
from eyeline.errors import InputError, ModelError, UnsupportedError
from eyeline.models import torch_layers
from eyeline.models.layered import Layer, choose

IMAGES = np.random.default_rng(0).random((3, 10, 8, 3), dtype=np.float32)


class Network(nn.Module):
    """A residual network with an in-place ReLU, a layer that runs twice and one that gives a pair, in float64."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.twice, self.last, self.pair = nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1), Pair()
        self.pool, self.dense = nn.AdaptiveAvgPool2d(1), nn.Linear(6, 4)
        self.double()

    def forward(self, images):
        found = self.stem(images)
        found = self.twice(self.twice(found))
        found, _ = self.pair(functional.gelu(found + self.last(found)))
        return torch.tanh(self.dense(self.pool(found).flatten(1)))


class Pair(nn.Module):
    def forward(self, values):
        return values, values


def weigh(scores):
    return np.linspace(-1, 1, scores.size, dtype=np.float32).reshape(scores.shape)


def test_layers_are_listed_as_they_end():
    found = eyeline.load(Network()).layers((10, 8, 3))
    assert found == (
        Layer("stem.0", "Conv2d", (5, 4, 6), True),
        Layer("stem.1", "BatchNorm2d", (5, 4, 6), True),
        Layer("stem.2", "ReLU", (5, 4, 6), True),
        Layer("stem", "Sequential", (5, 4, 6), True),
        Layer("twice", "Conv2d", (5, 4, 6), True, runs=2),
        Layer("last", "Conv2d", (5, 4, 6), True),
        Layer("pair", "Pair", None, False),
        Layer("pool", "AdaptiveAvgPool2d", (1, 1, 6), True),
        Layer("dense", "Linear", (4,), False),
    )


@pytest.mark.parametrize("axes", [1, 3])
def test_signals_and_volumes_have_layers_too(axes):
    convolution = {1: nn.Conv1d, 3: nn.Conv3d}[axes](2, 5, 3, padding=1)
    network = nn.Sequential(convolution, nn.ReLU(), nn.Flatten(), nn.Linear(5 * 6 * 4 ** (axes - 1), 2))
    model = eyeline.load(network, input_size=(6, 4, 4)[:axes])
    shape = (6, 4, 4)[:axes]
    assert [each.shape for each in model.layers((*shape, 2))][:2] == [(*shape, 5)] * 2
    _, activations, gradients = model.layer(np.ones((2, *shape, 2), np.float32), weigh, "1")
    assert activations.shape == gradients.shape == (2, *shape, 5)


class Last(nn.Module):
    """A block with its channels last inside, as in ConvNeXt and Swin."""

    def __init__(self):
        super().__init__()
        self.patches, self.norm, self.dense = nn.Conv2d(3, 7, 2, stride=2), nn.LayerNorm(7), nn.Linear(7, 9)
        self.gelu, self.head = nn.GELU(), nn.Linear(9, 2)

    def forward(self, images):
        found = self.gelu(self.dense(self.norm(self.patches(images).permute(0, 2, 3, 1))))
        return self.head(found.mean((1, 2)))


def test_layers_with_their_channels_last_are_told_from_the_others():
    network = Last().eval()
    model = eyeline.load(network)
    shapes = {each.name: each.shape for each in model.layers((10, 8, 3))}
    assert shapes == {"patches": (5, 4, 7), "norm": (5, 4, 7), "dense": (5, 4, 9), "gelu": (5, 4, 9), "head": (2,)}
    _, activations, _ = model.layer(IMAGES, weigh, "gelu")
    planes = torch.from_numpy(IMAGES).movedim(-1, 1)
    with torch.no_grad():
        own = network.gelu(network.dense(network.norm(network.patches(planes).permute(0, 2, 3, 1))))
    np.testing.assert_allclose(activations, own.numpy(), atol=1e-6)


def differences(name):
    """Compare derivatives with central differences of the scores when one number of the layer is moved."""
    network = Network()
    model = eyeline.load(network)
    scores, activations, gradients = model.layer(IMAGES, weigh, name)
    np.testing.assert_allclose(scores, model.scores(IMAGES), atol=1e-7)
    rows, step = weigh(scores).astype(np.float64), 1e-5
    planes = torch.from_numpy(IMAGES).double().movedim(-1, 1)
    draw = np.random.default_rng(1)
    seen = []

    def moved(place, amount):
        def move(_, __, output):
            seen[:] = [output.clone()]
            output = output.clone()
            output[(place[0], place[-1], *place[1:-1])] += amount
            return output

        handle = network.eval().get_submodule(name).register_forward_hook(move)
        with torch.no_grad():
            found = network(planes).numpy()
        handle.remove()
        return (found * rows).sum()

    for _ in range(12):
        place = tuple(int(draw.integers(size)) for size in activations.shape)
        slope = (moved(place, step) - moved(place, -step)) / (2 * step)
        assert gradients[place] == pytest.approx(slope, rel=1e-5, abs=1e-9), place
        assert activations[place] == pytest.approx(seen[0].movedim(1, -1)[place].item(), rel=1e-6), place


@pytest.mark.parametrize("name", ["stem.0", "stem.1", "stem", "last", "pool"])
def test_derivatives_are_those_of_differences(name):
    differences(name)


def test_differences_notice(monkeypatch):
    """Sabotage twin: the leaf is cut in front of the next layer's input instead of behind the layer."""
    own = torch_layers.opened
    monkeypatch.setattr("eyeline.models.torch.opened", lambda layer: own(Network().stem[1]))
    with pytest.raises((AssertionError, IndexError)):
        differences("stem.0")


def test_weights_are_asked_for_once_and_batches_do_not_matter():
    model, asked = eyeline.load(Network()), []

    def once(scores):
        asked.append(len(scores))
        return np.ones_like(scores)

    whole = model.layer(IMAGES, once, "last")
    assert asked == [3]
    for one, all_ in zip(model.layer(IMAGES[1:2], np.ones_like, "last"), whole, strict=True):
        np.testing.assert_allclose(one, all_[1:2], atol=1e-6)


def test_the_network_is_as_before_also_after_an_error():
    network = Network().train()
    model = eyeline.load(network)
    for name, raises in (("last", None), ("nothing", InputError), ("last", ModelError)):
        if raises is ModelError:
            network.dense = nn.Linear(7, 4)
        if raises:
            with pytest.raises(raises):
                model.layer(IMAGES, weigh, name)
        else:
            model.layer(IMAGES, weigh, name)
        assert all(each.training for each in network.modules())
        assert not any(each._forward_hooks for each in network.modules())
        assert all(each.requires_grad and each.grad is None for each in network.parameters())


def test_a_layer_put_in_later_is_listed():
    network = Network()
    model = eyeline.load(network)
    assert model.layers((10, 8, 3)) == model.layers((10, 8, 3))
    network.last = nn.Sequential(nn.Conv2d(6, 6, 1), nn.Tanh()).double()
    assert "last.1" in [each.name for each in model.layers((10, 8, 3))]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("lst", r"layer must be one of the model's, but got 'lst' \(Network\)\. Did you mean 'last'"),
        ("twice", r"layer must run once for an image, but 'twice' runs 2 times"),
        ("pair", r"layer must have the image's spatial axes, but 'pair' does not give one array of numbers"),
        ("dense", r"but 'dense' gives \(4,\) .*\. The last that has them is 'pool'\. `eyeline layers MODEL` lists"),
    ],
)
def test_layers_of_which_no_map_can_be_made(name, sentence):
    with pytest.raises(InputError, match=sentence):
        eyeline.explain(eyeline.load(Network()), IMAGES, "gradcam", layer=name)


def test_a_cut_behind_the_layer_is_named():
    class Cut(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.other = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

        def forward(self, images):
            return (self.conv(images).detach() + self.other(images)).mean((2, 3))

    with pytest.raises(UnsupportedError, match=r"must depend on what layer 'conv' gives .* cuts the way"):
        eyeline.explain(eyeline.load(Cut()), IMAGES, "gradcam", layer="conv")


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_models_without_layers_are_refused():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 8 * 6, 2)).eval()
    program = torch.export.export(network, (torch.rand(1, 3, 10, 8),))
    for each in (program, torch.jit.trace(network, torch.rand(1, 3, 10, 8))):
        with pytest.raises(UnsupportedError, match=r"must be modules that it calls, but .* calls none"):
            eyeline.explain(eyeline.load(each), IMAGES, "gradcam")
    with pytest.raises(UnsupportedError, match="'gradcam' must have a model with gradients"):
        eyeline.explain(lambda images: images.mean(axis=(1, 2)), IMAGES, "gradcam")


def listing(*rows):
    return [Layer(name, kind, shape, len(shape) == 3, runs) for name, kind, shape, runs in rows]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([("a", "Conv2d", (8, 8, 3), 1), ("b", "ReLU", (8, 8, 3), 1), ("p", "MaxPool2d", (4, 4, 3), 1)], "b"),
        ([("a", "Conv2d", (8, 8, 3), 1), ("b", "BatchNorm2d", (8, 8, 3), 1), ("s", "Block", (8, 8, 3), 1)], "s"),
        ([("a", "Conv2D", (8, 8, 3), 1), ("b", "ReLU", (8, 8, 3), 2)], "a"),
        (
            [("a", "SeparableConv2D", (8, 8, 3), 1), ("se", "Conv2d", (1, 1, 3), 1), ("m", "Multiply", (8, 8, 3), 1)],
            "m",
        ),
        ([("a", "Conv2d", (8, 8, 3), 1), ("d", "Conv2d", (8, 8, 2), 1), ("c", "Concatenate", (8, 8, 5), 1)], "c"),
    ],
    ids=["vgg", "resnet", "shared", "squeeze", "densenet"],
)
def test_the_last_convolution_and_what_follows_it(layers, expected):
    assert choose(listing(*layers), None, "net").name == expected


def test_where_there_is_no_convolution_a_layer_must_be_named():
    with pytest.raises(InputError, match="layer must be named where the model has no convolution that runs once"):
        choose(listing(("a", "Linear", (8,), 1)), None, "net")


def test_the_command_lists_them():
    said = []
    tables.layers(eyeline.load(Network(), input_size=(10, 8)), said.append)
    assert said[0].split() == ["layer", "kind", "output", "map"]
    assert "stem.0  Conv2d             5 x 4 x 6  yes" in said
    assert "twice   Conv2d             5 x 4 x 6  no: runs 2 times" in said
    assert "pair    Pair               -          no: no spatial axes" in said
    assert said[-1] == "Where --layer is left out: last"
    with pytest.raises(InputError, match=r"the size of an image must be known to run 'Network'\. Pass --input-size"):
        tables.layers(eyeline.load(Network()), said.append)
    with pytest.raises(UnsupportedError, match="MODEL must have layers that can be seen into"):
        tables.layers(eyeline.load(lambda images: images.mean(axis=(1, 2)), input_size=(4, 4)), said.append)
