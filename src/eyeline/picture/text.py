"""Text in Pillow pictures: a font that is always there, and lines that fit."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont


@cache
def font(size: int, *, bold: bool = False) -> Font:
    """Return DejaVu Sans from matplotlib's folder (not imported), or Pillow's own font."""
    found = find_spec("matplotlib")
    if found is not None and found.origin is not None:
        folder = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"
        path = folder / f"DejaVuSans{'-Bold' if bold else ''}.ttf"
        if path.is_file():
            return ImageFont.truetype(path, size)
    standard = ImageFont.load_default(size)
    assert isinstance(standard, Font)
    return standard


def wrap(text: str, font: Font, width: float, lines: int) -> list[str]:
    """Break text into at most `lines` lines of `width` pixels; what does not fit ends in an ellipsis."""
    made, words = [""], text.split(" ")
    while words:
        word = words.pop(0)
        longer = f"{made[-1]} {word}" if made[-1] else word
        if font.getlength(longer) <= width:
            made[-1] = longer
        elif not made[-1] or font.getlength(word) > width:
            # Longer than a line alone: break it where it is full.
            cut = _fitting(longer, font, width)
            made[-1], rest = longer[:cut], longer[cut:]
            if rest:
                words.insert(0, rest)
                made.append("")
        else:
            words.insert(0, word)
            made.append("")
    made = [line for line in made if line]
    if len(made) > lines:
        made = [*made[: lines - 1], shorten(" ".join(made[lines - 1 :]), font, width)]
    return made


def shorten(text: str, font: Font, width: float) -> str:
    """Return the text, or its beginning with an ellipsis, within `width` pixels."""
    if font.getlength(text) <= width:
        return text
    return text[: _fitting(text, font, width - font.getlength("…"))].rstrip() + "…"


def _fitting(text: str, font: Font, width: float) -> int:
    """Count the characters that fit, at least one."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if font.getlength(text[:middle]) <= width else (low, middle - 1)
    return low
