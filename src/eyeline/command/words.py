"""What a map found, in words: the class, its score, and the region that carried it."""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from eyeline._typing import Boxes
from eyeline.attribution import Attribution, Unit
from eyeline.picture.legend import probability
from eyeline.window import Box, Span, default_window


@dataclass(frozen=True)
class Finding:
    """What one map says, for one line or one caption.

    Args:
        target: the explained scalar in words.
        score: its value with its unit.
        box: the region that carried it, in pixels of the model's image.
        place: where that is, for example "upper left".
        effect: what is measured there, with its unit.
    """

    target: str
    score: str
    box: Box
    place: str
    effect: str

    def __str__(self) -> str:
        return f"{self.target}, {self.score}; {self.place} ({self.box}): {self.effect}"


def finding(attribution: Attribution, i: int) -> Finding:
    """Say what the map of image i found."""
    boxes = None if attribution.sweep is None else attribution.sweep.regions.boxes_of(i)
    box, effect = _densest(attribution, i) if boxes is None else _region(attribution, i, boxes)
    return Finding(
        target=attribution.targets[i],
        score=_score(attribution, i),
        box=box,
        place=place(box, attribution.images.shape[1:-1]),
        effect=effect,
    )


def number(value: float, unit: Unit) -> str:
    """Write a value with its unit; probabilities in points, as they add and subtract."""
    return f"{value:.3g} {'of probability' if unit == 'probability' else unit}"


def place(box: Box, size: tuple[int, ...]) -> str:
    """Name the third of each axis in which the middle of the box lies: "upper left", "centre", "lower middle".

    An axis that the box spans wholly is left out.
    """
    planes = ("first planes,", "middle planes,", "last planes,")
    rows, columns = ("upper", "middle", "lower"), ("left", "middle", "right")
    thirds = {1: (("start", "middle", "end"),), 2: (rows, columns), 3: (planes, rows, columns)}[len(size)]
    said = [
        words[min(2, (span.start + span.stop) * 3 // (2 * length))]
        for span, length, words in zip(box.spans, size, thirds, strict=True)
        if span.stop - span.start < length
    ]
    return " ".join(said).replace("middle middle", "centre") or "the whole image"


def _score(attribution: Attribution, i: int) -> str:
    value, unit = float(attribution.value()[i]), attribution.unit
    weights = attribution.weights[i]
    is_one_class = np.count_nonzero(weights) == 1 and weights.max() == 1
    if not is_one_class or unit == "score":
        return number(value, unit)
    if unit == "probability":
        return f"probability {value:.3g}"
    return f"probability {probability(value):.3g} (log-odds {value:.3g})"


def _region(attribution: Attribution, i: int, boxes: Boxes) -> tuple[Box, str]:
    """Find the window or region whose covering costs most, or which alone brings most."""
    assert attribution.sweep is not None
    sweep = dataclasses.replace(attribution.sweep, measure="drop")
    values, what = sweep.values(attribution.weights)[i], sweep.regions.word
    best = int(np.where((boxes[..., 0] < boxes[..., 1]).all(axis=1), values, -np.inf).argmax())
    box, value = Box.of(boxes[best]), number(abs(float(values[best])), attribution.unit)
    if sweep.keep:
        return box, f"showing this {what} alone {'brings' if values[best] > 0 else 'costs'} {value}"
    if values[best] > 0:
        return box, f"covering this {what} costs {value}"
    return box, f"no {what} supports it: covering this one raises it least, by {value}"


def _densest(attribution: Attribution, i: int) -> tuple[Box, str]:
    """Find the box, a quarter of the shorter side wide, that holds the largest share of the map's magnitude."""
    size = attribution.images.shape[1:-1]
    magnitude = np.abs(attribution.maps[i].astype(np.float64))
    if magnitude.ndim > len(size):
        magnitude = magnitude.sum(axis=-1)
    total, sums, wide = float(magnitude.sum()), magnitude, default_window(size)
    for axis, width in enumerate(wide):
        edges = np.insert(np.cumsum(sums, axis=axis), 0, 0, axis=axis)
        length = edges.shape[axis]
        sums = edges.take(range(width, length), axis) - edges.take(range(length - width), axis)
    start = np.unravel_index(int(sums.argmax()), sums.shape)
    box = Box(tuple(Span(int(first), int(first) + width) for first, width in zip(start, wide, strict=True)))
    share = float(sums.max()) / total if total else 0.0
    area = math.prod(wide) / math.prod(size)
    return box, f"{share:.0%} of the map's sum in {area:.0%} of the image"
