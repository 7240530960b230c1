"""Sums, products and concatenations of a PyTorch graph: of two maps, or of a map and one number per channel."""

from typing import Any

import torch
from torch import Tensor, fx

from eyeline.incremental.graph import Add, Affine, Concat, Mul
from eyeline.models.torch_values import Call, Value


def add(call: Call, sign: float = 1.0) -> Value | None:
    """Read `add`."""
    left, right = call.given["self"], call.given["other"]
    factor = sign * call.given["alpha"]
    if isinstance(left, Value) and isinstance(right, Value):
        if factor != 1 and right.channel is not None:
            one = torch.ones(right.shape[-1])
            right = call.same(Affine(one * factor, one * 0), right)
        return _both(call, Add(), left, right)
    source, constant = (left, right) if isinstance(left, Value) else (right, left)
    vector = _per_channel(source, constant)
    if vector is None:
        return None
    ahead, summand = (1.0, factor) if source is left else (factor, 1.0)
    return call.same(Affine(torch.ones_like(vector) * ahead, vector * summand), source)


def sub(call: Call) -> Value | None:
    """Read `sub`."""
    return add(call, -1.0)


def mul(call: Call) -> Value | None:
    """Read `mul`."""
    left, right = call.given["self"], call.given["other"]
    if isinstance(left, Value) and isinstance(right, Value):
        return _both(call, Mul(), left, right)
    source, constant = (left, right) if isinstance(left, Value) else (right, left)
    vector = _per_channel(source, constant)
    return None if vector is None else call.same(Affine(vector, torch.zeros_like(vector)), source)


def div(call: Call) -> Value | None:
    """Read `div`."""
    left, right = call.given["self"], call.given["other"]
    vector = _per_channel(left, right) if isinstance(left, Value) and call.given.get("rounding_mode") is None else None
    if vector is None:
        return None
    return call.same(Affine((1 / vector.double()).float(), torch.zeros_like(vector)))


def _both(call: Call, operation: Add | Mul, left: Value, right: Value) -> Value | None:
    if left.order != right.order or len(left.shape) != len(right.shape) or left.channel is None:
        return None
    if left.shape == right.shape or (right.shape[:2] == (1, 1) and left.shape[2] == right.shape[2]):
        return call.same(operation, left, right)
    if left.shape[:2] == (1, 1) and left.shape[2] == right.shape[2]:
        return call.same(operation, right, left)
    return None


def _per_channel(source: Any, constant: Any) -> Tensor | None:
    """Return a constant as one number per channel, or None where it varies otherwise."""
    if (
        not isinstance(source, Value)
        or source.channel is None
        or isinstance(constant, torch.SymInt | fx.Node | Value | complex)
    ):
        return None
    given = torch.as_tensor(constant, dtype=torch.float32)
    axes = 4 if source.order else 2
    if given.ndim > axes or (isinstance(constant, Tensor) and constant.dtype != torch.float32):
        return None
    shape = (*[1] * (axes - given.ndim), *given.shape)
    if any(length != 1 for axis, length in enumerate(shape) if axis != source.channel):
        return None
    if given.numel() not in (1, source.shape[-1]):  # a map of one channel that becomes several
        return None
    return given.reshape(-1).expand(source.shape[-1]).clone()


def concat(call: Call) -> Value | None:
    """Read `concat`."""
    parts = call.given["tensors"]
    if not all(isinstance(each, Value) and each.channel is not None for each in parts):
        return None
    first, axis = parts[0], call.given["dim"]
    axes = 4 if first.order else 2
    alike = all(each.order == first.order and each.shape[:-1] == first.shape[:-1] for each in parts)
    if not alike or axis % axes != first.channel:
        return None
    shape = (*first.shape[:-1], sum(each.shape[-1] for each in parts))
    return call.building.add(Concat(), parts, shape, first.order)
