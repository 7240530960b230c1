"""Numbers -> RGB, arrays only: colour maps, and four ways to lay a map on its image.

Images and colours are float RGB in 0..1.
"""

from functools import cache
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from eyeline.limits import Limits, Sides

Values = Float[np.ndarray, "*shape"]
RGB = Float[np.ndarray, "*shape 3"]

Style = Literal["signed", "unsigned", "spotlight", "red", "map"]
"""How a map is laid on its image.

signed: the image in grey, tinted red above 0 and blue below. unsigned: the image in grey, tinted by the magnitude,
whatever its sign. spotlight: the image is bright where the map is high and dark at and below 0. red: the red
channel is replaced by the map. map: the map alone, red above 0, white at 0, blue below.
"""

# Anchors in OKLab (lightness, green-red, blue-yellow). Both ends of the diverging map have one lightness, so that
# neither sign looks stronger; blue against red survives every common colour blindness.
_BLUE = (0.48, -0.031, -0.196)
_WHITE = (0.97, 0.0, 0.004)
_RED = (0.48, 0.166, 0.089)
FOR, AGAINST = (0.93, 0.13, 0.16), (0.10, 0.40, 0.95)
"""Tints of values above and below 0, red and blue."""

_SEQUENTIAL = (
    (0.16, 0.010, -0.040),
    (0.36, 0.090, -0.080),
    (0.56, 0.150, 0.020),
    (0.76, 0.070, 0.120),
    (0.95, -0.020, 0.110),
)


SIDES: dict[Style, Sides] = {
    "signed": "both",
    "unsigned": "magnitude",
    "spotlight": "above",
    "red": "above",
    "map": "both",
}
"""Which values each style shows."""


def diverging(fractions: Values) -> RGB:
    """Colour -1..1: blue, white at 0, red. Lightness falls evenly to both sides."""
    return _look_up(_table((_BLUE, _WHITE, _RED)), (np.asarray(fractions, dtype=np.float64) + 1) / 2)


def sequential(fractions: Values) -> RGB:
    """Colour 0..1: near black, purple, red, orange, pale yellow. Lightness rises evenly."""
    return _look_up(_table(_SEQUENTIAL), np.asarray(fractions, dtype=np.float64))


def overlay(image: RGB, colours: RGB, magnitude: Values) -> RGB:
    """Tint the image, in grey, with colours: its lights and shadows stay, the hue tells the value.

    Args:
        image: RGB in 0..1.
        colours: the same shape.
        magnitude: 0..1, how strong the tint is: 0 leaves the grey image, 1 leaves no grey. Its power 0.8 is
            used, so that small values can be seen.
    """
    luma = (np.asarray(image, dtype=np.float64) @ (0.2126, 0.7152, 0.0722))[..., None]
    alpha = np.asarray(magnitude, dtype=np.float64)[..., None] ** 0.8
    # Black and white are left out at both ends: a tint needs some light, and some room above it.
    return np.asarray((0.12 + 0.8 * luma) * (1 - alpha) + colours * (0.45 + 0.8 * luma) * alpha)


def spotlight(image: RGB, brightness: Values, floor: float = 0.18) -> RGB:
    """Keep the image where brightness is 1; at 0 and below it keeps `floor` of its light."""
    share = floor + (1 - floor) * np.clip(np.asarray(brightness, dtype=np.float64), 0, 1)
    return np.asarray(image * share[..., None])


def red(image: RGB, values: Values) -> RGB:
    """Return a copy of the image whose red channel is `values`, as they are.

    Nothing is clipped here: what lies outside 0..1 is cut only when `to_bytes` makes 8-bit pixels.
    """
    copy = np.array(image, dtype=np.float64)
    copy[..., 0] = values
    return copy


def shade(style: Style, image: RGB, values: Values, scale: Limits, *, inverted: bool = False) -> RGB:
    """Lay a map on an image of the same size.

    Args:
        style: how.
        image: RGB in 0..1.
        values: of the map, raw.
        scale: from `limits.limits`, with the sides that `SIDES` names for the style.
        inverted: low values matter (scores of the covered image): spotlight and red show 1 - value / limit.
    """
    fractions = scale.fractions(values)
    if style == "map":
        return diverging(fractions)
    if style == "signed":
        return overlay(image, np.where(fractions[..., None] < 0, AGAINST, FOR), np.abs(fractions))
    if style == "unsigned":
        return overlay(image, sequential(fractions), np.abs(fractions))
    shown = 1 - fractions if inverted else fractions
    return spotlight(image, shown) if style == "spotlight" else red(image, shown)


def to_bytes(colours: RGB) -> UInt8[np.ndarray, "*shape 3"]:
    """Return 8-bit pixels, rounded; what lies outside 0..1 becomes 0 or 255."""
    return np.asarray(np.rint(np.clip(colours, 0, 1) * 255), dtype=np.uint8)


@cache
def _table(anchors: tuple[tuple[float, float, float], ...], entries: int = 513) -> RGB:
    """Straight lines between anchors in OKLab, as sRGB (Ottosson: A perceptual color space, 2020)."""
    at = np.linspace(0, len(anchors) - 1, entries)
    lab = np.stack([np.interp(at, np.arange(len(anchors)), axis) for axis in zip(*anchors, strict=True)], axis=-1)
    cone = lab @ np.array(
        [[1, 1, 1], [0.3963377774, -0.1055613458, -0.0894841775], [0.2158037573, -0.0638541728, -1.2914855480]]
    )
    linear = cone**3 @ np.array(
        [
            [4.0767416621, -1.2684380046, -0.0041960863],
            [-3.3077115913, 2.6097574011, -0.7034186147],
            [0.2309699292, -0.3413193965, 1.7076147010],
        ]
    )
    linear = np.asarray(np.clip(linear, 0, 1))
    table = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    table.flags.writeable = False
    return table


def _look_up(table: RGB, at: Values) -> RGB:
    knots = np.linspace(0, 1, len(table))
    return np.asarray(np.stack([np.interp(at, knots, channel) for channel in table.T], axis=-1))
