"""ONNX files with weights drawn anew, beside the PyTorch network that they were made from."""

import numpy as np
import onnx
import pytest
from measured_networks import IMAGES, SIZE, convolutions
from onnx import TensorProto, helper, numpy_helper

import eyeline
from eyeline.errors import UnsupportedError
from eyeline.metrics import Randomisation
from eyeline.models.randomised import randomised, weighted


@pytest.fixture
def file(tmp_path):
    """The small network of the other tests, node by node."""
    state = {name: each.numpy() for name, each in convolutions().state_dict().items() if "num" not in name}
    nodes = [
        helper.make_node("Sub", ["images", "grey"], ["moved"]),
        helper.make_node("Conv", ["moved", "0.weight", "0.bias"], ["a"], name="first"),
        helper.make_node("Identity", ["1.running_var"], ["spread"]),
        helper.make_node(
            "BatchNormalization", ["a", "1.weight", "1.bias", "1.running_mean", "spread"], ["b"], name="norm"
        ),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Conv", ["c", "3.weight", "3.bias"], ["d"], name="second"),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("GlobalAveragePool", ["e"], ["f"]),
        helper.make_node("Flatten", ["f"], ["g"]),
        helper.make_node("Gemm", ["g", "last", "7.bias"], ["scores"], transB=1),
    ]
    constants = {**state, "grey": np.float32([[[[0.1]], [[0.2]], [[0.3]]]]), "last": state["7.weight"][:, ::4]}
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, *SIZE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(np.ascontiguousarray(each), name) for name, each in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(made, tmp_path / "small.onnx")
    return tmp_path / "small.onnx"


def constants(model):
    return {each.name: numpy_helper.to_array(each) for each in model._file.graph().graph.initializer}


def test_nodes_with_weights_in_order(file):
    assert weighted(eyeline.load(file), IMAGES[:1]) == ("first", "norm", "second", "Gemm 9")


def test_a_draw_changes_the_named_nodes_of_a_copy_only(file):
    model = eyeline.load(file)
    before, scores = constants(model), model.scores(IMAGES)
    copy = randomised(model, ["norm", "Gemm 9"], seed=2)
    drawn = constants(copy)
    changed = {name for name in before if not np.array_equal(before[name], drawn[name])}
    assert changed == {"1.running_mean", "1.running_var", "last", "7.bias"}  # norm's scale and shift are even
    for name, values in before.items():
        np.testing.assert_array_equal(np.sort(values, axis=None), np.sort(drawn[name], axis=None))
        np.testing.assert_array_equal(constants(model)[name], values)
    np.testing.assert_array_equal(model.scores(IMAGES), scores)
    assert np.abs(copy.scores(IMAGES) - scores).max() > 1e-3
    np.testing.assert_array_equal(randomised(model, [], 0).scores(IMAGES), scores)


def test_gradients_are_those_of_the_copy(file):
    model = eyeline.load(file)
    eyeline.explain(model, IMAGES, "gradient", target=1)
    copy = randomised(model, ["first"], seed=2)
    found = eyeline.explain(copy, IMAGES, "gradient", target=1, channels=None).maps
    step = np.zeros_like(IMAGES)
    step[:, 4, 5, 1] = 1e-2
    slope = (copy.scores(IMAGES + step) - copy.scores(IMAGES - step))[:, 1] / 2e-2
    np.testing.assert_allclose(found[:, 4, 5, 1], slope, rtol=0.05, atol=1e-3)


def test_the_metric_runs_and_the_initial_draw_is_refused(file):
    model = eyeline.load(file)
    found = Randomisation(stages=2)(model, eyeline.explain(model, IMAGES, "gradient", channels="sum"))
    assert found.stages == ("Gemm 9", "first")
    with pytest.raises(UnsupportedError, match="draw must be 'shuffle' for an ONNX file"):
        randomised(model, ["first"], 0, "initial")
