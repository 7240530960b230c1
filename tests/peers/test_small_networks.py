"""Presets on the small networks whose answers are known, beside the living tools: three times the same numbers.

CN1, BM2 and BM3 are those of the tests of Captum; numbers are whole or nearly, so float32 serves. Captum knows networks
of several inputs as well.
"""

import copy

import numpy as np
import pytest
import torch
from captum import attr
from saliency import core as pair
from torch import nn

import eyeline
from agreement import assert_same
from eyeline.methods import derivatives
from small_networks import BM2, BM3, CN1, DECONVNET, GUIDED, PLAIN, A, B, TwoInputs

KNOWN = {"gradient": PLAIN, "guidedbackpropagation": GUIDED, "deconvnet": DECONVNET}


class Pixels(nn.Module):
    """A network of two inputs as one of two pixels."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        return self.network(images[:, :, 0], images[:, :, 1])


class Tripled(nn.Module):
    """3 * the sum of a picture."""

    def forward(self, images):
        return 3 * images.sum((2, 3))


def planes(images):
    return torch.from_numpy(images).movedim(-1, 1).contiguous()


def numbers(found):
    return found.detach().movedim(1, -1).numpy()


def ours(preset, method, model=None, images=A, **settings):
    return eyeline.explain(model or CN1(), images, method, 0, preset=preset, **settings).maps


def same(preset, method, theirs, model=None, images=A, **settings):
    """Compare with a tool; and both with what is published, where it is."""
    assert_same(ours(preset, method, model, images, **settings), theirs)
    if method in KNOWN and model is None:
        np.testing.assert_array_equal(theirs.reshape(4, 4), KNOWN[method])


@pytest.mark.filterwarnings("ignore:Setting backward hooks:UserWarning")
def test_captum():
    leaf = planes(A).requires_grad_()
    network = CN1()
    same("captum", "gradient", numbers(attr.Saliency(network).attribute(leaf, 0)))
    same("captum", "gradientinput", numbers(attr.InputXGradient(network).attribute(leaf, 0)))
    same("captum", "integratedgradients", numbers(attr.IntegratedGradients(network).attribute(planes(A), target=0)))
    same("captum", "guidedbackpropagation", numbers(attr.GuidedBackprop(network).attribute(leaf, 0)))
    same("captum", "deconvnet", numbers(attr.Deconvolution(network).attribute(leaf, 0)))
    for window, stride in (((4, 4), (1, 1)), ((2, 3), (2, 1)), ((1, 1), (1, 1))):
        theirs = attr.Occlusion(network).attribute(planes(A), (1, *window), target=0, strides=(1, *stride))
        same("captum", "occlusion", numbers(theirs)[..., 0], window=window, stride=stride)
    small = attr.LayerGradCam(network, network.conv).attribute(leaf, 0)
    theirs = attr.LayerAttribution.interpolate(small, (4, 4), "bilinear")
    same("captum", "gradcam", numbers(theirs)[..., 0], layer="conv")


def test_captum_on_two_inputs():
    """The answers of Captum's own tests, by Captum and by the preset."""
    given, tensors = (A, B), (planes(A), planes(B))
    for window, stride, known in (
        ((4, 4), (1, 1), (67, 13)),
        ((1, 1), (1, 1), None),
        ((2, 3), (2, 1), None),
        ((1, 2), (1, 2), None),
    ):
        theirs = attr.Occlusion(TwoInputs()).attribute(
            tensors, ((1, *window),) * 2, target=0, strides=((1, *stride),) * 2
        )
        found = eyeline.explain(
            eyeline.several(TwoInputs()), given, "occlusion", 0, preset="captum", window=window, stride=stride
        )
        for mine, other in zip(found, theirs, strict=True):
            assert_same(mine.maps, numbers(other)[..., 0])
        if known:
            assert [float(each.maps.max()) for each in found] == list(known)
    for method, tool in (
        ("gradient", attr.Saliency),
        ("gradientinput", attr.InputXGradient),
        ("integratedgradients", attr.IntegratedGradients),
    ):
        theirs = tool(TwoInputs()).attribute(tuple(each.clone().requires_grad_() for each in tensors), target=0)
        found = eyeline.explain(eyeline.several(TwoInputs()), given, method, 0, preset="captum")
        for mine, other in zip(found, theirs, strict=True):
            assert_same(mine.maps, numbers(other))


@pytest.mark.parametrize("network", [BM2, BM3])
def test_implementation_invariance_by_captum_pair_and_both_presets(network):
    a, b = np.float32([[3]]), np.float32([[1]])
    theirs = attr.IntegratedGradients(network()).attribute((torch.tensor([[3.0]]), torch.tensor([[1.0]])), target=0)
    found = eyeline.explain(eyeline.several(network()), (a, b), "integratedgradients", 0, preset="captum")
    for mine, other, known in zip(found, theirs, (1.5, -0.5), strict=True):
        np.testing.assert_allclose(mine.maps, known, rtol=1e-5)
        np.testing.assert_allclose(other.item(), known, rtol=1e-5)
    pixels = np.float32([[[3], [1]]])
    model = eyeline.load(Pixels(network()), input_size=(2,), output="raw")
    theirs = pair.IntegratedGradients().GetMask(np.float64(pixels[0]), called(Pixels(network())))
    assert_same(ours("pair", "integratedgradients", model, pixels), theirs[None])
    assert_same(ours("captum", "integratedgradients", model, pixels), np.float32([[[1.5], [-0.5]]]))


