"""The pictures of an audit's report: thumbnails, maps over them, mean maps, and the outlines of regions."""

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image

from eyeline.audit.auditing import image_of
from eyeline.colour import RGB, Style, shade, to_bytes
from eyeline.dataset.items import Source
from eyeline.dataset.rows import blocks, over_channels
from eyeline.dataset.store import Store
from eyeline.filling import wider
from eyeline.limits import Limits
from eyeline.models.base import Model
from eyeline.page.data import encoded
from eyeline.picture.legend import Legend, plain
from eyeline.picture.view import visible

SIDE, EXACT = 112, 64
"""Pixels of a thumbnail's longer side; up to how many a picture is kept pixel by pixel."""

CELLS = 64
"""Cells of a side that an outline is drawn on."""

BELOW = 95
"""Percent of the maps whose largest number the scale reaches: a few maps far above all others leave the rest pale."""

Flat = Float[np.ndarray, "rows columns"]


class Drawn:
    """Draws images of a store, and their maps on one scale.

    Args:
        store: an open one.
        model: the one that made it.
        given: its images.
    """

    def __init__(self, store: Store, model: Model, given: Source) -> None:
        self.store, self._model, self._given = store, model, given

    @cached_property
    def key(self) -> Legend:
        """What the colours of all maps mean."""
        manifest, peaks, lowest = self.store.manifest, [], 0.0
        for _, _, maps in blocks(self.store):
            peaks.append(np.abs(maps).reshape(len(maps), -1).max(axis=1))
            lowest = min(lowest, float(maps.min()))
        every = np.concatenate(peaks)
        high = float(np.percentile(every, BELOW)) or float(every.max())
        style: Style = "signed" if lowest < 0 else "unsigned"
        words = f"one scale for all maps, which {BELOW} % of them stay within"
        scale = Limits(high, "both" if lowest < 0 else "magnitude", words, float(every.max()))
        measure = manifest.method.get("measure")
        unit = manifest.unit if manifest.windows else ""
        return Legend(style, scale, plain(manifest.quantity), unit, False, measure == "drop")

    def image(self, row: int) -> Float[np.ndarray, "rows columns channels"]:
        """Read an image, in image space."""
        return np.asarray(image_of(self._model, self._given, row)[0])

    def maps(self, rows: tuple[int, ...]) -> Float[np.ndarray, "n rows columns"]:
        """Read the maps of some rows."""
        return over_channels(self.store, np.asarray(self.store["maps"].oindex[list(rows)]))

    def seen(self, pixels: np.ndarray) -> str:
        """Return an image for the page."""
        return thumbnail(visible(pixels)[0])

    def over(self, pixels: np.ndarray, values: Flat) -> str:
        """Return a map over its image, for the page."""
        return thumbnail(shade(self.key.style, visible(pixels)[0], values, self.key.scale))

    def alone(self, values: Flat, high: float) -> str:
        """Return a mean map, white at 0, for the page."""
        scale = Limits(high, "both", "", high)
        return thumbnail(shade("map", np.ones((*values.shape, 3)), values, scale))

    def bar(self, style: Style, scale: Limits) -> str:
        """Return a colour bar, for the page."""
        colours = Legend(style, scale, "", "", False, False).colours(256)
        return _data(Image.fromarray(to_bytes(np.repeat(colours[None], 4, axis=0))), "PNG")


def difference(pattern: Float[np.ndarray, "rows columns channels"]) -> str:
    """Return a pattern for the page: grey where nothing changes."""
    size = float(np.abs(pattern).max()) or 1.0
    return thumbnail(visible(np.clip(0.5 + pattern / (2 * size), 0, 1))[0])


def thumbnail(colours: RGB) -> str:
    """Return a picture small enough that a page can hold hundreds, as the address of an image."""
    picture = Image.fromarray(to_bytes(colours))
    exact = max(picture.size) <= EXACT
    if not exact:
        picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return _data(picture, "PNG" if exact else "JPEG")


def around(region: Bool[np.ndarray, "rows columns"]) -> Bool[np.ndarray, "rows columns"]:
    """Return a region with a little room about it and its gaps closed, so that its outline hides nothing of it."""
    width = max(1, max(region.shape) // 56)
    wide = np.pad(region, 3 * width)  # so that it is as wide at the image's edge as elsewhere
    wide = wider(wider(wide, 2 * width, 0), 2 * width, 1)
    inner = slice(3 * width, -3 * width)
    return np.asarray(~wider(wider(~wide, width, 0), width, 1)[inner, inner])


def outline(region: Bool[np.ndarray, "rows columns"]) -> str:
    """Return the border of a region as the path of an SVG whose sides are 1."""
    rows, columns = region.shape
    high, wide = -(-rows // CELLS), -(-columns // CELLS)
    padded = np.zeros((-(-rows // high) * high, -(-columns // wide) * wide), dtype=bool)
    padded[:rows, :columns] = region
    cells = padded.reshape(padded.shape[0] // high, high, padded.shape[1] // wide, wide).mean(axis=(1, 3)) >= 0.5
    framed, down, across = np.pad(cells, 1), high / rows, wide / columns
    lines = [
        f"M{start * across:.4g} {row * down:.4g}H{stop * across:.4g}"
        for row, start, stop in _runs(framed[1:, 1:-1] != framed[:-1, 1:-1])
    ]
    lines += [
        f"M{column * across:.4g} {start * down:.4g}V{stop * down:.4g}"
        for column, start, stop in _runs((framed[1:-1, 1:] != framed[1:-1, :-1]).T)
    ]
    return "".join(lines)


def _runs(edges: Bool[np.ndarray, "lines places"]) -> Iterator[tuple[int, int, int]]:
    """Yield each unbroken run of True: its line, where it starts, where it stops."""
    steps = np.diff(np.pad(edges, ((0, 0), (1, 1))).astype(int), axis=1)
    starts, stops = np.argwhere(steps > 0), np.argwhere(steps < 0)
    for (line, start), (_, stop) in zip(starts.tolist(), stops.tolist(), strict=True):
        yield line, start, stop


def _data(picture: Image.Image, kind: str) -> str:
    return f"data:image/{kind.lower()};base64,{encoded(picture, kind)}"
