"""ONNX operations on numbers in PyTorch: each alone, two by two, sums over axes, products of matrices."""

from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from eyeline.models.onnx_elementwise import FUNCTIONS


class Step(NamedTuple):
    """One operation.

    Args:
        given: its inputs: tensors that depend on the image, arrays that do not, None where one is left out.
        set: its attributes, defaults filled in.
        version: of ONNX's operations.
        outputs: how many are wanted.
    """

    given: list[Any]
    set: dict[str, Any]
    version: int
    outputs: int

    def input(self, place: int) -> Any:
        """Return an input, or None."""
        return self.given[place] if place < len(self.given) else None

    def tensor(self, place: int = 0) -> Tensor:
        """Return an input as a tensor."""
        return tensor(self.given[place])

    def whole(self, name: str, place: int) -> list[int] | None:
        """Return whole numbers that are an attribute in old versions and an input in new ones."""
        held = self.set.get(name)
        held = self.input(place) if held is None else held
        return None if held is None else [int(each) for each in np.asarray(held).reshape(-1)]


def tensor(held: Any) -> Tensor:
    """Return an array as a tensor."""
    return held if isinstance(held, Tensor) else torch.from_numpy(np.array(held))


def _alone(function: Callable[..., Any], *names: str) -> Callable[[Step], Any]:
    return lambda step: function(step.tensor(), *(step.set[name] for name in names))


def _known(function: Callable[..., Any]) -> Callable[[Step], Any]:
    """Read an operation of `onnx_elementwise.FUNCTIONS`, which takes its attributes by name."""
    return lambda step: function(step.tensor(), **step.set)


def _folded(function: Callable[[Any, Any], Any]) -> Callable[[Step], Any]:
    return lambda step: reduce(function, [tensor(each) for each in step.given])


def _clip(step: Step) -> Tensor:
    bounds = (step.set.get("min", step.input(1)), step.set.get("max", step.input(2)))
    low, high = (None if each is None else tensor(each) for each in bounds)
    return step.tensor().clamp(low, high) if low is not None or high is not None else step.tensor()


def _prelu(step: Step) -> Tensor:
    return step.tensor().clamp(min=0) + step.tensor(1) * step.tensor().clamp(max=0)


def _cast(step: Step) -> Tensor:
    kinds = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 11: torch.float64}
    return step.tensor().to(kinds[step.set["to"]])


def _softmax(function: Callable[..., Tensor]) -> Callable[[Step], Tensor]:
    def run(step: Step) -> Tensor:
        data, axis = step.tensor(), step.set["axis"]
        if step.version >= 13:
            return function(data, axis)
        return function(data.flatten(axis % data.ndim), -1).reshape(data.shape)

    return run


def _gelu(step: Step) -> Tensor:
    return functional.gelu(step.tensor(), approximate=step.set.get("approximate", "none"))


def _gemm(step: Step) -> Tensor:
    left, right, given = step.tensor(), step.tensor(1), step.set
    left, right = left.T if given["transA"] else left, right.T if given["transB"] else right
    product = given["alpha"] * (left @ right)
    return product if step.input(2) is None else product + given["beta"] * step.tensor(2)


def _einsum(step: Step) -> Tensor:
    return torch.einsum(step.set["equation"], *[tensor(each) for each in step.given])


def _reduced(function: Callable[..., Tensor]) -> Callable[[Step], Tensor]:
    """Read a reduction over some axes, or over all of them."""

    def run(step: Step) -> Tensor:
        data, axes, keep = step.tensor(), step.whole("axes", 1), bool(step.set["keepdims"])
        if not axes and step.set.get("noop_with_empty_axes"):
            return data
        return function(data, tuple(axes or range(data.ndim)), keep)

    return run


def _product(data: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    for axis in sorted((each % data.ndim for each in axes), reverse=True):
        data = data.prod(axis, keepdim=keep)
    return data


def _norm(data: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return data.square().sum(axes, keepdim=keep).sqrt()


def _arg(function: Callable[..., Tensor]) -> Callable[[Step], Tensor]:
    return lambda step: function(step.tensor(), step.set["axis"], keepdim=bool(step.set["keepdims"]))


def _cumulated(step: Step) -> Tensor:
    (axis,), data = step.whole("axis", 1) or [0], step.tensor()
    data = data.flip(axis) if step.set["reverse"] else data
    found = data.cumsum(axis) - (data if step.set["exclusive"] else 0)
    return found.flip(axis) if step.set["reverse"] else found


def _where(step: Step) -> Tensor:
    return torch.where(step.tensor(), step.tensor(1), step.tensor(2))


TABLE: dict[str, Callable[[Step], Any]] = {
    **{name: _known(function) for name, function in FUNCTIONS.items()},
    **{name: _alone(getattr(torch, name.lower())) for name in (
        "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Cos", "Cosh", "Floor", "Relu", "Round", "Sign",
        "Sin", "Sinh", "Tan",
    )},
    **{name: _folded(function) for name, function in {
        "Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div, "Pow": torch.pow, "Sum": torch.add,
        "Max": torch.maximum, "Min": torch.minimum, "MatMul": torch.matmul, "And": torch.logical_and,
        "Or": torch.logical_or, "Equal": torch.eq, "Greater": torch.gt, "GreaterOrEqual": torch.ge, "Less": torch.lt,
        "LessOrEqual": torch.le,
    }.items()},
    **{f"Reduce{name}": _reduced(function) for name, function in {
        "Mean": lambda data, axes, keep: data.mean(axes, keepdim=keep),
        "Sum": lambda data, axes, keep: data.sum(axes, keepdim=keep),
        "Max": lambda data, axes, keep: data.amax(axes, keepdim=keep),
        "Min": lambda data, axes, keep: data.amin(axes, keepdim=keep),
        "Prod": _product,
        "L1": lambda data, axes, keep: data.abs().sum(axes, keepdim=keep),
        "L2": _norm,
        "SumSquare": lambda data, axes, keep: data.square().sum(axes, keepdim=keep),
        "LogSum": lambda data, axes, keep: data.sum(axes, keepdim=keep).log(),
        "LogSumExp": lambda data, axes, keep: data.logsumexp(axes, keepdim=keep),
    }.items()},
    "ArgMax": _arg(torch.argmax),
    "ArgMin": _arg(torch.argmin),
    "Cast": _cast,
    "Clip": _clip,
    "CumSum": _cumulated,
    "Einsum": _einsum,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "Hardmax": lambda step: functional.one_hot(step.tensor().argmax(-1), step.tensor().shape[-1]).float(),
    "LogSoftmax": _softmax(torch.log_softmax),
    "Mean": lambda step: _folded(torch.add)(step) / len(step.given),
    "Not": _alone(torch.logical_not),
    "PRelu": _prelu,
    "Softmax": _softmax(torch.softmax),
    "Where": _where,
}  # fmt: skip
"""Name of the operation -> tensor from what is given and set."""
