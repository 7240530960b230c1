"""Who computes the chunks of a run: this process, or several. All give the same blocks; one process writes them."""

import contextlib
import multiprocessing
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np

from eyeline.dataset.begin import first
from eyeline.dataset.items import Source
from eyeline.dataset.manifest import Manifest
from eyeline.dataset.store import REFUSED, Block
from eyeline.dataset.work import Work, limit_threads
from eyeline.errors import InputError, ModelError, first_line
from eyeline.models.base import Model

Chunks = list[tuple[int, ...]]
Pool = Callable[[Work, Callable[[], Model], Source, Chunks, Manifest], Iterator[Block]]
"""(work, how to open the model, source, rows of each chunk, manifest) -> blocks, as they come."""

TRIES = 3
"""Ends of its process that a chunk may see before it gets one of its own, and then before it is called refused."""

STARTS = 4
"""Times that processes are started anew which end before any of them opens the model."""

STARTED, NOTE = "started", ".chunk"
"""Files beside the kit: a process came so far as to open the model; the chunk that a process has begun."""


def here(model: Model) -> Pool:
    """Compute in this process, with a model that is open."""

    def pool(
        work: Work, opener: Callable[[], Model], source: Source, chunks: Chunks, manifest: Manifest
    ) -> Iterator[Block]:
        for rows in chunks:
            yield work(model, source, rows)

    return pool


def processes(count: int) -> Pool:
    """Compute in so many processes; one that dies is replaced, and its chunk computed anew."""

    def pool(
        work: Work, opener: Callable[[], Model], source: Source, chunks: Chunks, manifest: Manifest
    ) -> Iterator[Block]:
        tries, starts, left = dict.fromkeys(chunks, 0), 0, list(chunks)
        with laid(work, packed(opener), source, manifest) as kit:
            while left:
                done: list[tuple[int, ...]] = []
                try:
                    with _executor(count, kit) as executor:
                        for rows, block in _stream(executor, left, 2 * count):
                            done.append(rows)
                            yield block
                    left = []
                except BrokenProcessPool:
                    starts = _started(kit, starts)
                    finished = set(done)
                    left = [rows for rows in left if rows not in finished]
                    for rows in (_under_way(kit) & set(tries)) - finished:
                        tries[rows] += 1
                        if tries[rows] == TRIES:
                            left.remove(rows)
                            yield alone(rows, kit)

    return pool


def packed(opener: Callable[[], Model], dumps: Callable[[Any], bytes] = pickle.dumps) -> bytes:
    """Pickle how the model is opened.

    Raises:
        InputError: it does not pickle.
    """
    try:
        return dumps(opener)
    except (pickle.PicklingError, AttributeError, TypeError, RuntimeError) as error:
        raise InputError(
            f"a model must pickle to be opened in other processes, but this one does not ({first_line(error)}). "
            "Pass the path of its file, or 'package.module:function'."
        ) from error


@contextlib.contextmanager
def laid(work: Work, model: bytes, source: Source, manifest: Manifest) -> Iterator[Path]:
    """Lay what a process needs into a file: writing to the pipe of a process killed while it starts never ends."""
    with tempfile.TemporaryDirectory(prefix="eyeline-") as folder:
        kit = Path(folder) / "kit"
        with kit.open("wb") as file:
            pickle.dump((work, model, source, manifest), file, protocol=pickle.HIGHEST_PROTOCOL)
        yield kit


_STATE: dict[str, Any] = {}
"""Of a worker process: its model, its work, its source; or what went wrong."""


def _executor(count: int, kit: Path) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=_prepare, initargs=(kit,))


def _prepare(kit: Path) -> None:
    """Open the model in a worker process; what goes wrong is told by its first chunk."""
    (kit.parent / STARTED).touch()
    try:
        with kit.open("rb") as file:
            work, model, source, manifest = pickle.load(file)
        _STATE.update(work=work, source=source, model=ready(pickle.loads(model), source, manifest)[0])
        _STATE["note"] = kit.parent / f"{os.getpid()}{NOTE}"
    except Exception as error:
        _STATE["error"] = error


def ready(opener: Callable[[], Model], source: Source, manifest: Manifest) -> tuple[Model, int]:
    """Open the model in a process that helps; return it and the place of the first image that can be read.

    Raises:
        InputError: what computes here is not what the store was begun with.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    limit_threads(manifest.threads)
    model = opener()
    limit_threads(manifest.threads)
    place, _ = first(model, source)
    manifest.check_model(model)
    return model, place


def _compute(rows: tuple[int, ...]) -> Block:
    """Compute one chunk in a worker process; until it is done, a note says which."""
    if "error" in _STATE:
        raise _STATE["error"]
    note: Path = _STATE["note"]
    note.write_text(" ".join(map(str, rows)), encoding="ascii")
    try:
        block: Block = _STATE["work"](_STATE["model"], _STATE["source"], rows)
    finally:
        note.unlink()
    return block


def _under_way(kit: Path) -> set[tuple[int, ...]]:
    """Return the chunks that processes had begun when they ended."""
    found = set()
    for note in kit.parent.glob(f"*{NOTE}"):
        found.add(tuple(int(row) for row in note.read_text(encoding="ascii").split()))
        note.unlink()
    return found


def _started(kit: Path, ends: int) -> int:
    """Count the ends of processes before any came so far as to open the model.

    Raises:
        ModelError: there were too many.
    """
    if (kit.parent / STARTED).exists():
        return 0
    if ends + 1 == STARTS:
        raise ModelError(
            f"a process must start to help with a run, but {STARTS} times each ended before it could open the model. "
            "In a script, call eyeline.run below: if __name__ == '__main__'."
        )
    return ends + 1


def _stream(executor: ProcessPoolExecutor, chunks: Chunks, ahead: int) -> Iterator[tuple[tuple[int, ...], Block]]:
    """Yield blocks as they come, with few chunks under way at a time."""
    waiting: dict[Future[Block], tuple[int, ...]] = {}
    rest = iter(chunks)
    while True:
        for rows in rest:
            waiting[executor.submit(_compute, rows)] = rows
            if len(waiting) >= ahead:
                break
        if not waiting:
            return
        for future in wait(waiting, return_when=FIRST_COMPLETED).done:
            yield waiting.pop(future), future.result()


def alone(rows: tuple[int, ...], kit: Path) -> Block:
    """Compute a chunk in a process of its own; call its images refused where that dies too, until the next start."""
    for _ in range(TRIES):
        with contextlib.suppress(BrokenProcessPool), _executor(1, kit) as executor:
            return executor.submit(_compute, rows).result()
    said = f"computing must not end the process, but it did, {2 * TRIES} times. Look at the system's log."
    return Block(
        rows=rows,
        status=np.full(len(rows), REFUSED, dtype=np.uint8),
        digests=np.zeros((len(rows), 32), dtype=np.uint8),
        stamps=np.zeros((len(rows), 2), dtype=np.int64),
        arrays={},
        said=(said,) * len(rows),
    )
