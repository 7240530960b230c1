"""Which ONNX operations the incremental engine knows, and how each is read; one function a kind, one table.

Where an operation means what one of PyTorch does, it is read as that one.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper
from torch import Tensor

from eyeline.incremental.geometry import Geometry
from eyeline.incremental.graph import AveragePool, Conv, Geometries, MaxPool, Pad, Unknown
from eyeline.models import onnx_elementwise, onnx_patterns, onnx_shapes
from eyeline.models.onnx_elementwise import FUNCTIONS, number
from eyeline.models.onnx_shapes import reworded
from eyeline.models.torch_operations import TABLE as ATEN
from eyeline.models.torch_values import FIRST, Building, Call, Value


def recognise(building: Building, node: onnx.NodeProto, given: list[Any], version: int) -> Value | None:
    """Return the value of an operation that the engine knows, or None.

    Args:
        building: the importer.
        node: with a Value among its inputs, all of float32.
        given: what its inputs stand for: Value, array, Sizes, or None where one is left out.
        version: of ONNX's own operations.
    """
    read = TABLE.get(node.op_type)
    if read is None or node.domain not in ("", "ai.onnx", onnx_patterns.DOMAIN):
        return None
    version = onnx.defs.onnx_opset_version() if node.domain == onnx_patterns.DOMAIN else version
    schema = onnx.defs.get_schema(node.op_type, version, "")
    inputs, names = [_plain(each) for each in given], [each.name for each in schema.inputs]
    if schema.inputs[-1].option == onnx.defs.OpSchema.FormalParameterOption.Variadic:
        inputs = [inputs]
    inputs += [None] * (len(names) - len(inputs))
    held = {name: each.default_value for name, each in schema.attributes.items() if each.default_value.name}
    held |= {each.name: each for each in node.attribute}
    attributes = {name: _worded(helper.get_attribute_value(each)) for name, each in held.items()}
    call = Call(building, node, {**dict(zip(names, inputs, strict=True)), **attributes})
    first = inputs[0]
    if isinstance(first, Value):
        return read(call) if first.channel is not None or node.op_type in FUNCTIONS else None
    return read(call) if isinstance(first, list) or node.op_type in COMMUTING else None


def _plain(held: Any) -> Any:
    """Return weights as tensors, other numbers as such."""
    if not isinstance(held, np.ndarray):
        return held
    return torch.from_numpy(held.copy()) if held.dtype == np.float32 else held.tolist()


def _worded(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _geometries(call: Call, kernel: Sequence[int]) -> Geometries:
    given, sides = call.given, []
    strides, dilations = given.get("strides") or (1, 1), given.get("dilations") or (1, 1)
    pads = given.get("pads") or (0, 0, 0, 0)
    for axis in (0, 1):
        one = Geometry(kernel[axis], strides[axis], dilations[axis], pads[axis], pads[axis + 2])
        if given["auto_pad"] != "NOTSET":
            size = call.source.shape[axis]
            total = max((math.ceil(size / one.stride) - 1) * one.stride + one.extent - size, 0)
            total = 0 if given["auto_pad"] == "VALID" else total
            less, more = total // 2, total - total // 2
            before, after = (more, less) if given["auto_pad"] == "SAME_LOWER" else (less, more)
            one = replace(one, before=before, after=after)
        sides.append(one)
    return (sides[0], sides[1])


def _slid(call: Call, operation: Conv | MaxPool | AveragePool, channels: int, ceil: bool = False) -> Value | None:
    """Add an operation that slides over rows and columns."""
    sizes = zip(operation.geometries, call.source.shape[:2], strict=True)
    rows, columns = (each.outputs(size, ceil) for each, size in sizes)
    if rows < 1 or columns < 1:
        return None
    return call.building.add(operation, (call.source,), (rows, columns, channels), FIRST)


def _conv(call: Call) -> Value | None:
    source, weight, bias, groups = call.source, call.given["W"], call.given["B"], call.given["group"]
    if source.order != FIRST or not isinstance(weight, Tensor) or not isinstance(bias, Tensor | None):
        return None
    if weight.ndim != 4 or weight.shape[1] * groups != source.shape[2]:
        return None
    return _slid(call, Conv(weight, bias, _geometries(call, weight.shape[2:]), groups), len(weight))


def _max_pool(call: Call) -> Value | None:
    if call.source.order != FIRST:
        return None
    pool = MaxPool(_geometries(call, call.given["kernel_shape"]))
    return _slid(call, pool, call.source.shape[2], bool(call.given.get("ceil_mode")))


def _average_pool(call: Call) -> Value | None:
    if call.source.order != FIRST or any(each != 1 for each in call.given.get("dilations") or ()):
        return None
    pool = AveragePool(_geometries(call, call.given["kernel_shape"]), bool(call.given["count_include_pad"]))
    return _slid(call, pool, call.source.shape[2], bool(call.given.get("ceil_mode")))


def _global_max(call: Call) -> Value | None:
    if call.source.order != FIRST:
        return None
    rows, columns, channels = call.source.shape
    return _slid(call, MaxPool((Geometry(rows, rows), Geometry(columns, columns))), channels)


def _global_mean(call: Call) -> Value | None:
    return ATEN["mean"](reworded(call, self=call.source, dim=(2, 3), keepdim=True))


def _mean(call: Call) -> Value | None:
    axes = call.given.get("axes")
    return ATEN["mean"](reworded(call, self=call.source, dim=axes, keepdim=call.given["keepdims"]))


def _pad(call: Call) -> Value | None:
    source, pads, axes = call.source, call.given["pads"], call.given.get("axes") or [0, 1, 2, 3]
    value = call.given.get("constant_value", call.given.get("value"))
    filled = 0.0 if value is None else number(value)
    if call.given["mode"] != "constant" or source.order is None or filled is None:
        return None
    if not isinstance(pads, list) or not isinstance(axes, list):
        return None
    borders = [Geometry()] * 4
    for axis, before, after in zip(axes, pads, pads[len(axes) :], strict=False):
        borders[source.order[axis]] = Geometry(before=before, after=after)
    images, rows, columns, channels = borders
    if images != Geometry() or channels != Geometry():
        return None
    shape = (rows.outputs(source.shape[0]), columns.outputs(source.shape[1]), source.shape[2])
    return call.building.add(Pad((rows, columns), filled), (source,), shape, source.order) if min(shape) else None


def _gemm(call: Call) -> Value | None:
    source, weight, bias, given = call.source, call.given["B"], call.given["C"], call.given
    if given["transA"] or source.order or not isinstance(weight, Tensor) or not isinstance(bias, Tensor | None):
        return None
    weight = given["alpha"] * (weight if given["transB"] else weight.T)
    if bias is not None:
        if bias.numel() not in (1, len(weight)) or bias.shape[:-1].numel() != 1:
            return None
        bias = given["beta"] * bias.reshape(-1).expand(len(weight))
    return _linear(call, weight, bias)


def _matmul(call: Call) -> Value | None:
    weight = call.given["B"]
    return _linear(call, weight.T) if isinstance(weight, Tensor) and weight.ndim == 2 else None


def _linear(call: Call, weight: Tensor, bias: Tensor | None = None) -> Value | None:
    if weight.shape[1] != call.source.shape[-1]:
        return None
    return ATEN["linear"](reworded(call, input=call.source, weight=weight.contiguous(), bias=bias))


def _batch_norm(call: Call) -> Value | None:
    source, weight, bias, mean, variance, *_ = call.given.values()
    if call.given.get("training_mode") or not call.given.get("spatial", 1):
        return None
    if not all(isinstance(each, Tensor) for each in (weight, bias, mean, variance)):
        return None
    given = {"weight": weight, "bias": bias, "running_mean": mean, "running_var": variance}
    return ATEN["batch_norm"](reworded(call, input=source, training=False, eps=call.given["epsilon"], **given))


def _layer_norm(call: Call) -> Value | None:
    source, weight, bias = call.source, call.given["Scale"], call.given["B"]
    channels = source.shape[-1:]
    if call.given["axis"] not in (-1, 3 if source.order else 1):
        return None
    if not all(each is None or (isinstance(each, Tensor) and each.shape == channels) for each in (weight, bias)):
        return None
    given = {"normalized_shape": channels, "weight": weight, "bias": bias, "eps": call.given["epsilon"]}
    return ATEN["layer_norm"](reworded(call, input=source, **given))


def _softmax(call: Call) -> Value | None:
    source = call.source
    if source.order or call.given["axis"] not in (-1, 1):
        return None
    function = torch.softmax if call.node.op_type == "Softmax" else torch.log_softmax
    return call.same(Unknown(call.node.op_type, lambda _, data: function(data, 1)))


def _dropout(call: Call) -> Value | None:
    return None if call.given.get("training_mode") else call.source


def _cast(call: Call) -> Value | None:
    return call.source if call.given["to"] == onnx.TensorProto.FLOAT else None


def _same(call: Call) -> Value | None:
    return call.source


COMMUTING = {"Add", "Mul", "Sub", "Div"}
TABLE: dict[str, Callable[[Call], Value | None]] = {
    **dict.fromkeys(FUNCTIONS, onnx_elementwise.elementwise),
    "Add": onnx_elementwise.add,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": onnx_elementwise.clip,
    "Concat": onnx_elementwise.concat,
    "Conv": _conv,
    "Div": onnx_elementwise.div,
    "Dropout": _dropout,
    "Flatten": onnx_shapes.flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_mean,
    "GlobalMaxPool": _global_max,
    "Identity": _same,
    "LayerNormalization": _layer_norm,
    "LogSoftmax": _softmax,
    "MatMul": _matmul,
    "Max": onnx_elementwise.bound,
    "MaxPool": _max_pool,
    "Min": onnx_elementwise.bound,
    "Mul": onnx_elementwise.mul,
    "PRelu": onnx_elementwise.prelu,
    "Pad": _pad,
    "Pow": onnx_elementwise.power,
    "ReduceMean": _mean,
    "Relu": onnx_elementwise.relu,
    "Reshape": onnx_shapes.reshape,
    "Softmax": _softmax,
    "Squeeze": onnx_shapes.squeeze,
    "Sub": onnx_elementwise.sub,
    "Sum": onnx_elementwise.total,
    "Transpose": onnx_shapes.transpose,
    "Unsqueeze": onnx_shapes.unsqueeze,
}
"""Name of the operation -> how it is read; one that returns None is carried as unknown."""
