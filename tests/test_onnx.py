"""ONNX files against torch and against arithmetic; graphs are built by hand."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from eyeline import Preprocess, load
from eyeline.errors import InputError, ModelError, UnsupportedError
from eyeline.models import lite0
from eyeline.models.base import Differentiable, Model

FLOAT = TensorProto.FLOAT


def pictures(n=3, size=(6, 5), channels=3):
    return np.random.default_rng(0).random((n, *size, channels), dtype=np.float32)


def write(path, shape, axes, kind=FLOAT, extra=()):
    """A graph that takes the mean over the given axes."""
    nodes = [helper.make_node("ReduceMean", ["images", "axes"], ["scores"], keepdims=0)]
    graph = helper.make_graph(
        nodes,
        "mean",
        [helper.make_tensor_value_info("images", kind, shape), *extra],
        [helper.make_tensor_value_info("scores", kind, None)],
        [numpy_helper.from_array(np.array(axes, dtype=np.int64), "axes")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


@pytest.mark.parametrize(
    ("shape", "axes", "layout"),
    [(["n", 3, 6, 5], (2, 3), "first"), (["n", 6, 5, 3], (1, 2), "last"), (["n", 3, None, None], (2, 3), "first")],
)
def test_the_layout_is_read_off_the_graph(tmp_path, shape, axes, layout):
    model = load(write(tmp_path / "mean.onnx", shape, axes), preprocess="lite0")
    assert isinstance(model, Model)
    assert isinstance(model, Differentiable)
    expected = (pictures() * 255 - 127) / 128
    np.testing.assert_allclose(model.scores(pictures()), expected.mean((1, 2)), atol=1e-5)
    assert model.describe()["layout"] == f"channels {layout}"
    assert (model.axes, model.channels) == (2, 3)
    assert model.input_size == ((6, 5) if None not in shape else None)


def test_a_layout_that_cannot_be_told_must_be_said(tmp_path):
    path = write(tmp_path / "mean.onnx", ["n", "a", "b", "c"], (1, 2))
    with pytest.raises(InputError, match=r"place of the channels.*Preprocess\(layout='first'\)"):
        load(path)
    model = load(path, preprocess=Preprocess(layout="last"), input_size=(6, 5))
    np.testing.assert_allclose(model.scores(pictures()), pictures().mean((1, 2)), rtol=1e-5)
    assert (model.input_size, model.channels) == ((6, 5), None)
    with pytest.raises(InputError, match="place of the channels"):
        load(write(tmp_path / "both.onnx", ["n", 3, 7, 3], (1, 2)))


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_a_fixed_batch_runs_in_pieces(tmp_path, batch):
    model = load(write(tmp_path / "mean.onnx", [batch, 3, 6, 5], (2, 3)))
    for n in (1, 3, 5):
        np.testing.assert_allclose(model.scores(pictures(n)), pictures(n).mean((1, 2)), rtol=1e-5)


@pytest.mark.parametrize(("kind", "name"), [(TensorProto.FLOAT16, "float16"), (TensorProto.DOUBLE, "float64")])
def test_other_dtypes(tmp_path, kind, name):
    model = load(write(tmp_path / "mean.onnx", ["n", 3, 6, 5], (2, 3), kind))
    scores = model.scores(pictures())
    np.testing.assert_allclose(scores, pictures().mean((1, 2)), rtol=2e-3)
    assert (scores.dtype, model.describe()["dtype"]) == (np.float32, name)


@pytest.mark.parametrize(("shape", "axes"), [(["n", 2, 9], 1), (["n", 2, 4, 5, 6], 3)])
def test_one_and_three_axes(tmp_path, shape, axes):
    model = load(write(tmp_path / "mean.onnx", shape, tuple(range(2, len(shape)))))
    images = np.random.default_rng(0).random((2, *shape[2:], 2), dtype=np.float32)
    np.testing.assert_allclose(model.scores(images), images.mean(tuple(range(1, axes + 1))), rtol=1e-5)
    assert model.axes == axes


@pytest.mark.parametrize(("space", "size"), [(["w"], (9,)), (["h", "w"], (9, 9)), (["d", "h", "w"], (9, 9, 9))])
def test_one_int_stands_for_every_axis_that_the_graph_leaves_open(tmp_path, space, size):
    path = write(tmp_path / "mean.onnx", ["n", 2, *space], tuple(range(2, 2 + len(space))))
    assert load(path, input_size=9).input_size == size


def test_graphs_that_cannot_be_explained(tmp_path):
    mask = helper.make_tensor_value_info("mask", FLOAT, ["n", 1, 6, 5])
    with pytest.raises(UnsupportedError, match=r"takes 2 inputs: images .*mask .*Pass a function that runs your own"):
        load(write(tmp_path / "two.onnx", ["n", 3, 6, 5], (2, 3), extra=[mask]))
    with pytest.raises(UnsupportedError, match=r"takes tensor\(int32\)"):
        load(write(tmp_path / "whole.onnx", ["n", 3, 6, 5], (2, 3), TensorProto.INT32))
    with pytest.raises(UnsupportedError, match=r"of 3 to 5 axes, but .* takes tensor\(float\) \['n', 12\]"):
        load(write(tmp_path / "flat.onnx", ["n", 12], (1,)))
    with pytest.raises(InputError, match=r"input_size must be the graph's, \(6, 5\)"):
        load(write(tmp_path / "mean.onnx", ["n", 3, 6, 5], (2, 3)), input_size=8)
    with pytest.raises(InputError, match="device must be 'cpu'"):
        load(tmp_path / "mean.onnx", device="cuda")
    with pytest.raises(ModelError, match=r"must accept images of shape \(3, 6, 5, 1\)"):
        load(tmp_path / "mean.onnx").scores(pictures(channels=1))
    with pytest.raises(InputError, match=r"one name per output of the model \(3\), but got 2"):
        load(tmp_path / "mean.onnx", classes=["cat", "dog"]).scores(pictures())
    dense = load(write(tmp_path / "dense.onnx", ["n", 3, 6, 5], (1,)))
    with pytest.raises(UnsupportedError, match=r"got shape \(3, 6, 5\)\. Pass head="):
        dense.scores(pictures())
    headed = load(tmp_path / "dense.onnx", head=lambda output: output[:, 2, :2])
    np.testing.assert_allclose(headed.scores(pictures()), pictures().mean(3)[:, 2, :2], rtol=1e-5)


@pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript:DeprecationWarning")  # the new one needs more
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # used by the exporter
@pytest.mark.filterwarnings(
    "ignore:The feature will be removed:DeprecationWarning", "ignore:Constant folding:UserWarning"
)
def test_the_bundled_weights_give_the_same_scores(tmp_path):
    bundled = load("bundled", scores="raw")
    path = tmp_path / "lite0.onnx"
    torch.onnx.export(
        bundled._module, (torch.zeros(1, 3, lite0.SIZE, lite0.SIZE),), path, dynamo=False, do_constant_folding=False
    )
    images = pictures(2, (224, 224))
    model = load(path, preprocess="lite0", classes=bundled.classes)
    np.testing.assert_allclose(model.scores(images), bundled.scores(images), atol=1e-4)
