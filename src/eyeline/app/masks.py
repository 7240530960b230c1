"""What a visitor covers: a rectangle or a disc at a place, or pixels that were painted."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from eyeline.errors import InputError
from eyeline.methods.covering import Mask

Shape = Literal["rectangle", "disc", "painted"]


@dataclass(frozen=True)
class Cover:
    """How the picture is covered by hand.

    Args:
        shape: rectangle: as high as it is wide; disc: round; painted: the pixels that you paint with the pointer.
        size: how wide the rectangle, the disc or the brush is, in pixels of the picture that the network sees.
        baseline: what replaces the covered pixels: blur, the picture blurred; constant, one grey; mean, the picture's
            own mean colour; noise, noise between the darkest and the brightest; or what is made of the pixels around
            the mask.
    """

    shape: Shape = "rectangle"
    size: int = 56
    baseline: str = "blur"


def mask(asked: dict[str, Any], rows: int, columns: int) -> Mask:
    """Return what is covered.

    Args:
        asked: shape; row, column and size in pixels for a rectangle or a disc, whose middle lies there; pixels for
            painted ones, base64 of bits, row by row.
        rows: of the picture.
        columns: of the picture.

    Raises:
        InputError: something else.
    """
    shape = asked.get("shape")
    if shape == "painted":
        return _painted(asked.get("pixels"), rows, columns)
    if shape not in get_args(Shape):
        raise InputError(f"shape must be one of {', '.join(get_args(Shape))}, but got {shape!r}.")
    row, column, size = (_number(asked, name) for name in ("row", "column", "size"))
    down, across = np.arange(rows)[:, None] + 0.5 - row, np.arange(columns)[None] + 0.5 - column
    if shape == "disc":
        return np.asarray(np.hypot(down, across) <= size / 2)
    return np.asarray((abs(down) <= size / 2) & (abs(across) <= size / 2))


def _painted(text: object, rows: int, columns: int) -> Mask:
    try:
        bits = np.frombuffer(base64.b64decode(str(text), validate=True), dtype=np.uint8)
    except (binascii.Error, ValueError) as error:
        raise InputError("painted pixels must be base64 of bits, but got something else.") from error
    if len(bits) != -(-rows * columns // 8):
        raise InputError(
            f"painted pixels must be one bit each for {rows} x {columns} pixels, but got {len(bits)} bytes."
        )
    return np.unpackbits(bits)[: rows * columns].reshape(rows, columns).astype(bool)


def _number(asked: dict[str, Any], name: str) -> float:
    value = asked.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e6:
        raise InputError(f"{name} must be a number of pixels, but got {value!r}.")
    return float(value)
