"""Class activation maps, guided backpropagation and deconvnet, number by number against Captum and grad-cam.

Eigen-CAM is left out: grad-cam centres the activations, the paper and eyeline do not.
"""

import numpy as np
import pytest
import torch
from captum import attr
from torch import nn

import eyeline
from eyeline.models import bundled, lite0

TARGET = 2
IMAGES = np.random.default_rng(0).random((2, 12, 9, 3), dtype=np.float32)
CAMS = {
    "GradCAM": eyeline.GradCAM(relu=False),
    "GradCAMPlusPlus": eyeline.GradCAMPlusPlus(relu=False),
    "HiResCAM": eyeline.HiResCAM(),
    "LayerCAM": eyeline.LayerCAM(relu=False),
    "ScoreCAM": eyeline.ScoreCAM(relu=False),
}


def network(stride=1, scale=30):
    """Return a small network whose scores, and so derivatives, are `scale` times as large as they would be."""
    torch.manual_seed(4)
    body = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, stride=stride), nn.ReLU(), nn.Conv2d(6, 5, 3, padding=1), nn.ReLU()
    )
    size = 12 * 9 if stride == 1 else 6 * 5
    module = nn.Sequential(body, nn.MaxPool2d(1), nn.Flatten(), nn.Linear(5 * size, 8), nn.ReLU(), nn.Linear(8, 4))
    module = module.double().eval()
    module[-1].weight.data *= scale
    return module


def tensor(images):
    return torch.from_numpy(images).double().movedim(-1, 1).contiguous().requires_grad_()


def numbers(found):
    return found.detach().movedim(1, -1).numpy()


@pytest.mark.usefixtures("stubbed_torchvision")
@pytest.mark.parametrize("name", CAMS)
def test_grad_cam(name):
    """On maps of the image's own size, as grad-cam has them before it scales them to 0..1."""
    pytest.importorskip("pytorch_grad_cam")
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    # grad-cam adds 1e-6 to a denominator of squared derivatives
    module = network(scale=3000 if name == "GradCAMPlusPlus" else 30)
    tool = getattr(pytorch_grad_cam, name)(module, [module[0]])
    raw = []
    own = tool.get_cam_image
    tool.get_cam_image = lambda *given: raw.append(own(*given)) or raw[0]
    scaled = tool(tensor(IMAGES).detach(), [ClassifierOutputTarget(TARGET)] * 2)
    found = CAMS[name](eyeline.load(module), IMAGES, TARGET).maps
    assert np.abs(found).max() > 1e-3
    np.testing.assert_allclose(found, raw[0], rtol=1e-5, atol=1e-5 * np.abs(raw[0]).max())
    positive = np.maximum(found, 0).reshape(2, -1)
    unit = (positive - positive.min(1, keepdims=True)) / (np.ptp(positive, 1)[:, None] + 1e-7)
    np.testing.assert_allclose(unit.reshape(found.shape), scaled, atol=1e-5)


@pytest.mark.parametrize("name", ["module", "bundled"])
def test_captum_layer_gradcam_stretched(name):
    if name == "bundled":
        module = lite0.build().double().eval()
        published = torch.load(bundled._file(*bundled.WEIGHTS), map_location="cpu", weights_only=True)
        module.load_state_dict(lite0.rename(published))
        layer, images = module.head, np.random.default_rng(1).random((1, 224, 224, 3), dtype=np.float32)
    else:
        module = network(stride=2)
        layer, images = module[0], IMAGES
    coarse = attr.LayerGradCam(module, layer).attribute(tensor(images).detach(), TARGET)
    theirs = numbers(attr.LayerAttribution.interpolate(coarse, images.shape[1:3], "bilinear"))[..., 0]
    found = eyeline.GradCAM(relu=False)(eyeline.load(module), images, TARGET).maps
    np.testing.assert_allclose(found, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max())
    assert np.abs(found[:, ::-1] - theirs).max() > 0.1 * np.abs(theirs).max()


@pytest.mark.parametrize(
    ("method", "theirs"), [("guidedbackpropagation", attr.GuidedBackprop), ("deconvnet", attr.Deconvolution)]
)
@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU activations")
def test_captum_rules(method, theirs):
    module = network(stride=2)
    expected = numbers(theirs(module).attribute(tensor(IMAGES), TARGET))
    found = eyeline.explain(module, IMAGES, method, TARGET, channels=None).maps
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU activations")
def test_captum_guided_gradcam():
    module = network(stride=2)
    tool = attr.GuidedGradCam(module, module[0])
    expected = numbers(tool.attribute(tensor(IMAGES), TARGET, interpolate_mode="bilinear"))
    found = eyeline.explain(module, IMAGES, "guidedgradcam", TARGET, channels=None).maps
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
