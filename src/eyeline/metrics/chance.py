"""The shift test: whether the map marks a place, or would do as well anywhere else."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from eyeline.attribution import Attribution
from eyeline.baseline import Baseline, Mean
from eyeline.methods.batches import Batches
from eyeline.methods.checks import at_least, baseline_of
from eyeline.metrics.base import Direction, Measured, Scalar, enter, flat, measured
from eyeline.metrics.curves import area, follow, ranking
from eyeline.models.base import Model

MEAN = Mean()


@dataclass(frozen=True)
class ShiftTest:
    """Compare the map's deletion with that of copies of itself that are moved elsewhere: `(1 + k) / (1 + shifts)`.

    k counts the copies whose deletion area is as low as the map's own or lower. Tiles are removed, those of highest
    mean first: single pixels scattered over an even ground destroy a picture sooner than the same number on its
    subject, so that the grain of a map would decide. A copy is the map's tiles moved by random numbers along each axis;
    what leaves on one side enters on the other. It has the same values side by side, so only the place differs. The
    value is the probability of so good a rank for a map whose place means nothing. Photographs have their subject in
    the middle, so a map of the middle does well.

    Args:
        shifts: moved copies; the smallest value is 1 / (1 + shifts).
        points: of a curve, beside its start.
        tile: pixels along a side. None means a sixteenth of the shorter side, 14 of 224.
        baseline: what replaces pixels; the image's mean colour goes with any range of values.
        seed: of the moves (PCG64), the same for every image.
        batch: images a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        InputError: shifts, points or tile below 1, a baseline that does not fit.
        ModelError: scores that are not finite.

    References:
        Lotwick, Silverman: Methods for analysing spatial processes of several types of points, Journal of the Royal
        Statistical Society B 44, 1982 (the test); Samek, Binder, Montavon, Lapuschkin, Müller: Evaluating the
        Visualization of What a Deep Neural Network Has Learned, IEEE TNNLS 28, 2017 (removing tiles in order).
    """

    UNIT: ClassVar[str] = "probability"
    DIRECTION: ClassVar[Direction] = "lower"
    DEFINITION: ClassVar[str] = "rank of the map's deletion area among those of copies moved elsewhere, as a share"
    PAPER: ClassVar[str] = "Lotwick and Silverman 1982; Samek et al. 2017"

    shifts: int = 19
    points: int = 10
    tile: int | None = None
    baseline: Baseline = MEAN
    seed: int = 0
    batch: int | None = None
    memory: int = 1024

    def __post_init__(self) -> None:
        at_least(1, shifts=self.shifts, points=self.points, tile=1 if self.tile is None else self.tile)
        at_least(0, seed=self.seed)

    def __call__(self, model: Model, attribution: Attribution) -> Measured:
        enter(model, attribution)
        images = attribution.images
        size, n, many = images.shape[1:-1], len(images), 1 + self.shifts
        pooled, labels = tiled(flat(attribution).reshape(n, *size), self.tile or max(1, min(size) // 16))
        moves = self.moves(pooled.shape[1:])
        axes = tuple(range(len(size)))
        copies = np.stack([[each, *(np.roll(each, move, axes) for move in moves)] for each in pooled])
        tiles = pooled[0].size
        counts = np.unique(np.rint(np.linspace(0, tiles, self.points + 1)).astype(int))
        ranks = ranking(copies.reshape(n * many, tiles))[:, labels.reshape(-1)]
        scalar = Scalar(model, attribution, Batches(self.batch, self.memory))
        covered = baseline_of(self.baseline, images)
        ends = [np.repeat(scalar.clean(), many), np.repeat(scalar(lambda k: (k, covered[k]), n, "baseline"), many)]
        inner = follow(scalar, ranks, counts[1:-1], images, covered)
        curves = np.concatenate([ends[0][:, None], inner, ends[1][:, None]], axis=1)
        areas = area(counts / tiles, curves).reshape(n, many)
        return measured(
            self,
            attribution,
            (1 + (areas[:, 1:] <= areas[:, :1]).sum(axis=1)) / many,
            fractions=counts / tiles,
            curves=curves[::many],
            curve_unit=attribution.unit,
            parts={"areas": areas},
        )

    def moves(self, size: tuple[int, ...]) -> np.ndarray:
        """Return by how many tiles each copy is moved along each axis; none stays in its place where it can move."""
        generator, found = np.random.default_rng(self.seed), list[list[int]]()
        movable = max(size) > 1
        while len(found) < self.shifts:
            move = [int(generator.integers(side)) for side in size]
            if any(move) or not movable:
                found.append(move)
        return np.array(found)


def tiled(
    maps: Float[np.ndarray, "n *space"], side: int
) -> tuple[Float[np.ndarray, "n *tiles"], Int[np.ndarray, "*space"]]:
    """Return the mean of each tile, and for each pixel the number of its tile; the last tiles are cut at the border."""
    size = maps.shape[1:]
    places = [np.arange(length) // side for length in size]
    counts = tuple(int(each[-1]) + 1 for each in places)
    labels = np.ravel_multi_index(np.meshgrid(*places, indexing="ij"), counts)
    pixels = np.bincount(labels.reshape(-1))
    sums = np.stack([np.bincount(labels.reshape(-1), weights=each.reshape(-1)) for each in maps])
    return (sums / pixels).reshape(len(maps), *counts), labels
