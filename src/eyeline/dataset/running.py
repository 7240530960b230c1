"""`run`: maps of many images into a store; started again after any end, it computes only what is missing."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eyeline.dataset import items as reading
from eyeline.dataset.begin import begin, first, worded
from eyeline.dataset.items import Source
from eyeline.dataset.manifest import fingerprint
from eyeline.dataset.order import aligned, chunks, missing
from eyeline.dataset.places import locked
from eyeline.dataset.pools import Pool, here, processes
from eyeline.dataset.store import DONE, Store, create, exists, open_store
from eyeline.dataset.work import Work, fixed, limit_threads
from eyeline.dataset.work import threads as own_threads
from eyeline.methods.base import settings
from eyeline.methods.occlusion import Occlusion
from eyeline.methods.progress import progress
from eyeline.models.base import Model
from eyeline.models.load import load


@dataclass
class Told:
    """What a run did.

    Args:
        found: images whose maps were there already.
        done: images that were explained.
        refused: images that were refused, by name, with the sentence; those of earlier starts too.
        fell_back: images on which the quicker path was found out and the full one ran.
        gone: rows of the store whose images are no longer among the given ones; they stay.
        seconds: of this start.
    """

    found: int = 0
    done: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    fell_back: int = 0
    gone: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        """Say it in one line."""
        rate = self.done / self.seconds if self.seconds else 0.0
        words = [f"{self.done} images explained in {self.seconds:.1f} s ({rate:.3g} a second)"]
        words += [f"{self.found} were there"] if self.found else []
        words += [f"{len(self.refused)} refused"] if self.refused else []
        words += [f"{self.fell_back} fell back to the full path"] if self.fell_back else []
        words += [f"{self.gone} rows of the store are of images that were not given"] if self.gone else []
        return "; ".join(words)


@dataclass(frozen=True)
class Opener:
    """How every process of a run gets the model.

    Args:
        source: what `load` opens, or a model.
        words: of `load`.
    """

    source: object
    words: dict[str, Any] = field(default_factory=dict)

    def __call__(self) -> Model:
        """Open it."""
        return self.source if isinstance(self.source, Model) else load(self.source, **self.words)


def run(
    model: object,
    images: object,
    store: str | Path,
    method: Any = None,
    target: object = None,
    *,
    labels: object = None,
    chunk: int | None = None,
    threads: int | None = None,
    workers: int = 1,
    sweep: bool = False,
    pool: Pool | None = None,
    tell: Callable[[Told], None] = lambda told: None,
    **words: Any,
) -> Store:
    """Explain every image of a source and keep the maps on disk.

    What is measured (the soonest path, the batch) is measured at the first start, written into the store's manifest,
    and holds for every image: a run that was killed and started again gives the store of an unbroken one, bit for bit.

    Args:
        model: what `load` opens, or returned.
        images: a folder (its subfolders are the labels), a .csv, .npy or .npz, or an array (n, *space, channels).
        store: the folder to make, or to go on with.
        method: settings, for example `eyeline.Occlusion(window=8)`; None means Occlusion().
        target: as for `explain`; "label" is each image's own label.
        labels: of the images of an array.
        chunk: images that are computed and written together; None means about two seconds' work.
        threads: of each process, for a first start; None means this process's, and 1 where several compute.
        workers: processes; 1 is this one. More need a model that can be opened in each: a path, or one that pickles.
        sweep: keep the scores of every window too.
        pool: what runs the chunks, in the place of `workers`: `eyeline.dataset.cluster("local")`.
        tell: gets what was done, at the end.
        words: of `load`.

    Returns:
        The store, open for reading.

    Raises:
        InputError: settings that differ from those that the store was begun with, a store that another process
            writes to, no room on the disk, a model that cannot go to other processes.
        UnsupportedError: the model cannot do what the method asks.
        MissingDependencyError: zarr is not installed.

    Examples:
        >>> import numpy as np, tempfile, torch, eyeline
        >>> images = np.random.default_rng(0).random((3, 2, 2, 1), dtype=np.float32)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = eyeline.run(torch.nn.Flatten(), images, f"{folder}/maps", eyeline.Gradient(), input_size=(2, 2))
        ...     store["maps"].shape
        (3, 2, 2)
    """
    method, path, opener = Occlusion() if method is None else method, Path(store), Opener(model, words)
    given, began, own = reading.source(images, labels), time.perf_counter(), own_threads()
    opened = opener()
    asked: dict[str, Any] = {
        "method": settings(method), "target": worded(target), "weights": fingerprint(opened, model),
        **{name: value for name, value in (("chunk", chunk), ("threads", threads)) if value is not None},
    }  # fmt: skip
    if workers > 1 and pool is None:
        pool = processes(workers)
    with locked(path):
        limit_threads(threads or (own if pool is None else 1))
        try:
            held, given = _held(path, opened, given, asked, method, target, sweep)
            limit_threads(held.manifest.threads)
            work = Work(
                fixed(method, held.manifest.engine, held.manifest.batch),
                target,
                held.manifest.chunk,
                "windows" in held.names,
                held.manifest.image,
            )
            told = _filled(held, given, work, opener, pool or here(opened))
        finally:
            limit_threads(own)
    told.seconds = time.perf_counter() - began
    tell(told)
    return open_store(path)


def _filled(held: Store, given: Source, work: Work, opener: Callable[[], Model], pool: Pool) -> Told:
    """Write what is missing, as it comes."""
    told = Told()
    todo, told.found, told.gone = missing(held, given)
    blocks = pool(work, opener, given, list(chunks(todo, work.chunk)), held.manifest)
    try:
        with progress(len(todo), "run") as advance:
            for block in blocks:
                held.write(block)
                told.done += int((block.status == DONE).sum())
                told.fell_back += block.fell_back
                advance(len(block.rows))
    finally:
        getattr(blocks, "close", lambda: None)()  # processes end now, also where writing failed
    told.refused = {held.items[row].name: text for row, text in held.sentences().items()}
    return told


def _held(
    path: Path, model: Model, given: Source, asked: dict[str, Any], method: Any, target: object, sweep: bool
) -> tuple[Store, Source]:
    """Open the store, or begin it; return the source in the order of its rows.

    Raises:
        InputError: it was begun otherwise.
    """
    if not exists(path):
        manifest = begin(model, given, method, target, asked.get("chunk"), asked["weights"])
        return create(path, manifest, given.items, given.origin, sweep=sweep), given
    held = open_store(path, write=True)
    first(model, given)
    held.manifest.check(asked)
    held.manifest.check_model(model)
    return held, aligned(held, given, target)
