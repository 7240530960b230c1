"""One image and its map, brought to the size of a drawing: what pictures and figures both start from.

Positions are shares (0..1) of the model's view along an axis, so that image, map and original may have any sizes.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image

from eyeline.attribution import Attribution
from eyeline.colour import RGB, to_bytes
from eyeline.errors import InputError, UnsupportedError
from eyeline.image import Fit
from eyeline.image import original as decoded
from eyeline.region import Windows

Plane = tuple[int, int]
"""A spatial axis of a volume, and the position on it."""

Original = str | Path | Image.Image
"""The picture that the model's image was made from."""

Flat = Float[np.ndarray, "rows columns"]


@dataclass(frozen=True, eq=False)
class View:
    """An image and its map at the size of a drawing.

    Args:
        image: RGB in 0..1.
        values: of the map, raw; 0 outside.
        inside: where the model's view lies; outside it the picture is left plain.
        shares: where each drawn row and each column lies in the model's view.
        image_notes: what a reader must be told of the image: "plane 3 of axis 0".
        map_notes: and of the map: "interpolated".
    """

    image: RGB
    values: Flat
    inside: Bool[np.ndarray, "rows columns"]
    shares: tuple[Float[np.ndarray, "rows"], Float[np.ndarray, "columns"]]
    image_notes: tuple[str, ...]
    map_notes: tuple[str, ...]


