"""Draw the gallery: every method on the same three photographs, which are CC0 and come with scikit-image.

python docs/make_gallery.py [NAME ...]
"""

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
import torch
from PIL import Image, ImageDraw

import eyeline
from eyeline import Top
from eyeline.attribution import Attribution
from eyeline.colour import Style
from eyeline.flip import Flips, flips
from eyeline.methods import METHODS, Occlusion
from eyeline.models.base import Model
from eyeline.pairs import PairWindows
from eyeline.picture import draw
from eyeline.picture.legend import caption, default_style, legend
from eyeline.picture.sheet import Cell, sheet
from eyeline.region import Windows
from eyeline.window import Box

FOLDER = Path(__file__).parent / "pictures" / "gallery"
PHOTOGRAPHS = ("chelsea", "coffee", "camera")
SIZE, QUALITY, COUNT = 224, 82, len(PHOTOGRAPHS)

SETTINGS: dict[str, dict[str, Any]] = {
    "occlusion": {"window": 56, "stride": 14},
    "multiscale": {"inner": Occlusion(stride=14)},
    "baselineagreement": {"inner": Occlusion(window=56, stride=14)},
    "flips": {"window": 84, "stride": 14},
    "blurig": {"steps": 40},
    "guidedig": {"steps": 60},
    "scorecam": {"layer": "blocks.15"},
}
"""In which the gallery differs from the defaults, for the time that drawing it takes; the page says so."""

STEEP = ("gradient", "gradientinput", "integratedgradients", "expectedgradients", "blurig", "guidedig", "smoothgrad",
         "smoothgradsquared", "vargrad", "guidedbackpropagation", "deconvnet", "guidedgradcam")  # fmt: skip
"""Few values far above the others: the colours end at the 99th percentile, which the legend says."""

FURTHER: dict[str, tuple[str, str, Style]] = {
    "multiscale": ("deviation", "standard deviation of the drop over the window sizes, in log-odds", "unsigned"),
    "baselineagreement": ("agreement", "share of the baselines whose map has the sign of the mean", "spotlight"),
    "rise": ("standard_error", "standard error of the mean score of these masks, in log-odds", "unsigned"),
}
"""The maps that stand in a second row: their names, what a number of them is, how they are drawn."""

Row = list[Cell]


def main(names: Sequence[str]) -> None:
    """Draw and save them."""
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    model = eyeline.load("bundled")
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{name}.png" for name in PHOTOGRAPHS]
        for file, name in zip(files, PHOTOGRAPHS, strict=True):
            Image.fromarray(getattr(skimage.data, name)()).save(file)
        if not names:
            print(photographs(files))
        for name in names or (*METHODS, *READ):
            print(made(model, name, files), flush=True)


def photographs(files: list[Path]) -> Path:
    """Save the photographs in the square that the network sees."""
    path = FOLDER / "photographs.jpg"
    row = [Cell(Image.open(file).convert("RGB").resize((SIZE, SIZE)), file.stem, "") for file in files]
    sheet([row]).save(path, quality=QUALITY, optimize=True)
    return path


def made(model: Model, name: str, files: list[Path]) -> Path:
    """Save the picture of one method, or of what is read from the sweep of occlusion."""
    method = "occlusion" if name in READ else name
    attribution = eyeline.explain(model, files, method, **SETTINGS.get(name, SETTINGS.get(method, {})))
    path = FOLDER / f"{name}.jpg"
    sheet(READ.get(name, rows)(attribution)).save(path, quality=QUALITY, optimize=True)
    return path


def rows(attribution: Attribution) -> list[Row]:
    """Return the maps of all images side by side; below them what else the method found."""
    name = attribution.method["name"]
    if name == "pairs":
        return pairs(attribution)
    first = strip(attribution, "p99" if name in STEEP else "shared")
    if name not in FURTHER:
        return [first]
    which, quantity, style = FURTHER[name]
    second = replace(attribution, maps=attribution.further[which], quantity=quantity, sweep=None)
    return [first, strip(second, "none" if style == "spotlight" else "shared", style, captions=[("", "")] * COUNT)]


def pairs(attribution: Attribution) -> list[Row]:
    """Return what each window does alone, and the interactions, with the chosen window in a frame."""
    assert attribution.sweep is not None
    regions, values = attribution.sweep.regions, attribution.sweep.values(attribution.weights)
    assert isinstance(regions, PairWindows)
    boxes = [Box.of(regions.windows[each]) for each in regions.chosen_of(values)]
    sweep = replace(attribution.sweep, regions=Windows(regions.windows))
    alone = replace(
        attribution, maps=attribution.further["alone"], quantity="drop in log-odds when covered alone", sweep=sweep
    )
    found = [strip(alone), strip(attribution, captions=[("with the framed window", "")] * COUNT)]
    for cell, box in zip(found[0], boxes, strict=True):  # maps of pairs have it
        (top, bottom), (left, right) = box.spans
        pen = ImageDraw.Draw(cell.picture)
        pen.rectangle((left, top, right - 1, bottom - 1), outline="white", width=3)
        pen.rectangle((left + 1, top + 1, right - 2, bottom - 2), outline="black", width=1)
    return found


def contrast(attribution: Attribution) -> list[Row]:
    """Return why the best class of each image rather than the second best."""
    weights = Top(1)(attribution.scores) - Top(2)(attribution.scores)
    return [strip(attribution.to(weights))]


def flip(attribution: Attribution) -> list[Row]:
    """Return where covering changes the best class; above it what it most often changes to."""
    found = flips(attribution)
    share = replace(
        attribution,
        maps=found.share,
        quantity="share of the windows on a pixel under which another class is best",
        sweep=None,
    )
    return [strip(share, "none", captions=[changed(attribution, found, each) for each in range(COUNT)])]


def changed(attribution: Attribution, found: Flips, index: int) -> tuple[str, str]:
    """Say which class is lost, and which one is best instead on most of the pixels that change it."""
    there = found.to[index][found.to[index] >= 0]
    assert attribution.classes is not None
    instead = attribution.classes[np.bincount(there).argmax()] if len(there) else ""
    return attribution.targets[index], f"then most often {instead}" if instead else "stays the best under every window"


def strip(
    attribution: Attribution,
    scale: str = "shared",
    style: Style | None = None,
    captions: Sequence[tuple[str, str]] | None = None,
) -> Row:
    """Return the maps of all images, which share one colour bar."""
    style, row = style or default_style(attribution), []
    for index in range(COUNT):
        tile = draw(attribution, index, style=style, scale=scale, size=SIZE)
        words = captions[index] if captions else caption(attribution, index)
        row.append(Cell(tile, *words, legend(attribution, index, style, scale)))
    return row


READ: dict[str, Callable[[Attribution], list[Row]]] = {"contrast": contrast, "flips": flip}
"""Read from the sweep of occlusion, without running the model again."""


if __name__ == "__main__":
    main(sys.argv[1:])
