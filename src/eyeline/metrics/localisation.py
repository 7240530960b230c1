"""Localisation: whether the map lies on the region that it should, by a mask or a box."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float

from eyeline.attribution import Attribution
from eyeline.errors import InputError
from eyeline.methods.checks import within
from eyeline.metrics.base import Direction, Measured, enter, flat, measured
from eyeline.models.base import Model
from eyeline.window import Box, Span

Masks = Bool[np.ndarray, "n *space"]


@dataclass(frozen=True, eq=False)
class Region:
    """Where the object is, in pixels of the model's image.

    Args:
        mask: True inside; of the image's spatial axes, or one per image.
        box: start and stop on each spatial axis, rows first, instead of a mask.

    Raises:
        InputError: both or neither, or a mask that is not of True and False.
    """

    mask: np.ndarray | None = None
    box: tuple[tuple[int, int], ...] | None = None

    def __post_init__(self) -> None:
        if (self.mask is None) == (self.box is None):
            raise InputError("a region must have either mask= or box=, but got both or none. Pass one of them.")
        if self.mask is not None and (not isinstance(self.mask, np.ndarray) or self.mask.dtype != bool):
            raise InputError(
                f"mask must be an array of True and False, but got {getattr(self.mask, 'dtype', type(self.mask))}. "
                "Pass mask > 0.5."
            )

    def masks(self, attribution: Attribution) -> Masks:
        """Return one mask for each image.

        Raises:
            InputError: a mask of another shape; a region that is empty or not inside the image.
        """
        n, size = len(attribution.images), attribution.images.shape[1:-1]
        if self.box is not None:
            mask = np.zeros(size, dtype=bool)
            spans = tuple(Span(int(start), int(stop)) for start, stop in self.box)
            inside = len(spans) == len(size) and all(
                0 <= span.start < span.stop <= side for span, side in zip(spans, size, strict=True)
            )
            if not inside:
                raise InputError(
                    f"box must lie inside the image {size}, but got {self.box}. Give (start, stop) per axis."
                )
            mask[Box(spans).slices] = True
        else:
            assert self.mask is not None
            mask = self.mask
        if mask.shape not in (size, (n, *size)):
            raise InputError(f"mask must have shape {size} or {(n, *size)}, but got {mask.shape}. Fit it to the image.")
        found = np.broadcast_to(mask, (n, *size))
        empty = [name for name, each in zip(attribution.names, found, strict=True) if not each.any()]
        if empty:
            raise InputError(f"a region must hold at least one pixel, but that of {empty[0]!r} is empty.")
        return found

    def __repr__(self) -> str:
        return f"Region(box={self.box})" if self.mask is None else f"Region(mask of {self.mask.shape})"


@dataclass(frozen=True)
class PointingGame:
    """Say whether the map's highest number lies on the region: 1 or 0; its mean over images is the published accuracy.

    Where several pixels share the highest number, one of them on the region is enough. A random point hits with the
    share of the image that the region has, `parts["area"]`.

    Args:
        region: where the object is.
        tolerance: pixels from the region, straight across, that still count; the paper takes 15.

    Raises:
        InputError: a region that does not fit, a tolerance below 0.

    References:
        Zhang, Bargal, Lin, Brandt, Shen, Sclaroff: Top-down Neural Attention by Excitation Backprop, IJCV 126, 2018,
        section 4.1.
    """

    UNIT: ClassVar[str] = "hit"
    DIRECTION: ClassVar[Direction] = "higher"
    DEFINITION: ClassVar[str] = "1 where the map's highest number lies on the region, else 0"
    PAPER: ClassVar[str] = "Zhang et al. 2018"

    region: Region
    tolerance: float = 0

    def __post_init__(self) -> None:
        _check_region(self.region)
        within("tolerance", self.tolerance, closed=True)

    def __call__(self, model: Model, attribution: Attribution) -> Measured:
        enter(model, attribution)
        masks, maps = self.region.masks(attribution), flat(attribution)
        hits = [
            _hit(mask, values.reshape(mask.shape), self.tolerance) for mask, values in zip(masks, maps, strict=True)
        ]
        return measured(self, attribution, np.array(hits), parts={"area": _areas(masks)})


@dataclass(frozen=True)
class EvidenceInside:
    """Return the share of the map's positive numbers on the region: `sum inside of max(a, 0) / sum of max(a, 0)`.

    Negative numbers, evidence against the target, are left out. An even map has the share of the image that the region
    has, `parts["area"]`. NaN where no number is positive.

    Args:
        region: where the object is.

    Raises:
        InputError: a region that does not fit.

    References:
        Kohlbrenner, Bauer, Nakajima, Binder, Samek, Lapuschkin: Towards Best Practice in Explaining Neural Network
        Decisions with LRP, IJCNN 2020, section 4.1 (attribution localisation).
    """

    UNIT: ClassVar[str] = "share of the positive evidence"
    DIRECTION: ClassVar[Direction] = "higher"
    DEFINITION: ClassVar[str] = "share of the sum of the map's positive numbers that lies on the region"
    PAPER: ClassVar[str] = "Kohlbrenner et al. 2020"

    region: Region

    def __post_init__(self) -> None:
        _check_region(self.region)

    def __call__(self, model: Model, attribution: Attribution) -> Measured:
        enter(model, attribution)
        masks = self.region.masks(attribution)
        positive = np.maximum(flat(attribution), 0)
        inside, whole = (positive * masks.reshape(positive.shape)).sum(axis=1), positive.sum(axis=1)
        values = np.divide(inside, whole, out=np.full(len(whole), np.nan), where=whole > 0)
        blank = tuple(
            f"{name!r} has no positive number" for name, each in zip(attribution.names, whole, strict=True) if not each
        )
        return measured(self, attribution, values, parts={"area": _areas(masks)}, notes=blank)


def _hit(mask: Bool[np.ndarray, "*space"], values: Float[np.ndarray, "*space"], tolerance: float) -> float:
    """Return 1 where one of the highest numbers lies on the mask, or no further from it than the tolerance."""
    points = np.argwhere(values == values.max())
    if mask[tuple(points.T)].any():
        return 1.0
    inside = np.argwhere(mask)
    nearest = min(int(np.square(inside - point).sum(axis=1).min()) for point in points)
    return float(nearest <= tolerance**2)


def _areas(masks: Masks) -> np.ndarray:
    return np.asarray(masks.reshape(len(masks), -1).mean(axis=1))


def _check_region(region: Any) -> None:
    if not isinstance(region, Region):
        raise InputError(f"region must be a Region, but got {region!r}. Pass Region(mask=...) or Region(box=...).")
