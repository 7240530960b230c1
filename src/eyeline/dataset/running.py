"""`run`: maps of many images into a store; started again after any end, it computes only what is missing."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from eyeline.dataset import items as reading
from eyeline.dataset.begin import begin, first, worded
from eyeline.dataset.items import Item, Source
from eyeline.dataset.manifest import fingerprint
from eyeline.dataset.places import locked
from eyeline.dataset.pools import Pool, here, processes
from eyeline.dataset.store import DONE, MISSING, REFUSED, Store, create, exists, open_store
from eyeline.dataset.work import LABEL, Work, fixed, limit_threads
from eyeline.errors import InputError
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
        workers: processes; 1 is this one. More need a model that can be opened in each: a path, or one that pickles.
        sweep: keep the scores of every window too.
        pool: what runs the chunks, in the place of `workers`.
        tell: gets what was done, at the end.
        words: of `load`.

    Returns:
        The store, open for reading.

    Raises:
        InputError: settings that differ from those that the store was begun with, a store that another process
            writes to, no room on the disk.
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
    given, began = reading.source(images, labels), time.perf_counter()
    opened = opener()
    with locked(path):
        asked = {"method": settings(method), "target": worded(target), "weights": fingerprint(opened, model)}
        held, given = _held(path, opened, given, asked, method, target, chunk, sweep)
        manifest, told = held.manifest, Told()
        work = Work(fixed(method, manifest.engine, manifest.batch), target, manifest.chunk, "windows" in held.names)
        limit_threads(manifest.threads)
        todo = _missing(held, given, told)
        if workers > 1 and pool is None:
            pool = processes(workers)
        blocks = (pool or here(opened))(work, opener, given, list(_chunks(todo, manifest.chunk)), manifest)
        with progress(len(todo), "run") as advance:
            for block in blocks:
                held.write(block)
                told.done += int((block.status == DONE).sum())
                told.fell_back += block.fell_back
                advance(len(block.rows))
        told.refused = {held.items[row].name: text for row, text in held.sentences().items()}
        told.seconds = time.perf_counter() - began
    tell(told)
    return open_store(path)


def _held(
    path: Path,
    model: Model,
    given: Source,
    asked: dict[str, Any],
    method: Any,
    target: object,
    chunk: int | None,
    sweep: bool,
) -> tuple[Store, Source]:
    """Open the store, or begin it; return the source in the order of its rows.

    Raises:
        InputError: it was begun otherwise.
    """
    if not exists(path):
        manifest = begin(model, given, method, target, chunk, asked["weights"])
        return create(path, manifest, given.items, given.origin, sweep=sweep), given
    held = open_store(path, write=True)
    first(model, given)
    held.manifest.check({**asked, "unit": model.unit, "classes": model.classes})
    if chunk is not None:
        held.manifest.check({"chunk": chunk})
    return held, _aligned(held, given, target)


def _aligned(held: Store, given: Source, target: object) -> Source:
    """Bring the source into the store's order: rows that are there, then new ones."""
    places = {item.name: place for place, item in enumerate(given.items)}
    known = {item.name for item in held.items}
    order = [places.get(item.name, -1) for item in held.items]
    order += [place for place, item in enumerate(given.items) if item.name not in known]
    listed = [held.items[row] if place < 0 else given.items[place] for row, place in enumerate(order)]
    for old, new in zip(held.items, listed, strict=False):
        if target == LABEL and old.label != new.label:
            raise InputError(
                f"labels must be as they were where they are explained, but {old.name!r} had {old.label!r} and has "
                f"{new.label!r}. Pass another store."
            )
    if tuple(listed) != held.items or given.origin != held.origin:
        held.relist(tuple(listed), given.origin)
    return Ordered(given, tuple(order), tuple(listed))


@dataclass(frozen=True)
class Ordered:
    """A source in another order; places that it does not have any more are -1."""

    inner: Source
    order: tuple[int, ...]
    items: tuple[Item, ...]

    @property
    def origin(self) -> str:
        """Say where the items come from."""
        return self.inner.origin

    def stamp(self, place: int) -> tuple[int, int]:
        """Return size and time of change."""
        return self.inner.stamp(self.order[place])

    def read(self, place: int) -> tuple[object, bytes]:
        """Return an item and its hash."""
        return self.inner.read(self.order[place])


def _missing(held: Store, given: Source, told: Told) -> list[int]:
    """Return the rows that have no map of the image as it is now.

    A file of the same size and time is taken for the same; otherwise, and for arrays, its bytes are compared.
    """
    order = getattr(given, "order", range(len(given.items)))
    stamps = np.array([given.stamp(row) if order[row] >= 0 else (0, 0) for row in range(len(order))], dtype=np.int64)
    status, same = held.status, held.unchanged(stamps.reshape(-1, 2))
    todo = []
    for row, place in enumerate(order):
        if place < 0:
            told.gone += 1
        elif status[row] == MISSING or not ((same[row] and stamps[row].any()) or _is_same(held, given, row)):
            todo.append(row)
        else:
            told.found += int(status[row] != REFUSED)
    return todo


def _is_same(held: Store, given: Source, row: int) -> bool:
    try:
        return given.read(row)[1] == held.digest(row)
    except InputError:
        return False


def _chunks(rows: list[int], size: int) -> Iterator[tuple[int, ...]]:
    """Yield rows that lie in one chunk of the store."""
    start = 0
    for place in range(1, len(rows) + 1):
        if place == len(rows) or rows[place] // size != rows[start] // size:
            yield tuple(rows[start:place])
            start = place
