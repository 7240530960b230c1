"""Draw the gallery: methods on the same three photographs, which are CC0 and come with scikit-image.

python docs/make_gallery.py [METHOD ...]
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import skimage.data
import torch
from PIL import Image

import eyeline
from eyeline.attribution import Attribution
from eyeline.methods import METHODS
from eyeline.models.base import Model
from eyeline.picture import draw
from eyeline.picture.legend import caption, default_style, legend
from eyeline.picture.sheet import Cell, sheet

FOLDER = Path(__file__).parent / "pictures" / "gallery"
PHOTOGRAPHS = ("chelsea", "coffee", "camera")
SIZE, QUALITY = 224, 82

SETTINGS: dict[str, dict[str, Any]] = {
    "occlusion": {"window": 56, "stride": 14},
    "blurig": {"steps": 40},
    "guidedig": {"steps": 60},
    "scorecam": {"layer": "blocks.15"},
}
"""In which the gallery differs from the defaults, for the time that drawing it takes; the page says so."""

ELSEWHERE = ("multiscale", "baselineagreement", "pairs", "rise")
"""Several sweeps, or many masks, for each map: docs/occlusion.md."""

STEEP = ("gradient", "gradientinput", "integratedgradients", "expectedgradients", "blurig", "guidedig", "smoothgrad",
         "smoothgradsquared", "vargrad", "guidedbackpropagation", "deconvnet", "guidedgradcam")  # fmt: skip
"""Few values far above the others: the colours end at the 99th percentile, which the legend says."""


def main(names: Sequence[str]) -> None:
    """Draw and save them."""
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    model = eyeline.load("bundled")
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{name}.png" for name in PHOTOGRAPHS]
        for file, name in zip(files, PHOTOGRAPHS, strict=True):
            Image.fromarray(getattr(skimage.data, name)()).save(file)
        for name in names or (each for each in METHODS if each not in ELSEWHERE):
            print(made(model, name, files), flush=True)


def made(model: Model, name: str, files: list[Path]) -> Path:
    """Save the picture of one method."""
    attribution = eyeline.explain(model, files, name, **SETTINGS.get(name, {}))
    picture = strip(attribution, "p99" if name in STEEP else "shared")
    path = FOLDER / f"{name}.jpg"
    picture.save(path, quality=QUALITY, optimize=True)
    return path


def strip(attribution: Attribution, scale: str) -> Image.Image:
    """Put the maps of all images side by side above one colour bar."""
    style = default_style(attribution)
    cells = []
    for index in range(len(attribution.maps)):
        tile = draw(attribution, index, style=style, scale=scale, size=SIZE)
        words = caption(attribution, index)
        cells.append(Cell(tile, words[0], words[1], legend(attribution, index, style, scale)))
    return sheet([cells])


if __name__ == "__main__":
    main(sys.argv[1:])
