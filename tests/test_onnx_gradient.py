"""Gradients of ONNX files against differences of a reference interpreter's outputs in double, and PyTorch's."""

import sys

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

import eyeline
import test_onnx_graph as graphs
from eyeline.errors import InputError, ModelError, UnsupportedError
from eyeline.models import onnx_torch
from eyeline.models.base import Differentiable
from eyeline.models.layered import Layered, Ruled, choose
from test_onnx_graph import CONV, DENSE, GIVEN, LOCAL, MORE, NEWER, SIZE, node, read_out, weights

STEP, NEAR = 1e-6, 5e-4
WIDE = 1e-3
"""The step where the reference interpreter has the error function in single precision."""
FLOAT = TensorProto.FLOAT


def weigh(scores):
    return np.broadcast_to(1 / np.arange(1, scores.shape[1] + 1), scores.shape)


def doubled(model):
    """The same graph on numbers of double length, as far as its constants and casts say how long they are."""
    graph = model.graph
    graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    for each in graph.initializer:
        if each.data_type == FLOAT:
            each.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(each).astype(np.float64), each.name))
    for each in graph.node:
        each.domain = ""  # onnxruntime's Gelu is as ONNX's
        for setting in each.attribute:
            if each.op_type == "Cast" and setting.i == FLOAT:
                setting.i = TensorProto.DOUBLE
    model.opset_import[0].version = max(model.opset_import[0].version, 20 if "Gelu" in str(graph.node) else 0)
    return model


def differs(path, shape=SIZE, channels=3, seed=0, step=STEP, **settings):
    """Return by how much the gradient along a random direction is off a difference quotient, as a share of it."""
    model = eyeline.load(path, **settings)
    assert isinstance(model, Differentiable)
    random = np.random.default_rng(seed)
    images = random.random((3, *shape, channels), dtype=np.float32)
    way = random.standard_normal(images.shape)
    reference = ReferenceEvaluator(doubled(onnx.load(path)))

    def explained(values):
        given = np.moveaxis(values, -1, 1) if "first" in model.describe()["layout"] else values
        outputs = reference.run(None, {"x": given})[0]
        return (outputs * weigh(outputs)).sum(1)

    scores, gradient = model.gradient(images, weigh)
    np.testing.assert_allclose(scores, model.scores(images), rtol=1e-4, atol=1e-4 * np.abs(scores).max())
    wide = images.astype(np.float64)
    quotient = (explained(wide + step * way) - explained(wide - step * way)) / (2 * step)
    found = (gradient * way).reshape(3, -1).sum(1)
    return float(np.abs(found - quotient).max() / np.abs(quotient).max())


def write(path, nodes, constants, shape=("n", 3, *SIZE), opset=19):
    onnx.save(graphs.proto(*read_out(nodes, constants, shape, opset), shape=shape, opset=opset), path)
    return path


UNREAD = {"max pool, same lower", "pad, cut"}
"""What the reference interpreter pads otherwise than onnxruntime, or does not take."""


@pytest.mark.parametrize("name", [each for each in LOCAL if each not in UNREAD])
def test_an_operation_of_the_engine(tmp_path, name):
    nodes, constants = LOCAL[name]
    opset = max(NEWER.get(each.op_type, 18) for each in nodes)
    step = WIDE if any(each.op_type in ("Erf", "Gelu") for each in nodes) else STEP
    assert differs(write(tmp_path / "net.onnx", nodes, constants, opset=opset), step=step) < NEAR


