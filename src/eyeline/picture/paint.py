"""A view in the colours of its legend, with a frame around the window that the legend names."""

import numpy as np

from eyeline.attribution import Attribution
from eyeline.colour import RGB, shade
from eyeline.picture.legend import Legend, named
from eyeline.picture.view import View
from eyeline.window import Box

LEAST = 12
"""Drawn pixels of a window's shorter side from which on it gets a frame: a smaller one would be hidden by it."""


def painted(attribution: Attribution, index: int, seen: View, key: Legend) -> RGB:
    """Return the pixels of a drawing; what the model did not see is left plain."""
    shaded = shade(key.style, seen.image, seen.values, key.scale, inverted=key.inverted)
    pixels = np.where(seen.inside[..., None], shaded, seen.image)
    box = named(attribution, index)
    if box is not None and len(box.spans) == 2:
        _frame(pixels, seen, box, attribution.images.shape[1:3])
    return pixels


def _frame(pixels: RGB, seen: View, box: Box, size: tuple[int, ...]) -> None:
    """Draw a white frame with a black line in it along the inner side of a window, seen on any ground."""
    rows, columns = (
        np.flatnonzero((span.start <= at * length) & (at * length < span.stop))
        for at, span, length in zip(seen.shares, box.spans, size, strict=True)
    )
    if min(len(rows), len(columns)) < LEAST:
        return
    window = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    for depth, grey in enumerate((1, 0, 1)):
        ring = window[depth : len(rows) - depth, depth : len(columns) - depth]
        ring[[0, -1]] = grey
        ring[:, [0, -1]] = grey
