"""Keras layers and operations that act on each number alone, sums and products, and softmax."""

import math
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from eyeline.incremental.graph import Activation, Unknown
from eyeline.models.keras_readings import Reading
from eyeline.models.keras_walk import LIBRARIES, kind
from eyeline.models.torch_values import Value

ACTIVATIONS = {
    "elu": Activation("elu", call=functional.elu),
    "exponential": Activation("exp", call=torch.exp),
    "gelu": Activation("gelu", call=functional.gelu),
    "hard_sigmoid": Activation("hardsigmoid", call=functional.hardsigmoid),
    "hard_silu": Activation("hardswish", call=functional.hardswish),
    "hard_tanh": Activation.clamp(-1.0, 1.0),
    "leaky_relu": Activation("leaky_relu", call=lambda data: functional.leaky_relu(data, 0.2)),
    "log_sigmoid": Activation("log_sigmoid", call=functional.logsigmoid),
    "mish": Activation("mish", call=functional.mish),
    "relu": Activation.clamp(),
    "relu6": Activation.clamp(0.0, 6.0),
    "selu": Activation("selu", call=functional.selu),
    "sigmoid": Activation("sigmoid", call=torch.sigmoid),
    "silu": Activation("silu", call=functional.silu),
    "softplus": Activation("softplus", call=functional.softplus),
    "softsign": Activation("softsign", call=functional.softsign),
    "tanh": Activation("tanh", call=torch.tanh),
}
"""Functions of `keras.activations` by name, with the settings that they have there by default."""

OLDER = ACTIVATIONS | {
    "hard_sigmoid": Activation("hard_sigmoid", call=lambda data: (0.2 * data + 0.5).clamp(0, 1)),
    "swish": ACTIVATIONS["silu"],
}
"""The same of tf_keras."""

OPERATIONS = {
    "Abs": Activation("abs", call=torch.abs),
    "Absolute": Activation("abs", call=torch.abs),
    "Exp": ACTIVATIONS["exponential"],
    "HardSigmoid": ACTIVATIONS["hard_sigmoid"],
    "HardSilu": ACTIVATIONS["hard_silu"],
    "HardTanh": ACTIVATIONS["hard_tanh"],
    "LogSigmoid": ACTIVATIONS["log_sigmoid"],
    "Negative": Activation("neg", call=torch.neg),
    "Relu": ACTIVATIONS["relu"],
    "Relu6": ACTIVATIONS["relu6"],
    "Selu": ACTIVATIONS["selu"],
    "Sigmoid": ACTIVATIONS["sigmoid"],
    "Silu": ACTIVATIONS["silu"],
    "Softplus": ACTIVATIONS["softplus"],
    "Softsign": ACTIVATIONS["softsign"],
    "Sqrt": Activation("sqrt", call=torch.sqrt),
    "Square": Activation("square", call=torch.square),
    "Tanh": ACTIVATIONS["tanh"],
}
"""Operations of `keras.ops` that have no settings."""


def activated(reading: Reading, value: Value | None, function: Any) -> Value | None:
    """Read a layer's own activation: a function of `keras.activations`, or a layer."""
    if value is None:
        return None
    if kind(function) in TABLE:
        return TABLE[kind(function)](Reading(reading.building, function, [value]))
    home, *path = getattr(function, "__module__", "").split(".")
    name = getattr(function, "__name__", "")
    if home not in LIBRARIES or path[1:2] != ["activations"]:
        return None
    if name == "linear":
        return value
    if name in ("softmax", "log_softmax"):
        return _softmax(reading.on(value), name, -1)
    known = (ACTIVATIONS if home == "keras" else OLDER).get(name)
    return None if known is None else reading.same(known, value)


def combine(name: str, reading: Reading, left: Any, right: Any) -> Value | None:
    """Read `add`, `sub`, `mul` or `div` of two values, or of a value and one number or a number per channel."""
    source, other = (left, right) if isinstance(left, Value) else (right, left)
    if not isinstance(source, Value):
        return None
    if not isinstance(other, Value | int | float):
        other = reading.building.numbers(other)
        if other.numel() not in (1, source.shape[-1]):
            return None
        left, right = (source, other) if isinstance(left, Value) else (other, source)
    return reading.aten(name, self=left, other=right, alpha=1)


def _pair(name: str, reading: Reading) -> Value | None:
    left, right = reading.inputs
    return combine(name, reading, left, right)


