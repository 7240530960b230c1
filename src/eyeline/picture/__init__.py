"""Pictures by Pillow: a map on its image, and panels with captions and colour bars.

Numbers stay what they are: each picture says which value got the strongest colour, and how that was chosen
(`picture.info["Description"]`, in a saved PNG too; panels draw it).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from eyeline._files import writing
from eyeline.attribution import Attribution
from eyeline.colour import Style, to_bytes
from eyeline.errors import InputError
from eyeline.picture.legend import Legend, Scale, caption, default_style, heading, known, legend
from eyeline.picture.paint import painted
from eyeline.picture.sheet import Cell, broken, sheet
from eyeline.picture.view import Original, Plane, View, view


def draw(
    attribution: Attribution,
    index: int = 0,
    *,
    style: Style | None = None,
    scale: Scale = "shared",
    size: int | None = None,
    smooth: bool = False,
    original: Original | None = None,
    plane: Plane | None = None,
) -> Image.Image:
    """Draw one map on its image, without words.

    Args:
        attribution: what a method returned.
        index: which image.
        style: "signed" (red above 0, blue below), "unsigned" (magnitude), "spotlight" (bright where high), "red"
            (the map as red channel), "map" (the map alone). None: "signed" where any map of the attribution
            has a value below 0, otherwise "unsigned".
        scale: "shared" by all images of the attribution, "each" its own, "none" (full colour at 1), a percentile
            as "p99", a number, or `limits` chosen for a larger set.
        size: pixels of the longer side; None keeps the image's.
        smooth: interpolate the map between the centres of its windows or pixels, instead of drawing them square.
        original: draw on this picture, the one that was explained (a path or PIL image), instead of on the model's
            image; what the model did not see is left plain.
        plane: for volumes: (axis, position).

    Raises:
        InputError: no such image, plane, style or scale; one map per channel; another original.
        UnsupportedError: signals with one spatial axis; draw them with `eyeline.plot.plot`.

    Examples:
        >>> import numpy as np, eyeline
        >>> model = eyeline.load(lambda images: images[:, :2, :2].mean(axis=(1, 2)), input_size=(4, 4))
        >>> image = np.ones((4, 4, 3), dtype=np.float32)
        >>> attribution = eyeline.explain(model, image, window=2, stride=2, baseline=eyeline.Constant(0))
        >>> draw(attribution, size=64).size
        (64, 64)
    """
    chosen = known(style) or default_style(attribution)
    seen = view(attribution, index, size=size, smooth=smooth, original=original, plane=plane)
    return _tile(seen, attribution, index, _noted(legend(attribution, index, chosen, scale), seen))


def panel(
    *attributions: Attribution,
    indices: Sequence[int] | None = None,
    styles: Sequence[Style] | Mapping[str, Style] | None = None,
    scale: Scale = "shared",
    size: int = 336,
    smooth: bool = False,
    originals: Sequence[Original | None] | None = None,
    plane: Plane | None = None,
    titles: Sequence[str] | None = None,
) -> Image.Image:
    """Draw images and their maps side by side, with captions and a colour bar in the map's unit.

    One row per image: the image, then a column for each attribution and style; more than four columns are broken into
    several rows. Columns of one quantity, style and scale share one bar.

    Args:
        attributions: of the same images.
        indices: which images; None means all.
        styles: as for `draw`, one column each; a mapping has one for each quantity. None means one column in the
            default style.
        scale: as for `draw`. "shared" holds for all maps of the same quantity.
        size: pixels of the longer side of each image.
        smooth: as for `draw`.
        originals: one picture per image of `indices`, as for `draw`.
        plane: as for `draw`.
        titles: words above each attribution's maps, for example the methods' names.

    Raises:
        InputError: as for `draw`; attributions of different images; not one original per image, or title per
            attribution.

    Examples:
        >>> import numpy as np, eyeline
        >>> model = eyeline.load(lambda images: images[:, :2, :2].mean(axis=(1, 2)), input_size=(4, 4))
        >>> image = np.ones((4, 4, 3), dtype=np.float32)
        >>> attribution = eyeline.explain(model, image, window=2, stride=2, baseline=eyeline.Constant(0))
        >>> panel(attribution, size=96).mode
        'RGB'
    """
    wanted = _rows(attributions, indices, originals)
    columns = [
        (each, title, known(style) or default_style(*_alike(each, attributions)))
        for each, title in zip(attributions, _titles(titles, len(attributions)), strict=True)
        for style in ((styles[each.quantity],) if isinstance(styles, Mapping) else styles or (None,))
    ]
    rows: list[list[Cell]] = []
    for index, original in wanted:
        cells: list[Cell] = []
        for attribution, title, style in columns:
            seen = view(attribution, index, size=size, smooth=smooth, original=original, plane=plane)
            key = _noted(legend(attribution, index, style, scale, _alike(attribution, attributions)), seen)
            cells = cells or [_image_cell(attribution, index, seen)]
            words = caption(attribution, index)
            heads = (title, ", ".join(words)) if title else words
            cells.append(Cell(_tile(seen, attribution, index, key), *heads, key))
        rows += broken(cells)
    picture = sheet(rows)
    picture.info["Description"] = "\n\n".join(
        cell.picture.info["Description"] for row in rows for cell in row if cell.key is not None
    )
    return picture


def save(picture: Image.Image, path: str | Path) -> Path:
    """Write a picture as PNG, whole or not at all, with its description in the file.

    Raises:
        InputError: the name does not end in .png, or the folder cannot be written.

    Examples:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(Image.new("RGB", (4, 4)), f"{folder}/map.png").name
        'map.png'
    """
    target = Path(path)
    if target.suffix.lower() != ".png":
        raise InputError(
            f"the picture's name must end in .png, but got {target.name!r}. Pass {target.with_suffix('.png').name!r}."
        )
    words = PngInfo()
    if "Description" in picture.info:
        words.add_itxt("Description", picture.info["Description"])
    with writing(target) as file:
        picture.save(file, format="PNG", pnginfo=words)
    return target


def _rows(
    attributions: tuple[Attribution, ...],
    indices: Sequence[int] | None,
    originals: Sequence[Original | None] | None,
) -> list[tuple[int, Original | None]]:
    """Return which images to draw, each with its original."""
    if not attributions:
        raise InputError("a panel must have an attribution, but got none. Pass what explain returned.")
    first = attributions[0]
    for each in attributions[1:]:
        if each.images.shape != first.images.shape or not np.array_equal(each.images, first.images):
            raise InputError(
                f"a panel's attributions must be of the same images, but got {list(first.names)} and "
                f"{list(each.names)}. Make one panel for each."
            )
    wanted = list(range(len(first.maps)) if indices is None else indices)
    given = [None] * len(wanted) if originals is None else list(originals)
    if not wanted or len(given) != len(wanted):
        raise InputError(
            f"a panel must have at least one image and one original each, but got {len(wanted)} images and "
            f"{len(given)} originals. Leave originals out, or pass one per image."
        )
    return list(zip(wanted, given, strict=True))


def _titles(titles: Sequence[str] | None, count: int) -> list[str]:
    given = [""] * count if titles is None else list(titles)
    if len(given) != count:
        raise InputError(
            f"titles must be one for each of the {count} attributions, but got {len(given)}. Leave titles out, or pass "
            "one each."
        )
    return given


def _alike(attribution: Attribution, attributions: tuple[Attribution, ...]) -> tuple[Attribution, ...]:
    return tuple(each for each in attributions if each.quantity == attribution.quantity)


def _noted(key: Legend, seen: View) -> Legend:
    return replace(key, notes=seen.map_notes)


def _tile(seen: View, attribution: Attribution, index: int, key: Legend) -> Image.Image:
    picture = Image.fromarray(to_bytes(painted(attribution, index, seen, key)))
    title, value = caption(attribution, index)
    picture.info["Description"] = "\n".join((f"{title}, {value}", *key.lines(), *seen.image_notes))
    return picture


def _image_cell(attribution: Attribution, index: int, seen: View) -> Cell:
    title, detail = heading(attribution, index)
    words = " · ".join(each for each in (detail, *seen.image_notes) if each)
    return Cell(Image.fromarray(to_bytes(seen.image)), title, words)