APART = [node("Reshape", "x apart", "a")]
"""(n, 3, 2, 6, 10): no operation of the engine, so each is run as PyTorch has it."""
FIVE = {
    "apart": np.array([0, 3, 2, 6, 10]), "half": np.float32(0.5), "w": weights(4, 3, 2, 3, 3), "b": weights(4),
    "up": weights(3, 2, 2, 3, 2), "c": weights(4), "s": weights(3, low=0.5), "t": weights(3), "v": weights(3, low=0.5),
    "ends": weights(10), "k": weights(3, 1, 1, 1, low=0.5), "m": weights(10, 4), "all": np.array([-1]),
    "two": np.array([2]), "zero": np.array([0]), "one": np.array([1]), "three": np.array([3]), "minus": np.array([-9]),
    "four": np.array([4]), "places": np.array([[1, -1], [0, 1]]), "twice": np.array([1, 1, 2, 1, 1]),
    "wide": np.array([3, 3, 2, 6, 10]), "parts": np.array([4, 6]), "pads": np.array([0, 0, 0, 1, 2, 0, 0, 0, 2, 1]),
    "larger": np.array([1, 1, 1.5, 1.2], np.float32),
    "scales": np.array([1, 1, 0.75, 1.5], np.float32), "deep": np.array([0, 12, 6, 5]), "mask": np.arange(10) % 2 == 0,
    "sizes": np.array([9, 15]), "plane": weights(6, 6), "bound": np.float32(0.6), "end": np.int64(-1),
    "m2": weights(10, 4), "c2": weights(4), "back": np.array([-1, 3, 2, 6, 4]), "full": np.array([3, 2, 6, 10]),
}  # fmt: skip


def apart(*nodes):
    return [*APART, *nodes]


def resize(mode, transform="half_pixel", given="x - scales", **settings):
    return [node("Resize", given, mode=mode, coordinate_transformation_mode=transform, **settings)]


def padded(mode):
    return apart(node("Pad", "a pads" + (" half" if mode == "constant" else ""), mode=mode))


def reduced(kind, **settings):
    return apart(node(kind, "a", axes=[2, -1], **settings))


