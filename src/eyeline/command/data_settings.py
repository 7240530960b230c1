"""What the commands of data sets are told, from `eyeline run` to `eyeline gate`: fields here are flags."""

from dataclasses import dataclass
from pathlib import Path

from eyeline.baseline import Baseline
from eyeline.errors import InputError


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
        baseline: what covers a pattern. Left out: what the class's images without it show there, on the mean.
        limit: rows that are listed for each finding.
        out: write what was found to this .html too, a report with pictures, or all figures to a .json.
    """

    region: str | None = None
    images: str | None = None
    seed: int = 0
    baseline: Baseline | None = None
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
