"""Deletion and insertion: the explained scalar while pixels leave or enter, those the map ranks highest first."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int

from eyeline._typing import Images
from eyeline.attribution import Attribution
from eyeline.baseline import Baseline, Blur, Constant
from eyeline.methods.batches import Batches
from eyeline.methods.checks import at_least, baseline_of
from eyeline.metrics.base import Curves, Direction, Flat, Measured, Scalar, Values, enter, flat, measured
from eyeline.models.base import Model

GREY = Constant()
SOFT = Blur(5)


@dataclass(frozen=True)
class Deletion:
    """Replace the pixels of highest value first, and follow the explained scalar s: the area under its curve.

    `area = integral over q from 0 to 1 of s(x with the share q of pixels of highest value := baseline)`, by the
    trapezoidal rule, in the unit of s: the mean height of the curve. Lower is better: what the map ranks first was
    needed. Pixels of equal value leave in raster order.

    Args:
        baseline: what replaces pixels. RISE takes a constant, 0 behind its normalisation, which is near mid grey.
        step: pixels that change at a time. None means as many as the image's last side has, as in RISE (224).
        batch: images a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        InputError: a baseline that does not fit, step below 1.
        ModelError: scores that are not finite.

    References:
        Petsiuk, Das, Saenko: RISE: Randomized Input Sampling for Explanation of Black-box Models, BMVC 2018,
        section 4.1.

    Examples:
        >>> import numpy as np, eyeline
        >>> model = eyeline.load(lambda images: images.sum(axis=(1, 2)), input_size=(1, 2))
        >>> image = np.float32([[[3], [1]]])
        >>> attribution = eyeline.explain(model, image, window=1, stride=1, baseline=eyeline.Constant(0))
        >>> float(Deletion(eyeline.Constant(0), step=1)(model, attribution).values[0])  # 4, then 1, then 0
        1.5
    """

    UNIT: ClassVar[str] = "that of the scores"
    DIRECTION: ClassVar[Direction] = "lower"
    DEFINITION: ClassVar[str] = "area under s while the pixels ranked highest are replaced by the baseline"
    PAPER: ClassVar[str] = "Petsiuk et al. 2018 (RISE)"

    baseline: Baseline = GREY
    step: int | None = None
    batch: int | None = None
    memory: int = 1024

    def __post_init__(self) -> None:
        at_least(1, step=1 if self.step is None else self.step)

    def __call__(self, model: Model, attribution: Attribution) -> Measured:
        enter(model, attribution)
        covered = baseline_of(self.baseline, attribution.images)
        return _followed(self, model, attribution, attribution.images, covered)


@dataclass(frozen=True)
class Insertion:
    """Bring pixels back into a blurred image, those of highest value first: the area under the curve of s.

    `area = integral over q from 0 to 1 of s(baseline with the share q of pixels of highest value := x)`, by the
    trapezoidal rule, in the unit of s. Higher is better: what the map ranks first is enough.

    Args:
        baseline: where it starts. RISE blurs with a sigma of 5, cut at 5 pixels; this one is cut at 4 sigma.
        step: pixels that change at a time. None means as many as the image's last side has, as in RISE (224).
        batch: images a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        InputError: a baseline that does not fit, step below 1.
        ModelError: scores that are not finite.

    References:
        Petsiuk, Das, Saenko: RISE: Randomized Input Sampling for Explanation of Black-box Models, BMVC 2018,
        section 4.1.
    """

    UNIT: ClassVar[str] = "that of the scores"
    DIRECTION: ClassVar[Direction] = "higher"
    DEFINITION: ClassVar[str] = "area under s while the pixels ranked highest return to a blurred image"
    PAPER: ClassVar[str] = "Petsiuk et al. 2018 (RISE)"

    baseline: Baseline = SOFT
    step: int | None = None
    batch: int | None = None
    memory: int = 1024

    def __post_init__(self) -> None:
        at_least(1, step=1 if self.step is None else self.step)

    def __call__(self, model: Model, attribution: Attribution) -> Measured:
        enter(model, attribution)
        covered = baseline_of(self.baseline, attribution.images)
        return _followed(self, model, attribution, covered, attribution.images)


def ranking(maps: Flat) -> Int[np.ndarray, "n pixels"]:
    """Return the rank of each number, 0 for the highest of its row; equal ones rank in raster order."""
    return np.argsort(np.argsort(-maps, axis=1, kind="stable"), axis=1, kind="stable")


def area(fractions: Float[np.ndarray, "points"], curves: Curves) -> Values:
    """Return the integral of each curve by the trapezoidal rule."""
    return np.asarray(((curves[:, 1:] + curves[:, :-1]) / 2 * np.diff(fractions)).sum(axis=1))


def follow(
    scalar: Scalar, ranks: Int[np.ndarray, "n pixels"], counts: Int[np.ndarray, "points"], ground: Images, patch: Images
) -> Curves:
    """Return s of the ground with the pixels whose rank is below each count taken from the patch, image by image.

    There may be several rankings of one image: `ranks` is a whole number of times as long as the images.
    """
    times = len(ranks) // len(ground)

    def changed(k: int) -> tuple[int, np.ndarray]:
        row, point = divmod(k, len(counts))
        owner = row // times
        taken = (ranks[row] < counts[point]).reshape(ground.shape[1:-1])
        return owner, np.where(taken[..., None], patch[owner], ground[owner])

    return scalar(changed, len(ranks) * len(counts), "step").reshape(len(ranks), len(counts))


def _followed(metric: Any, model: Model, attribution: Attribution, ground: Images, patch: Images) -> Measured:
    maps = flat(attribution)
    pixels = maps.shape[1]
    step = attribution.images.shape[-2] if metric.step is None else metric.step
    counts = np.append(np.arange(0, pixels, step), pixels)
    curves = follow(
        Scalar(model, attribution, Batches(metric.batch, metric.memory)), ranking(maps), counts, ground, patch
    )
    fractions = counts / pixels
    return measured(
        metric,
        attribution,
        area(fractions, curves),
        unit=attribution.unit,
        fractions=fractions,
        curves=curves,
        curve_unit=attribution.unit,
    )