DEEP = {
    "conv, three axes": apart(node("Conv", "a w b", pads=[1, 0, 1, 0, 2, 1], strides=[1, 2, 1])),
    "conv, same lower": apart(node("Conv", "a w b", auto_pad="SAME_LOWER", strides=[1, 2, 1])),
    "transposed": apart(
        node("ConvTranspose", "a up", strides=[1, 2, 1], output_padding=[0, 1, 0], pads=[0, 1, 0, 1, 0, 1])
    ),
    "max pool": apart(node("MaxPool", "a", kernel_shape=[1, 3, 2], strides=[1, 2, 2], ceil_mode=1)),
    "max pool, dilated": apart(node("MaxPool", "a", kernel_shape=[1, 2, 2], dilations=[1, 2, 3])),
    "average pool": apart(node("AveragePool", "a", kernel_shape=[2, 3, 2], strides=[1, 2, 1], pads=[0, 1, 1, 0, 1, 0])),
    "average pool, counting": apart(
        node("AveragePool", "a", kernel_shape=[2, 3, 2], pads=[0, 1, 1, 0, 1, 0], count_include_pad=1)
    ),
    "global average": apart(node("GlobalAveragePool", "a")),
    "global max": apart(node("ReduceMax", "a", axes=[2, 3, 4])),
    "batch norm": apart(node("BatchNormalization", "a s t t v")),
    "instance norm": apart(node("InstanceNormalization", "a s t")),
    "layer norm": apart(node("LayerNormalization", "a ends", axis=-1)),
    "lp": apart(node("LpNormalization", "a", axis=2, p=2)),
    "softmax": apart(node("Softmax", "a", axis=2)),
    "log softmax": apart(node("LogSoftmax", "a", axis=-2)),
    "prelu": apart(node("Sub", "a half", "d"), node("PRelu", "d k")),
    "clip": apart(node("Clip", "a half")),
    "relu": apart(node("Sub", "a half", "d"), node("Relu", "d", "r"), node("Mul", "r r")),
    "sines": apart(node("Sin", "a", "d"), node("Cos", "d", "e"), node("Tan", "e", "f"), node("Atan", "f")),
    "powers": apart(node("Pow", "a a")),
    "largest": apart(node("Max", "a bound half")),
    "mean of several": apart(node("Mul", "a a", "d"), node("Mean", "a d k")),
    "where": apart(node("Less", "a half", "l"), node("Mul", "a k", "d"), node("Where", "l d a")),
    "where, told": apart(node("Where", "mask a half")),
    "and, or, not": apart(
        node("Less", "a half", "l"), node("Not", "l", "n"), node("Or", "n l", "o"), node("And", "o n", "g"),
        node("Where", "g a half"),
    ),
    "matmul": apart(node("MatMul", "a m")),
    "matmul, both": apart(node("Transpose", "a", "d", perm=[0, 1, 2, 4, 3]), node("MatMul", "a d")),
    "einsum": apart(node("Einsum", "a m", equation="ncdhw,wk->nkhd")),
    "flattened and gemm": apart(
        node("Flatten", "a", "f", axis=4), node("Gemm", "f m2 c2", "g", alpha=0.5, beta=2.0), node("Reshape", "g back"),
    ),
    "cumulated": apart(node("CumSum", "a end", reverse=1, exclusive=1)),
    "product": reduced("ReduceProd"),
    "norm": reduced("ReduceL2", keepdims=0),
    "magnitudes": reduced("ReduceL1"),
    "squares": reduced("ReduceSumSquare"),
    "log of sums": reduced("ReduceLogSum"),
    "log of sums of powers": reduced("ReduceLogSumExp"),
    "largest of an axis": reduced("ReduceMax"),
    "smallest of an axis": reduced("ReduceMin"),
    "sum": apart(node("ReduceSum", "a two", keepdims=0)),
    "mean": reduced("ReduceMean"),
    "squeezed": apart(node("ReduceMean", "a", "d", axes=[2]), node("Squeeze", "d two")),
    "unsqueezed": apart(node("Unsqueeze", "a three")),
    "expanded": apart(node("ReduceMean", "a", "d", axes=[2]), node("Expand", "d full")),
    "tiled": apart(node("Tile", "a twice")),
    "parts": apart(
        node("Split", "a parts", "d", "e", axis=-1), node("ReduceMean", "d", "f", axes=[-1]), node("Mul", "f e")
    ),
    "uneven parts": apart(node("Split", "a", "d", "e", "f", axis=4, num_outputs=3), node("Concat", "d f", "y", axis=4)),
    "slice": apart(node("Slice", "a one four three two")),
    "slice, backwards": apart(node("Slice", "a four minus three all")),
    "gathered": apart(node("Gather", "a places", axis=2)),
    "pad": padded("constant"),
    "pad, edge": padded("edge"),
    "pad, reflect": padded("reflect"),
    "triangle": apart(node("ReduceMean", "a", "d", axes=[2], keepdims=0), node("MatMul", "plane d", "e"),
                      node("Trilu", "e", upper=0)),
    "depth to space": apart(node("Reshape", "a deep", "d"), node("DepthToSpace", "d", "e", blocksize=2)
                            , node("Unsqueeze", "e two")),
    "depth to space, columns first": apart(
        node("Reshape", "a deep", "d"), node("DepthToSpace", "d", "e", blocksize=2, mode="CRD"),
        node("Unsqueeze", "e two")
    ),
    "nearest": resize("nearest"),
    "nearest, floor": resize("nearest", "asymmetric", nearest_mode="floor"),
    "nearest, ceil": resize("nearest", "asymmetric", nearest_mode="ceil"),
    "linear": resize("linear", given="x - - sizes", axes=[2, 3]),
    "linear, corners": resize("linear", "align_corners"),
    "linear, pytorch": resize("linear", "pytorch_half_pixel"),
    "cubic": resize("cubic", given="x - larger"),
    "symmetric": resize("linear", "half_pixel_symmetric"),
}  # fmt: skip


@pytest.mark.parametrize("name", DEEP)
def test_an_operation_that_pytorch_runs(tmp_path, name):
    """Reductions as in opset 17, where their axes are attributes."""
    nodes = DEEP[name]
    old = any(each.op_type.startswith("Reduce") and each.op_type != "ReduceSum" for each in nodes)
    assert differs(write(tmp_path / "net.onnx", nodes, FIVE, opset=17 if old else 19)) < NEAR


@pytest.mark.parametrize("batch", ["n", 3])
@pytest.mark.parametrize("name", [each for each in DENSE if each != "largest place"])
def test_an_unknown_operation(tmp_path, name, batch):
    nodes, shape = [*GIVEN, *DENSE[name][0], node("Tanh", "u")], (batch, 3, *SIZE)
    constants = {**CONV, **MORE, "rest": np.array([2, *SIZE])}
    step = WIDE if "gelu" in name else STEP
    assert differs(write(tmp_path / "net.onnx", nodes, constants, shape), step=step) < NEAR


