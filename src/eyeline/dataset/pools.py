"""Who computes the chunks of a run: this process, or several. All give the same blocks; one process writes them."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np

from eyeline.dataset.begin import first
from eyeline.dataset.items import Source
from eyeline.dataset.manifest import Manifest
from eyeline.dataset.store import REFUSED, Block
from eyeline.dataset.work import Work, limit_threads
from eyeline.errors import InputError
from eyeline.models.base import Model

Chunks = list[tuple[int, ...]]
Pool = Callable[[Work, Callable[[], Model], Source, Chunks, Manifest], Iterator[Block]]
"""(work, how to open the model, source, rows of each chunk, manifest) -> blocks, as they come."""

TRIES = 3
"""Times that a chunk is computed anew after its process died, before its images are called refused."""


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
        tries = dict.fromkeys(chunks, 0)
        left = list(chunks)
        while left:
            done: list[tuple[int, ...]] = []
            try:
                with _executor(count, work, opener, source, manifest) as executor:
                    for rows, block in _stream(executor, left, 2 * count):
                        done.append(rows)
                        yield block
                left = []
            except BrokenProcessPool:
                left = [rows for rows in left if rows not in set(done)]
                # what was under way when a process died: nobody knows which chunk it was
                for rows in left[: 2 * count]:
                    tries[rows] += 1
                for rows in [rows for rows in left if tries[rows] >= TRIES]:
                    left.remove(rows)
                    yield _alone(rows, work, opener, source, manifest)

    return pool


_STATE: dict[str, Any] = {}
"""Of a worker process: its model, its work, its source."""


def _executor(
    count: int, work: Work, opener: Callable[[], Model], source: Source, manifest: Manifest
) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        count, multiprocessing.get_context("spawn"), initializer=prepare, initargs=(work, opener, source, manifest)
    )


def prepare(work: Work, opener: Callable[[], Model], source: Source, manifest: Manifest) -> None:
    """Open the model in a worker process.

    Raises:
        InputError: what its outputs are is decided otherwise than at the first start.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    limit_threads(manifest.threads)
    model = opener()
    limit_threads(manifest.threads)
    first(model, source)
    if model.unit != manifest.unit:
        raise InputError(
            f"every process must read the model's outputs alike, but this one takes them for {model.unit} and the "
            f"store for {manifest.unit}. Pass output= when loading the model."
        )
    _STATE.update(work=work, model=model, source=source)


def compute(rows: tuple[int, ...]) -> Block:
    """Compute one chunk in a worker process."""
    block: Block = _STATE["work"](_STATE["model"], _STATE["source"], rows)
    return block


def _stream(executor: ProcessPoolExecutor, chunks: Chunks, ahead: int) -> Iterator[tuple[tuple[int, ...], Block]]:
    """Yield blocks as they come, with few chunks under way at a time."""
    waiting: dict[Future[Block], tuple[int, ...]] = {}
    rest = iter(chunks)
    while True:
        for rows in rest:
            waiting[executor.submit(compute, rows)] = rows
            if len(waiting) >= ahead:
                break
        if not waiting:
            return
        for future in wait(waiting, return_when=FIRST_COMPLETED).done:
            yield waiting.pop(future), future.result()


def _alone(rows: tuple[int, ...], work: Work, opener: Callable[[], Model], source: Source, manifest: Manifest) -> Block:
    """Compute a chunk in a process of its own; call its images refused where that dies too."""
    try:
        with _executor(1, work, opener, source, manifest) as executor:
            return executor.submit(compute, rows).result()
    except BrokenProcessPool:
        stamps = np.array([source.stamp(row) for row in rows], dtype=np.int64).reshape(len(rows), 2)
        said = f"computing must not end the process, but it did, {TRIES} times. Look at the system's log."
        return Block(
            rows=rows,
            status=np.full(len(rows), REFUSED, dtype=np.uint8),
            digests=np.zeros((len(rows), 32), dtype=np.uint8),
            stamps=stamps,
            arrays={},
            said=(said,) * len(rows),
        )
