"""The display scale of maps: one stated limit that a drawing divides by, with the words for its legend.

Raw maps are never changed, and nothing is scaled without saying so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from eyeline.errors import InputError, nearest

Values = Float[np.ndarray, "*shape"]

Sides = Literal["both", "magnitude", "above"]
"""Which values a scale shows.

both: -limit to limit, zero in the middle. magnitude: 0 to limit, the sign left out. above: 0 to limit, values
below 0 drawn as 0.
"""


@dataclass(frozen=True)
class Limits:
    """A display scale: which value gets the strongest colour, and the words for it.

    Args:
        high: this value gets the strongest colour; with sides "both" so does its negative. 0 where every shown
            value is 0.
        sides: which values are shown.
        words: how `high` was chosen: "one scale for all 3 maps".
        largest: the largest shown value of the maps that the scale was chosen for.
        sparse: nearly all shown values lie below a third of `high`, so that the picture looks empty.
    """

    high: float
    sides: Sides
    words: str
    largest: float
    sparse: bool = False

    @property
    def low(self) -> float:
        """The other end: -high, or 0."""
        return -self.high if self.sides == "both" else 0.0

    @property
    def saturates(self) -> bool:
        """Whether values beyond the limits exist; they are drawn as the limit."""
        return self.largest > self.high

    def fractions(self, values: Values) -> Values:
        """Return what is shown of the values, divided by `high`: -1..1 for both sides, 0..1 otherwise."""
        wide = np.asarray(values, dtype=np.float64)
        wide = np.abs(wide) if self.sides == "magnitude" else wide
        if self.high == 0:
            return np.zeros_like(wide)
        return np.clip(wide, self.low, self.high) / self.high

    def describe(self, unit: str = "") -> str:
        """Word the scale for a legend: "one scale for all 3 maps, ±0.41 probability"."""
        if self.high == 0:
            return f"{self.words}, {'no value is above 0' if self.sides == 'above' else 'every value is 0'}"
        ends = f"±{short(self.high)}" if self.sides == "both" else f"0 to {short(self.high)}"
        beyond = f"; values beyond (up to {short(self.largest)}) drawn as the limit" if self.saturates else ""
        few = "; 99 % of the values lie below a third of it: scale p99 shows them" if self.sparse else ""
        return f"{self.words}, {ends}{f' {unit}' if unit else ''}{beyond}{few}"


def limits(maps: Sequence[Values], scale: str | float = "shared", index: int = 0, *, sides: Sides) -> Limits:
    """Choose the display scale of one of several maps. Zero keeps its colour whatever the maps hold.

    Args:
        maps: all that are shown together, of any shapes.
        scale: "shared": one for all maps, to the largest value of any; "each": to the largest of this map;
            "none": the number is the colour, full at 1; "p99" or another percentile of the shown values of all
            maps; a positive number: full there.
        index: which map "each" looks at.
        sides: which values are shown; "both" looks at the magnitudes of either sign.

    Raises:
        InputError: an unknown scale, a percentile that falls on 0, maps that are not finite.
    """
    shown = [_shown(np.asarray(each, dtype=np.float64).ravel(), sides) for each in maps]
    if not all(np.isfinite(each).all() for each in shown):
        raise InputError("a map must be finite to be drawn, but got NaN or infinite values. Check how it was made.")
    peaks = [float(each.max(initial=0)) for each in shown]
    largest, alone = max(peaks), len(maps) == 1
    if scale == "shared":
        words = "scaled to this map" if alone else f"one scale for all {len(maps)} maps"
        return Limits(largest, sides, words, largest, _sparse(shown, largest))
    if scale == "each":
        words = "scaled to this map" if alone else "each map on its own scale"
        return Limits(peaks[index], sides, words, peaks[index], _sparse(shown[index : index + 1], peaks[index]))
    if scale == "none":
        return Limits(1.0, sides, "not scaled", largest)
    if isinstance(scale, str) and scale.startswith("p") and (share := _number(scale[1:])) is not None:
        high = _percentile(np.concatenate(shown), share)
        return Limits(
            high, sides, f"percentile {share:g} of {'this map' if alone else f'all {len(maps)} maps'}", largest
        )
    given = _number(scale)
    if given is None or not 0 < given < math.inf:
        raise InputError(
            "scale must be 'shared', 'each', 'none', a percentile as 'p99' or a positive number, "
            f"but got {scale!r}. {nearest(str(scale), ('shared', 'each', 'none', 'p99'))}"
        )
    return Limits(given, sides, "given scale", largest)


def short(value: float) -> str:
    """Word a number with three digits: "0.41", "12.3", "1.2e-05"."""
    return f"{value:.3g}".replace("-", "−").replace("e−0", "e−").replace("e+0", "e+")


def _shown(values: Values, sides: Sides) -> Values:
    return np.asarray(np.maximum(values, 0) if sides == "above" else np.abs(values))


def _sparse(shown: Sequence[Values], high: float) -> bool:
    above = sum(int(np.count_nonzero(each > high / 3)) for each in shown)
    return 0 < above <= sum(each.size for each in shown) / 100


def _percentile(shown: Values, share: float) -> float:
    if not 0 < share <= 100:
        raise InputError(f"a percentile must be above 0 and at most 100, but got {share:g}. Pass 'p99'.")
    high = float(np.percentile(shown, share))
    if high == 0 and shown.any():
        raise InputError(
            f"the percentile must not fall on 0, but percentile {share:g} does: most values shown are 0. "
            "Pass a higher one, or scale='shared'."
        )
    return high


def _number(given: object) -> float | None:
    try:
        return None if isinstance(given, bool) else float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
