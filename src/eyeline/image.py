"""Files, PIL images, arrays and tensors -> image space: float32, channels last, files within 0..1.

Files and PIL images are fitted to the model's size. Arrays and tensors are taken as they are.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from eyeline._arrays import Wanted, from_array, from_tensor
from eyeline._pictures import FitMode as FitMode
from eyeline._pictures import Pixels, decode
from eyeline._typing import Images
from eyeline.errors import InputError, nearest

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
"""Names of files that a folder's pictures have, in any case."""


@dataclass(frozen=True)
class Fit:
    """How a picture was brought to the model's size.

    Args:
        mode: squash, crop or pad.
        original: rows and columns of the picture, after its EXIF rotation.
        box: start and stop on the rows, then on the columns, of what the model's image shows, in pixels of the
            original. Model pixel i of a side of `size` pixels covers
            start + i * (stop - start) / size .. start + (i + 1) * (stop - start) / size.
            crop: whole pixels inside the picture. pad: reaches beyond it, below 0 and above its size, and falls
            between pixels.
        notes: what decoding had to decide: transparency, depth, colours, rotation, frames.
    """

    mode: FitMode
    original: tuple[int, int]
    box: tuple[tuple[int | float, int | float], tuple[int | float, int | float]]
    notes: tuple[str, ...] = ()

    @classmethod
    def read(cls, stored: dict[str, Any]) -> "Fit":
        """Rebuild from `dataclasses.asdict` after JSON."""
        (top, bottom), (left, right) = stored["box"]
        rows, columns = stored["original"]
        box = ((top, bottom), (left, right))
        return cls(stored["mode"], (rows, columns), box, tuple(stored.get("notes", ())))


@dataclass(frozen=True, eq=False)
class Batch:
    """Images with their names and how they were fitted.

    Args:
        images: in image space; a copy that nothing else holds.
        names: of the files, or "image 0", "image 1", by place in the batch.
        fits: of files and PIL images; None for arrays and tensors.
    """

    images: Images
    names: tuple[str, ...]
    fits: tuple[Fit | None, ...]


def collect(
    given: object,
    *,
    input_size: tuple[int, ...] | None,
    axes: int = 2,
    channels: int | None = None,
    fit: FitMode = "squash",
) -> Batch:
    """Turn what people hold into a batch of images.

    Files (PNG, JPEG, WebP, TIFF, BMP, GIF, PPM; the first frame) and PIL images become floats in 0..1: 8 bits
    divided by 255, 16 bits by 65535. They are turned as their EXIF data say; transparent parts are laid over white,
    as a viewer shows them; colour profiles are left aside, as data loaders do; grey is repeated where the model
    has three channels, RGB becomes its ITU-R 601 luma where it has one. Then they are brought to `input_size` by one
    antialiased bicubic resampling, whose overshoot beyond 0..1 is cut off. `Fit.notes` tells what applied.

    Arrays are floats, channels last; tensors of torch are floats, channels first. Both may have a leading n, keep
    their numbers, and must have the model's size.

    Args:
        given: a path, a folder (its image files by name), a PIL image, an array, a tensor of torch, or a list of
            those. An array (n, rows, columns) is read as n grey images where the model has one channel and
            this size.
        input_size: pixels per spatial axis; None takes each picture at its own size, which they must share.
        axes: number of spatial axes; files have 2.
        channels: of an image. None takes arrays with any number, and files as RGB.
        fit: how files and PIL images are brought to `input_size`.

    Raises:
        InputError: for the first image that is refused: missing, damaged or too large a file, an empty folder or
            list, integers, NaN or infinite pixels, another size or number of channels than the model's.
    """
    if fit not in get_args(FitMode):
        raise InputError(
            f"fit must be 'squash', 'crop' or 'pad', but got {fit!r}. {nearest(str(fit), get_args(FitMode))}"
        )
    wanted = Wanted(input_size and tuple(input_size), axes, channels, fit)
    blocks: list[Images] = []
    names: list[str] = []
    fits: list[Fit | None] = []
    for item in _items(given):
        block, name, fitted = _block(item, wanted, len(names))
        names += [name] if name else [f"image {len(names) + i}" for i in range(len(block))]
        fits += [fitted] * len(block)
        blocks.append(block)
    if not names:
        raise InputError("there must be at least one image, but got none. Pass a file, a folder or an array.")
    _check_alike([image.shape for block in blocks for image in block], names)
    return Batch(np.ascontiguousarray(np.concatenate(blocks)), tuple(names), tuple(fits))


