"""What `eyeline explain` and `plan` are told beside the method: fields here are flags of the commands."""

import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from eyeline.colour import Style
from eyeline.errors import InputError
from eyeline.image import FitMode
from eyeline.limits import limits
from eyeline.models.output import Kind, Scale
from eyeline.preprocess import Layout, as_preprocess

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
"""Seconds of each unit of time."""

Format = Literal["png", "npz", "csv", "html"]


@dataclass(frozen=True)
class Opening:
    """How the model is opened: the words of `load`.

    Args:
        preprocess: what the network was fed while it was trained. Left out: images in 0..1; bundled brings its
            own.
        layout: where the channels stand in the network's input, for functions and ONNX files that do not say.
        classes: names of the classes: a .txt file with one a line, or a .json file.
        scores: what the outputs are turned into. raw: nothing; log-odds: ln(p / (1 - p)) of the probability p.
            Left out: raw, for bundled log-odds.
        output: what the network's outputs are; auto decides on the first ones.
        architecture: for files that hold weights only: package.module:name of the function that builds the network.
        fit: how files are brought to the model's size.
        input_size: rows and columns where the model does not say, for example 224 or 224,320.
        device: where to run, for example cuda; left out, the model stays where it is.
        trust: allow model files that run code when they are opened.
    """

    preprocess: str | None = None
    layout: Layout = "auto"
    classes: str | None = None
    scores: Scale | None = None
    output: Kind = "auto"
    architecture: str | None = None
    fit: FitMode = "squash"
    input_size: int | tuple[int, ...] | None = None
    device: str | None = None
    trust: bool = False

    def words(self, model: str) -> dict[str, Any]:
        """Return what `load` is told; a stated layout becomes part of the preprocessing.

        Raises:
            InputError: no such preprocessing.
        """
        told = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "layout"}
        if self.layout != "auto":
            own = "lite0" if model == "bundled" else None
            told["preprocess"] = replace(as_preprocess(self.preprocess or own), layout=self.layout)
        return told


@dataclass(frozen=True)
class Writing:
    """What is written, and where.

    Args:
        out: folder for the files, made where it is missing. Earlier results of the same name are replaced;
            images that this run explains never are.
        format: png is image and map side by side with a colour bar; npz is everything, for Attribution.load; csv
            is one row per window, or per pixel for methods without windows; html is one page of all images and
            methods, report.html, to be read by pointing at it.
        style: how the picture is drawn. signed: red above 0, blue below; unsigned: the magnitude; spotlight:
            bright where the map is high; red: the red channel replaced by the map; map: the map alone. Left out:
            signed where a map has values below 0, otherwise unsigned.
        scale: what gets the strongest colour. shared: the largest value of the run, one scale for all images;
            each: the largest of each image; none: 1; p99: a percentile; or a number.
    """

    out: Path = Path("maps")
    format: tuple[Format, ...] = ("png",)
    style: Style | None = None
    scale: str = "shared"

    @property
    def is_apart(self) -> bool:
        """Whether an image's picture needs the maps of no other image."""
        return self.scale != "shared" and not self.scale.startswith("p")

    def __post_init__(self) -> None:
        limits([np.zeros(1)], self.scale, sides="both")


@dataclass(frozen=True)
class Planning:
    """What `eyeline plan` is told.

    Args:
        budget: time that the run may take, for example 500ms, 30s or 2m: the finest stride that is expected to end
            within it is proposed.
    """

    budget: str | None = None

    def __post_init__(self) -> None:
        self.seconds()

    def seconds(self) -> float | None:
        """Read the budget.

        Raises:
            InputError: no time.
        """
        if self.budget is None:
            return None
        found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(ms|s|m|min|h)", self.budget)
        value = float(found[1]) * UNITS[found[2]] if found else 0.0
        if not value:
            raise InputError(f"--budget must be a time, for example 500ms, 30s or 2m, but got {self.budget!r}.")
        return value
