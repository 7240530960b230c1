"""Activations in OpenVINO's operations.

A name is only a name, and settings are hidden in a function: they are read off what it makes of a telling number, and
on a few others it must agree with what will be written. What can make NaN or infinity of ordinary numbers (a root, a
logarithm, an exponential) is not here: OpenVINO's ReLU would turn that into 0, and hide it.
"""

import math
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from eyeline.incremental.graph import Activation

PROBE = torch.cat([torch.linspace(-8, 8, 65), torch.tensor([-30.0, -1e-3, 1e-3, 30.0])])


class Written(NamedTuple):
    """One activation.

    Args:
        meaning: what torch calls it.
        write: OpenVINO's output from its operations and its input.
    """

    meaning: Callable[[Tensor], Tensor]
    write: Callable[[ModuleType, Any], Any]


PLAIN = {
    "abs": Written(torch.abs, lambda ops, data: ops.abs(data)),
    "erf": Written(torch.erf, lambda ops, data: ops.erf(data)),
    "gelu": Written(functional.gelu, lambda ops, data: ops.gelu(data, "erf")),
    "gelutanh": Written(partial(functional.gelu, approximate="tanh"), lambda ops, data: ops.gelu(data, "tanh")),
    "hardsigmoid": Written(functional.hardsigmoid, lambda ops, data: ops.hsigmoid(data)),
    "hardswish": Written(functional.hardswish, lambda ops, data: ops.hswish(data)),
    "logsigmoid": Written(functional.logsigmoid, lambda ops, data: ops.negative(ops.softplus(ops.negative(data)))),
    "mish": Written(functional.mish, lambda ops, data: ops.mish(data)),
    "neg": Written(torch.neg, lambda ops, data: ops.negative(data)),
    "sigmoid": Written(torch.sigmoid, lambda ops, data: ops.sigmoid(data)),
    "silu": Written(functional.silu, lambda ops, data: ops.swish(data)),
    "softsign": Written(functional.softsign, lambda ops, data: ops.softsign(data)),
    "square": Written(torch.square, lambda ops, data: ops.multiply(data, data)),
    "tanh": Written(torch.tanh, lambda ops, data: ops.tanh(data)),
}  # fmt: skip
"""Those without settings, by their lower-case letters."""


def written(activation: Activation) -> Written | None:
    """Return how an activation is written, or None where it is not known."""
    if activation.name == "clamp":
        return _clamp(activation.low, activation.high)
    name = activation.name.lower().replace("_", "")
    found = SET[name](partial(_at, activation)) if name in SET else PLAIN.get(name)
    if found is None or not torch.allclose(found.meaning(PROBE), activation.call(PROBE), rtol=1e-5, atol=1e-6):
        return None
    return found


def _clamp(low: float, high: float) -> Written:
    meaning = partial(torch.clamp, min=low, max=high)
    if (low, high) == (0, math.inf):
        return Written(meaning, lambda ops, data: ops.relu(data))
    return Written(meaning, lambda ops, data: ops.clamp(data, low, high))


def _at(activation: Activation, number: float) -> float:
    return float(activation.call(torch.tensor([float(number)])))


def _leaky_relu(at: Callable[[float], float]) -> Written:
    slope = -at(-1)
    return Written(partial(functional.leaky_relu, negative_slope=slope), lambda ops, data: ops.prelu(data, _f(slope)))


def _elu(at: Callable[[float], float]) -> Written:
    """Read `scale * (x if x > 0 else alpha * (exp(x) - 1))`."""
    scale = at(1)
    alpha = -at(-math.inf) / scale
    return Written(
        lambda data: functional.elu(data, alpha) * scale, lambda ops, data: ops.selu(data, _f(alpha), _f(scale))
    )


def _celu(at: Callable[[float], float]) -> Written:
    alpha = -at(-math.inf)

    def write(ops: ModuleType, data: Any) -> Any:
        return ops.multiply(ops.elu(ops.divide(data, _f(alpha)), 1.0), _f(alpha))

    return Written(partial(functional.celu, alpha=alpha), write)


def _softplus(at: Callable[[float], float]) -> Written:
    beta = math.log(2) / at(0)

    def write(ops: ModuleType, data: Any) -> Any:
        return ops.divide(ops.softplus(ops.multiply(data, _f(beta))), _f(beta))

    return Written(partial(functional.softplus, beta=beta), write)


SET = {"leakyrelu": _leaky_relu, "elu": _elu, "selu": _elu, "celu": _celu, "softplus": _softplus}
"""Those with settings."""


def _f(number: float) -> np.ndarray:
    return np.array([number], dtype=np.float32)
