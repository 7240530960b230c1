"""Random masks of RISE: coarse cells, made smooth and shifted; made again whenever they are needed, never held."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int

from eyeline._typing import Boxes
from eyeline.region import Arrays, Laid, Mask, Values
from eyeline.window import Overlap

Numbers = Float64[np.ndarray, "masks *cells"]
"""One for each cell, or each pair of neighbours, of every mask."""

Ways = list[Float64[np.ndarray, "pixels cells"]]
"""Along each axis how much of each cell, or pair, the pixels show before they are shifted."""


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
        found: np.ndarray = self.grid[places].astype(np.float32)
        for axis, size in enumerate(self.size.tolist()):  # the first axis becomes the last, until all are through
            _, cells, *others = found.shape
            ways = upsampling(cells, size)[self.shifts[places, axis, None] + np.arange(size)]
            flat = np.matmul(found.reshape(len(places), cells, -1).swapaxes(1, 2), ways.swapaxes(1, 2))
            found = flat.reshape(len(places), *others, size)
        return found

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
        given = zip(self.grid.shape[1:], self.size.tolist(), strict=True)
        ways = [upsampling(cells, size).astype(np.float64) for cells, size in given]
        rows = np.concatenate([np.asarray(values, dtype=np.float64), np.ones((1, len(self)))])
        *total, weight = (self._spread(row, self.grid, ways) for row in rows)
        if squared is None:
            return np.array(total), weight, np.zeros((0, weight.size))
        pairs = paired(self.grid, ways)
        return np.array(total), weight, np.array([self._spread(row, *pairs) for row in squared])

    def _spread(self, row: Float[np.ndarray, "masks"], numbers: Numbers, ways: Ways) -> Float[np.ndarray, "pixels"]:
        """Return the sum, over the masks, of each one's number times what it has per cell, upsampled along every axis.

        Masks that begin at the same place are added up before they are upsampled: no mask is made.
        """
        found, starts = np.einsum("m,m...->m...", row, numbers), self.shifts
        for axis in reversed(range(len(ways))):
            leading = starts[:, :axis] @ _strides(starts[:, :axis])
            _, first, owners = np.unique(leading, return_index=True, return_inverse=True)
            added: np.ndarray = np.zeros(())
            for start in np.unique(starts[:, axis]):
                own = np.flatnonzero(starts[:, axis] == start)
                which = (owners[own] == np.arange(len(first))[:, None]).astype(np.float64)
                seen = ways[axis][start : start + self.size[axis]]
                added = added + np.tensordot(which, found[own], 1) @ seen.T
            found, starts = np.moveaxis(added, -1, 1), starts[first, :axis]
        return np.asarray(found.reshape(-1))


def cell(cells: int, size: int) -> int:
    """Return the pixels of a cell on an axis, before the cells are stretched by one more."""
    return -(-size // cells)


def _strides(starts: Int[np.ndarray, "masks axes"]) -> Int[np.ndarray, "axes"]:
    """Return factors that make one number of where a mask begins along some axes."""
    return np.cumprod([1, *starts.max(axis=0) + 1], dtype=np.int64)[:-1]


def paired(grid: Bool[np.ndarray, "masks *cells"], ways: Ways) -> tuple[Numbers, Ways]:
    """Return masks and ways for the squares of masks: as many cells again along each axis, pairs of neighbours.

    A pixel lies between two cells of an axis. Along one, with shares a and b of cells g and h, `(a g + b h)^2 =
    a^2 g^2 + b^2 h^2 + a b 2 g h`; along several, a pair holds the products of all its corners that face each other.
    """
    cells = grid.shape[1:]
    padded = np.pad(grid.astype(np.float64), [(0, 0), *[(0, 1) for _ in cells]])
    found = np.zeros((len(grid), *[2 * each for each in cells]))
    for apart in product((0, 1), repeat=len(cells)):
        place = tuple(slice(step * each, (step + 1) * each) for step, each in zip(apart, cells, strict=True))
        for corner in product(*[range(step + 1) for step in apart]):
            facing = tuple(step - each for step, each in zip(apart, corner, strict=True))
            found[(slice(None), *place)] += _moved(padded, corner) * _moved(padded, facing)
    return found, [np.concatenate([each**2, each * np.pad(each, ((0, 0), (0, 1)))[:, 1:]], axis=1) for each in ways]


def _moved(padded: Numbers, steps: tuple[int, ...]) -> Numbers:
    """Return each cell's neighbour so many steps on along each axis, 0 beyond the last."""
    spans = [slice(step, length - 1 + step) for step, length in zip(steps, padded.shape[1:], strict=True)]
    return padded[(slice(None), *spans)]


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
