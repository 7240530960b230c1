"""The same weights in PyTorch, in Keras on the process' backend and as ONNX: every method finds the same maps."""

import importlib.util

import numpy as np
import pytest
import torch

import eyeline
import same_weights
from eyeline.methods import METHODS
from same_weights import CHANNELS, COVERING, EVERY, SETTINGS, SIZE, expected, in_keras, in_torch, mapped, off, same

# Keras' variables lack the copy keyword that NumPy 2 asks for.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


@pytest.fixture(scope="module")
def keras_model():
    return eyeline.load(in_keras(in_torch()), **SETTINGS)


def test_every_method_is_compared_or_only_covers():
    assert set(EVERY) | COVERING == set(METHODS)


@pytest.mark.parametrize("method", EVERY)
def test_what_is_compared_says_something(method):
    assert np.count_nonzero(expected(method)) > 0.5 * expected(method).size


def test_every_relu_is_felt():
    """Open and shut, and the one that is cut is."""
    network, seen = in_torch(), {}
    for name in ("norm", "second", "dense"):
        getattr(network, name).register_forward_hook(lambda _, given, gave, name=name: seen.update({name: gave}))
    eyeline.load(network, **SETTINGS).scores(same_weights.IMAGES)
    assert all(0.1 < float((each > 0).float().mean()) < 0.9 for each in seen.values())
    assert 0.005 < float((seen["second"] > 6).float().mean()) < 0.5


@pytest.mark.parametrize("method", EVERY)
def test_torch_in_single_precision(method):
    same(eyeline.load(in_torch(), **SETTINGS), method)


@pytest.mark.parametrize("method", EVERY)
def test_keras(keras_model, method):
    same(keras_model, method)


@pytest.mark.parametrize("method", EVERY)
def test_one_weight_of_another_sign_is_noticed(method):
    """Sabotage twin: one of 162 weights of the first convolution."""
    network = in_torch()
    with torch.no_grad():
        network.first.weight[0, 1, 1, 2] *= -1
    with pytest.raises(AssertionError):
        same(eyeline.load(network, **SETTINGS), method)


def test_guided_ig_from_black_where_nothing_ties():
    """At a flat image a max pool's inputs are equal: rounding says which one moves, and by that the path."""
    settings = {"baseline": eyeline.Constant(0), "steps": 20}
    double, network = in_torch("mean").double(), in_torch("mean")
    wanted = mapped(eyeline.load(double, **SETTINGS), "guidedig", **settings)
    for source in (network, in_keras(network)):
        assert off(mapped(eyeline.load(source, **SETTINGS), "guidedig", **settings), wanted) <= 1e-5


def test_a_relu_that_is_a_function_is_no_layer_of_torch(keras_model):
    """Then the layer found is the convolution before it; with that named, Keras finds the same map."""
    found = mapped(eyeline.load(in_torch(named=False), **SETTINGS), "hirescam")
    assert off(found, expected("hirescam")) > 0.1
    assert off(mapped(keras_model, "hirescam", layer="second"), found) <= 1e-5


# Collected only where the test group brings ONNX.
if importlib.util.find_spec("onnxruntime"):

    @pytest.fixture(scope="module")
    def onnx_model(tmp_path_factory):
        path = tmp_path_factory.mktemp("onnx") / "network.onnx"
        settings = {"dynamo": False, "input_names": ["images"], "dynamic_axes": {"images": {0: "n"}}}
        torch.onnx.export(in_torch(), (torch.zeros(1, CHANNELS, *SIZE),), path, **settings)
        return eyeline.load(path, **SETTINGS)

    # torch's exporter warns of itself: of the newer one, which needs another package, and of what it uses.
    @pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript:DeprecationWarning")
    @pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
    @pytest.mark.filterwarnings("ignore:The feature will be removed:DeprecationWarning")
    @pytest.mark.parametrize("method", EVERY)
    def test_onnx(onnx_model, method):
        same(onnx_model, method)
