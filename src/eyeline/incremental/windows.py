"""Ragged windows: what differs from the clean maps, and every operation on it but convolution."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from eyeline.incremental import dense
from eyeline.incremental.blocks import empty
from eyeline.incremental.graph import (
    Activation,
    Add,
    Affine,
    AveragePool,
    Concat,
    Geometries,
    LayerNorm,
    MaxPool,
    Mul,
    Operation,
    Pad,
)


@dataclass(frozen=True, eq=False)
class Clean:
    """What the network makes of the image itself.

    Args:
        maps: per node that windows follow, (rows, columns, channels).
        output: (classes,), raw.
        direct: nodes that are to be computed without tiles, because numbers of their input are far beyond the others.
    """

    maps: dict[int, Tensor]
    output: Tensor
    direct: frozenset[int] = frozenset()


class Windows(NamedTuple):
    """One layer's values for a chunk of n positions, on top of its clean map.

    Outside the map the value is padding, inside a position's box it is `data`, elsewhere the clean map's.

    Args:
        data: (rows, channels) float32, position after position, each box in raster order.
        box: (n, 4): first row, row after the last, first column, column after the last.
        offsets: (n + 1,): where each position's rows begin.
        clean: (rows, columns, channels).
    """

    data: Tensor
    box: np.ndarray
    offsets: np.ndarray
    clean: Tensor

    @classmethod
    def unchanged(cls, clean: Tensor, positions: int) -> "Windows":
        """Return windows that hold nothing: everywhere the clean map stands."""
        box, offsets = np.zeros((positions, 4), dtype=np.int64), np.zeros(positions + 1, dtype=np.int64)
        return cls(clean.new_empty(0, clean.shape[-1]), box, offsets, clean)

    def whole(self, kernels: ModuleType) -> Tensor:
        """Return every position's whole map, (n, rows, columns, channels)."""
        rows, columns, _ = self.clean.shape
        box = np.tile(np.array([0, rows, 0, columns]), (len(self.box), 1))
        offsets = np.arange(len(box) + 1) * (rows * columns)
        found: Tensor = kernels.fetch(self, box, offsets)
        return found.reshape(len(box), *self.clean.shape)

    def at(self, kernels: ModuleType, frame: "Frame") -> Tensor:
        """Return the values in other boxes; the data itself where the boxes are the same."""
        if np.array_equal(frame.box, self.box):
            return self.data
        found: Tensor = kernels.fetch(self, frame.box, frame.offsets)
        return found


class Frame(NamedTuple):
    """Where an operation's outputs lie, before they are computed: as in `Windows`."""

    box: np.ndarray
    offsets: np.ndarray
    clean: Tensor


Cover: TypeAlias = "np.ndarray | Callable[[int, int], np.ndarray]"
"""What images are covered with: others of their size, or a function from image and position to what its box shows."""

Patch: TypeAlias = "Tensor | Callable[[int], np.ndarray]"
"""The same for one image: another of its size, or what the box of each position shows."""


def of_image(patch: Cover, image: int) -> Patch:
    """Return what one of several images is covered with."""
    return partial(patch, image) if callable(patch) else torch.from_numpy(np.ascontiguousarray(patch[image]))


def covered(kernels: ModuleType, frame: Frame, patch: Patch, boxes: np.ndarray, span: tuple[int, int]) -> Tensor:
    """Return the pixels inside the frame: the patch's inside the boxes of each position, elsewhere the image's."""
    if not isinstance(patch, Tensor):
        filled = np.flatnonzero(np.diff(frame.offsets))
        parts = [patch(span[0] + each).reshape(-1, frame.clean.shape[-1]) for each in filled.tolist()]
        return torch.from_numpy(np.concatenate([frame.clean[:0, 0].numpy(), *parts]))
    boxes = boxes[slice(*span)]
    if boxes.ndim == 3:
        return Windows.unchanged(patch, len(frame.box)).at(kernels, frame)
    data = empty(int(frame.offsets[-1]), frame.clean.shape[-1])
    for start, (top, bottom, left, right), together in zip(frame.offsets, frame.box, boxes, strict=False):
        inside = frame.clean[top:bottom, left:right].clone()
        for (first, last), (begin, end) in together.tolist():
            if first < last and begin < end:
                inside[first - top : last - top, begin - left : end - left] = patch[first:last, begin:end]
        data[start : start + inside.shape[0] * inside.shape[1]] = inside.reshape(-1, inside.shape[-1])
    return data