@pytest.mark.parametrize(
    ("space", "weight", "layout"),
    [((30,), (4, 3, 5), "first"), ((6, 5, 7), (4, 3, 3, 2, 3), "first"), ((30,), (4, 3, 5), "last")],
    ids=["signals", "volumes", "signals, channels last"],
)
def test_signals_and_volumes(tmp_path, space, weight, layout):
    turn = [0, 2, 1]
    given = [node("Transpose", "x", "t", perm=turn)] if layout == "last" else [node("Identity", "x", "t")]
    nodes = [
        *given,
        node("Conv", "t w", "c"),
        node("Relu", "c", "r"),
        node("MaxPool", "r", "p", kernel_shape=[2] * len(space)),
    ]
    shape = ("n", 3, *space) if layout == "first" else ("n", *space, 3)
    path = write(tmp_path / "net.onnx", [*nodes, node("Tanh", "p")], {"w": weights(*weight)}, shape)
    assert differs(path, space) < NEAR
    assert differs(path, space, preprocess=eyeline.Preprocess(2.0, (0.1, 0.2, 0.3), (0.5,))) > 0.1, "it is not applied"


class Attention(torch.nn.Module):
    """A small vision transformer: patches, a token, two blocks, a head."""

    def __init__(self, side=24, patch=8, wide=24, classes=5):
        super().__init__()
        self.cut = torch.nn.Conv2d(3, wide, patch, patch)
        self.token = torch.nn.Parameter(torch.randn(1, 1, wide))
        self.place = torch.nn.Parameter(torch.randn(1, 1 + (side // patch) ** 2, wide))
        layer = {"batch_first": True, "norm_first": True, "activation": "gelu", "dropout": 0.0}
        self.blocks = torch.nn.ModuleList(torch.nn.TransformerEncoderLayer(wide, 4, 32, **layer) for _ in range(2))
        self.norm, self.head = torch.nn.LayerNorm(wide), torch.nn.Linear(wide, classes)

    def forward(self, images):
        tokens = self.cut(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(tokens.shape[0], -1, -1), tokens], 1) + self.place
        for each in self.blocks:
            tokens = each(tokens)
        return self.head(self.norm(tokens)[:, 0])


def twins(path, module, size, **settings):
    """A network of PyTorch and the file that its exporter writes."""
    torch.onnx.export(module, (torch.zeros(2, 3, *size),), path, dynamo=False, input_names=["x"], **settings)
    return eyeline.load(module, preprocess="imagenet", input_size=size), eyeline.load(path, preprocess="imagenet")


NETS = {"EfficientNet-Lite0": 0.02, "small": 1e-4, "transformer": 1e-4}
"""Allowed distance: rounding opens or shuts single ReLUs and maxima, whose derivatives then differ altogether."""
METHODS = [eyeline.Gradient(channels=None), eyeline.IntegratedGradients(3), eyeline.SmoothGrad(samples=2)]


@pytest.mark.filterwarnings(*graphs.LEGACY, "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("name", NETS)
def test_networks_as_pytorch_exports_them(tmp_path, name):
    torch.manual_seed(0)
    size = (24, 24) if name == "transformer" else (64, 64)
    known = {"transformer": Attention, "EfficientNet-Lite0": graphs.networks.Lite0}
    module = (known[name]() if name in known else graphs.networks.build(name, 10, 64)).eval()
    settings = {} if name == "ResNet18" else {"dynamic_axes": {"x": {0: "n"}}}
    live, file = twins(tmp_path / "net.onnx", module, size, opset_version=17, **settings)
    images = np.random.default_rng(0).random((2, *size, 3), dtype=np.float32)
    for method in METHODS[: 3 if name in ("small", "transformer") else 1]:
        wanted, found = (method(each, images, 1).maps for each in (live, file))
        assert np.linalg.norm(found - wanted) < NETS[name] * np.linalg.norm(wanted)


def small(path, nodes=None, outputs=("scores",), **settings):
    pooled = [*GIVEN, *graphs.POOLED, *graphs.FLAT[1:], *graphs.END] if nodes is None else nodes
    onnx.save(graphs.proto(pooled, graphs.AXES, outputs=outputs), path)
    return eyeline.load(path, **settings)


def test_scores_are_converted_and_the_weights_are_asked_for_once(tmp_path):
    images = np.random.default_rng(0).random((3, *SIZE, 3), dtype=np.float32)
    path, asked = tmp_path / "net.onnx", []
    for scale in ("probability", "log-odds"):
        model = small(path, scores=scale, output="logit")
        scores, gradient = model.gradient(images, lambda given: asked.append(given) or weigh(given))
        np.testing.assert_allclose(scores, model.scores(images), rtol=1e-4, atol=1e-5)
        way = np.float32(1e-2) * np.random.default_rng(1).standard_normal(images.shape).astype(np.float32)
        change = ((model.scores(images + way) - model.scores(images - way)) * weigh(scores)).sum(1) / 2
        np.testing.assert_allclose((gradient * way).sum((1, 2, 3)), change, rtol=2e-2, atol=1e-4)
    assert len(asked) == 2


def test_a_head_on_tensors(tmp_path):
    images = np.random.default_rng(0).random((2, *SIZE, 3), dtype=np.float32)
    path, nodes = tmp_path / "net.onnx", [*GIVEN, node("Tanh", "one", "scores")]
    model = small(path, nodes, head=lambda out: out[:, :, 2:5, 3:7].mean((2, 3)))
    _, gradient = model.gradient(images, weigh)
    assert not gradient[:, :, 9:].any()
    assert gradient[:, 2:5, 3:7].all()
    with pytest.raises(UnsupportedError, match=r"head= .* tensors of PyTorch as well as arrays .* it returned ndarray"):
        small(path, nodes, head=lambda out: np.zeros((len(out), 2))).gradient(images, weigh)
    with pytest.raises(UnsupportedError, match=r"head= .* as well as arrays .* it raised .*method='occlusion'"):
        small(path, nodes, head=lambda out: np.mean(out.astype(np.float32), (2, 3))).gradient(images, weigh)


def test_files_without_gradients_say_why(tmp_path, monkeypatch):
    images, path = np.random.default_rng(0).random((2, *SIZE, 3), dtype=np.float32), tmp_path / "net.onnx"
    small(path, [node("ArgMax", "x", "a", axis=2), node("Cast", "a", "c", to=FLOAT), node("Flatten", "c", "scores")])
    with pytest.raises(UnsupportedError, match=r"must depend on the image .*net\.onnx cuts the way \(ArgMax"):
        eyeline.explain(path, images, "gradient", 1)
    half = graphs.proto([node("Flatten", "x", "scores")], kind=TensorProto.FLOAT16)
    onnx.save(half, path)
    with pytest.raises(UnsupportedError, match=r"must have a graph that PyTorch can run .*float16\. Use method='occl"):
        eyeline.load(path).gradient(images, weigh)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        UnsupportedError, match=r"for gradients, but it has not: PyTorch must be installed.*pip install"
    ):
        small(path).gradient(images, weigh)


def test_an_operation_without_a_derivative_is_named(tmp_path):
    images, path = np.random.default_rng(0).random((2, *SIZE, 3), dtype=np.float32), tmp_path / "net.onnx"
    model = small(path, [node("MeanVarianceNormalization", "x", axes=[2, 3]), node("Flatten", "y", "scores")])
    with pytest.raises(UnsupportedError, match=r"whose derivative is known .* got MeanVarianceNorm\w+ \(node 'y'\)"):
        eyeline.explain(model, images, "gradient", 1)


def test_a_graph_that_is_read_wrongly_is_refused(tmp_path, monkeypatch):
    """Sabotage: what PyTorch runs is compared with onnxruntime."""
    path = write(tmp_path / "net.onnx", apart(node("Sin", "a")), FIVE)
    images = np.random.default_rng(0).random((2, *SIZE, 3), dtype=np.float32)
    monkeypatch.setitem(onnx_torch.TABLE, "Sin", lambda step: 1.001 * step.tensor().sin())
    with pytest.raises(ModelError, match=r"must give onnxruntime's outputs, but those of .* differ by .* is allowed"):
        eyeline.load(path).gradient(images, weigh)


def test_the_oracle_notices(tmp_path, monkeypatch):
    """Sabotage: right outputs, wrong derivatives."""
    for wrong in (lambda data: data.sin().detach() + 0 * data, lambda data: data.sin() + 1e-3 * (data - data.detach())):
        monkeypatch.setitem(onnx_torch.TABLE, "Sin", lambda step, wrong=wrong: wrong(step.tensor()))
        assert differs(write(tmp_path / "net.onnx", apart(node("Sin", "a")), FIVE)) > 2 * NEAR


# --- layers and rules -----------------------------------------------------------------------------------------


class Blocks(torch.nn.Module):
    """Convolutions, a ReLU, a ReLU6, a sum."""

    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Conv2d(3, 6, 3, 2), torch.nn.Conv2d(6, 6, 3, padding=1)
        self.relu, self.six, self.last = torch.nn.ReLU(), torch.nn.ReLU6(), torch.nn.Linear(6, 4)

    def forward(self, images):
        found = self.relu(self.first(images))
        return self.last((self.six(self.second(found)) + found).mean((2, 3)))


@pytest.mark.filterwarnings(*graphs.LEGACY)
@pytest.mark.parametrize("free", [True, False])
def test_layers_and_rules_are_those_of_the_network(tmp_path, free):
    torch.manual_seed(0)
    settings = {"dynamic_axes": {"x": {0: "n"}}} if free else {}
    live, file = twins(tmp_path / "net.onnx", Blocks().eval(), SIZE, **settings)
    assert isinstance(file, Layered)
    assert isinstance(file, Ruled)
    images = np.random.default_rng(0).random((3, *SIZE, 3), dtype=np.float32)
    for rule in ("guided", "deconvnet"):
        for found, wanted in zip(file.ruled(images, weigh, rule), live.ruled(images, weigh, rule), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    listed = {each.name: each for each in file.layers((*SIZE, 3))}
    names = {"/first/Conv": "first", "/relu/Relu": "relu", "/second/Conv": "second", "/six/Clip": "six"}
    assert names.keys() < listed.keys()
    assert (listed["/second/Conv"].kind, listed["/second/Conv"].shape) == ("Conv", (5, 4, 6))
    assert choose(file.layers((*SIZE, 3)), None, "x").name == "/Add"
    for theirs, name in names.items():
        for found, wanted in zip(file.layer(images, weigh, theirs), live.layer(images, weigh, name), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match=r"layer must be one of the model's, but got '/second'.*'/second/Conv'"):
        file.layer(images, weigh, "/second")


def test_the_derivative_of_a_relu_at_nothing_is_nothing(tmp_path):
    """As in PyTorch, Keras and the papers: black images and dead units are at the bound itself."""
    for kind, given in (("Relu", "x"), ("Clip", "x low high")):
        constants = {"low": np.float32(0), "high": np.float32(6)}
        onnx.save(graphs.proto([node(kind, given), node("Flatten", "y", "scores")], constants), tmp_path / "net.onnx")
        images = np.zeros((1, *SIZE, 3), dtype=np.float32)
        assert not eyeline.load(tmp_path / "net.onnx").gradient(images, weigh)[1].any()


def test_layers_of_signals(tmp_path):
    nodes = [node("Conv", "x w", "c"), node("Tanh", "c")]
    model = eyeline.load(write(tmp_path / "net.onnx", nodes, {"w": weights(4, 3, 5)}, ("n", 3, 30)))
    assert [(each.kind, each.shape) for each in model.layers((30, 3)) if each.space] == [
        ("Conv", (26, 4)),
        ("Tanh", (26, 4)),
    ]
    images = np.random.default_rng(0).random((2, 30, 3), dtype=np.float32)
    _, values, derivatives = model.layer(images, weigh, "y")
    np.testing.assert_allclose(values, np.tanh(model.layer(images, weigh, "c")[1]), rtol=1e-4)
    assert derivatives.shape == (2, 26, 4)
