"""The bundled network's weights in torch, Keras (on the process' backend) and ONNX: the same maps."""

import importlib.util

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

import eyeline
import lite0_keras
from eyeline.models import bundled, lite0

# Keras' variables lack the copy keyword that NumPy 2 asks for.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

CAT = 285
WINDOWS = eyeline.Occlusion(window=112, stride=56)


@pytest.fixture(scope="module")
def network():
    """The torch network with its published weights."""
    found = lite0.build()
    published = torch.load(bundled._file(*bundled.WEIGHTS), map_location="cpu", weights_only=True)
    found.load_state_dict(lite0.rename(published))
    return found


@pytest.fixture(scope="module")
def in_keras(network):
    return lite0_keras.build({name: values.numpy() for name, values in network.state_dict().items()})


@pytest.fixture(scope="module")
def cat():
    picture = Image.fromarray(data.chelsea()[:, 50:350]).resize((lite0.SIZE, lite0.SIZE))
    return np.asarray(picture, dtype=np.float32)[None] / 255


@pytest.fixture(scope="module")
def expected(cat):
    """What torch says."""
    model = eyeline.load("bundled", scores="probability")
    return WINDOWS(model, cat, CAT), eyeline.Gradient(channels=None)(model, cat, CAT)


def opened(source, **settings):
    return eyeline.load(source, preprocess="lite0", output="logit", scores="probability", **settings)


def test_keras_gives_the_same_occlusion_map(in_keras, cat, expected):
    found = WINDOWS(opened(in_keras), cat, CAT)
    assert np.ptp(found.maps) > 0.05
    np.testing.assert_allclose(found.maps, expected[0].maps, atol=1e-5)
    np.testing.assert_allclose(found.sweep.scores, expected[0].sweep.scores, atol=1e-5)


def test_keras_gives_the_same_gradient(in_keras, cat, expected):
    found = eyeline.Gradient(channels=None)(opened(in_keras), cat, CAT)
    largest = np.abs(expected[1].maps).max()
    np.testing.assert_allclose(found.maps / largest, expected[1].maps / largest, atol=2e-5)
    assert largest > 1e-2


def test_other_preprocessing_is_noticed(in_keras, cat, expected):
    other = eyeline.load(in_keras, preprocess="unit", output="logit", scores="probability")
    assert np.abs(WINDOWS(other, cat, CAT).maps - expected[0].maps).max() > 1e-3


# Collected only where the test group brings ONNX.
if importlib.util.find_spec("onnxruntime"):
    # torch's exporter warns of itself: of the newer one, which needs another package, and of what it uses.
    @pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript:DeprecationWarning")
    @pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
    @pytest.mark.filterwarnings("ignore:The feature will be removed:DeprecationWarning")
    @pytest.mark.filterwarnings("ignore:Constant folding:UserWarning")
    def test_onnx_gives_the_same_occlusion_map(network, cat, expected, tmp_path):
        example = torch.zeros(1, 3, lite0.SIZE, lite0.SIZE)
        free = {"images": {0: "n"}}
        settings = {"dynamo": False, "input_names": ["images"], "dynamic_axes": free, "do_constant_folding": False}
        torch.onnx.export(network, (example,), tmp_path / "lite0.onnx", **settings)
        found = WINDOWS(opened(tmp_path / "lite0.onnx"), cat, CAT)
        np.testing.assert_allclose(found.maps, expected[0].maps, atol=1e-5)