def follow(kernels: ModuleType, operation: Operation, inputs: list[Windows], free: list[bool], frame: Frame) -> Tensor:
    """Compute an operation (not a convolution) inside its boxes; the result may take the memory of `free` inputs."""
    first = inputs[0]
    match operation:
        case MaxPool():
            return _max_pool(kernels, operation, first, frame)
        case AveragePool():
            return _average_pool(kernels, operation, first, frame)
        case Pad():
            return _pad(kernels, operation, first, free[0], frame)
        case Concat():
            return _concat(kernels, inputs, frame)
        case LayerNorm(weight=weight, bias=bias, epsilon=epsilon):
            return torch.layer_norm(first.data, first.data.shape[1:], weight, bias, epsilon)
    found = first.at(kernels, frame)
    data = found if found is not first.data or free[0] else empty(*found.shape)
    if isinstance(operation, Affine):
        torch.addcmul(operation.shift, found, operation.scale, out=data)
    elif data is not found:
        data.copy_(found)
    match operation:
        case Affine():
            pass
        case Activation():
            activate(kernels, data, operation)
            return data
        case Add():
            kernels.fetch_add(data, inputs[1], frame.box, frame.offsets, operation.activation)
            return data
        case Mul():
            data.mul_(inputs[1].at(kernels, frame))
        case _:
            raise AssertionError(f"{operation} is not local")
    activate(kernels, data, operation.activation)
    return data


def activate(kernels: ModuleType, data: Tensor, activation: Activation | None) -> None:
    """Apply an activation in place."""
    if activation is None:
        return
    if activation.name in kernels.ACTIVATIONS:
        kernels.activate(data, activation.name, activation.low, activation.high)
    else:
        data.copy_(activation.call(data))


def _max_pool(kernels: ModuleType, pool: MaxPool, source: Windows, frame: Frame) -> Tensor:
    sizes = taps(pool.geometries)
    found: Tensor = kernels.max_pool(source, frame.box, frame.offsets, **sizes)
    return found


def _average_pool(kernels: ModuleType, pool: AveragePool, source: Windows, frame: Frame) -> Tensor:
    sizes = taps(pool.geometries)
    del sizes["dilation"]
    divisors = dense.divisors(pool, tuple(source.clean.shape[:2]), tuple(frame.clean.shape[:2]))
    found: Tensor = kernels.average_pool(source, frame.box, frame.offsets, **sizes, divisors=divisors)
    return found


def _concat(kernels: ModuleType, inputs: list[Windows], frame: Frame) -> Tensor:
    out = empty(int(frame.offsets[-1]), frame.clean.shape[-1])
    begin = 0
    for each in inputs:
        end = begin + each.clean.shape[-1]
        kernels.fetch(each, frame.box, frame.offsets, out=out[:, begin:end])
        begin = end
    return out


def _pad(kernels: ModuleType, pad: Pad, source: Windows, free: bool, frame: Frame) -> Tensor:
    """Move the boxes: a border changes where values lie, not the values; a cut leaves some out."""
    rows, columns = pad.geometries
    moved = source.box + np.array([rows.before, rows.before, columns.before, columns.before])
    moved[source.offsets[1:] == source.offsets[:-1]] = 0
    data = Windows(source.data, moved, source.offsets, frame.clean).at(kernels, frame)
    return data if free or data is not source.data else data.clone()


def taps(geometries: Geometries) -> dict[str, tuple[int, int]]:
    """Word two axes' geometries as the kernels take them."""
    rows, columns = geometries
    return {
        "kernel": (rows.kernel, columns.kernel),
        "stride": (rows.stride, columns.stride),
        "dilation": (rows.dilation, columns.dilation),
        "padding": (rows.before, columns.before),
    }
