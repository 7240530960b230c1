"""`eyeline demo`: the bundled network on photographs that come with scikit-image; nothing is downloaded."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from eyeline import picture
from eyeline._files import writing
from eyeline._typing import Maps
from eyeline.attribution import Attribution
from eyeline.baseline import Blur
from eyeline.colour import SIDES, Style
from eyeline.command.places import prepared
from eyeline.command.words import finding
from eyeline.demo.page import Part, Photograph, page
from eyeline.errors import require
from eyeline.image import original
from eyeline.limits import Limits, Sides, limits
from eyeline.methods import Gradient, Occlusion
from eyeline.models.base import Model
from eyeline.models.load import load
from eyeline.picture.legend import legend

PHOTOGRAPHS = ("coffee.png", "camera.png", "motorcycle_left.png", "chelsea.png")
OCCLUSION = Occlusion(window=56, stride=14, baseline=Blur(12))
GRADIENT = Gradient()
"""Settings that gave clear maps: large windows, since a small one rarely hides a thing; a blur, since a grey square
is a thing of its own; log-odds, since a probability near 1 hardly moves."""

LONGER_SIDE = 480


@dataclass(frozen=True)
class Look:
    """One way to draw a map.

    Args:
        name: in file names; says method and style.
        style: how it is drawn.
        scale: as for `limits`.
        is_shared: one scale for all photographs, or each its own.
        sides: which values are shown; None means those that the style shows.
    """

    name: str
    style: Style
    scale: str
    is_shared: bool = False
    sides: Sides | None = None


LOOKS = {
    "occlusion": (Look("occlusion", "signed", "shared", True), Look("occlusion.red", "red", "each")),
    "gradient": (Look("gradient", "map", "p99", sides="magnitude"), Look("gradient.red", "red", "p99")),
}
"""A few pixels have derivatives ten times as large as all others, so that gradients saturate at a percentile."""


def run(out: Path, say: Callable[[str], None], model: Model | None = None) -> Path:
    """Explain the photographs, write pictures and index.html, and return the page's path.

    Args:
        out: folder for them, made where it is missing.
        say: takes a line for the reader.
        model: None means the bundled network.

    Raises:
        MissingDependencyError: the demo extra is not installed.
        InputError: the folder cannot be written.
    """
    paths = photographs()
    prepared(out)
    opened = load("bundled") if model is None else model
    say(f"Covering {len(paths)} photographs with a blurred window, place by place: about half a minute.")
    occlusion = OCCLUSION(opened, paths)
    say(str(occlusion))
    gradient = GRADIENT(opened, paths)
    shown = []
    for i, path in enumerate(paths):
        parts = [*_parts(out, occlusion, i, path), *_parts(out, gradient, i, path)]
        found = finding(occlusion, i)
        say(f"{path.name}: {found}")
        say(f"    {', '.join(str(part.file) for part in parts)}")
        shown.append(Photograph(path.name, Image.fromarray(original(path)), found, parts))
    index = out / "index.html"
    with writing(index) as file:
        html = page(shown, str(occlusion), occlusion.images.shape[1:-1], tuple(occlusion.method["window"]))
        file.write(html.encode())
    say(f"All on one page: {index}")
    return index


def photographs() -> list[Path]:
    """Return the files, which lie inside the package scikit-image.

    Raises:
        MissingDependencyError: it is not installed.
    """
    folder = Path(str(require("skimage", "demo").__file__)).parent / "data"
    return [folder / name for name in PHOTOGRAPHS]


def _parts(out: Path, attribution: Attribution, i: int, path: Path) -> list[Part]:
    """Draw one map in its looks: a panel as a file, and the bare drawing for the page."""
    parts = []
    seen = Image.fromarray(original(path))
    for look in LOOKS[attribution.method["name"]]:
        scale = _scale(look, attribution.maps, i)
        panel = picture.panel(attribution, indices=[i], styles=[look.style], scale=scale, originals=[seen])
        file = picture.save(panel, out / f"{path.stem}.{look.name}.png")
        drawn = picture.draw(attribution, i, style=look.style, scale=scale, size=LONGER_SIDE, original=seen)
        key = legend(attribution, i, look.style, scale)
        parts.append(Part(look.name, file, drawn, key, finding(attribution, i)))
    return parts


def _scale(look: Look, maps: Maps, i: int) -> Limits:
    shown, index = (list(maps), i) if look.is_shared else ([maps[i]], 0)
    return limits(shown, look.scale, index, sides=look.sides or SIDES[look.style])
