"""The report: one HTML file with everything in it, for any browser, without a network."""

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from eyeline._files import writing
from eyeline.attribution import Attribution
from eyeline.errors import InputError
from eyeline.page.data import Gathered


class Report:
    """A report that grows while maps are made: what it shows of each is kept, the attributions are not."""

    def __init__(self) -> None:
        self._gathered = Gathered()

    def __len__(self) -> int:
        return len(self._gathered)

    def add(self, attribution: Attribution) -> None:
        """Add the maps of one attribution; errors as those of `report`."""
        self._gathered.add(attribution)

    def text(self) -> str:
        """Return the page's HTML."""
        # "<" is spelled out: no name, whatever it holds, can end the element that the data stand in.
        data = json.dumps(self._gathered.payload(), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
        script, style = part("common.js") + part("page.js"), part("page.css")
        policy = f"default-src 'none'; img-src data:; style-src '{digest(style)}'; script-src '{digest(script)}'"
        parts = {"POLICY": policy, "STYLE": style, "SCRIPT": script, "DATA": data}
        text = part("page.html")
        for name, each in parts.items():
            before, _, after = text.partition(f"@{name}@")
            text = before + each + after
        return text

    def write(self, path: str | Path) -> Path:
        """Write the page to a file; errors as those of `report`."""
        target = named(path)
        text = self.text()
        with writing(target) as file:
            file.write(text.encode("utf-8"))
        return target


def report(attributions: Attribution | Sequence[Attribution], path: str | Path) -> Path:
    """Write a page that shows maps over their images, to be read by pointing at them.

    The page shows each image with every method as a layer: the exact value under the pointer with its unit and the
    windows or regions that cover it; for sweeps any of the ten best classes, a contrast of two, and where the best
    class changes; the predictions; and how the numbers were made. It is one file and asks for nothing from a network.

    Args:
        attributions: what `explain` returned; several of the same images become layers, others further images.
        path: of the file, ending in .html. An earlier file is replaced.

    Raises:
        InputError: another ending, nothing to show, channels that are no colours, a folder that cannot be written.
        UnsupportedError: signals or volumes.

    Examples:
        >>> import numpy as np, tempfile, eyeline
        >>> model = eyeline.load(lambda images: images[:, :2, :2].mean(axis=(1, 2)), input_size=(4, 4))
        >>> image = np.ones((4, 4, 3), dtype=np.float32)
        >>> attribution = eyeline.explain(model, image, window=2, stride=2, baseline=eyeline.Constant(0))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     eyeline.report(attribution, f"{folder}/map.html").name
        'map.html'
    """
    return _of(attributions).write(path)


def page(attributions: Attribution | Sequence[Attribution]) -> str:
    """Return the HTML of a report; errors as those of `report`."""
    return _of(attributions).text()


def _of(attributions: Attribution | Sequence[Attribution]) -> Report:
    made = Report()
    for attribution in [attributions] if isinstance(attributions, Attribution) else attributions:
        made.add(attribution)
    return made


def named(path: str | Path) -> Path:
    """Return the path of a report.

    Raises:
        InputError: it does not end in .html.
    """
    target = Path(path)
    if target.suffix.lower() not in (".html", ".htm"):
        raise InputError(
            f"the report's name must end in .html, but got {target.name!r}. Pass {target.with_suffix('.html').name!r}."
        )
    return target


def digest(text: str) -> str:
    """Return what a page's policy lets a script or a style be known by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}"


@cache
def part(name: str) -> str:
    """Return one of the page's files."""
    return files("eyeline.page").joinpath(name).read_text(encoding="utf-8")
