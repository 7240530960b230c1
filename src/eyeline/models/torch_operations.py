"""Which PyTorch operations the incremental engine knows, and how each is read; one function a kind, one table."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, fx

from eyeline.incremental.geometry import Geometry
from eyeline.incremental.graph import (
    Activation,
    Affine,
    AveragePool,
    Conv,
    Flatten,
    GlobalMean,
    LayerNorm,
    Linear,
    MaxPool,
    Pad,
)
from eyeline.models import torch_arithmetic
from eyeline.models.torch_values import FIRST, Building, Call, Value, pair


def recognise(building: Building, node: fx.Node) -> Value | None:
    """Return the value of an operation that the engine knows, or None."""
    schema = getattr(node.target, "_schema", None)
    if schema is None or not schema.name.startswith("aten::"):
        return None
    name = schema.name.removeprefix("aten::")
    name = name.removesuffix("_") if schema.is_mutable else name
    read = TABLE.get(name, _elementwise if name in ELEMENTWISE else None)
    given = {}
    for place, argument in enumerate(schema.arguments):
        held = node.args[place] if place < len(node.args) else node.kwargs.get(argument.name, argument.default_value)
        given[argument.name] = (
            [building.value(each) for each in held] if isinstance(held, list | tuple) else building.value(held)
        )
    first = next(iter(given.values()), None)
    if read is None or not (isinstance(first, Value | list) or name in COMMUTING):
        return None
    if isinstance(first, Value) and first.channel is None:
        return None
    return read(Call(building, node, given))


def _conv(call: Call) -> Value | None:
    weight, bias, padding = call.given["weight"], call.given["bias"], call.given["padding"]
    if not isinstance(weight, Tensor) or isinstance(bias, Value):
        return None
    stride, dilation = pair(call.given["stride"]), pair(call.given["dilation"])
    kernel = (int(weight.shape[2]), int(weight.shape[3]))
    geometries = []
    for axis in (0, 1):
        if isinstance(padding, str):
            total = dilation[axis] * (kernel[axis] - 1) if padding == "same" else 0
            before, after = total // 2, total - total // 2
        else:
            before = after = pair(padding)[axis]
        geometries.append(Geometry(kernel[axis], stride[axis], dilation[axis], before, after))
    return call.slid(Conv(weight, bias, (geometries[0], geometries[1]), call.given["groups"]))


def _pool(call: Call) -> tuple[Geometry, Geometry]:
    kernel = pair(call.given["kernel_size"])
    stride = pair(call.given["stride"] or kernel)
    padding, dilation = pair(call.given["padding"]), pair(call.given.get("dilation", 1))
    rows, columns = (Geometry(kernel[a], stride[a], dilation[a], padding[a], padding[a]) for a in (0, 1))
    return rows, columns


def _max_pool(call: Call) -> Value | None:
    return call.slid(MaxPool(_pool(call)))


def _average_pool(call: Call) -> Value | None:
    return call.slid(AveragePool(_pool(call), call.given["count_include_pad"], call.given["divisor_override"]))


def _adaptive(call: Call) -> Value | None:
    source, wanted = call.source, pair(call.given["output_size"])
    size = source.shape[:2]
    if source.order != FIRST:
        return None
    if wanted == size:
        return source
    if wanted == (1, 1):
        return call.building.add(GlobalMean(keep=True), (source,), (1, 1, source.shape[2]), FIRST)
    if any(have % want for have, want in zip(size, wanted, strict=True)):
        return None
    steps = [have // want for have, want in zip(size, wanted, strict=True)]
    return call.slid(AveragePool((Geometry(steps[0], steps[0]), Geometry(steps[1], steps[1]))))


def _mean(call: Call) -> Value | None:
    source, axes, keep = call.source, call.given.get("dim"), bool(call.given.get("keepdim"))
    if not source.order or axes is None or {source.order[axis] for axis in axes} != {1, 2}:
        return None
    channels = source.shape[2]
    shape = (1, 1, channels) if keep else (channels,)
    return call.building.add(GlobalMean(keep), (source,), shape, source.order if keep else None)


def _flatten(call: Call) -> Value | None:
    shape = call.building.shape(call.node)
    if shape is None or len(shape) != 1 or shape[0] != math.prod(call.source.shape):
        return None
    if call.source.order is None:
        return call.source
    if call.source.order != FIRST:
        return None
    return call.building.add(Flatten(), (call.source,), shape, None)


def _linear(call: Call) -> Value | None:
    source, weight, bias = call.source, call.given["weight"], call.given["bias"]
    if not isinstance(weight, Tensor) or isinstance(bias, Value) or weight.ndim != 2:
        return None
    if source.order is None:
        return call.building.add(Linear(weight, bias), (source,), (len(weight),), None)
    if source.channel != 3:
        return None
    conv = Conv(weight[:, :, None, None], bias, (Geometry(), Geometry()))
    return call.building.add(conv, (source,), (*source.shape[:2], len(weight)), source.order)


def _batch_norm(call: Call) -> Value | None:
    mean, variance = call.given["running_mean"], call.given["running_var"]
    if call.given["training"] or mean is None or variance is None or call.source.channel != 1:
        return None
    weight, bias = call.given["weight"], call.given["bias"]
    scale = (variance.double() + call.given["eps"]).rsqrt() * (1 if weight is None else weight.double())
    shift = (0 if bias is None else bias.double()) - mean.double() * scale
    return call.same(Affine(scale.float(), shift.float()))


def _layer_norm(call: Call) -> Value | None:
    given, source = call.given, call.source
    if len(given["normalized_shape"]) != 1 or source.channel != (3 if source.order else 1):
        return None
    return call.same(LayerNorm(given["weight"], given["bias"], given["eps"]))


def _pad(call: Call) -> Value | None:
    borders, value = call.given["pad"], call.given.get("value") or 0.0
    if call.given.get("mode", "constant") != "constant" or len(borders) != 4 or call.source.order != FIRST:
        return None
    left, right, top, bottom = borders
    return call.slid(Pad((Geometry(before=top, after=bottom), Geometry(before=left, after=right)), float(value)))


def _permute(call: Call) -> Value | None:
    source = call.source
    if source.order is None:
        return None
    axes = call.given.get("dims")
    if axes is None:
        one, two = call.given["dim0"] % 4, call.given["dim1"] % 4
        axes = [{one: two, two: one}.get(axis, axis) for axis in range(4)]
    order = tuple(source.order[axis] for axis in axes)
    return Value(source.place, source.shape, order) if order[0] == 0 else None


def _dropout(call: Call) -> Value | None:
    return None if call.given["train"] else call.source


def _same(call: Call) -> Value | None:
    return call.source


def _to(call: Call) -> Value | None:
    return call.source if call.given.get("dtype") in (None, torch.float32) else None


def _elementwise(call: Call) -> Value | None:
    """Read an activation: clamps by their bounds, others by name and the framework's own function."""
    name = call.node.target._schema.name.removeprefix("aten::").rstrip("_")
    _, *others = call.given.values()
    if any(isinstance(each, Value | fx.Node | Tensor) for each in others):
        return None
    if name in ("hardtanh", "clamp"):
        low, high = others
        return call.same(Activation.clamp(-math.inf if low is None else low, math.inf if high is None else high))
    if name in BOUNDS:
        return call.same(Activation.clamp(*BOUNDS[name]))
    function = getattr(getattr(torch.ops.aten, name), call.node.target._overloadname)
    named = dict(list(call.given.items())[1:])
    variant = "gelu_tanh" if named.get("approximate") == "tanh" else name
    return call.same(Activation(variant, call=lambda data: function(data, **named)))


