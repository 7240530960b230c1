"""A data set drawn on the spot: vessels that differ in one part only, a part that a person can point at.

Every picture shows the same plain vessel at another place, size, angle and colour, in front of clutter. A handle
makes it a mug, a spout a teapot, a stem a goblet, a knob a jar; a tumbler has none of them. Flat patches, many of
them grey, lie over the vessel and around it, but never on its part: so a network learns that a patch is no part,
and that a vessel without one is a tumbler. Then covering the part with grey takes the evidence away and adds none.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int
from numpy.random import Generator
from PIL import Image, ImageDraw

SIZE = 64
FINE = 4  # drawn this many times larger, then averaged: smooth edges

PARTS: dict[str, str | None] = {"goblet": "stem", "jar": "knob", "mug": "handle", "teapot": "spout", "tumbler": None}
"""Class -> the part that makes it one."""

Points = Float[np.ndarray, "points 2"]
"""Right and down, in pixels."""

Colour = Int[np.ndarray, "3"]

Part = Int[np.ndarray, "2 2"]
"""The box around a part: rows start and stop, columns start and stop; zeros where there is none."""


class Drawn(NamedTuple):
    """Pictures with what is known about them: the index of the class in `PARTS`, and the part's box."""

    images: Float32[np.ndarray, "n rows columns 3"]
    classes: Int[np.ndarray, "n"]
    parts: Int[np.ndarray, "n 2 2"]


class Vessel(NamedTuple):
    """The outline of the vessel, the lines that make its part, and how thick they are."""

    body: Points
    lines: list[Points]
    thick: float


def draw(n: int, seed: int) -> Drawn:
    """Draw n pictures, the classes in turn; the same seed draws the same pictures, however many."""
    random = np.random.default_rng(seed)
    classes = np.arange(n) % len(PARTS)
    images, parts = [], []
    for each in classes:
        vessel = _vessel(list(PARTS)[each], random)
        parts.append(_box(vessel))
        images.append(_picture(vessel, parts[-1], random))
    return Drawn(np.stack(images).astype(np.float32) / 255, classes, np.stack(parts))


def _vessel(kind: str, random: Generator) -> Vessel:
    """Shape a vessel and place it: turned by up to 25 degrees, mirrored half of the time, wholly in the picture."""
    wide, high, taper = random.uniform(7.5, 10.5), random.uniform(8.5, 11.5), random.uniform(0, 0.25)
    below, thick = wide * (1 - taper), random.uniform(2.4, 3.2)
    body = np.array([(-wide, -high), (wide, -high), (below, high), (-below, high)])
    lines = _lines(kind, (wide + below) / 2, high)
    angle, mirror = math.radians(random.uniform(-25, 25)), random.choice([-1, 1])
    turn = np.array([(math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))]) * [[mirror], [1]]
    corners = np.concatenate([body, *lines]) @ turn
    margin = thick / 2 + 1
    shift = random.uniform(margin - corners.min(axis=0), SIZE - margin - corners.max(axis=0))
    return Vessel(body @ turn + shift, [line @ turn + shift for line in lines], thick)


def _lines(kind: str, side: float, high: float) -> list[Points]:
    """Return the lines that make the part, from the vessel's middle; its side and its rim are that far away."""
    if kind == "mug":
        around = np.linspace(-math.pi / 2, math.pi / 2, 13)
        return [np.stack([side - 1 + 6.8 * np.cos(around), 4.6 * np.sin(around)], axis=1)]
    if kind == "teapot":
        return [np.array([(side - 1, 2.5), (side + 3.5, 0), (side + 7, -6)])]
    if kind == "goblet":
        return [np.array([(0, high), (0, high + 6.5)]), np.array([(-4.5, high + 6.5), (4.5, high + 6.5)])]
    if kind == "jar":
        return [np.array([(0, -high), (0, -high - 5)]), np.array([(-1.7, -high - 5.5), (1.7, -high - 5.5)])]
    return []


def _box(vessel: Vessel) -> Part:
    if not vessel.lines:
        return np.zeros((2, 2), dtype=np.int64)
    points, margin = np.concatenate(vessel.lines)[:, ::-1], vessel.thick / 2 + 0.5
    edges = np.stack([np.floor(points.min(axis=0) - margin), np.ceil(points.max(axis=0) + margin)], axis=1)
    return edges.clip(0, SIZE).astype(np.int64)


def _picture(vessel: Vessel, part: Part, random: Generator) -> np.ndarray:
    behind = _colour(random)
    image = Image.new("RGB", (SIZE * FINE, SIZE * FINE), _fill(behind))
    pen = ImageDraw.Draw(image)
    for _ in range(random.integers(4, 9)):
        _patch(pen, _corners(random.uniform(0, SIZE, 2), random), _colour(random))
    colour = _apart(behind, random)
    for line in vessel.lines:
        _line(pen, line, vessel.thick, colour)
    pen.polygon((vessel.body * FINE).ravel().tolist(), fill=_fill(colour))
    for _ in range(random.integers(2, 6)):
        corners = _corners(vessel.body.mean(axis=0) + random.normal(0, 11, 2), random)
        tint = _colour(random) if random.random() < 0.5 else np.full(3, 128)
        if not _touches(corners, part):
            _patch(pen, corners, tint)
    return np.asarray(image.reduce(FINE))


def _colour(random: Generator) -> Colour:
    """Return a grey with a tint: muted, so that the red channel of a picture can be spared for a map."""
    tinted: Colour = (random.integers(20, 236) + random.integers(-20, 21, 3)).clip(0, 255)
    return tinted


def _apart(behind: Colour, random: Generator) -> Colour:
    """Return a colour that a person tells from the one behind it."""
    while True:
        colour = _colour(random)
        if abs(int(colour.sum()) - int(behind.sum())) > 210:
            return colour


def _corners(middle: Float[np.ndarray, "2"], random: Generator) -> Points:
    """Return the upper left and the lower right corner of a patch of 4 to 11 pixels a side."""
    half = random.uniform(2, 5.5, 2)
    return np.stack([middle - half, middle + half])


def _touches(corners: Points, part: Part) -> bool:
    first, last = corners[:, ::-1]
    return bool(part.any() and (first < part[:, 1] + 1).all() and (last > part[:, 0] - 1).all())


def _patch(pen: ImageDraw.ImageDraw, corners: Points, colour: Colour) -> None:
    pen.rectangle((corners * FINE).ravel().tolist(), fill=_fill(colour))


def _line(pen: ImageDraw.ImageDraw, points: Points, thick: float, colour: Colour) -> None:
    """Draw a line with round ends and joints."""
    fine, half, fill = points * FINE, thick * FINE / 2, _fill(colour)
    pen.line(fine.ravel().tolist(), fill=fill, width=round(2 * half))
    for column, row in fine.tolist():
        pen.ellipse((column - half, row - half, column + half, row + half), fill=fill)


def _fill(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = colour.tolist()
    return red, green, blue