def called(network):
    """Return what PAIR calls: derivatives or scores of a batch of arrays."""

    def call(points, call_model_args=None, expected_keys=None):
        leaf = planes(np.float32(points)).requires_grad_()
        scores = network(leaf)[:, 0]
        if pair.OUTPUT_LAYER_VALUES in expected_keys:
            return {pair.OUTPUT_LAYER_VALUES: scores.detach().numpy()}
        return {pair.INPUT_OUTPUT_GRADIENTS: numbers(torch.autograd.grad(scores.sum(), leaf)[0])}

    return call


def test_the_comparison_notices_a_ten_thousandth(monkeypatch):
    """Sabotage twin."""
    reduce = derivatives.reduce
    monkeypatch.setattr(derivatives, "reduce", lambda maps, channels: reduce(1.0001 * maps, channels))
    for oracle in (test_pair, test_captum):
        with pytest.raises(AssertionError):
            oracle()


def test_pair():
    same("pair", "gradient", pair.GradientSaliency().GetMask(A[0], called(CN1()))[None])
    theirs = pair.IntegratedGradients().GetMask(np.float64(A[0]), called(CN1()))
    same("pair", "integratedgradients", theirs[None])
    image = np.zeros((1, 5, 5, 1), dtype=np.float32)
    image[0, 1, 1] = image[0, 3, 3] = 1
    theirs = pair.Occlusion().GetMask(np.float64(image[0]), called(Tripled()), size=3)
    same("pair", "occlusion", theirs[None, ..., 0], Tripled(), image, window=3)
    known = [(3, 6, 6, 3, 0), (6, 15, 18, 12, 3), (6, 18, 24, 18, 6), (3, 12, 18, 15, 6), (0, 3, 6, 6, 3)]
    np.testing.assert_allclose(theirs[..., 0], known, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning")
@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning")
def test_monai():
    monai = pytest.importorskip("monai.visualize", reason="MONAI")
    same("monai", "gradient", numbers(monai.VanillaGrad(CN1())(planes(A), 0)))
    same("monai", "guidedbackpropagation", numbers(monai.GuidedBackpropGrad(CN1())(planes(A), 0)))
    theirs = monai.OcclusionSensitivity(CN1(), 2, activate=False, verbose=False)(planes(A))[0]
    same("monai", "occlusion", numbers(theirs)[..., 0], window=2, stride=1)
    found = monai.GradCAM(copy.deepcopy(CN1()), "conv", postprocessing=lambda maps: maps)(planes(A), 0)
    same("monai", "gradcam", numbers(found)[..., 0], layer="conv")


@pytest.mark.usefixtures("stubbed_torchvision")
def test_zennit():
    zennit = pytest.importorskip("zennit.attribution", reason="zennit")

    def first(output):
        return torch.nn.functional.one_hot(torch.zeros(len(output), dtype=torch.long), output.shape[1]).to(output)

    for method, name in (("gradient", "Gradient"), ("integratedgradients", "IntegratedGradients")):
        with getattr(zennit, name)(CN1(), attr_output=first) as attributor:
            same("zennit", method, numbers(attributor(planes(A))[1]))
    with zennit.Occlusion(CN1(), window=2, stride=2, attr_output=lambda output: output * first(output)) as attributor:
        theirs = attributor(planes(A + 60))[1]  # so bright that one window alone gives a score
    same("zennit", "occlusion", numbers(theirs)[..., 0], images=A + 60, window=2, stride=2)


@pytest.mark.usefixtures("stubbed_torchvision")
def test_grad_cam(monkeypatch):
    pytorch_grad_cam = pytest.importorskip("pytorch_grad_cam", reason="grad-cam")
    from pytorch_grad_cam import base_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    from eyeline.methods.layermaps import enlarged

    monkeypatch.setattr(base_cam, "scale_cam_image", lambda found, size=None: found)
    for method, kind in (("gradcam", "GradCAM"), ("hirescam", "HiResCAM"), ("layercam", "LayerCAM")):
        network = CN1()
        with getattr(pytorch_grad_cam, kind)(network, [network.relu]) as cam:
            small = cam(planes(A), [ClassifierOutputTarget(0)])
        same("grad-cam", method, enlarged(small, (4, 4)), layer="relu")
    guided = pytorch_grad_cam.GuidedBackpropReLUModel(CN1(), "cpu")
    same("grad-cam", "guidedbackpropagation", guided(planes(A), 0)[None])