def files(folder: str | Path) -> tuple[Path, ...]:
    """List the image files of a folder by name, without its hidden files and its folders.

    Raises:
        InputError: the folder holds none, or cannot be read.
    """
    try:
        found = sorted(
            path
            for path in Path(folder).iterdir()
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
        )
    except OSError as error:
        raise InputError(
            f"the folder must be readable, but {str(folder)!r} is not ({error.strerror}). Check the path."
        ) from error
    if not found:
        raise InputError(
            f"the folder must hold image files ({', '.join(SUFFIXES)}), but {str(folder)!r} holds none. "
            "Pass another folder, or the files themselves."
        )
    return tuple(found)


def original(source: str | Path | Image.Image) -> UInt8[np.ndarray, "rows columns 3"]:
    """Return a file or PIL image at its own size, for drawing on: RGB, as `collect` decodes it.

    Raises:
        InputError: as `collect` does.
    """
    path = source if isinstance(source, Image.Image) else Path(source)
    picture = decode(path, "image" if isinstance(path, Image.Image) else path.name).to(3)
    pixels, _ = picture.fitted(picture.size, "squash")
    return np.asarray(np.rint(pixels * 255), dtype=np.uint8)


def _items(given: object) -> Iterator[object]:
    if isinstance(given, list | tuple):
        for each in given:
            yield from _items(each)
    elif isinstance(given, str | os.PathLike):
        path = Path(given)
        yield from files(path) if os.path.isdir(path) else (path,)  # Path.is_dir raises where the name is too long
    else:
        yield given


def _block(item: object, wanted: Wanted, index: int) -> tuple[Images, str | None, Fit | None]:
    if isinstance(item, Path | Image.Image):
        name = item.name if isinstance(item, Path) else None
        pixels, fitted = _picture(item, name or f"image {index}", wanted)
        return pixels[None], name or f"image {index}", fitted
    tensor = getattr(sys.modules.get("torch"), "Tensor", ())
    if isinstance(item, tensor):
        return from_tensor(item, wanted, index), None, None
    if hasattr(item, "__array__"):
        return from_array(np.asarray(item), wanted, index), None, None
    raise InputError(
        "an image must be a path, a PIL image, an array, a tensor of torch or a list of those, but got "
        f"{type(item).__name__} (image {index}). Pass numbers as np.asarray(numbers, dtype=np.float32)."
    )


def _picture(source: Path | Image.Image, name: str, wanted: Wanted) -> tuple[Pixels, Fit]:
    if wanted.axes != 2 or wanted.channels not in (None, 1, 3):
        raise InputError(
            f"a picture must have 2 spatial axes and 1 or 3 channels, but got {name!r} for a model that takes "
            f"{wanted.axes} {'axis' if wanted.axes == 1 else 'axes'} and {wanted.channels or 'any number of'} "
            f"channels. Pass an array of shape {wanted.words(False)}."
        )
    picture = decode(source, name).to(wanted.channels or 3)
    rows, columns = wanted.size or picture.size
    pixels, box = picture.fitted((rows, columns), wanted.fit)
    return pixels, Fit(wanted.fit, picture.size, box, picture.notes)


def _check_alike(shapes: list[tuple[int, ...]], names: list[str]) -> None:
    other = next((i for i, shape in enumerate(shapes) if shape != shapes[0]), None)
    if other is not None:
        raise InputError(
            f"images of one batch must share one shape, but got {shapes[0]} ({names[0]!r}) and {shapes[other]} "
            f"({names[other]!r}). Pass input_size= when loading the model, or one image at a time."
        )