def _several(name: str, reading: Reading) -> Value | None:
    found: Value | None = reduce(lambda found, each: combine(name, reading, found, each), reading.inputs)
    return found


def _average(reading: Reading) -> Value | None:
    total = _several("add", reading)
    return None if total is None else combine("mul", reading, total, 1 / len(reading.inputs))


def _softmax(reading: Reading, name: str, axis: Any) -> Value | None:
    function = {"softmax": torch.softmax, "log_softmax": torch.log_softmax}[name]
    if axis is None or reading.axes(axis) != [reading.source.channel]:
        return None
    return reading.same(Unknown(name, lambda _, data: function(data, -1)))


def _relu(reading: Reading) -> Value | None:
    """Read `max(x, 0)` up to `max_value`; under `threshold` it is `negative_slope * (x - threshold)`."""
    layer, slope = reading.layer, float(reading.layer.negative_slope)
    threshold, high = float(layer.threshold), math.inf if layer.max_value is None else float(layer.max_value)
    if slope == threshold == 0 <= high:
        return reading.same(Activation.clamp(0.0, high))

    def call(data: Tensor) -> Tensor:
        kept = torch.where(data > threshold, data, 0.0)
        return (kept if high == math.inf else kept.clamp(0.0, high)) - slope * functional.relu(threshold - data)

    return reading.same(Activation("relu", call=call))


def _leaky(reading: Reading) -> Value | None:
    slope = float(getattr(reading.layer, "negative_slope", getattr(reading.layer, "alpha", math.nan)))
    return reading.same(Activation("leaky_relu", call=lambda data: functional.leaky_relu(data, slope)))


def _prelu(reading: Reading) -> Value | None:
    """Read `max(x, 0) + alpha * min(x, 0)`."""
    scaled = combine("mul", reading, reading.same(Activation.clamp(-math.inf, 0.0)), reading.layer.alpha)
    return None if scaled is None else combine("add", reading, reading.same(Activation.clamp()), scaled)


def _alpha(function: Callable[..., Tensor], reading: Reading) -> Value | None:
    alpha = float(reading.layer.alpha)
    return reading.same(Activation(function.__name__, call=lambda data: function(data, alpha)))


def _gelu(reading: Reading) -> Value | None:
    if not reading.layer.approximate:
        return reading.same(ACTIVATIONS["gelu"])
    return reading.same(Activation("gelu_tanh", call=lambda data: functional.gelu(data, approximate="tanh")))


def _clip(reading: Reading) -> Value | None:
    low, high = reading.layer.x_min, reading.layer.x_max
    if not all(isinstance(each, int | float) for each in (low, high)) or low > high:
        return None
    return reading.same(Activation.clamp(float(low), float(high)))


TABLE: dict[str, Callable[[Reading], Value | None]] = {
    **{f"ops.{name}": partial(Reading.same, operation=each) for name, each in OPERATIONS.items()},
    "activations.Mish": partial(Reading.same, operation=ACTIVATIONS["mish"]),
    "activations.ReLU": _relu,
    "layers.Activation": lambda reading: activated(reading, reading.source, reading.layer.activation),
    "layers.Add": partial(_several, "add"),
    "layers.Average": _average,
    "layers.ELU": partial(_alpha, functional.elu),
    "layers.LeakyReLU": _leaky,
    "layers.Multiply": partial(_several, "mul"),
    "layers.PReLU": _prelu,
    "layers.ReLU": _relu,
    "layers.Softmax": lambda reading: _softmax(reading, "softmax", reading.layer.axis),
    "layers.Subtract": partial(_pair, "sub"),
    "ops.Add": partial(_pair, "add"),
    "ops.Celu": partial(_alpha, functional.celu),
    "ops.Clip": _clip,
    "ops.Divide": partial(_pair, "div"),
    "ops.Elu": partial(_alpha, functional.elu),
    "ops.Gelu": _gelu,
    "ops.LeakyRelu": _leaky,
    "ops.LogSoftmax": lambda reading: _softmax(reading, "log_softmax", reading.layer.axis),
    "ops.Multiply": partial(_pair, "mul"),
    "ops.Softmax": lambda reading: _softmax(reading, "softmax", reading.layer.axis),
    "ops.Subtract": partial(_pair, "sub"),
    "ops.TrueDivide": partial(_pair, "div"),
}
"""`keras_walk.kind` of a layer or operation -> how it is read; one that returns None is carried as unknown."""
