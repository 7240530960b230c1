"""Files that visitors bring: bounded while they arrive, looked at before they are decoded, gone once they are read."""

import os
import tempfile
import threading
import unicodedata
import warnings
from collections.abc import AsyncIterator
from pathlib import Path

from PIL import Image

from eyeline._pictures import FORMATS
from eyeline.errors import InputError
from eyeline.image import Batch, collect
from eyeline.models.base import Model
from eyeline.picture.legend import plain

LARGEST = 32 * 2**20
"""Bytes of a file."""

PIXELS, DEEP = 60_000_000, 16_000_000
"""Pixels of a picture of 8 bits a channel, as of a telephone's best camera; of deeper ones, whose numbers take more."""

_DECODING = threading.Lock()
"""One picture is decoded at a time: a large one may take some hundred megabytes for a moment."""


async def received(parts: AsyncIterator[bytes], folder: Path) -> Path:
    """Write what arrives to a file with a name of its own making.

    Raises:
        InputError: more than LARGEST bytes, or none. The file is gone then.
    """
    handle, name = tempfile.mkstemp(prefix="picture-", dir=folder)
    size = 0
    try:
        with os.fdopen(handle, "wb") as file:
            async for part in parts:
                size += len(part)
                if size > LARGEST:
                    raise InputError(
                        f"a file must have at most {LARGEST // 2**20} MB, but this one has more. Make it smaller first."
                    )
                file.write(part)
        if not size:
            raise InputError("a file must hold a picture, but this one is empty. Choose another.")
    except BaseException:
        os.unlink(name)
        raise
    return Path(name)


def opened(path: Path, name: str, model: Model) -> Batch:
    """Read a file as a batch of one, in image space.

    Args:
        path: where it lies.
        name: what the visitor calls it; only shown.
        model: for which it is fitted.

    Raises:
        InputError: no picture that can be read, or one that is too large.
    """
    with _DECODING:
        _measured(path, name)
        try:
            batch = collect(path, input_size=model.input_size, axes=model.axes, channels=model.channels, fit=model.fit)
        except InputError as error:  # the name under which it lies is nobody's business
            raise InputError(str(error).replace(path.name, shown(name))) from None
    return Batch(batch.images, (shown(name),), batch.fits)


def shown(name: str) -> str:
    """Return a file's name as it is shown: without its folders, without what a reader could not see."""
    last = name.replace("\\", "/").rpartition("/")[2].strip()
    return plain(last)[:120] or "picture"


def saved(name: str, method: str, ending: str) -> str:
    """Return the name of a file to download: letters, digits, dots and dashes of any system."""
    stem = unicodedata.normalize("NFKD", name.rpartition(".")[0] or name).encode("ascii", "ignore").decode()
    safe = "".join(each if each.isalnum() or each in "-_" else "-" for each in stem).strip("-_")[:60]
    return f"{safe or 'picture'}.{method}.{ending}"


def _measured(path: Path, name: str) -> None:
    """Read the header alone, and refuse what would take too much memory."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                count = image.width * image.height
                deep = image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr") or _is_deep(image)
    except Exception:  # no picture at all, or a bomb: `collect` says so in a sentence
        return
    limit = DEEP if deep else PIXELS
    if count > limit:
        raise InputError(
            f"a picture must have at most {limit / 1e6:.0f} million pixels{' of so many bits' * deep}, but "
            f"{shown(name)!r} has {count / 1e6:.0f} million. Make it smaller first."
        )


def _is_deep(image: Image.Image) -> bool:
    return any("16" in str(tile[3]) for tile in getattr(image, "tile", []))