BOUNDS = {"relu": (0.0, math.inf), "relu6": (0.0, 6.0)}
ELEMENTWISE = {
    "relu", "relu6", "hardtanh", "clamp", "silu", "sigmoid", "hardswish", "hardsigmoid", "gelu", "leaky_relu", "elu",
    "celu", "selu", "tanh", "softplus", "mish", "softsign", "log_sigmoid", "exp", "abs", "neg", "square", "sqrt",
}  # fmt: skip
COMMUTING = {"add", "mul", "sub"}
TABLE: dict[str, Callable[[Call], Value | None]] = {
    "conv2d": _conv,
    "max_pool2d": _max_pool,
    "avg_pool2d": _average_pool,
    "adaptive_avg_pool2d": _adaptive,
    "mean": _mean,
    "flatten": _flatten,
    "view": _flatten,
    "reshape": _flatten,
    "linear": _linear,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "add": torch_arithmetic.add,
    "sub": torch_arithmetic.sub,
    "mul": torch_arithmetic.mul,
    "div": torch_arithmetic.div,
    "cat": torch_arithmetic.concat,
    "concat": torch_arithmetic.concat,
    "pad": _pad,
    "constant_pad_nd": _pad,
    "permute": _permute,
    "transpose": _permute,
    "dropout": _dropout,
    "feature_dropout": _dropout,
    "alpha_dropout": _dropout,
    "contiguous": _same,
    "clone": _same,
    "alias": _same,
    "detach": _same,
    "to": _to,
}
"""Name of the framework's operation -> how it is read; one that returns None is carried as unknown."""
