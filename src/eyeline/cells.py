"""Random masks of RISE: coarse cells, made smooth and shifted; made again whenever they are needed, never held."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float32, Int

from eyeline._typing import Boxes
from eyeline.region import Arrays, Laid, Mask, Values
from eyeline.window import Overlap

TOGETHER = 2**22
"""Numbers of masks that are made at once, at most."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Masks of any number, each the upsampling of a few cells: how much of each pixel is seen, 0 to 1.

    A pixel gets the mean over the masks, weighted by how much they show of it: `A(p) = sum m(p) v / sum m(p)`; the sum
    above the line with overlap "sum". Beside it "standard_error" of that mean, from how the values differ.

    Args:
        grid: which cells each mask shows.
        shifts: where on the upsampled cells each mask begins, in pixels per axis.
        size: of an image, in pixels per axis.
    """

    grid: Bool[np.ndarray, "masks *cells"]
    shifts: Int[np.ndarray, "masks axes"]
    size: Int[np.ndarray, "axes"]
    word = "mask"

    def __len__(self) -> int:
        return len(self.grid)

    def boxes_of(self, image: int) -> Boxes | None:
        return None

    def mask_of(self, image: int, region: int) -> Mask | None:
        return np.asarray(self.masks(np.array([region]))[0])

    def masks(self, places: Int[np.ndarray, "masks"]) -> Float32[np.ndarray, "masks *space"]:
        """Make some of them."""
        found = self.grid[places].astype(np.float32)
        for axis, (cells, size) in enumerate(zip(self.grid.shape[1:], self.size.tolist(), strict=True)):
            ways = upsampling(cells, size)[self.shifts[places, axis, None] + np.arange(size)]
            moved = np.moveaxis(found, axis + 1, 1)
            flat = np.matmul(ways, moved.reshape(len(moved), cells, -1))
            found = np.moveaxis(flat.reshape(len(moved), size, *moved.shape[2:]), 1, axis + 1)
        return np.ascontiguousarray(found)

    def lay(self, values: Values, size: tuple[int, ...], overlap: Overlap = "mean") -> Laid:
        total, weight, _ = self._sums(values)
        found = total if overlap == "sum" else total / np.where(weight > 0, weight, 1)
        return found.reshape(len(values), *size)

    def further(self, values: Values, size: tuple[int, ...], overlap: Overlap = "mean") -> dict[str, Laid]:
        """Return the standard error: `sqrt(sum m^2 (v - A)^2) / sum m * sqrt(n / (n - 1))`, n masks."""
        count = len(self)
        if overlap == "sum" or count < 2:
            return {}
        numbers = np.asarray(values, dtype=np.float64)
        # sum m^2 (v - A)^2 = sum m^2 v^2 - 2 A sum m^2 v + A^2 sum m^2, about the middle so that no digits are lost
        middle = numbers.mean(axis=1, keepdims=True)
        apart = numbers - middle
        total, weight, found = self._sums(numbers, np.concatenate([apart**2, apart, np.ones((1, count))]))
        weight = np.where(weight > 0, weight, 1)
        mean = total / weight
        squares, first, ones = np.split(found, [len(values), 2 * len(values)])
        gap = mean - middle
        spread = np.maximum(squares - 2 * gap * first + gap**2 * ones, 0)
        return {"standard_error": (np.sqrt(spread * count / (count - 1)) / weight).reshape(len(values), *size)}

    def arrays(self) -> Arrays:
        return {"grid": self.grid, "shifts": self.shifts, "size": self.size}

    def _sums(self, values: Values, squared: Values | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the sum of m times each row of values, of m, and of m^2 times each row of `squared`, per pixel."""
        numbers = np.asarray(values, dtype=np.float64)
        rows = np.zeros((0, len(self))) if squared is None else squared
        pixels = int(self.size.prod())
        total, weight, squares = np.zeros((len(numbers), pixels)), np.zeros(pixels), np.zeros((len(rows), pixels))
        step = max(1, TOGETHER // pixels)
        for start in range(0, len(self), step):
            some = np.arange(start, min(start + step, len(self)))
            masks = self.masks(some).reshape(len(some), -1).astype(np.float64)
            total += numbers[:, some] @ masks
            weight += masks.sum(axis=0)
            if len(rows):
                squares += rows[:, some] @ np.square(masks, out=masks)
        return total, weight, squares


def cell(cells: int, size: int) -> int:
    """Return the pixels of a cell on an axis, before the cells are stretched by one more."""
    return -(-size // cells)


@lru_cache(maxsize=16)
def upsampling(cells: int, size: int) -> Float32[np.ndarray, "pixels cells"]:
    """Return how much of each cell the pixels of an upsampled axis show.

    The axis has (cells + 1) * cell(cells, size) pixels; each lies between the middles of two cells, linearly, and
    beyond the outer middles it shows the outer cell.
    """
    pixels = (cells + 1) * cell(cells, size)
    at = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
    low = np.minimum(at.astype(np.int64), max(cells - 2, 0))
    ways = np.zeros((pixels, cells), dtype=np.float32)
    ways[np.arange(pixels), low] = 1 - (at - low)
    if cells > 1:
        ways[np.arange(pixels), low + 1] = at - low
    return ways


def draw(masks: int, cells: tuple[int, ...], size: tuple[int, ...], probability: float, seed: int) -> Cells:
    """Draw masks; the first of them are the same however many are drawn."""
    grid = np.empty((masks, *cells), dtype=bool)
    shifts = np.empty((masks, len(size)), dtype=np.int64)
    steps = np.array([cell(each, length) for each, length in zip(cells, size, strict=True)])
    generator = np.random.default_rng(seed)
    for mask in range(masks):
        grid[mask] = generator.random(cells) < probability
        shifts[mask] = generator.integers(0, steps)
    return Cells(grid, shifts, np.array(size, dtype=np.int64))
