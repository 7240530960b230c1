"""Windows on an image of one to three spatial axes: where they lie, and how their values become a map."""

import math
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from eyeline._numbers import whole
from eyeline._typing import Boxes
from eyeline.errors import InputError

AXES = {1: ("sample",), 2: ("row", "column"), 3: ("plane", "row", "column")}
"""One word for each spatial axis, by their number."""

Size = int | tuple[int, ...]
"""Pixels per axis; one int stands for every axis."""

Edge = Literal["cut", "inside", "shift"]
"""What happens to windows that stick out.

cut: they are cut at the border. inside: they are left out. shift: they are moved back to it, whole.
"""

Overlap = Literal["mean", "sum"]
"""How the values of several windows on one pixel become one number."""


class Span(NamedTuple):
    """Pixels start .. stop - 1 of one axis."""

    start: int
    stop: int


class Box(NamedTuple):
    """A window: one span per spatial axis, rows first."""

    spans: tuple[Span, ...]

    @classmethod
    def of(cls, row: Iterable[Sequence[int]]) -> "Box":
        """Read one row of a `Boxes` array."""
        return cls(tuple(Span(int(start), int(stop)) for start, stop in row))

    @property
    def slices(self) -> tuple[slice, ...]:
        """Index of the window in an array of the image's spatial axes."""
        return tuple(slice(span.start, span.stop) for span in self.spans)

    def __str__(self) -> str:
        named = zip(AXES[len(self.spans)], self.spans, strict=True)
        return ", ".join(f"{name}s {span.start}..{span.stop - 1}" for name, span in named)


def per_axis(value: Size, axes: int, name: str) -> tuple[int, ...]:
    """Return one positive int per spatial axis.

    Raises:
        InputError: where the number of values is not the number of axes, or one is not a positive int.
    """
    values = tuple(value) if isinstance(value, tuple | list) else (value,) * axes
    if len(values) != axes:
        raise InputError(
            f"{name} must be one int or one per spatial axis ({axes}), but got {value!r}. "
            f"Pass for example {name}={8 if axes == 1 else (8,) * axes}."
        )
    for each in values:
        if not whole(each) or each < 1:
            raise InputError(f"{name} must be a whole number of pixels, 1 or more, but got {value!r}. Pass {name}=8.")
    return tuple(int(each) for each in values)


def default_window(size: tuple[int, ...]) -> tuple[int, ...]:
    """A quarter of the shorter side, rounded, at least 1, on every axis."""
    return (max(1, round(min(size) / 4)),) * len(size)


def default_stride(window: tuple[int, ...]) -> tuple[int, ...]:
    """A quarter of the window, at least 1, axis by axis."""
    return tuple(max(1, each // 4) for each in window)


def grid(size: tuple[int, ...], window: Size, stride: Size, edge: Edge = "cut") -> Boxes:
    """Lay windows over an image in raster order.

    Per axis the windows start at multiples of `stride`: ceil((size - window) / stride) + 1 of them, the last
    cut at the border (`edge="cut"`) or moved back to it (`edge="shift"`), or as many as lie wholly inside
    (`edge="inside"`).

    Args:
        size: pixels per spatial axis.
        window: pixels per axis, at most `size`.
        stride: pixels per axis, at most `window`, so that no pixel is left out between windows.
        edge: what happens at the border.

    Returns:
        Start and stop of every window on every axis, rows varying slowest.

    Raises:
        InputError: window larger than the image, stride larger than the window, zero or negative.
    """
    windows, strides = per_axis(window, len(size), "window"), per_axis(stride, len(size), "stride")
    spans: list[list[Span]] = []
    for axis, (length, wide, step) in enumerate(zip(size, windows, strides, strict=True)):
        if wide > length:
            raise InputError(
                f"window must be at most the image's size, but got {wide} on an axis of {length} pixels "
                f"(axis {axis}). Pass window={length} or less."
            )
        if step > wide:
            raise InputError(
                f"stride must be at most the window, so that every pixel is covered, but got stride {step} "
                f"with window {wide} (axis {axis}). Pass stride={wide} or less."
            )
        steps = (length - wide) / step
        count = (math.floor(steps) if edge == "inside" else math.ceil(steps)) + 1
        starts = [min(i * step, length - wide) if edge == "shift" else i * step for i in range(count)]
        spans.append([Span(start, min(start + wide, length)) for start in starts])
    return np.array(list(product(*spans)), dtype=np.int64)


def lay(
    values: Float[np.ndarray, "n windows"], boxes: Boxes, size: tuple[int, ...], overlap: Overlap = "mean"
) -> Float[np.ndarray, "n *space"]:
    """Make a map of one value per window: each pixel gets the mean (or sum) over the windows on it.

    Pixels that no window covers get 0. Sums are float64; so is the result.
    """
    total = np.zeros((len(values), *size), dtype=np.float64)
    columns = np.asarray(values, dtype=np.float64).T
    inner = (1,) * len(size)
    for box, column in zip(boxes, columns, strict=True):
        total[(slice(None), *Box.of(box).slices)] += column.reshape(-1, *inner)
    if overlap == "sum":
        return total
    return np.asarray(total / np.maximum(coverage(boxes, size), 1))


def coverage(boxes: Boxes, size: tuple[int, ...]) -> Int[np.ndarray, "*space"]:
    """Count the windows that cover each pixel."""
    count = np.zeros(size, dtype=np.int64)
    for box in boxes:
        count[Box.of(box).slices] += 1
    return count
