"""Decoding files and PIL images, and bringing them to a size by one resampling.

Pillow keeps pictures of 8 bits a channel; they stay so while they are resampled, as data loaders have it and as the
networks saw them in training. Deeper pictures are floats from the start.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32
from PIL import Image, UnidentifiedImageError

from eyeline.errors import InputError

FitMode = Literal["squash", "crop", "pad"]
"""How a picture is brought to the model's size.

squash: both sides resampled, the shape of things changes. crop: the largest centred part of the model's shape.
pad: the whole picture, centred, the rest black (0), as `tf.image.resize_with_pad` does.
"""

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""The decoders that are used (JPEG reads a phone's MPO too): Pillow has others, and that of EPS starts a program."""

_LUMA = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow's own conversion to "L"
_LOW_BYTES = {"16L": "16B", "16B": "16L", "16N": "16B" if sys.byteorder == "little" else "16L"}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip

Pixels = Float32[np.ndarray, "rows columns channels"]
_Span = tuple[float, float]


@dataclass(frozen=True)
class Picture:
    """An upright, opaque picture: one (grey) or three (RGB) bands, "L" in 0..255 or "F" in 0..1."""

    bands: tuple[Image.Image, ...]
    notes: tuple[str, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.bands[0].height, self.bands[0].width

    def to(self, channels: int) -> "Picture":
        """Repeat grey to RGB, or take the ITU-R 601 luma of RGB."""
        if channels == len(self.bands):
            return self
        if channels == 3:
            return Picture(self.bands * 3, (*self.notes, "grey repeated to RGB"))
        if self.bands[0].mode == "L":
            grey = Image.merge("RGB", self.bands).convert("L")
        else:
            colours = np.stack([np.asarray(band) for band in self.bands], axis=-1)
            grey = Image.fromarray((colours @ np.array(_LUMA)).astype(np.float32))
        return Picture((grey,), (*self.notes, "RGB to grey (ITU-R 601 luma)"))

    def fitted(self, size: tuple[int, int], mode: FitMode) -> tuple[Pixels, tuple[_Span, _Span]]:
        """Return the pixels in 0..1 at `size`, and the part of the picture they show (see `Fit.box`)."""
        (rows, columns), (high, wide) = self.size, size
        if mode == "pad":
            scale = min(high / rows, wide / columns)
            inner = max(1, round(rows * scale)), max(1, round(columns * scale))
            top, left = (high - inner[0]) // 2, (wide - inner[1]) // 2
            pixels = np.zeros((high, wide, len(self.bands)), dtype=np.float32)
            pixels[top : top + inner[0], left : left + inner[1]] = self._resampled(inner, (0, 0, columns, rows))
            by_row, by_column = rows / inner[0], columns / inner[1]
            return pixels, ((-top * by_row, (high - top) * by_row), (-left * by_column, (wide - left) * by_column))
        if mode == "squash":
            tall, broad = rows, columns
        else:
            tall = min(rows, max(1, round(columns * high / wide)))
            broad = min(columns, max(1, round(rows * wide / high)))
        top, left = round((rows - tall) / 2), round((columns - broad) / 2)
        pixels = self._resampled(size, (left, top, left + broad, top + tall))
        return pixels, ((float(top), float(top + tall)), (float(left), float(left + broad)))

    def _resampled(self, size: tuple[int, int], box: tuple[int, int, int, int]) -> Pixels:
        return _stacked([band.resize(size[::-1], Image.Resampling.BICUBIC, box) for band in self.bands])


def decode(source: Path | Image.Image, name: str) -> Picture:
    """Read a file (its first frame) or a PIL image (as it stands).

    Raises:
        InputError: no such file, no image, truncated, more pixels than Pillow's limit, values of unknown range.
    """
    with _decoding(name):
        if isinstance(source, Image.Image):
            return _upright(_bands(source, None, name), source)
        if not source.exists():
            raise InputError(f"the image must exist, but there is no file {str(source)!r}. Check the path.")
        if not source.is_file():
            raise InputError(f"the image must be a file, but got {str(source)!r}. Pass an image file or a folder.")
        with _opened(source, name) as image:
            frames = getattr(image, "n_frames", 1)
            picture = _upright(_bands(image, source, name), image)
        return picture if frames == 1 else _noted(picture, f"the first of {frames} frames")


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Decoders raise whatever their parser met: every failure becomes one sentence."""
    try:
        yield
    except InputError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise _too_large(name, str(error)) from error
    except UnidentifiedImageError as error:
        raise InputError(
            f"the image must be a PNG, JPEG, WebP, TIFF, BMP, GIF or PPM file, but {name!r} is none of these. "
            "Convert it first, or pass its pixels as an array."
        ) from error
    except Exception as error:
        raise InputError(
            f"the image must be readable to its end, but {name!r} is damaged, truncated or of an unknown kind "
            f"({type(error).__name__}: {str(error).strip()[:200]}). Make the file again."
        ) from error


@contextmanager
def _opened(path: Path, name: str) -> Iterator[Image.Image]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        image = Image.open(path, formats=FORMATS)
    with image:
        yield image


def _too_large(name: str, found: str) -> InputError:
    return InputError(
        f"the image must have at most {Image.MAX_IMAGE_PIXELS} pixels, the limit of Pillow against decompression "
        f"bombs, but {name!r} has more ({found.split(',')[0]}). Make it smaller, or raise PIL.Image.MAX_IMAGE_PIXELS."
    )


def _bands(image: Image.Image, path: Path | None, name: str) -> Picture:
    """Make the bands, still lying as stored."""
    raw = _raw_mode(image)
    image.load()
    if image.mode.startswith(("I", "F")):
        return _one_band(image, name)
    if path is not None and raw.partition(";")[0] in ("RGB", "RGBA") and raw.partition(";")[2] in _LOW_BYTES:
        return _both_bytes(image, path, name)
    notes: tuple[str, ...] = ("16 bits a channel, of which Pillow reads the upper 8",) * (";16" in raw)
    if image.mode == "CMYK":
        notes += ("CMYK to RGB without its colour profile",)
    if image.has_transparency_data:
        layered = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        if layered.getchannel("A").getextrema() != (255, 255):
            notes += ("transparent parts laid over white",)
        grey = image.mode in ("1", "L", "LA", "La")
        white = Image.new("RGBA", image.size, "white")
        flat = Image.alpha_composite(white, layered).convert("L" if grey else "RGB")
    else:
        flat = image.convert("L" if image.mode in ("1", "L") else "RGB")
    return Picture(flat.split(), notes)


def _raw_mode(image: Image.Image) -> str:
    """Return how the file stores its pixels; Pillow forgets it once they are decoded."""
    tiles = getattr(image, "tile", None)
    settings = tiles[0][3] if tiles else ""
    return str(settings[0] if isinstance(settings, tuple) and settings else settings)


def _one_band(image: Image.Image, name: str) -> Picture:
    """Read one band of 16-bit integers or of floats."""
    values = np.asarray(image)
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM")):
        low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
        if image.mode == "I" or not (low >= 0 and high <= 1):
            raise InputError(
                f"the image must say what white is: 8 or 16 bits a channel, or floats within 0..1, but {name!r} "
                f"holds mode {image.mode!r} with values {low:.6g}..{high:.6g}. Pass its pixels as a float array."
            )
        return Picture((image,), ())
    tags: Any = getattr(image, "tag_v2", {})
    bits = 16 if image.mode == "I" else tags.get(258, (16,))[0]
    grey = (values / np.float32(2**bits - 1)).astype(np.float32)
    if tags.get(262) == 0:  # a TIFF whose zero is white
        grey = 1 - grey
    return _over_white(grey[..., None], (values != image.info.get("transparency", -1))[..., None])


def _both_bytes(image: Image.Image, path: Path, name: str) -> Picture:
    """Read 16-bit colour, of which Pillow decodes 8 bits: the upper bytes, then once more the lower ones."""
    with _opened(path, name) as again:
        read: Any = again
        read.tile = [_swapped(tile) for tile in read.tile]
        lower = np.asarray(read, dtype=np.float32)
    levels = np.asarray(image, dtype=np.float32) * 256 + lower
    unit = levels / np.float32(65535)
    if unit.shape[2] == 4:
        return _over_white(unit[..., :3], unit[..., 3:])
    return _over_white(unit, (levels != image.info.get("transparency", -1)).any(axis=2, keepdims=True))


def _swapped(tile: Any) -> Any:
    """Let a tile's decoder take the other byte of every 16 bits."""
    settings = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
    mode, _, order = settings[0].partition(";")
    named = f"{mode};{_LOW_BYTES[order]}"
    changed = (named, *settings[1:]) if isinstance(tile[3], tuple) else named
    return tile._replace(args=changed) if hasattr(tile, "_replace") else (*tile[:3], changed)  # Pillow 10: plain


def _over_white(pixels: Pixels, opacity: np.ndarray) -> Picture:
    notes: tuple[str, ...] = ("16 bits a channel",)
    if (opacity < 1).any():
        pixels = (pixels * opacity + (1 - opacity.astype(np.float32))).astype(np.float32)
        notes += ("transparent parts laid over white",)
    return Picture(tuple(Image.fromarray(band) for band in np.moveaxis(pixels, -1, 0).copy()), notes)


def _upright(picture: Picture, image: Image.Image) -> Picture:
    """Turn the bands as the camera's EXIF orientation says (read after decoding: Pillow turns TIFF itself)."""
    try:
        orientation = image.getexif().get(0x0112, 1)
    except Exception:
        return _noted(picture, "EXIF data unreadable, not turned")
    if orientation not in _TURNS:
        return picture
    turned = tuple(band.transpose(_TURNS[orientation]) for band in picture.bands)
    return _noted(replace(picture, bands=turned), "turned by its EXIF orientation")


def _noted(picture: Picture, note: str) -> Picture:
    return replace(picture, notes=(*picture.notes, note))


def _stacked(bands: list[Image.Image]) -> Pixels:
    """Stack bands as floats; cubic resampling overshoots at edges, Pillow cuts that off 8 bits, this off floats."""
    pixels = np.stack([np.asarray(band, dtype=np.float32) for band in bands], axis=-1)
    return pixels / np.float32(255) if bands[0].mode == "L" else pixels.clip(0, 1)
