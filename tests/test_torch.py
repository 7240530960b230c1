"""PyTorch modules against torch itself, finite differences and their own state before the call."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn

from eyeline import Preprocess, explain, load
from eyeline.errors import InputError, ModelError, UnsupportedError
from eyeline.models.base import Differentiable, Model

LITE = Preprocess(scale=2, mean=(0.3, 0.5, 0.1), std=(0.5, 2, 0.25))


def network(classes=4, double=False):
    torch.manual_seed(0)
    built = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.Softplus(), nn.MaxPool2d(2),
        nn.Dropout(0.5), nn.Conv2d(6, 5, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(20, classes),
    )  # fmt: skip
    built[1].running_mean.normal_()
    built[1].running_var.uniform_(0.5, 2)
    return built.double() if double else built


def pictures(n=3, shape=(10, 8), channels=3):
    return np.random.default_rng(1).random((n, *shape, channels), dtype=np.float32)


def first(scores):
    weights = np.zeros_like(scores)
    weights[:, 0] = 1
    return weights


def reference(module, images, preprocess, weights):
    """Scores and gradients by torch alone, in its own layout."""
    pixels = torch.tensor(images, dtype=next(module.parameters()).dtype, requires_grad=True)
    values = (pixels * preprocess.scale - torch.tensor(preprocess.mean)) / torch.tensor(preprocess.std)
    output = module(values.movedim(-1, 1).contiguous())
    (output * torch.tensor(weights)).sum().backward()
    return output.detach().float().numpy(), pixels.grad.float().numpy()


def state(module):
    return (
        [each.training for each in module.modules()],
        [(each.requires_grad, each.grad) for each in module.parameters()],
        [each.clone() for each in module.buffers()],
        [
            (len(each._forward_hooks), len(each._forward_pre_hooks), len(each._backward_hooks))
            for each in module.modules()
        ],
    )


def assert_same_state(before, after):
    assert before[0] == after[0]
    assert before[1] == after[1]
    for old, new in zip(before[2], after[2], strict=True):
        torch.testing.assert_close(old, new, rtol=0, atol=0)
    assert before[3] == after[3]


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("double", [False, True])
def test_scores_and_gradients_are_those_of_torch(n, double):
    module, images = network(double=double).eval(), pictures(n)
    weights = np.random.default_rng(2).normal(size=(n, 4)).astype(np.float32)
    scores, gradients = reference(module, images, LITE, weights)
    for each in module.parameters():
        each.grad = None

    model = load(module, preprocess=LITE)
    assert isinstance(model, Model)
    assert isinstance(model, Differentiable)
    found, pulled = model.gradient(images, lambda _: weights)
    np.testing.assert_allclose(model.scores(images), scores, atol=2e-6)
    np.testing.assert_allclose(found, scores, atol=2e-6)
    np.testing.assert_allclose(pulled, gradients, atol=2e-6)
    assert found.dtype == pulled.dtype == model.scores(images).dtype == np.float32
    assert (model.axes, model.channels, model.input_size, model.unit) == (2, 3, None, "score")


def differences(model, images, weigh, step=1e-2):
    """Central differences of the explained scalar at some pixels, by the scores alone."""
    weights, slopes = weigh(model.scores(images)), []
    for pixel in [(0, 0, 0), (4, 5, 1), (9, 7, 2), (5, 0, 1)]:
        both = []
        for sign in (1, -1):
            moved = images.copy()
            moved[(slice(None), *pixel)] += sign * step
            both.append((model.scores(moved).astype(np.float64) * weights).sum(axis=1))
        slopes.append((both[0] - both[1]) / (2 * step))
    return np.array(slopes).T


@pytest.mark.parametrize("scale", ["raw", "probability", "log-odds"])
def test_gradients_agree_with_finite_differences(scale):
    model, images = load(network(double=True), preprocess=LITE, scores=scale, output="logit"), pictures()
    _, gradients = model.gradient(images, first)
    found = np.stack(
        [gradients[:, 0, 0, 0], gradients[:, 4, 5, 1], gradients[:, 9, 7, 2], gradients[:, 5, 0, 1]], axis=1
    )
    np.testing.assert_allclose(found, differences(model, images, first), rtol=0.02, atol=2e-4)


def test_the_differences_notice_a_forgotten_preprocessing_step(monkeypatch):
    monkeypatch.setattr(Preprocess, "pull", lambda self, gradients: gradients)
    with pytest.raises(AssertionError, match=r"Not equal to tolerance"):
        test_gradients_agree_with_finite_differences("raw")


def test_the_network_is_left_as_it_was():
    module = network().train()
    module[4].eval()
    module[5].weight.requires_grad_(False)
    fired = []
    module[0].weight.register_hook(lambda gradient: fired.append(gradient))
    handle = module[2].register_forward_hook(lambda *_: fired.append("forward"))
    before = state(module)
    model = load(module)
    model.scores(pictures())
    model.gradient(pictures(), first)
    assert_same_state(before, state(module))
    assert fired == ["forward", "forward"]
    handle.remove()

    fired.clear()
    module(torch.tensor(pictures()).movedim(-1, 1)).sum().backward()
    assert len(fired) == 1, "the hook on a parameter is still there"


def test_the_network_is_left_as_it_was_after_an_error():
    module = network().train()
    module[8].register_forward_hook(lambda *_: 1 / 0)
    before = state(module)
    model = load(module, preprocess=LITE)
    for call in (lambda: model.scores(pictures()), lambda: model.gradient(pictures(), first)):
        with pytest.raises(ModelError, match=r"ZeroDivisionError"):
            call()
        assert_same_state(before, state(module))
    module = network().train()
    before = state(module)
    with pytest.raises(KeyError, match=r"a target of the user's own"):
        load(module).gradient(pictures(), lambda _: {}["a target of the user's own"])
    assert_same_state(before, state(module))


def test_the_state_check_notices_a_network_left_in_evaluation_mode(monkeypatch):
    monkeypatch.setattr("eyeline.models.torch.evaluating", lambda module: nullcontext(module.eval()))
    with pytest.raises(AssertionError):
        test_the_network_is_left_as_it_was()


def test_in_place_operations_leave_the_images_alone():
    images = pictures() - 0.5
    kept = images.copy()
    model = load(
        nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 2, 1), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(160, 2))
    )
    scores = model.scores(images)
    found, gradients = model.gradient(images, first)
    np.testing.assert_array_equal(images, kept)
    np.testing.assert_array_equal(scores, found)
    assert (gradients[images < 0] == 0).all()
    assert (gradients[images > 0] != 0).any()


def test_a_module_used_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.activation = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()

        def forward(self, images):
            return self.activation(self.layer(self.activation(self.layer(images)))).mean((2, 3))

    module, images = Twice(), pictures()
    scores, gradients = reference(module, images, Preprocess(), first(np.zeros((3, 3), np.float32)))
    found, pulled = load(module).gradient(images, first)
    np.testing.assert_allclose(found, scores, atol=1e-6)
    np.testing.assert_allclose(pulled, gradients, atol=1e-6)


def test_a_network_that_needs_contiguous_memory_runs_again_from_clean_images():
    class Views(nn.Module):
        def forward(self, images):
            images.mul_(2)  # would be seen twice if the second run took what the first one left
            return images.view(len(images), -1)[:, :5] * 1

    images = pictures()
    model = load(Views())
    expected = 2 * images.transpose(0, 3, 1, 2).reshape(3, -1)[:, :5]
    np.testing.assert_allclose(model.scores(images), expected)
    _, gradients = load(Views()).gradient(images, first)
    assert gradients.sum() == 3 * 2


def test_what_a_network_caches_in_its_first_forward_can_be_used_for_a_gradient_later():
    class Caching(nn.Module):
        table = None

        def forward(self, images):
            if self.table is None:
                self.table = torch.linspace(0, 1, images.shape[-1])
            return (images * images * self.table).mean((2, 3))

    model = load(Caching())
    model.scores(pictures())
    assert (model.gradient(pictures(), first)[1] != 0).any()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradients_come_inside_the_callers_no_grad(mode):
    model = load(network())
    expected = model.gradient(pictures(), first)[1]
    with mode():
        np.testing.assert_array_equal(model.gradient(pictures(), first)[1], expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_network_of_another_dtype_gives_float32(dtype):
    images, exact = pictures(), load(network())
    model = load(network().to(dtype))
    scores, gradients = model.gradient(images, first)
    np.testing.assert_allclose(scores, exact.scores(images), atol=0.05)
    assert np.abs(gradients - exact.gradient(images, first)[1]).max() < 0.02
    assert scores.dtype == gradients.dtype == np.float32
    assert model.describe()["dtype"] == str(dtype).removeprefix("torch.")


@pytest.mark.parametrize(
    ("layer", "shape", "axes"),
    [(nn.Conv1d(2, 3, 3), (9,), 1), (nn.Conv2d(2, 3, 3), (9, 7), 2), (nn.Conv3d(2, 3, 3), (5, 6, 7), 3)],
)
def test_axes_and_channels_come_from_the_first_convolution(layer, shape, axes):
    module = nn.Sequential(nn.Identity(), layer, nn.Flatten())
    module.append(nn.LazyLinear(2))
    module(torch.zeros(1, 2, *shape))
    model, images = load(module), pictures(2, shape, 2)
    assert (model.axes, model.channels) == (axes, 2)
    _, gradients = model.gradient(images, first)
    assert gradients.shape == images.shape


def test_axes_of_a_network_without_convolutions():
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    assert (load(module).axes, load(module).channels) == (2, None)
    assert load(module, input_size=(4,)).axes == 1


class Entry(nn.Module):
    """A forward of its own: the mean of each layer on its part of what `cut` makes of the image, summed."""

    def __init__(self, cut, *layers):
        super().__init__()
        self.cut, self.layers = cut, nn.ModuleList(layers)

    def forward(self, images):
        parts = self.cut(images)
        return sum(layer(part).mean((2, 3)) for layer, part in zip(self.layers, parts, strict=True))


def once(images):
    return (images,)


def halves(images):
    return torch.chunk(images, 2, dim=1)


def folded(images):
    return (torch.nn.functional.pixel_unshuffle(images, 2),)


ENTRIES = {
    **{f"chain of {n}": (nn.Sequential(nn.Identity(), nn.Sequential(nn.Conv2d(n, 2, 3), nn.AdaptiveAvgPool2d(1))), n, n)
       for n in (1, 2, 3, 4, 12)},
    **{f"forward of {n}": (Entry(once, nn.Conv2d(n, 2, 3)), n, n) for n in (1, 2, 3, 4)},
    "forward of 12": (Entry(once, nn.Conv2d(12, 2, 3)), 12, None),
    "grouped": (Entry(once, nn.Conv2d(4, 4, 3, groups=2)), 4, 4),
    "grouped chain": (nn.Sequential(nn.Conv2d(12, 12, 3, groups=12), nn.AdaptiveAvgPool2d(1)), 12, 12),
    "split": (Entry(halves, nn.Conv2d(1, 2, 3), nn.Conv2d(1, 2, 1)), 2, None),
    "split of six": (Entry(halves, nn.Conv2d(3, 2, 3), nn.Conv2d(3, 2, 1)), 6, None),
    "space to depth": (Entry(folded, nn.Conv2d(12, 2, 3)), 3, None),
    "a chain of equals": (nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 1), nn.AdaptiveAvgPool2d(1)), 3, 3),
    "not yet known": (nn.Sequential(nn.LazyConv2d(2, 3), nn.AdaptiveAvgPool2d(1)), 5, None),
}  # fmt: skip


@pytest.mark.parametrize("name", ENTRIES)
def test_channels_are_those_of_the_image_or_any(name):
    module, channels, expected = ENTRIES[name]
    model, images = load(module, head=lambda output: output.flatten(1)), pictures(2, (10, 8), channels)
    assert model.channels == expected
    made = explain(model, images, window=4, stride=2, target=0, engine="full")
    assert made.maps.shape == (2, 10, 8)
    with torch.no_grad():
        clean = module(torch.from_numpy(images).movedim(-1, 1)).flatten(1)
    np.testing.assert_allclose(made.scores, clean, atol=1e-6)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_channels_of_a_scripted_grouped_convolution():
    module = torch.jit.script(nn.Sequential(nn.Conv2d(4, 4, 3, groups=2), nn.Flatten()))
    assert load(module).channels == 4, "its weights show 2, those of one group"


def test_outputs_of_other_shapes():
    class Column(nn.Module):
        def forward(self, images):
            return images.mean((1, 2, 3))

    class Structured(nn.Module):
        def forward(self, images):
            pooled = images.mean((2, 3))
            return {"logits": pooled, "features": images, "count": torch.tensor(1)}

    class Dense(nn.Module):
        def forward(self, images):
            return images * 2

    images = pictures()
    assert load(Column()).scores(images).shape == (3, 1)
    assert load(Structured()).scores(images).shape == (3, 3)
    model = load(Dense(), head=lambda output: output[:, :2, 4, 4])
    scores, gradients = model.gradient(images, first)
    np.testing.assert_allclose(scores, 2 * images[:, 4, 4, :2])
    assert gradients.sum() == 6
    assert (gradients[:, 4, 4, 0] == 2).all()
    with pytest.raises(
        UnsupportedError, match=r"one row of scores per image, \(3, classes\), but got shape .* Pass head="
    ):
        load(Dense()).scores(images)


def test_networks_that_cannot_be_explained_say_what_to_pass():
    class Pair(nn.Module):
        def forward(self, image, mask, scale=1):
            return image

    class Cut(nn.Module):
        def forward(self, images):
            return images.detach().mean((2, 3))

    with pytest.raises(UnsupportedError, match=r"needs image, mask\. Wrap it in a torch\.nn\.Module"):
        load(Pair())
    with pytest.raises(UnsupportedError, match=r"cuts the way .* method='occlusion'"):
        load(Cut()).gradient(pictures(), first)
    assert load(Cut()).scores(pictures()).shape == (3, 3)
    with pytest.raises(UnsupportedError, match=r"'1' has none: an image's scores would depend on the images beside it"):
        load(nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2, track_running_stats=False)))
    with pytest.raises(InputError, match=r"got 'cuda' and the network is on 'cpu'. Move it yourself"):
        load(network(), device="cuda")
    assert load(network(), device="cpu").describe()["device"] == "cpu"
    with pytest.raises(ModelError, match=r"must accept images of shape \(3, 2, 2, 3\).*Check the image's size"):
        load(network()).scores(pictures(3, (2, 2)))
    for call in ("scores", "gradient"):
        model = load(network(), head=lambda output: output[:, 1 // 0])
        with pytest.raises(ModelError, match=r"ZeroDivisionError.*Check head=, which gets the network's raw output"):
            getattr(model, call)(pictures(), *[first] * (call == "gradient"))
    with pytest.raises(InputError, match=r"one name per output of the model \(4\), but got 2"):
        load(network(), classes=("cat", "dog")).scores(pictures())
    with pytest.raises(InputError, match=r"one name per output of the model \(4\), but got 2"):
        load(network(), classes=("cat", "dog")).gradient(pictures(), first)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_one_int_stands_for_every_axis_of_the_network(axes):
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1]
    model = load(nn.Sequential(kind(2, 4, 3), nn.Flatten(), nn.LazyLinear(3)), input_size=6)
    assert (model.input_size, model.axes) == ((6,) * axes, axes)
    assert model.scores(np.zeros((2, *(6,) * axes, 2), dtype=np.float32)).shape == (2, 3)
