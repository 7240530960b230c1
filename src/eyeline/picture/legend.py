"""The words beside a map: its caption, its colour bar's ticks and text. No drawing happens here."""

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from eyeline.attribution import Attribution
from eyeline.cells import Cells
from eyeline.colour import RGB, SIDES, Style, shade
from eyeline.errors import InputError, nearest
from eyeline.limits import Limits, limits, short
from eyeline.pairs import PairWindows
from eyeline.window import Box, grid

Scale = str | float | Limits | Mapping[str, Limits]
"""How values become colours: a word or number of `limits`, or limits chosen for a larger set, or those by quantity."""


@dataclass(frozen=True)
class Legend:
    """What one colour bar shows and says; equal legends share one bar.

    Args:
        style: how the map is laid on the image.
        scale: which value gets the strongest colour.
        quantity: what a number of the map is.
        unit: of those numbers, where it is the scores' own.
        inverted: low values matter.
        supports: values above 0 support the target.
        reading: what red and blue say, where it is not for and against.
        notes: what else a reader must be told: "interpolated".
    """

    style: Style
    scale: Limits
    quantity: str
    unit: str
    inverted: bool
    supports: bool
    reading: str = ""
    notes: tuple[str, ...] = ()

    def lines(self) -> tuple[str, str]:
        """Return what the bar measures, and how its scale was chosen."""
        heading = self.quantity
        if self.scale.sides == "magnitude" and self.supports:
            heading = f"magnitude of {self.quantity}, sign left out"
        signs = "red supports, blue counts against" if self.supports else "red above 0, blue below"
        signs = self.reading or signs
        ends = {
            "signed": signs,
            "map": signs if self.scale.sides == "both" else "",
            "unsigned": "",
            "spotlight": f"the {'lower' if self.inverted else 'higher'}, the brighter",
            "red": f"the {'lower' if self.inverted else 'higher'}, the redder",
        }[self.style]
        below = "below 0 as 0" if self.scale.sides == "above" and self.supports else ""
        parts = (ends, self.scale.describe(self.unit), below, *self.notes)
        return heading, " · ".join(part for part in parts if part)

    def colours(self, steps: int = 256, level: float | None = None) -> RGB:
        """Return the bar from low to high: what the style makes of a plain image of one grey level."""
        ramp = np.linspace(self.scale.low, self.scale.high, steps)
        level = level or (0.85 if self.style == "spotlight" else 0.5)
        return shade(self.style, np.full((steps, 3), level), ramp, self.scale, inverted=self.inverted)

    def ticks(self, most: int = 5) -> list[tuple[float, str]]:
        """Return round values within the limits, with their words; those above 0 signed when both sides show."""
        high, low = self.scale.high, self.scale.low
        if high == 0:
            return [(0.0, "0")]
        raw = (high - low) / most
        power = 10.0 ** math.floor(math.log10(raw))
        step = next((each * power for each in (1, 2, 2.5, 5) if each * power >= raw * 0.999), 10 * power)
        # At least one tick beside 0: the largest of 1, 2, 5 times a power of ten below the limit.
        step = step if step <= high else max(each * power for each in (0.5, 1, 2, 5) if each * power <= high)
        count = math.floor(high / step + 1e-9)
        values = [i * step for i in range(-count if low < 0 else 0, count + 1)]
        return [(value, f"+{short(value)}" if low < 0 < value else short(value)) for value in values]


def known(style: str | None) -> Style | None:
    """Return a style that exists.

    Raises:
        InputError: with the nearest names.
    """
    if style is None or style in SIDES:
        return style
    raise InputError(f"style must be one of {', '.join(SIDES)}, but got {style!r}. {nearest(style, SIDES)}")


def default_style(*attributions: Attribution) -> Style:
    """Return "signed" where any map has a value below 0, otherwise "unsigned"."""
    return "signed" if any((each.maps < 0).any() for each in attributions) else "unsigned"


