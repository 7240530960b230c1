"""Operations of ONNX on each number alone; sums, products and concatenations of maps."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from eyeline.incremental.graph import Activation
from eyeline.models.onnx_shapes import reworded
from eyeline.models.torch_operations import TABLE as ATEN
from eyeline.models.torch_values import Call, Value

FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "Abs": torch.abs,
    "Celu": functional.celu,
    "Elu": functional.elu,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Gelu": functional.gelu,
    "HardSigmoid": lambda data, alpha, beta: (data * alpha + beta).clamp(0, 1),
    "HardSwish": functional.hardswish,
    "LeakyRelu": lambda data, alpha: functional.leaky_relu(data, alpha),
    "Log": torch.log,
    "Mish": functional.mish,
    "Neg": torch.neg,
    "Reciprocal": torch.reciprocal,
    "Selu": lambda data, alpha, gamma: functional.elu(data, alpha) * gamma,
    "Sigmoid": torch.sigmoid,
    "Softplus": functional.softplus,
    "Softsign": functional.softsign,
    "Sqrt": torch.sqrt,
    "Swish": lambda data, alpha: data * torch.sigmoid(data * alpha),
    "Tanh": torch.tanh,
    "ThresholdedRelu": lambda data, alpha: functional.threshold(data, alpha, 0),
}
"""Name of the operation -> tensor from tensor and attributes."""

NAMES = {"Sigmoid": "sigmoid", "HardSwish": "hardswish", "Gelu": "gelu"}
"""What the kernels call those that they know."""


def elementwise(call: Call) -> Value | None:
    """Read an operation of `FUNCTIONS`."""
    (_, *rest), function = call.given.items(), FUNCTIONS[call.node.op_type]
    attributes = dict(rest)
    name = NAMES.get(call.node.op_type, call.node.op_type)
    if attributes.get("approximate") == "tanh":
        name = "gelu_tanh"
    if name == "Swish" and attributes["alpha"] == 1:
        name = "silu"
    if name == "HardSigmoid" and attributes["beta"] == 0.5 and math.isclose(attributes["alpha"], 1 / 6, rel_tol=1e-6):
        name = "hardsigmoid"
    return call.same(Activation(name, call=lambda data: function(data, **attributes)))


def relu(call: Call) -> Value | None:
    """Read `Relu`."""
    return call.same(Activation.clamp())


def clip(call: Call) -> Value | None:
    """Read `Clip`, whose bounds are attributes or inputs."""
    low, high = call.given["min"], call.given["max"]
    bounds = (-math.inf if low is None else number(low), math.inf if high is None else number(high))
    return _clamped(call, call.source, *bounds)


def bound(call: Call) -> Value | None:
    """Read `Max` and `Min` of a value and a number."""
    parts = call.given["data_0"]
    sources = [each for each in parts if isinstance(each, Value)]
    if len(parts) != 2 or len(sources) != 1:
        return None
    limit = number(next(each for each in parts if not isinstance(each, Value)))
    bounds = (limit, math.inf) if call.node.op_type == "Max" else (-math.inf, limit)
    return _clamped(call, sources[0], *bounds)


def power(call: Call) -> Value | None:
    """Read `Pow` with one exponent."""
    exponent = number(call.given["Y"])
    return None if exponent is None else call.same(Activation("Pow", call=lambda data: data**exponent))


def prelu(call: Call) -> Value | None:
    """Read `PRelu`: `max(x, 0) + slope * min(x, 0)`."""
    negative = call.same(Activation.clamp(-math.inf, 0.0))
    scaled = combine("mul", call, negative, call.given["slope"])
    return None if scaled is None else combine("add", call, call.same(Activation.clamp()), scaled)


def add(call: Call) -> Value | None:
    """Read `Add`."""
    return combine("add", call, call.given["A"], call.given["B"])


def sub(call: Call) -> Value | None:
    """Read `Sub`."""
    return combine("sub", call, call.given["A"], call.given["B"])


def mul(call: Call) -> Value | None:
    """Read `Mul`."""
    return combine("mul", call, call.given["A"], call.given["B"])


def div(call: Call) -> Value | None:
    """Read `Div`; by a value as a product with what is one over it."""
    left, right = call.given["A"], call.given["B"]
    if not isinstance(right, Value):
        return combine("div", call, left, right)
    return combine("mul", call, left, call.same(Activation("Reciprocal", call=torch.reciprocal), right))


def total(call: Call) -> Value | None:
    """Read `Sum`."""
    found, *rest = call.given["data_0"]
    for each in rest:
        found = combine("add", call, found, each)
        if found is None:
            return None
    return found if isinstance(found, Value) else None


def concat(call: Call) -> Value | None:
    """Read `Concat`."""
    return ATEN["concat"](reworded(call, tensors=call.given["inputs"], dim=call.given["axis"]))


def combine(name: str, call: Call, left: Any, right: Any) -> Value | None:
    """Read `add`, `sub`, `mul` or `div` of two values, or of a value and one number or a number per channel."""
    source, other = (left, right) if isinstance(left, Value) else (right, left)
    if not isinstance(source, Value) or not isinstance(other, Value | Tensor):
        return None
    if isinstance(other, Tensor) and other.numel() not in (1, source.shape[-1]):
        return None
    return ATEN[name](reworded(call, self=left, other=right, alpha=1))


def number(held: Any) -> float | None:
    """Return the one number that a constant holds, or None."""
    if isinstance(held, Tensor) and held.ndim == 0:
        return float(held)
    return float(held) if isinstance(held, int | float) else None


def _clamped(call: Call, source: Value, low: float | None, high: float | None) -> Value | None:
    if low is None or high is None or not low <= high:
        return None
    return call.same(Activation.clamp(low, high), source)
