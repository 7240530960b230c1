"""What `eyeline explain` and `plan` are told beside the method: fields here are flags of the commands."""

import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from eyeline.baseline import Baseline
from eyeline.colour import Style
from eyeline.errors import InputError
from eyeline.filling import SurroundingMean
from eyeline.image import FitMode
from eyeline.limits import limits
from eyeline.models.output import Kind, Scale
from eyeline.preprocess import Layout, as_preprocess

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
"""Seconds of each unit of time."""

Format = Literal["png", "npz", "csv", "html"]

AROUND = SurroundingMean()
"""What covers a mark: nothing of it shines through."""


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


@dataclass(frozen=True)
class Running:
    """Where the maps go, and who computes them.

    Args:
        store: folder for the maps, made by the first start and completed by later ones.
        workers: processes that compute; each opens the model. Left out: this one alone, or with --ray as many as the
            cluster has cores for.
        threads: of each process. Left out: all that the framework takes, or 1 where several processes compute.
        ray: compute on a Ray cluster: local for this machine, auto or HOST:PORT for one that it belongs to. Files must
            lie where every node finds them.
        cores: of the cluster that each process reserves, fractions allowed. Left out: one for each of its threads.
        chunk: images that are computed and written together, and that a kill may lose. Left out: about two seconds'
            work.
        sweep: keep the scores of every window too, so that other targets come without the model.
    """

    store: Path = Path("maps.zarr")
    workers: int | None = None
    threads: int | None = None
    ray: str | None = None
    cores: float | None = None
    chunk: int | None = None
    sweep: bool = False

    def __post_init__(self) -> None:
        for name in ("workers", "threads", "chunk", "cores"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InputError(f"--{name} must be above 0, but got {value:g}. Leave it out for the default.")
        if self.cores is not None and self.ray is None:
            raise InputError("--cores must come with --ray, but there is none. Pass --ray local, or leave it out.")


@dataclass(frozen=True)
class Showing:
    """Which rows of a store, and how.

    Args:
        where: rows that are shown, for example "label == 'cat' and score < 0.5"; columns are compared with numbers
            and quoted text, joined by and, or, not.
        sort: column to sort by; -column from the highest down.
        limit: rows that are printed.
        out: write the rows to this .csv or .parquet instead, all of them.
    """

    where: str | None = None
    sort: str | None = None
    limit: int = 20
    out: Path | None = None


@dataclass(frozen=True)
class Auditing:
    """What is audited, and where the answer goes.

    Args:
        region: where evidence belongs: a share of the middle, as 0.5, or a picture that is white there.
        images: where the images are, if not where they were.
        seed: of the images that are drawn where a class has many.
        baseline: what covers a pattern.
        limit: rows that are listed for each finding.
        out: write everything that was found to this .json too.
    """

    region: str | None = None
    images: str | None = None
    seed: int = 0
    baseline: Baseline = AROUND
    limit: int = 8
    out: Path | None = None


@dataclass(frozen=True)
class Diffing:
    """Where two models' maps go, and what is shown of their difference.

    Args:
        stores: folder for the maps of both models, made by the first start and completed by later ones.
        workers: processes that compute; each opens the model.
        chunk: images that are computed and written together. Left out: about two seconds' work.
        region: where evidence belongs: a share of the middle, as 0.5, or a picture that is white there.
        where: rows that are shown, for example "prediction == 'lost' and moved > 0.5"; columns are compared with
            numbers and quoted text, joined by and, or, not.
        sort: column to sort by; -column from the highest down.
        show: rows that are printed.
        out: write the rows to this .csv or .parquet too, all of them.
        picture: draw the first of the rows, both maps side by side, into this .png.
        page: put them into this .html, to be read by pointing.
        worst: images in the picture and on the page.
    """

    stores: Path = Path("diff")
    workers: int = 1
    chunk: int | None = None
    region: str | None = None
    where: str | None = None
    sort: str = "-distance"
    show: int = 20
    out: Path | None = None
    picture: Path | None = None
    page: Path | None = None
    worst: int = 8


@dataclass(frozen=True)
class Gating:
    """What is measured, and where the answer goes.

    Args:
        region: where evidence belongs: a share of the middle, as 0.5, or a picture that is white there.
        against: an earlier store of the same images, for limits on what changed.
        images: where the images are, if not where they were.
        sample: images that are drawn for the check.
        seed: of the draw, and of the audit.
        names: images that are named for each limit.
        json: write what was measured to this file too.
    """

    region: str | None = None
    against: str | None = None
    images: str | None = None
    sample: int = 8
    seed: int = 0
    names: int = 5
    json: Path | None = None
