"""The layout of a panel: strips of captions, tiles and colour bars, put below each other."""

import math
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from eyeline.colour import to_bytes
from eyeline.picture.legend import Legend
from eyeline.picture.text import Font, font, wrap

INK, FAINT, PAPER = (28, 28, 30), (92, 92, 98), (255, 255, 255)


@dataclass(frozen=True, eq=False)
class Cell:
    """One tile of a panel with its caption, and its legend where it shows a map."""

    picture: Image.Image
    title: str
    detail: str
    key: Legend | None = None


class Column(NamedTuple):
    """Where a column of tiles lies."""

    left: int
    width: int


class Line(NamedTuple):
    """One line of text."""

    text: str
    font: Font
    ink: tuple[int, int, int]


def broken(cells: list[Cell], most: int = 4) -> list[list[Cell]]:
    """Break an image and its maps into rows of at most `most` maps, about as many in each, below one image."""
    image, *maps = cells
    count = math.ceil(len(maps) / most)
    wide = math.ceil(len(maps) / count)
    blank = Cell(Image.new("RGB", image.picture.size, PAPER), "", "")
    rows = [[blank, *maps[start : start + wide]] for start in range(0, len(maps), wide)]
    rows[0][0] = image
    return [row + [blank] * (1 + wide - len(row)) for row in rows]


def sheet(rows: list[list[Cell]]) -> Image.Image:
    """Lay rows of cells on white paper; a row of colour bars follows where the next row's would differ."""
    side = max(max(cell.picture.size) for row in rows for cell in row)
    text = max(12, round(side * 0.043))
    columns, left = [], text
    for cells in zip(*rows, strict=True):
        columns.append(Column(left, max(6 * text, *(cell.picture.width for cell in cells))))
        left += columns[-1].width + text
    strips = []
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        strips.append(_captions(row, columns, left, text))
        strips.append(_tiles(row, columns, left))
        if following is None or [cell.key for cell in row] != [cell.key for cell in following]:
            strips.append(_bars(row, columns, left, text))
        strips.append(Image.new("RGB", (left, text), PAPER))
    return _stack(strips[:-1], margin=text)


def _captions(cells: list[Cell], columns: list[Column], width: int, text: int) -> Image.Image:
    bold, body = font(round(text * 1.1), bold=True), font(text)
    blocks = [
        [
            *(Line(each, bold, INK) for each in wrap(cell.title, bold, column.width, 2)),
            *(Line(each, body, FAINT) for each in wrap(cell.detail, body, column.width, 3)),
        ]
        for cell, column in zip(cells, columns, strict=True)
    ]
    strip = Image.new("RGB", (width, max(map(_height, blocks)) + text // 2), PAPER)
    for lines, column in zip(blocks, columns, strict=True):
        # Captions stand on their tiles.
        _write(strip, lines, column.left, strip.height - text // 2 - _height(lines))
    return strip


def _tiles(cells: list[Cell], columns: list[Column], width: int) -> Image.Image:
    strip = Image.new("RGB", (width, max(cell.picture.height for cell in cells)), PAPER)
    for cell, column in zip(cells, columns, strict=True):
        strip.paste(cell.picture, (column.left, 0))
    return strip


def _bars(cells: list[Cell], columns: list[Column], width: int, text: int) -> Image.Image:
    bars = []
    for key, group in groupby(zip(cells, columns, strict=True), lambda pair: pair[0].key):
        spanned = [column for _, column in group]
        if key is not None:
            first, last = spanned[0], spanned[-1]
            bars.append((first.left, _bar(key, last.left + last.width - first.left, text)))
    strip = Image.new("RGB", (width, max((bar.height for _, bar in bars), default=0)), PAPER)
    for left, bar in bars:
        strip.paste(bar, (left - text // 2, 0))
    return strip


def _bar(key: Legend, width: int, text: int) -> Image.Image:
    """Draw one colour bar with ticks and words; a tick's label may stick out by half of `text`."""
    body, small = font(text), font(max(11, round(text * 0.88)))
    heading, scale = key.lines()
    lines = [Line(each, body, INK) for each in wrap(heading, body, width, 3)]
    lines += [Line(each, small, FAINT) for each in wrap(scale, small, width, 6)]
    top, thick, left = text // 2, text, text // 2
    made = Image.new("RGB", (width + 2 * left, top + thick + round(text * 1.8) + _height(lines)), PAPER)
    pen = ImageDraw.Draw(made)
    colours = to_bytes(key.colours(width))
    made.paste(Image.fromarray(np.repeat(colours[None], thick, axis=0)), (left, top))
    pen.rectangle((left, top, left + width - 1, top + thick - 1), outline=FAINT)
    low, high = key.scale.low, key.scale.high
    for value, words in key.ticks(most=max(3, min(9, width // (4 * text)))):
        share = (value - low) / (high - low) if high > low else 0.5
        at = left + share * (width - 1)
        pen.line((at, top + thick, at, top + thick + text // 4), fill=INK, width=max(1, text // 14))
        half = small.getlength(words) / 2
        start = min(max(at - half, 0), made.width - 2 * half)
        pen.text((start, top + thick + text // 3), words, font=small, fill=INK)
    _write(made, lines, left, top + thick + round(text * 1.8))
    return made


def _height(lines: list[Line]) -> int:
    return sum(round(line.font.size * 1.3) for line in lines)


def _write(strip: Image.Image, lines: list[Line], left: int, top: int) -> None:
    pen = ImageDraw.Draw(strip)
    for line in lines:
        pen.text((left, top), line.text, font=line.font, fill=line.ink)
        top += round(line.font.size * 1.3)


def _stack(strips: list[Image.Image], margin: int) -> Image.Image:
    made = Image.new("RGB", (strips[0].width, sum(strip.height for strip in strips) + 2 * margin), PAPER)
    top = margin
    for strip in strips:
        made.paste(strip, (0, top))
        top += strip.height
    return made
