"""ROAD: removal whose traces do not tell where it was, by noisy linear imputation."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float

from eyeline.attribution import Attribution
from eyeline.errors import InputError, UnsupportedError
from eyeline.methods.batches import Batches
from eyeline.methods.checks import at_least, within
from eyeline.metrics.base import Direction, Measured, Scalar, enter, flat, measured
from eyeline.metrics.curves import ranking
from eyeline.models.base import Model

Pixels = Float[np.ndarray, "rows columns channels"]
Mask = Bool[np.ndarray, "rows columns"]

WEIGHTS = {
    (row, column): 1 / 12 if row and column else 1 / 6 for row in (-1, 0, 1) for column in (-1, 0, 1) if row or column
}
"""Of a pixel's eight neighbours."""

ACCURACY = 1e-9
"""Residual of the linear equations, as a share of their right-hand side, at which solving ends."""


@dataclass(frozen=True)
class Road:
    """Remove the pixels of highest value first by noisy linear imputation: the mean of s over the shares removed.

    A removed pixel becomes the weighted mean of its eight neighbours (1/6 beside, 1/12 across), all removed pixels at
    once, plus noise. So the picture stays smooth, and the shape of what was removed says little, where a grey patch
    would show it. Lower is better. `parts["kept"]` is 1 where the best class is still that of the clean image: its mean
    over images is the accuracy that the paper draws.

    Args:
        fractions: shares of the pixels that are removed, above 0 and below 1.
        noise: standard deviation that is added, in pixel values; the paper's 0.01 is for images in 0..1.
        seed: of the noise (PCG64).
        batch: images a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        InputError: fractions or noise out of range.
        UnsupportedError: images without two spatial axes.
        ModelError: scores that are not finite.

    References:
        Rong, Leemann, Borisov, Kasneci, Kasneci: A Consistent and Efficient Evaluation Strategy for Attribution
        Methods, ICML 2022, section 5.
    """

    UNIT: ClassVar[str] = "that of the scores"
    DIRECTION: ClassVar[Direction] = "lower"
    DEFINITION: ClassVar[str] = "mean of s over the shares of pixels removed by noisy linear imputation"
    PAPER: ClassVar[str] = "Rong et al. 2022 (ROAD)"

    fractions: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    noise: float = 0.01
    seed: int = 0
    batch: int | None = None
    memory: int = 1024

    def __post_init__(self) -> None:
        object.__setattr__(self, "fractions", tuple(self.fractions))
        if not self.fractions or not all(0 < each < 1 for each in self.fractions):
            raise InputError(
                f"fractions must be numbers above 0 and below 1, but got {self.fractions!r}. Pass (0.1, 0.5, 0.9)."
            )
        within("noise", self.noise, closed=True)
        at_least(0, seed=self.seed)

    def __call__(self, model: Model, attribution: Attribution) -> Measured:
        enter(model, attribution)
        images = attribution.images
        if images.ndim != 4:
            raise UnsupportedError(
                f"images must have two spatial axes for ROAD, but got {images.ndim - 2}. Use Deletion or Insertion."
            )
        ranks, (rows, columns) = ranking(flat(attribution)), images.shape[1:3]
        count = len(self.fractions)

        def changed(k: int) -> tuple[int, np.ndarray]:
            owner, point = divmod(k, count)
            mask = (ranks[owner] < int(self.fractions[point] * rows * columns)).reshape(rows, columns)
            image = imputed(images[owner], mask)
            noise = np.random.default_rng((self.seed, point)).standard_normal(image.shape)
            image[mask] += self.noise * noise[mask]
            return owner, image.astype(np.float32)

        scalar = Scalar(model, attribution, Batches(self.batch, self.memory))
        found, kept = scalar.best(changed, len(images) * count, "removal")
        curves = found.reshape(len(images), count)
        return measured(
            self,
            attribution,
            curves.mean(axis=1),
            unit=attribution.unit,
            fractions=np.array(self.fractions),
            curves=curves,
            curve_unit=attribution.unit,
            parts={"kept": kept.reshape(len(images), count)},
        )


def imputed(image: Pixels, removed: Mask) -> Pixels:
    """Return the image with each removed pixel the weighted mean of its neighbours, in float64.

    The equations are solved together by conjugate gradients to a residual of `ACCURACY`; at the border the weights of
    the neighbours that are there count alone.
    """
    known = np.where(removed[..., None], 0, image.astype(np.float64))
    if not removed.any():
        return known
    inside = removed[..., None].astype(np.float64)
    total = _neighbours(np.ones((*removed.shape, 1)))
    wanted = _neighbours(known) * inside
    found = np.zeros_like(known)
    rest, size = wanted.copy(), np.sqrt(np.square(wanted).sum(axis=(0, 1)))
    move, power = rest.copy(), np.square(rest).sum(axis=(0, 1))
    while (np.sqrt(power) > ACCURACY * size).any():
        pushed = (total * move - _neighbours(move)) * inside
        along = (move * pushed).sum(axis=(0, 1))
        step = np.divide(power, along, out=np.zeros_like(power), where=along > 0)
        found += step * move
        rest -= step * pushed
        before, power = power, np.square(rest).sum(axis=(0, 1))
        move = rest + np.divide(power, before, out=np.zeros_like(power), where=before > 0) * move
    return known + found


def _neighbours(values: Pixels) -> Pixels:
    """Return the weighted sum of each pixel's neighbours."""
    rows, columns = values.shape[:2]
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)))
    total = np.zeros_like(values)
    for (row, column), weight in WEIGHTS.items():
        total += weight * padded[1 + row : 1 + row + rows, 1 + column : 1 + column + columns]
    return total