def legend(
    attribution: Attribution, index: int, style: Style, scale: Scale, together: tuple[Attribution, ...] = ()
) -> Legend:
    """Choose the scale of one map, among all maps of the attributions that are shown together."""
    sweep, group = attribution.sweep, together or (attribution,)
    paired = sweep is not None and isinstance(sweep.regions, PairWindows)
    if isinstance(scale, Mapping):
        scale = scale[attribution.quantity]
    if not isinstance(scale, Limits):
        maps = [each for member in group for each in member.maps]
        before = sum(len(member.maps) for member in group[: _position(attribution, group)])
        scale = limits(maps, scale, before + index, sides=SIDES[style])
    if style != "map" and (scale.sides == "both") != (SIDES[style] == "both"):
        raise InputError(
            f"a scale for style {style!r} must have sides {SIDES[style]!r}, but got {scale.sides!r}. "
            f"Choose it with limits(maps, sides={SIDES[style]!r})."
        )
    return Legend(
        style=style,
        scale=scale,
        quantity=plain(attribution.quantity),
        unit=attribution.unit if sweep is not None else "",
        inverted=sweep is not None and sweep.measure == "score" and not sweep.keep,
        supports=sweep is not None and sweep.measure == "drop" and not paired,
        reading=_reading(attribution),
    )


def _reading(attribution: Attribution) -> str:
    regions = attribution.sweep and attribution.sweep.regions
    if isinstance(regions, PairWindows):
        return "red: both cost more than the sum of each, blue: less"
    if isinstance(regions, Cells) and attribution.sweep and attribution.sweep.measure == "drop":
        return "red: seeing it helps more than the average place, blue: less"
    return ""


def caption(attribution: Attribution, index: int) -> tuple[str, str]:
    """Return the explained scalar in words, and its value with unit: "tabby", "log-odds 1.21 (probability 0.77)"."""
    value = float(attribution.value()[index])
    words = f"{attribution.unit} {short(value)}"
    row = attribution.weights[index]
    if attribution.unit == "log-odds" and np.count_nonzero(row) == 1 and row.max() == 1:
        words += f" (probability {short(probability(value))})"
    if (window := named(attribution, index)) is not None:
        words += f", with {window}"
    if "standard_error" in attribution.further:
        words += f", the map's standard error up to {short(float(attribution.further['standard_error'][index].max()))}"
    return plain(attribution.targets[index]), words


def named(attribution: Attribution, index: int) -> Box | None:
    """Return the window that a map of pairs is about; drawn maps may have lost their sweep's windows."""
    if attribution.sweep is None or not isinstance(attribution.sweep.regions, PairWindows):
        return None
    window, chosen = (attribution.method[each] for each in ("window", "chosen"))
    boxes = grid(attribution.images.shape[1:-1], tuple(window), tuple(window))
    alone = attribution.further["alone"][index]
    pairs = PairWindows(boxes, np.array(-1 if chosen is None else chosen))
    (place,) = pairs.chosen_of(np.array([[alone[tuple(box[:, 0])] for box in boxes]]))
    return Box.of(boxes[place])


def heading(attribution: Attribution, index: int) -> tuple[str, str]:
    """Return an image's name, and its size in the model or the top class where another scalar is explained."""
    scores, row = attribution.scores[index], attribution.weights[index]
    top = int(scores.argmax())
    detail = " × ".join(str(each) for each in attribution.images.shape[1:-1]) + " in the model"
    if len(scores) > 1 and not (np.count_nonzero(row) == 1 and row[top] == 1):
        name = attribution.classes[top] if attribution.classes else f"class {top}"
        detail = f"top class: {plain(name)}, {attribution.unit} {short(float(scores[top]))}"
    return plain(attribution.names[index]), detail


def probability(log_odds: float) -> float:
    """Return the probability p whose log-odds ln(p / (1 - p)) these are."""
    return 1 / (1 + math.exp(-log_odds)) if log_odds > -700 else 0.0  # math.exp overflows above 709


def plain(text: str) -> str:
    """Return text in one line, with control, direction and unpaired characters made visible."""
    return " ".join("".join("\ufffd" if _hidden(each) else each for each in text).split())


def _hidden(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Cn", "Co") and not character.isspace()


def _position(attribution: Attribution, group: tuple[Attribution, ...]) -> int:
    return next(i for i, each in enumerate(group) if each is attribution)
