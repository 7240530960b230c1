"""Shapes in an ONNX graph: sizes that are computed in it, and operations that only lay the same numbers out anew."""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import onnx

from eyeline.incremental.graph import Flatten, Unknown
from eyeline.models.torch_operations import TABLE as ATEN
from eyeline.models.torch_values import CHANNEL, FIRST, Call, Value

LAST = (0, 1, 2, CHANNEL)
"""Which of the engine's axes each axis of a map is whose channels stand last."""


class Sizes(NamedTuple):
    """An array that depends on the number of images and on nothing else."""

    of: Callable[[int], np.ndarray]


def theirs(value: Value) -> tuple[int, ...]:
    """Return a value's shape without the images, in the order of the graph."""
    return tuple(value.shape[axis - 1] for axis in value.order[1:]) if value.order else value.shape


def size(node: onnx.NodeProto, value: Value, images: int) -> np.ndarray:
    """Return what `Shape` gives for a number of images."""
    limits = {each.name: each.i for each in node.attribute}
    return np.array([images, *theirs(value)], dtype=np.int64)[limits.get("start", 0) : limits.get("end")]


def target(value: Value, wanted: object, counts: Iterable[int], zeros: bool) -> tuple[int, ...] | None:
    """Return the shape that `Reshape` makes, without the images; `zeros` says that 0 is no copy of a length.

    None where they are not in front for every number of them.
    """
    found = set()
    for images in counts:
        before = [images, *theirs(value)]
        held = wanted.of(images) if isinstance(wanted, Sizes) else wanted
        lengths = [int(each) for each in held] if isinstance(held, np.ndarray) else []
        if any(each == 0 and (zeros or place >= len(before)) for place, each in enumerate(lengths)):
            return None
        lengths = [each or before[place] for place, each in enumerate(lengths)]
        rest = math.prod(each for each in lengths if each != -1)
        first, *others = [math.prod(before) // rest if each == -1 else each for each in lengths] or [0]
        found.add(tuple(others) if first == images else None)
    shape, *different = found
    return None if different or shape is None or math.prod(shape) != math.prod(value.shape) else shape


def reworded(call: Call, **given: Any) -> Call:
    """Word a call as another operation takes it."""
    return Call(call.building, call.node, given)


def transpose(call: Call) -> Value | None:
    """Read `Transpose`."""
    return ATEN["permute"](reworded(call, self=call.source, dims=call.given.get("perm") or (3, 2, 1, 0)))


def flatten(call: Call) -> Value | None:
    """Read `Flatten`."""
    return _laid(call, (math.prod(call.source.shape),)) if call.given["axis"] == 1 else None


def reshape(call: Call) -> Value | None:
    """Read `Reshape`."""
    shape = call.building.shape(call.node)
    return None if shape is None else _laid(call, shape)


def squeeze(call: Call) -> Value | None:
    """Read `Squeeze`."""
    before, axes = (0, *theirs(call.source)), call.given["axes"]
    if not isinstance(axes, list):
        return None
    gone = {axis % len(before) for axis in axes}
    after = tuple(length for axis, length in enumerate(before) if axis not in gone)
    return _laid(call, after[1:]) if 0 not in gone else None


def unsqueeze(call: Call) -> Value | None:
    """Read `Unsqueeze`."""
    left, axes = list(theirs(call.source)), call.given["axes"]
    if not isinstance(axes, list):
        return None
    rank = 1 + len(left) + len(axes)
    new = {axis % rank for axis in axes}
    return _laid(call, tuple(1 if axis in new else left.pop(0) for axis in range(1, rank))) if 0 not in new else None


def _laid(call: Call, shape: tuple[int, ...]) -> Value | None:
    """Read another shape of the same numbers: as it was, a vector, or a map whose long axes keep their order."""
    source = call.source
    if shape == theirs(source):
        return source
    if len(shape) == 1 and (source.order in (FIRST, LAST) or source.shape[:2] == (1, 1)):
        return call.building.add(Flatten(raster=source.order == LAST), (source,), shape, None)
    if len(shape) != 3:
        return None
    if source.order:
        return _moved(source, shape)
    if max(shape) != source.shape[0]:
        return None
    order = {0: FIRST, 1: (0, 1, CHANNEL, 2), 2: LAST}[shape.index(max(shape))]
    map_ = Value(source.place, (1, 1, max(shape)), order)
    return call.building.add(Unknown("Reshape", lambda images, data: data[:, None, None]), (source,), *map_[1:])


def _moved(source: Value, shape: tuple[int, ...]) -> Value | None:
    """Read a map whose axes of length 1 stand elsewhere: only its order changes."""
    assert source.order is not None
    axes = source.order[1:]
    long = [axis for axis in axes if source.shape[axis - 1] > 1]
    short = [axis for axis in axes if source.shape[axis - 1] == 1]
    if [source.shape[axis - 1] for axis in long] != [length for length in shape if length > 1]:
        return None
    return Value(source.place, source.shape, (0, *((long if length > 1 else short).pop(0) for length in shape)))