def view(
    attribution: Attribution,
    index: int,
    *,
    size: int | None = None,
    smooth: bool = False,
    original: Original | None = None,
    plane: Plane | None = None,
) -> View:
    """Bring one image and its map to the size of a drawing.

    Args:
        attribution: what a method returned.
        index: which image.
        size: pixels of the longer side; None keeps the picture's own.
        smooth: interpolate the map between the centres of its windows (or pixels); otherwise each pixel of the
            drawing has the value of the map's pixel below it.
        original: draw on this picture instead of the model's image.
        plane: of a volume, which plane to draw.

    Raises:
        InputError: no such image or plane, maps per channel, channels that are no colours, another original.
        UnsupportedError: a signal with one spatial axis.
    """
    check(attribution, index)
    if size is not None and (isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1):
        raise InputError(f"size must be a whole number of pixels, 1 or more, but got {size!r}. Pass size=336.")
    pixels, values, axes = _plane(attribution, index, plane)
    notes = [] if plane is None else [f"plane {plane[1]} of axis {plane[0]}"]
    if original is None:
        image, said = visible(pixels)
        notes += said
        fit = _whole(image.shape[:2])
    else:
        image, fit = _open(original, attribution.fits[index])
    drawn = _resize(image, size)
    rows, columns = (
        _positions(drawn.shape[axis], fit.original[axis], fit.box[axis], values.shape[axis]) for axis in (0, 1)
    )
    shares = (rows[:, rows.shape[1] // 2], columns[:, columns.shape[1] // 2])
    if smooth:
        cells = [edges(attribution, axis, values.shape[i]) for i, axis in enumerate(axes)]
        values = _interpolate(values, cells, (rows, columns))
    else:
        values = values[np.ix_(*(_below(at, n) for at, n in zip(shares, values.shape, strict=True)))]
    inside = np.logical_and.outer(*(((at > 0) & (at < 1)).all(axis=1) for at in (rows, columns)))
    if not inside.all():
        notes.append("left plain: what the model did not see")
    seen = np.where(inside, values, 0.0)
    return View(drawn, seen, inside, shares, tuple(notes), ("interpolated",) if smooth else ())


def check(attribution: Attribution, index: int) -> None:
    """Raise an InputError where there is no such image, or the maps are per channel."""
    count = len(attribution.maps)
    if not 0 <= index < count:
        raise InputError(
            f"index must be within 0..{count - 1}, the images of this attribution, but got {index}. "
            "Counting starts at 0."
        )
    if attribution.maps.ndim == attribution.images.ndim:
        raise InputError(
            "a map must have one number per pixel to be drawn, but got one per channel "
            f"{attribution.maps.shape}. Make it with channels='max_abs' (in the command --channels max_abs) or another "
            "reduction, keep its numbers (--format npz), or draw dataclasses.replace(attribution, "
            "maps=attribution.maps.sum(axis=-1))."
        )


def visible(pixels: Float[np.ndarray, "*space channels"]) -> tuple[RGB, list[str]]:
    """Return RGB in 0..1 for an image of 1 or 3 channels in any range, and what was done to see it.

    Raises:
        InputError: another number of channels.
    """
    channels = pixels.shape[-1]
    if channels not in (1, 3):
        raise InputError(
            f"an image must have 1 or 3 channels to be drawn, but got {channels}. "
            "Pass a picture of the same view as original=."
        )
    wide = np.asarray(pixels, dtype=np.float64)
    low, high = float(wide.min()), float(wide.max())
    notes = []
    if low < -1e-3 or high > 1 + 1e-3:
        wide = (wide - low) / ((high - low) or 1)
        notes.append(f"pixels {low:.3g} to {high:.3g} shown as black to white")
    return np.broadcast_to(np.clip(wide, 0, 1), (*wide.shape[:-1], 3)), notes


def edges(attribution: Attribution, axis: int, length: int) -> Float[np.ndarray, "edges"]:
    """Return where the map may change along an axis, as shares of it: at windows' borders, or at every pixel."""
    if attribution.sweep is None or not isinstance(attribution.sweep.regions, Windows):
        return np.linspace(0, 1, length + 1)
    size = attribution.images.shape[1 + axis]
    return np.union1d(attribution.sweep.boxes[:, axis].ravel() / size, (0.0, 1.0))


def spread(attribution: Attribution, values: Float[np.ndarray, "samples"]) -> Float[np.ndarray, "samples"]:
    """Interpolate a signal's map between the centres of its cells."""
    cells = edges(attribution, 0, len(values))
    centres = (cells[:-1] + cells[1:]) / 2
    at = (np.arange(len(values)) + 0.5) / len(values)
    return np.asarray(np.interp(at, centres, values[_below(centres, len(values))]))


def _plane(attribution: Attribution, index: int, plane: Plane | None) -> tuple[np.ndarray, Flat, tuple[int, int]]:
    """Return an image with two spatial axes, its map, and which axes of the attribution they are."""
    image, values = attribution.images[index], attribution.maps[index].astype(np.float64)
    if values.ndim == 1:
        raise UnsupportedError(
            "a picture must have two spatial axes, but this attribution is of signals with one. "
            "Draw it with eyeline.plot.plot."
        )
    if values.ndim == 2:
        if plane is not None:
            raise InputError(f"plane must be left out for images with two spatial axes, but got {plane}. Leave it out.")
        return image, values, (0, 1)
    axis, at = plane if plane is not None else (-1, -1)
    if not (0 <= axis < 3 and 0 <= at < image.shape[axis]):
        raise InputError(
            f"plane must be (axis, position) within a volume of {' x '.join(map(str, image.shape[:3]))}, "
            f"but got {plane}. "
            f"Pass plane=(0, {image.shape[0] // 2}) for the middle one along the first axis."
        )
    first, second = (each for each in range(3) if each != axis)
    there = int((at + 0.5) / image.shape[axis] * values.shape[axis])
    return image.take(at, axis=axis), values.take(there, axis=axis), (first, second)


def _open(original: Original, fit: Fit | None) -> tuple[RGB, Fit]:
    """Return the original as RGB, and how it was fitted; without a fit it is taken as the model's whole view."""
    pixels = decoded(original)
    rows, columns = pixels.shape[:2]
    if fit is not None and fit.original != (rows, columns):
        raise InputError(
            f"original must be the picture that was explained, of {fit.original[0]} x {fit.original[1]} pixels, "
            f"but got {rows} x {columns}. Pass the same file."
        )
    return pixels / 255, fit or _whole((rows, columns))


def _whole(size: tuple[int, int]) -> Fit:
    return Fit("squash", size, ((0, size[0]), (0, size[1])))


def _resize(image: RGB, size: int | None) -> RGB:
    rows, columns = image.shape[:2]
    factor = 1.0 if size is None else size / max(rows, columns)
    if factor == 1:
        return image
    wanted = (max(1, round(columns * factor)), max(1, round(rows * factor)))
    # Small images show their pixels, as the model sees them; a blur would hide how few there are.
    small = factor > 1 and max(rows, columns) < 128
    how = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(to_bytes(image)).resize(wanted, how), dtype=np.float64) / 255


def _positions(drawn: int, original: int, box: tuple[float, float], cells: int) -> Float[np.ndarray, "drawn parts"]:
    """Return where each drawn pixel lies in the model's view, as several points where it covers several cells."""
    parts = max(1, math.ceil(cells * original / (drawn * (box[1] - box[0]))))
    parts += 1 - parts % 2
    at = (np.arange(drawn * parts) + 0.5) / (drawn * parts) * original
    return ((at - box[0]) / (box[1] - box[0])).reshape(drawn, parts)


def _below(at: Float[np.ndarray, "points"], length: int) -> np.ndarray:
    return np.clip((at * length).astype(np.int64), 0, length - 1)


def _interpolate(values: Flat, cells: list[np.ndarray], at: tuple[np.ndarray, np.ndarray]) -> Flat:
    """Take the values at the cells' centres, and straight lines between them; drawn pixels average their points."""
    centres = [(borders[:-1] + borders[1:]) / 2 for borders in cells]
    known = values[np.ix_(*(_below(each, length) for each, length in zip(centres, values.shape, strict=True)))]
    rows, columns = (_weights(each, points) for each, points in zip(centres, at, strict=True))
    return np.asarray(rows @ known @ columns.T)


def _weights(centres: np.ndarray, at: np.ndarray) -> Float[np.ndarray, "drawn cells"]:
    return np.stack([np.interp(at, centres, one).mean(axis=1) for one in np.eye(len(centres))], axis=1)
