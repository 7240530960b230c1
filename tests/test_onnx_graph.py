"""ONNX files through the engine against onnxruntime on every covered image: each operation, odd settings, networks."""

import dataclasses
import itertools
import os
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import eyeline
from eyeline.errors import UnsupportedError
from eyeline.incremental import dense
from eyeline.incremental.compare import first_apart
from eyeline.incremental.graph import Activation, Flatten, Unknown
from eyeline.incremental.run import Engine
from eyeline.methods.kept import Foreseeing
from eyeline.models import onnx_elementwise, onnx_graph, onnx_operations, onnx_shapes
from eyeline.models.base import Traceable
from eyeline.models.onnx_importer import Source
from eyeline.window import Box, grid

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import networks

SIZE = (12, 10)
FLOAT = TensorProto.FLOAT
RANDOM = np.random.default_rng(0)


def weights(*shape, low=-1.0):
    return RANDOM.uniform(low, 1, shape).astype(np.float32)


def node(kind, given, *outputs, **settings):
    given = given.split()
    outputs = outputs or ("y",)
    return helper.make_node(
        kind, ["" if each == "-" else each for each in given], list(outputs), name=outputs[0], **settings
    )


def proto(nodes, constants=None, shape=("n", 3, *SIZE), opset=18, outputs=("scores",), kind=FLOAT):
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", kind, shape)],
        [onnx.ValueInfoProto(name=each) for each in outputs],
        [numpy_helper.from_array(np.asarray(each), name) for name, each in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def load(path, *given, **settings):
    options = {key: settings.pop(key) for key in ("preprocess", "head", "input_size") if key in settings}
    (path / "net.onnx").write_bytes(proto(*given, **settings).SerializeToString())
    return eyeline.load(path / "net.onnx", **options)


def read_out(nodes, constants=None, shape=("n", 3, *SIZE), opset=18, **settings):
    """Let every number of `y` weigh in the scores: flattened, and five random sums of it."""
    bare = proto(nodes, constants, shape, opset, ("y",)).SerializeToString()
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3
    session = onnxruntime.InferenceSession(bare, quiet, providers=["CPUExecutionProvider"])
    concrete = [each if isinstance(each, int) else 1 for each in shape]
    inner = session.run(None, {"x": np.ones(concrete, np.float32)})[0]
    tail = [node("Flatten", "y", "flat"), node("MatMul", "flat last", "scores")]
    return [*nodes, *tail], {**(constants or {}), "last": weights(inner[0].size, 5)}


def agrees(model, size=SIZE, window=4, stride=3, channels=3, tolerance=1e-5, positions=slice(None)):
    """Assert that at every position the engine gives what the session gives; return what the engine did."""
    graph = model.graph((*size, channels))
    engine, boxes = Engine(graph), grid(size, window, stride)[positions]
    ground, patch = RANDOM.random((2, 1, *size, channels), dtype=np.float32)
    images = ground.repeat(len(boxes), axis=0)
    for image, box in zip(images, boxes, strict=True):
        image[Box.of(box).slices] = patch[0][Box.of(box).slices]
    full = model.scores(images)
    ours = model.convert(np.concatenate([raw for _, raw in engine.run(ground, patch, boxes)]))
    spread = float(np.ptp(full, axis=0).max())
    assert spread > 1e-4 * np.abs(full).max(), "the scores must depend on the window"
    np.testing.assert_allclose(ours, full, rtol=1e-6, atol=tolerance * spread)
    return engine.plan(boxes)


CONV = {"w": weights(6, 3, 3, 3), "b": weights(6)}
NORM = {"s": weights(3), "b": weights(3), "m": weights(3), "v": weights(3, low=0.5)}
LAST = [node("Transpose", "x", "t", perm=[0, 2, 3, 1])]
FIRST = [node("Transpose", "u", "y", perm=[0, 3, 1, 2])]
BOTH = [node("Conv", "x w b", "one", pads=[1] * 4), node("Conv", "x v", "two")]
TWO = {**CONV, "v": weights(6, 3, 1, 1), "k": weights(6, 1, 1)}


def conv(**settings):
    return [node("Conv", "x w b", **settings)], CONV


def pool(kind, **settings):
    return [node(kind, "x", kernel_shape=[3, 2], **settings)], {}


def joined(kind):
    return [*BOTH, node(kind, "one two")], TWO


LOCAL = {
    "conv": conv(),
    "conv, lopsided pads": conv(pads=[0, 1, 2, 0], strides=[2, 1]),
    "conv, same upper": conv(auto_pad="SAME_UPPER", strides=[2, 2]),
    "conv, same lower": conv(auto_pad="SAME_LOWER", strides=[2, 3]),
    "conv, valid": conv(auto_pad="VALID", strides=[1, 2]),
    "conv, dilated": conv(dilations=[2, 3], pads=[2, 3, 1, 0]),
    "conv, depthwise": ([node("Conv", "x w", group=3, pads=[1] * 4)], {"w": weights(6, 1, 3, 3)}),
    "conv, pointwise": ([node("Conv", "x w", strides=[2, 2])], {"w": weights(4, 3, 1, 1)}),
    "conv, weights computed": (
        [node("Transpose", "w", "turned", perm=[3, 2, 0, 1]), node("Conv", "x turned")],
        {"w": weights(3, 3, 3, 4)},
    ),
    "batch norm": ([node("BatchNormalization", "x s b m v", epsilon=0.1)], NORM),
    "max pool": pool("MaxPool", strides=[2, 2], pads=[1, 0, 1, 1]),
    "max pool, ceil": pool("MaxPool", strides=[2, 3], ceil_mode=1),
    "max pool, dilated": pool("MaxPool", dilations=[2, 3]),
    "max pool, same upper": pool("MaxPool", auto_pad="SAME_UPPER", strides=[2, 3]),
    "max pool, same lower": pool("MaxPool", auto_pad="SAME_LOWER", strides=[2, 2]),
    "max pool, valid": pool("MaxPool", auto_pad="VALID", strides=[2, 2]),
    "average pool": pool("AveragePool", strides=[2, 2], pads=[1, 1, 2, 0]),
    "average pool, counting": pool("AveragePool", pads=[1, 1, 2, 0], count_include_pad=1),
    "average pool, ceil": pool("AveragePool", strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1),
    "average pool, ceil, counting": pool(
        "AveragePool", strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1, count_include_pad=1
    ),
    "average pool, same upper": pool("AveragePool", auto_pad="SAME_UPPER", strides=[2, 3]),
    "average pool, same lower, counting": pool("AveragePool", auto_pad="SAME_LOWER", count_include_pad=1),
    "global max": ([node("GlobalMaxPool", "x")], {}),
    "add": joined("Add"),
    "sub": joined("Sub"),
    "mul": joined("Mul"),
    "div": ([*BOTH, node("Exp", "two", "e"), node("Div", "one e")], TWO),
    "sum": ([*BOTH, node("Sum", "one two k one")], TWO),
    "concat": ([*BOTH, node("Concat", "two one two", axis=-3)], TWO),
    "per channel": (
        [node("Mul", "k x", "a"), node("Add", "a k", "b"), node("Sub", "k b", "c"), node("Div", "c k", "d"),
         node("Sub", "d one"), ],
        {"k": weights(3, 1, 1, low=0.5), "one": np.float32(0.3)},
    ),
    "number over a map": ([node("Add", "x one", "a"), node("Div", "one a")], {"one": np.float32(1)}),
    "pow": ([node("Pow", "x k")], {"k": np.float32(3)}),
    "whole power": ([node("Pow", "x k")], {"k": np.int64(2)}),
    "clip": ([node("Clip", "x low high")], {"low": np.float32(0.2), "high": np.float32(0.6)}),
    "clip above": ([node("Clip", "x - high")], {"high": np.float32(0.6)}),
    "max and min": (
        [node("Max", "x low", "a"), node("Min", "high a")],
        {"low": np.float32(0.3), "high": np.float32(0.6)},
    ),
    "prelu": ([node("Sub", "x k", "a"), node("PRelu", "a s")], {"k": np.float32(0.5), "s": weights(3, 1, 1)}),
    "pad": ([node("Pad", "x p v", "y")], {"p": np.array([0, 0, 2, 0, 0, 0, 1, 3]), "v": np.float32(0.4)}),
    "pad, some axes": ([node("Pad", "x p - a")], {"p": np.array([1, 2, 0, 1]), "a": np.array([-1, 2])}),
    "pad, cut": ([node("Pad", "x p")], {"p": np.array([0, 0, -2, 1, 0, 0, 0, -3])}),
    "pad, channels last": (
        [*LAST, node("Pad", "t p", "u"), *FIRST], {"p": np.array([0, 1, 2, 0, 0, 0, 1, 0])},
    ),
    "dropout and identity": ([node("Dropout", "x", "a"), node("Identity", "a", "b"), node("Cast", "b", to=FLOAT)], {}),
    "dropout, told": (
        [node("Dropout", "x r t", "a", "mask"), node("Relu", "a")], {"r": np.float32(0.5), "t": np.bool_(False)},
    ),
    "matmul, channels last": ([*LAST, node("MatMul", "t w", "u"), *FIRST], {"w": weights(3, 7)}),
    "layer norm, channels last": (
        [*LAST, node("LayerNormalization", "t s b", "u", axis=3, epsilon=0.1), *FIRST],
        {"s": weights(3), "b": weights(3)},
    ),
    "left channels last": ([*LAST, node("Relu", "t")], {}),
    "axes swapped twice": (
        [node("Transpose", "x", "a", perm=[0, 3, 1, 2]), node("Transpose", "a", "b", perm=[0, 2, 3, 1]),
         node("Conv", "b w b_")], {"w": weights(2, 3, 3, 3), "b_": weights(2)},
    ),
}  # fmt: skip

ALONE = {
    "Celu": {"alpha": 0.6},
    "Elu": {"alpha": 0.6},
    "HardSigmoid": {"alpha": 0.3, "beta": 0.4},
    "LeakyRelu": {"alpha": 0.3},
    "Selu": {"alpha": 1.2, "gamma": 0.7},
    "ThresholdedRelu": {"alpha": 0.2},
}
SHIFTED, HALF = [node("Sub", "x half", "z")], {"half": np.float32(0.5)}
for kind in ("Relu", *onnx_elementwise.FUNCTIONS):
    shift = [node("Add", "x half", "z")] if kind in ("Log", "Sqrt", "Reciprocal") else SHIFTED
    LOCAL[kind] = ([*shift, node(kind, "z", **ALONE.get(kind, {}))], HALF)
for kind in sorted(ALONE.keys() - {"ThresholdedRelu"}):
    LOCAL[f"{kind} by default"] = ([*SHIFTED, node(kind, "z")], HALF)
LOCAL["HardSigmoid of a sixth"] = ([*SHIFTED, node("HardSigmoid", "z", alpha=1 / 6)], HALF)
LOCAL["Gelu, tanh"] = ([*SHIFTED, node("Gelu", "z", approximate="tanh")], HALF)
LOCAL["Swish, steep"] = ([*SHIFTED, node("Swish", "z", alpha=2.0)], HALF)

OLD = {
    "clip by attributes": ([node("Clip", "x", min=0.2, max=0.6)], {}, 10),
    "pad by attribute": ([node("Pad", "x", pads=[0, 0, 1, 2, 0, 0, 0, 1], value=0.4)], {}, 10),
    "average pool, ceil, counting": (*LOCAL["average pool, ceil, counting"], 10),
    "max pool, ceil": (*LOCAL["max pool, ceil"], 10),
    "batch norm of old": ([node("BatchNormalization", "x s b m v")], NORM, 7),
    "dropout of old": ([node("Dropout", "x", "a"), node("Relu", "a")], {}, 7),
}


NEWER = {"Swish": 24, "Gelu": 20}


@pytest.mark.parametrize("name", LOCAL)
def test_an_operation_stays_local(tmp_path, name):
    nodes, constants = LOCAL[name]
    opset = max(NEWER.get(each.op_type, 18) for each in nodes)
    model = load(tmp_path, *read_out(nodes, constants, opset=opset), opset=opset)
    assert agrees(model).dense_from == "flat"


@pytest.mark.parametrize("name", OLD)
def test_old_forms_of_an_operation(tmp_path, name):
    *given, opset = OLD[name]
    model = load(tmp_path, *read_out(*given, opset=opset), opset=opset)
    assert agrees(model).dense_from == "flat"


def run(graph, images):
    def visit(place, node, inputs):
        return dense.apply(node.operation, inputs, node.shape, len(images)) if place else torch.from_numpy(images)

    return graph.walk(visit).numpy()


SLIDES = list(itertools.product((1, 3), (1, 2, 3), (0, 1), (0, 2), (7, 8), (0, 1), (0, 1)))


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_poolings_of_every_kind(tmp_path, kind):
    images = RANDOM.random((2, 8, 8, 1), dtype=np.float32) - 0.5
    for kernel, stride, before, after, size, ceil, counting in SLIDES:
        if max(before, after) >= kernel or (kind == "MaxPool" and counting):
            continue
        settings = {"count_include_pad": counting} if kind == "AveragePool" else {}
        pads = [before, before, after, after]
        pooled = node(kind, "x", kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads, ceil_mode=ceil, **settings)
        shape = ("n", 1, size, size)
        model = load(tmp_path, [pooled, node("Flatten", "y", "scores")], shape=shape)
        some = images[:, :size, :size].copy()
        np.testing.assert_allclose(run(model.graph((size, size, 1)), some), model.scores(some), atol=1e-6)


LAYER_NORM = [
    *LAST,
    node("ReduceMean", "t", "mean", axes=[-1]),
    node("Sub", "t mean", "d"),
    node("Pow", "d two", "p"),
    node("ReduceMean", "p", "variance", axes=[-1]),
    node("Add", "variance epsilon", "e"),
    node("Sqrt", "e", "deviation"),
    node("Div", "d deviation", "u"),
    *FIRST,
]
GELU = [
    node("Div", "x root", "d"),
    node("Erf", "d", "e"),
    node("Add", "e one", "a"),
    node("Mul", "x a", "p"),
    node("Mul", "p half"),
]
SWISH = [node("Sigmoid", "x", "g"), node("Mul", "g x")]
PARTS = {
    "two": np.float32(2), "epsilon": np.float32(0.1), "root": np.float32(2**0.5), "one": np.float32(1),
    "half": np.float32(0.5),
}  # fmt: skip


def broken(nodes, kind, **change):
    """The same nodes, one of them with something else in it."""
    found = []
    for each in nodes:
        copy = onnx.NodeProto()
        copy.CopyFrom(each)
        if each.op_type == kind:
            for place, name in change.get("given", {}).items():
                copy.input[place] = name
        found.append(copy)
    return found


@pytest.mark.parametrize(
    ("nodes", "known"),
    [(LAYER_NORM, True), (broken(LAYER_NORM, "Pow", given={1: "three"}), False),
     (GELU, True), (broken(GELU, "Div", given={1: "two"}), False), (SWISH, True),
     ([node("Relu", "x", "r"), *broken(SWISH, "Mul", given={1: "r"})], False)],
    ids=["layer norm", "no layer norm", "gelu", "no gelu", "swish", "no swish"],
)  # fmt: skip
def test_operations_written_as_several_are_found_again(tmp_path, nodes, known):
    constants = {**PARTS, "three": np.float32(4)}
    opset = 17 if any(each.op_type == "ReduceMean" for each in nodes) else 18
    model = load(tmp_path, *read_out(nodes, constants, opset=opset), opset=opset)
    assert agrees(model).dense_from == ("flat" if known or opset == 18 else "mean")
    assert (len(model.graph((*SIZE, 3)).nodes) == 5) is known


POOLED = [node("GlobalAveragePool", "one", "pool")]
GIVEN = [node("Conv", "x w b", "one", pads=[1] * 4)]
AXES = {**CONV, "axes": np.array([2, 3]), "last": weights(6, 5)}
FLAT = [*POOLED, node("Flatten", "pool", "row")]
END = [node("MatMul", "row last", "scores")]
SIZED = [
    node("Shape", "pool", "all"),
    node("Gather", "all zero", "count", axis=0),
    node("Unsqueeze", "count zeros", "counts"),
    node("Concat", "counts rest", "target", axis=0),
    node("Reshape", "pool target", "row"),
]
SHAPES = {"zero": np.int64(0), "zeros": np.array([0]), "rest": np.array([-1])}
VECTORS = {
    "squeezed": ([*POOLED, node("Squeeze", "pool axes", "row"), *END], {}),
    "flattened": ([*FLAT, *END], {}),
    "reshaped": ([*POOLED, node("Reshape", "pool to", "row"), *END], {"to": np.array([-1, 6])}),
    "reshaped, zeros": ([*POOLED, node("Reshape", "pool to", "row"), *END], {"to": np.array([0, -1])}),
    "reshaped by what it computes": ([*POOLED, *SIZED, *END], SHAPES),
    "mean": ([node("ReduceMean", "one axes", "row", keepdims=0), *END], {}),
    "mean, from behind": (
        [node("ReduceMean", "one back", "pool"), node("Squeeze", "pool axes", "row"), *END],
        {"back": np.array([-1, -2])},
    ),
    "mean, channels last": (
        [node("Transpose", "one", "t", perm=[0, 2, 3, 1]), node("ReduceMean", "t middle", "row", keepdims=0), *END],
        {"middle": np.array([1, 2])},
    ),
    "gemm": ([*FLAT, node("Gemm", "row turned c", "scores", transB=1, alpha=0.5, beta=2.0)],
             {"turned": weights(5, 6), "c": weights(1, 5)}),
    "gemm, one for all": ([*FLAT, node("Gemm", "row last c", "scores")], {"c": weights(1)}),
    "bias": ([*FLAT, node("MatMul", "row last", "m"), node("Add", "c m", "scores")],
             {"c": weights(5)}),
    "softmax": ([*FLAT, node("MatMul", "row last", "m"),
                 node("Softmax", "m", "scores")], {}),
    "log of softmax": ([*FLAT, node("LogSoftmax", "row", "scores", axis=1)], {}),
    "normalised": ([*FLAT, node("BatchNormalization", "row b b b v", "scores")],
                   {"v": weights(6, low=0.5)}),
    "excited": ([*FLAT, node("Sigmoid", "row", "s"), node("Unsqueeze", "s axes", "f"),
                 node("Mul", "f one", "out"), node("ReduceMean", "out axes", "scores", keepdims=0)], {}),
    "excited, channels last": (
        [*POOLED, node("Reshape", "pool to", "f"), node("Transpose", "one", "t", perm=[0, 2, 3, 1]),
         node("Mul", "t f", "m"), node("Transpose", "m", "u", perm=[0, 3, 1, 2]), node("Conv", "u v", "out"),
         node("ReduceMean", "out axes", "scores", keepdims=0)],
        {"to": np.array([-1, 1, 1, 6]), "v": weights(4, 6, 3, 3)},
    ),
    "a row made a map": (
        [*FLAT, node("Reshape", "row to", "f"), node("Conv", "f v", "out"),
         node("Squeeze", "out axes", "scores")],
        {"to": np.array([0, 6, 1, 1]), "v": weights(4, 6, 1, 1)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("batch", ["n", 1, 2])
@pytest.mark.parametrize("name", VECTORS)
def test_from_maps_to_rows(tmp_path, name, batch):
    nodes, constants = VECTORS[name]
    model = load(tmp_path, [*GIVEN, *nodes], {**AXES, **constants}, shape=(batch, 3, *SIZE))
    plan = agrees(model)
    assert plan.dense_from in ("pool", "row")
    graph = model.graph((*SIZE, 3))
    assert {each.operation.name for each in graph.nodes if isinstance(each.operation, Unknown)} <= {
        "Reshape", "Softmax", "LogSoftmax"
    }  # fmt: skip


def test_channels_last_from_the_start_as_keras_writes_it(tmp_path):
    nodes = [
        node("Transpose", "x", "t", perm=[0, 3, 1, 2]),
        node("Conv", "t w b", "c", auto_pad="SAME_UPPER", strides=[2, 2]),
        node("Transpose", "c", "l", perm=[0, 2, 3, 1]),
        node("Add", "l k", "a"),
        node("Relu", "a", "r"),
        node("Reshape", "r to", "row"),
        node("MatMul", "row last", "scores"),
    ]
    constants = {**CONV, "k": weights(6), "to": np.array([-1, 6 * 6 * 5]), "last": weights(6 * 6 * 5, 4)}
    model = load(tmp_path, nodes, constants, shape=("n", *SIZE, 3), preprocess="imagenet")
    assert model.describe()["layout"] == "channels last"
    assert agrees(model).dense_from == "row"


def test_one_channel_moved_by_reshape(tmp_path):
    nodes = [node("Reshape", "x to", "t"), node("Conv", "t w")]
    given = read_out(nodes, {"to": np.array([-1, 1, *SIZE]), "w": weights(4, 1, 3, 3)}, ("n", *SIZE, 1))
    assert agrees(load(tmp_path, *given, shape=("n", *SIZE, 1)), channels=1).dense_from == "flat"


def test_pads_computed_from_the_size(tmp_path):
    """As a `same` padding is exported that is computed in the forward: Shape, arithmetic, Pad."""
    nodes = [
        node("Shape", "x", "all"),
        node("Gather", "all two", "rows"),
        node("Div", "rows four", "some"),
        node("Unsqueeze", "some zeros", "pad"),
        node("Concat", "four_zeros pad", "front", axis=0),
        node("Concat", "front zeros", "pads", axis=0),
        node("Slice", "pads one nine zeros", "eight"),
        node("Pad", "x eight", "p"),
        node("Conv", "p w b"),
    ]
    constants = {
        **CONV, "two": np.int64(2), "four": np.int64(4), "zeros": np.array([0]), "one": np.array([0]),
        "nine": np.array([8]), "four_zeros": np.zeros(6, np.int64),
    }  # fmt: skip
    assert agrees(load(tmp_path, *read_out(nodes, constants))).dense_from == "flat"


DENSE = {
    "instance norm": ([node("InstanceNormalization", "one b b", "u")], "u"),
    "local response": ([node("LRN", "one", "u", size=3)], "u"),
    "someone else's gelu": ([node("Gelu", "one", "u", domain="com.microsoft")], "u"),
    "resized": ([node("Resize", "one - by", "u", mode="linear")], "u"),
    "full map of constants": ([node("Add", "one map", "u")], "u"),
    "average pool, dilated": ([node("AveragePool", "one", "u", kernel_shape=[2, 2], dilations=[2, 2])], "u"),
    "split": ([node("Split", "one", "p", "q", "r", num_outputs=3, axis=1), node("Concat", "r p", "u", axis=1)], "p"),
    "largest place": ([node("ArgMax", "one", "a", axis=1), node("Cast", "a", "u", to=FLOAT)], "a"),
    "broadcast": ([node("ReduceMean", "one row", "m"), node("Add", "one m", "u")], "m"),
    "token": (
        [node("Shape", "one", "all"), node("Gather", "all zeros", "n_"), node("Concat", "n_ rest", "e", axis=0),
         node("Expand", "token e", "tokens"), node("Concat", "one tokens", "u", axis=1)], "u",
    ),
    "images not in front": (
        [node("Transpose", "one", "a", perm=[1, 0, 2, 3]), node("Tanh", "a", "g"),
         node("Transpose", "g", "u", perm=[1, 0, 2, 3])], "a",
    ),
    "one long row of all images": (
        [node("Reshape", "one rest_", "a"), node("Sigmoid", "a", "s"), node("Shape", "one", "all"),
         node("Reshape", "s all", "u")], "a",
    ),
    "normalised over the columns": (
        [node("ReduceMean", "x last_axis", "mean"), node("Sub", "x mean", "d"), node("Mul", "d d", "p"),
         node("ReduceMean", "p last_axis", "v"), node("Add", "v two", "e"), node("Sqrt", "e", "r"),
         node("Div", "d r", "u")],
        "u",
    ),
    "five axes": (
        [node("Reshape", "one apart", "a"), node("Transpose", "a", "s", perm=[0, 2, 1, 3, 4]),
         node("Reshape", "s back", "u")],
        "a",
    ),
}  # fmt: skip
MORE = {
    "by": np.array([1, 1, 2, 2], np.float32), "map": weights(6, *SIZE), "zeros": np.array([0]), "row": np.array([2]),
    "rest": np.array([2, 1, 1]), "token": weights(1, 2, *SIZE), "apart": np.array([0, 2, 3, *SIZE]),
    "back": np.array([0, 6, *SIZE]), "rest_": np.array([-1]), "last_axis": np.array([-1]), "two": np.float32(2),
}  # fmt: skip


@pytest.mark.parametrize("batch", ["n", 1, 3])
@pytest.mark.parametrize("name", DENSE)
def test_an_unknown_operation_is_carried_along(tmp_path, name, batch):
    nodes, dense_from = DENSE[name]
    shape = (batch, 3, *SIZE)
    more = {**MORE, "rest": np.array([2, *SIZE])}
    given = read_out([*GIVEN, *nodes, node("Relu", "u")], {**CONV, **more}, shape, opset=19)
    assert agrees(load(tmp_path, *given, shape=shape, opset=19)).dense_from == dense_from


def with_if():
    branch = helper.make_graph([node("Identity", "x", "inner")], "b", [], [onnx.ValueInfoProto(name="inner")])
    choose = node("If", "yes", "y", then_branch=branch, else_branch=branch)
    return proto([choose, node("Flatten", "y", "scores")], {"yes": np.bool_(True)})


REFUSED = {
    "control flow": (with_if(), "If 'y', which holds graphs"),
    "an older version": (proto([node("Flatten", "x", "scores")], opset=6), "opset 6"),
    "numbers of half the length": (proto([node("Flatten", "x", "scores")], kind=TensorProto.FLOAT16), "float16"),
    "numbers of double length": (proto([node("Flatten", "x", "scores")], kind=TensorProto.DOUBLE), "double"),
    "weights of half the length": (
        proto([node("Cast", "w", "v", to=FLOAT), node("Conv", "x v b"), node("Flatten", "y", "scores")],
              {**CONV, "w": CONV["w"].astype(np.float16)}),
        "weights of another precision",
    ),
    "images mixed": (proto([node("Softmax", "x", axis=0), node("Flatten", "y", "scores")]), "'y': it mixes images"),
    "images normalised together": (
        proto([node("MeanVarianceNormalization", "x"), node("Flatten", "y", "scores")]), "it mixes images",
    ),
    "images summed up": (
        proto([node("CumSum", "x zero"), node("Flatten", "y", "scores")], {"zero": np.int64(0)}), "it mixes images",
    ),
    "a number of images written in": (
        proto([node("Reshape", "x to", "scores")], {"to": np.array([2, 360])}), r"'scores': .*[Rr]eshape",
    ),
    "a map": (proto([node("Relu", "x", "scores")]), r"one row of scores an image .* the outputs scores"),
    "constant scores": (
        proto([node("Identity", "k", "scores")], {"k": weights(1, 4)}), "depend on the image",
    ),
    "chance": (
        proto([node("RandomUniform", "", "r", shape=[3, 1, 1]), node("Mul", "x r"), node("Flatten", "y", "scores")]),
        r"same scores every time .* RandomUniform 'r'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_understood_is_refused(tmp_path, name):
    found, message = REFUSED[name]
    (tmp_path / "net.onnx").write_bytes(found.SerializeToString())
    given = Source((*SIZE, 3), "first", None, ((1.0,) * 3, (0.0,) * 3))
    with pytest.raises(UnsupportedError, match=rf"the network must .*{message}.* Use engine='full'"):
        onnx_graph.capture(found, given)


def test_weights_beside_the_file(tmp_path):
    found = proto(*read_out(*conv()))
    onnx.save(found, tmp_path / "net.onnx", save_as_external_data=True, location="net.bin", size_threshold=0)
    model = eyeline.load(tmp_path / "net.onnx")
    assert agrees(model).dense_from == "flat"
    other = eyeline.load(tmp_path / "net.onnx")
    data = (tmp_path / "net.bin").read_bytes()
    (tmp_path / "net.bin").write_bytes(bytes(len(data)))
    os.utime(tmp_path / "net.bin", (1, 1))
    with pytest.raises(UnsupportedError, match=r"must stay as they were .*net\.bin' changed.*Load the file again"):
        other.graph((*SIZE, 3))
    assert agrees(model).dense_from == "flat"  # its weights were read before


def test_functions_are_written_out(tmp_path):
    inner = [helper.make_node("Conv", ["a", "c"], ["t"]), helper.make_node("Relu", ["t"], ["o"])]
    function = helper.make_function("mine", "Unit", ["a", "c"], ["o"], inner, [helper.make_opsetid("", 18)])
    nodes = [helper.make_node("Unit", ["x", "w"], ["y"], domain="mine", name="unit"), node("Flatten", "y", "scores")]
    found = proto(nodes, CONV)
    found.functions.append(function)
    found.opset_import.append(helper.make_opsetid("mine", 1))
    onnx.save(found, tmp_path / "net.onnx")
    assert agrees(eyeline.load(tmp_path / "net.onnx")).dense_from == "scores"


@pytest.mark.parametrize("batch", ["n", 2])
def test_a_head_follows_the_graph(tmp_path, batch):
    nodes, constants, shape = [*GIVEN, *POOLED], AXES, (batch, 3, *SIZE)
    one = load(tmp_path, nodes, constants, shape=shape, outputs=["pool"], head=lambda out: out[:, :4, 0, 0] ** 2)
    plan = agrees(one)
    assert plan.dense_from == "pool"
    assert plan.graph.nodes[-1].operation.name == "head"
    two = load(
        tmp_path, nodes, constants, shape=shape, outputs=["pool", "one"],
        head=lambda out: out["pool"][:, :, 0, 0] + out["one"].max((2, 3)),
    )  # fmt: skip
    assert agrees(two).dense_from == "pool"
    writing = load(
        tmp_path, nodes, constants, shape=shape, outputs=["pool", "one"],
        head=lambda out: np.multiply(out["one"], 2, out=out["one"])[:, :, 0, 0] + out["pool"][:, :, 0, 0],
    )  # fmt: skip
    agrees(writing)
    failing = load(tmp_path, nodes, constants, shape=shape, outputs=["pool"], head=lambda out: out.no_such_thing)
    with pytest.raises(UnsupportedError, match=r"'head': .*no_such_thing"):
        failing.graph((*SIZE, 3))


def test_the_one_row_among_several_outputs(tmp_path):
    nodes = [*GIVEN, *POOLED, node("Flatten", "pool", "row"), *END]
    assert agrees(load(tmp_path, nodes, AXES, outputs=["one", "scores"])).dense_from == "pool"


def test_layers_are_those_of_the_graph(tmp_path):
    nodes = [*GIVEN, *POOLED, node("Flatten", "pool", "row"), *END]
    nodes.insert(1, node("Transpose", "one", "t", perm=[0, 2, 3, 1]))
    nodes.insert(2, node("Sigmoid", "t", "s"))
    for shape in (("n", 3, *SIZE), (2, 3, *SIZE)):
        model = load(tmp_path, nodes, AXES, shape=shape, preprocess="imagenet", outputs=["scores", "s"])
        images = RANDOM.random((3, *SIZE, 3), dtype=np.float32)
        found = model.activations(images, ["one", "s", "row", "scores", "image", "nothing"])
        assert set(found) == {"one", "s", "row", "scores"}
        assert first_apart(model.graph((*SIZE, 3)), images, found, 1e-5) == ""
        assert first_apart(model.graph((*SIZE, 3)), images, {**found, "one": found["one"] * 1.01}, 1e-5) == "one"
        assert found["s"].shape == (3, *SIZE, 6)


def test_a_name_stands_for_one_layer(tmp_path):
    nodes, constants = read_out([node("Relu", "x", "r"), node("Neg", "r", "n"), node("Exp", "n")])
    for each, name in zip(nodes, ("n", "", "exp", "", ""), strict=True):
        each.name = name
    names = [each.name for each in load(tmp_path, nodes, constants).graph((*SIZE, 3)).nodes]
    assert names == ["image", "image", "r", "n", "exp", "flat", "scores"]


def test_without_torch_the_message_says_what_to_install(tmp_path, monkeypatch):
    model = load(tmp_path, *read_out(*conv()))
    assert isinstance(model, Traceable)
    assert model.fingerprint() == model.fingerprint() != ""
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UnsupportedError, match=r"PyTorch must be installed .*pip install 'eyeline\[torch\]'"):
        model.graph((*SIZE, 3))
    with pytest.raises(UnsupportedError, match=r"two spatial axes .* but got 1"):
        model.graph((10, 3))


def exported(name, path, size=64, **settings):
    """The file that PyTorch's exporter writes of a network."""
    module = networks.Lite0().eval() if name == "EfficientNet-Lite0" else networks.build(name, 10, size)
    torch.onnx.export(module, (torch.zeros(1, 3, size, size),), path, dynamo=False, input_names=["x"], **settings)
    return eyeline.load(path)


NETWORKS = ["MobileNetV2", "ResNet18", "DenseNet121", "GoogLeNet", "ConvNeXt-T", "EfficientNet-Lite0", "small"]
LEGACY = [
    "ignore:You are using the legacy TorchScript:DeprecationWarning",
    "ignore:`torch.jit:DeprecationWarning",
    "ignore:The feature will be removed:DeprecationWarning",
    "ignore:Constant folding:UserWarning",
]


@pytest.mark.filterwarnings(*LEGACY)
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_as_pytorch_exports_them(tmp_path, name):
    old = name == "ConvNeXt-T"
    fixed = name in ("ResNet18", "ConvNeXt-T")
    settings = {} if fixed else {"dynamic_axes": {"x": {0: "n"}}}
    model = exported(name, tmp_path / "net.onnx", opset_version=16 if old else 17, **settings)
    plan = agrees(model, (64, 64), 13, 11, positions=slice(None, None, 6), tolerance=1e-4)
    assert plan.dense_from.endswith(("GlobalAveragePool", "Flatten"))
    assert 0 < plan.done < plan.full
    assert not any(isinstance(each.operation, Unknown) for each in plan.graph.nodes)
    if old:
        assert sum(isinstance(each.operation, Activation) for each in plan.graph.nodes) == 0


def swapped(*given):
    return tuple(dataclasses.replace(each, before=each.after, after=each.before) for each in GEOMETRIES(*given))


GEOMETRIES, TABLE = onnx_operations._geometries, onnx_operations.TABLE
ERRORS = [
    (onnx_operations, "_geometries", swapped, "conv, same upper"),
    (onnx_operations, "TABLE", {}, "conv, same upper"),
    (onnx_operations, "TABLE", {key: each for key, each in TABLE.items() if key != "Relu"}, "Relu"),
    (onnx_shapes, "Flatten", lambda raster: Flatten(not raster), "left channels last"),
]


@pytest.mark.parametrize(("module", "name", "wrong", "case"), ERRORS, ids=[each[1] for each in ERRORS])
def test_an_importer_that_errs_is_caught(tmp_path, monkeypatch, module, name, wrong, case):
    """Sabotage twin."""
    monkeypatch.setattr(module, name, wrong)
    with pytest.raises(AssertionError):
        test_an_operation_stays_local(tmp_path, case)


def test_what_an_engine_costs_and_brings_is_foreseen(tmp_path):
    nodes = [node("Conv", "x kernel", "wide", pads=[1, 1, 1, 1]), node("Relu", "wide", "cut")]
    nodes += [
        node("GlobalAveragePool", "cut", "mean"),
        node("Flatten", "mean", "flat"),
        node("MatMul", "flat w", "scores"),
    ]
    model = load(tmp_path, nodes, {"kernel": weights(8, 3, 3, 3), "w": weights(8, 5)})
    assert isinstance(model, Foreseeing)
    assert 0 < model.setup((*SIZE, 3)) < 1
    images = RANDOM.random((2, *SIZE, 3), dtype=np.float32)
    covered = images.copy()
    covered[0, 2:5, 3:4, 1] += 1
    plan = Engine(model.graph((*SIZE, 3))).plan(np.array([[(2, 5), (3, 4)]]))
    assert model.share(images, covered) == plan.done / plan.full < 0.6
    assert model.share(images, images) == 0
    with pytest.raises(UnsupportedError, match="two spatial axes"):
        model.setup((*SIZE, 2, 3))


def test_occlusion_of_a_file_runs_incrementally(tmp_path):
    model = load(tmp_path, [*GIVEN, *POOLED, node("Flatten", "pool", "row"), *END], AXES, preprocess="imagenet")
    images = RANDOM.random((2, *SIZE, 3), dtype=np.float32)
    found = {
        engine: eyeline.Occlusion(window=4, stride=2, engine=engine)(model, images)
        for engine in ("full", "incremental")
    }
    quick, full = found["incremental"], found["full"]
    assert quick.provenance["engine"] == "incremental"
    assert quick.provenance["dense_from"] == "pool"
    np.testing.assert_allclose(quick.sweep.scores, full.sweep.scores, atol=1e-5 * np.ptp(full.sweep.scores))
    np.testing.assert_allclose(quick.maps, full.maps, atol=1e-5 * np.ptp(full.maps))
