"""Which outputs a changed box of inputs can reach: exact integers, axis by axis; no array of pixels, no framework.

A box of n positions is (n, axes, 2): first index and the one after the last, per axis. `start == stop` is empty,
always written (0, 0), and an axis that is empty makes the whole box empty.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from eyeline._typing import Boxes


@dataclass(frozen=True)
class Geometry:
    """How an operation slides over one axis.

    Args:
        kernel: taps.
        stride: inputs between two neighbouring outputs.
        dilation: inputs between two neighbouring taps.
        before, after: padded inputs on either side; negative cuts.
    """

    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0

    @property
    def extent(self) -> int:
        """Inputs from the first tap to the last."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def pointwise(self) -> bool:
        """Whether each output sees the input of the same index and nothing else."""
        return (self.kernel, self.stride, self.before, self.after) == (1, 1, 0, 0)

    def outputs(self, inputs: int, ceil: bool = False) -> int:
        """Count the outputs of an axis of `inputs`; `ceil` allows a last one that sticks out, as poolings may.

        A window that starts in the padding behind the axis is left out, as every framework does.
        """
        room = inputs + self.before + self.after - self.extent
        if room < 0:
            return 0
        if not ceil:
            return room // self.stride + 1
        count = math.ceil(room / self.stride) + 1
        return count - ((count - 1) * self.stride >= inputs + self.before)

    def spread(self, start: Int[np.ndarray, "n"], stop: Int[np.ndarray, "n"], outputs: int) -> Int[np.ndarray, "n 2"]:
        """Return first output and the one after the last that see an input of start .. stop - 1."""
        low = -((self.extent - 1 - self.before - start) // self.stride)
        high = (stop - 1 + self.before) // self.stride + 1
        low, high = np.maximum(low, 0), np.minimum(high, outputs)
        return np.stack([low, high], axis=-1)


def spread(boxes: Boxes, geometries: tuple[Geometry, ...], outputs: tuple[int, ...]) -> Boxes:
    """Return the outputs that boxes of changed inputs can reach; empty where the stride skips them all.

    Between two taps that are further apart than the box is wide there may be outputs that see none of it: they
    are in the box all the same, and are computed to their clean value.
    """
    found = [
        geometry.spread(boxes[:, axis, 0], boxes[:, axis, 1], outputs[axis]) for axis, geometry in enumerate(geometries)
    ]
    return _tidy(np.stack(found, axis=1), empty(boxes))


def union(boxes: list[Boxes]) -> Boxes:
    """Return the smallest boxes that hold all the given ones, position by position."""
    hollow = np.stack([empty(each) for each in boxes])
    every = np.stack(boxes)
    start = np.where(hollow[..., None], np.iinfo(np.int64).max, every[..., 0]).min(axis=0)
    stop = np.where(hollow[..., None], 0, every[..., 1]).max(axis=0)
    return _tidy(np.stack([start, stop], axis=-1), np.asarray(hollow.all(axis=0)))


def clip(boxes: Boxes, shift: tuple[int, ...], size: tuple[int, ...]) -> Boxes:
    """Move boxes by `shift` and cut them at the borders of `size`."""
    moved = boxes + np.array(shift, dtype=np.int64)[None, :, None]
    return _tidy(np.clip(moved, 0, np.array(size, dtype=np.int64)[None, :, None]), empty(boxes))


def empty(boxes: Boxes) -> Bool[np.ndarray, "n"]:
    """Say which boxes hold nothing."""
    return np.asarray((boxes[..., 0] >= boxes[..., 1]).any(axis=-1))


def areas(boxes: Boxes) -> Int[np.ndarray, "n"]:
    """Count the pixels of each box."""
    return np.asarray((boxes[..., 1] - boxes[..., 0]).prod(axis=-1))


def offsets(boxes: Boxes) -> Int[np.ndarray, "n_plus_1"]:
    """Return where each box's pixels begin when they lie behind one another, and where the last end."""
    return np.concatenate([[0], np.cumsum(areas(boxes))]).astype(np.int64)


def _tidy(boxes: Boxes, hollow: Bool[np.ndarray, "n"]) -> Boxes:
    """Write every empty box as (0, 0) on each axis."""
    return np.ascontiguousarray(np.where((hollow | empty(boxes))[:, None, None], 0, boxes))
