"""Runs on a cluster: Ray Data, with processes that open the model once. This process alone writes.

Ray Data repeats a lost task for ever, in the process that it was given to. Here it does not: what a process or a node
had under way when it died is left out of a pass, and what is missing afterwards goes into the next one. So a chunk that
ends its process is found out, and none waits for a node that does not come back.
"""

import contextlib
import logging
import os
import pickle
import socket
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from eyeline.dataset.items import Source
from eyeline.dataset.manifest import Manifest
from eyeline.dataset.node import Node, kit
from eyeline.dataset.pools import TRIES, Chunks, Pool, alone, laid
from eyeline.dataset.store import Block
from eyeline.dataset.work import Work
from eyeline.errors import InputError, ModelError, first_line, require
from eyeline.models.base import Model

SPAN = 10_000
"""Chunks of a pass at most: each is a task that Ray keeps account of."""

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
"""For Ray, before it is imported: it tells nobody of its use, and keeps its notes to its files."""

SETTINGS = {
    "enable_progress_bars": False,
    "print_on_execution_start": False,
    "max_errored_blocks": -1,
    "max_consecutive_actor_init_deaths": TRIES,
    "execution_no_progress_timeout_s": -1,
}
"""Of Ray Data: our own bar; a lost task stops nothing; a chunk may take its time."""

Stream = Callable[[Chunks], Iterator[tuple[tuple[int, ...], Block]]]


def cluster(address: str = "local", workers: int | None = None, cores: float | None = None) -> Pool:
    """Compute on the nodes of a Ray cluster.

    Files, the model's too, must lie where every node finds them under the same path; arrays and models that are in
    memory go to the nodes once. Nothing is lost when a process or a node dies: what it had is computed by others.

    Args:
        address: "local" starts Ray on this machine for the time of the run; "auto", or "host:port", is a cluster
            that this machine belongs to. Where the program is connected to one already, that is used.
        workers: processes; None means as many as the cluster has cores for when the run starts.
        cores: that each process reserves, fractions allowed; None means one for each of its threads.

    Returns:
        What `run` takes as `pool`.

    Raises:
        MissingDependencyError: Ray is not installed.
    """
    _look(address)
    require("ray", "ray")

    def pool(
        work: Work, opener: Callable[[], Model], source: Source, chunks: Chunks, manifest: Manifest
    ) -> Iterator[Block]:
        if not chunks:
            return
        with connected(address) as ray:
            given = kit(work, opener, source, manifest, ray.cloudpickle.dumps)
            held, reserved = ray.put(given), cores or float(manifest.threads)

            def stream(some: Chunks) -> Iterator[tuple[tuple[int, ...], Block]]:
                return _passed(ray, held, some, workers or _room(ray, reserved), reserved)

            def judge(rows: tuple[int, ...]) -> Block:
                with laid(work, given.model, source, manifest) as where:
                    return alone(rows, where)

            yield from passes(stream, judge, chunks, ray.exceptions.RayError)

    return pool


def passes(
    stream: Stream, judge: Callable[[tuple[int, ...]], Block], chunks: Chunks, lost: type[Exception]
) -> Iterator[Block]:
    """Go over the chunks until none is missing; one that is lost time after time is judged by itself.

    Args:
        stream: one pass; it leaves out what was lost, or ends with an error.
        judge: computes a chunk where nothing else can be ended by it.
        chunks: all of them.
        lost: the error.

    Raises:
        ModelError: passes end before a single chunk is done.
    """
    tries, left, ends = dict.fromkeys(chunks, 0), list(chunks), 0
    while left:
        now, done = left[:SPAN], set()
        try:
            for rows, block in stream(now):
                done.add(rows)
                yield block
            ends, missed = 0, [rows for rows in now if rows not in done]
        except lost as error:
            ends, missed = 0 if done else ends + 1, []
            if ends == TRIES:
                raise ModelError(
                    f"the cluster must compute, but nothing came of it {TRIES} times ({first_line(error)}). "
                    "See that its nodes have eyeline and what the model needs; what was done is kept."
                ) from error
        left = [rows for rows in left if rows not in done]
        for rows in missed:
            tries[rows] += 1
            if tries[rows] == TRIES:
                left.remove(rows)
                yield judge(rows)


def _passed(
    ray: ModuleType, held: Any, chunks: Chunks, count: int, cores: float
) -> Iterator[tuple[tuple[int, ...], Block]]:
    """Let Ray Data compute chunks; yield what comes of them, in any order."""
    items = [{"chunk": place, "rows": list(rows)} for place, rows in enumerate(chunks)]
    with warnings.catch_warnings(), _silent():
        warnings.simplefilter("ignore")  # of Ray's own names for what it is told
        found = ray.data.from_items(items, override_num_blocks=len(items)).map(
            Node,
            fn_constructor_args=([held],),
            compute=ray.data.ActorPoolStrategy(size=min(count, len(items))),
            num_cpus=cores,
            max_restarts=-1,
            max_task_retries=0,
        )
        for name, value in SETTINGS.items():
            setattr(found.context, name, value)
        for row in found.iter_rows():
            if row["error"]:
                raise pickle.loads(row["error"])
            yield chunks[row["chunk"]], pickle.loads(row["block"])


@contextlib.contextmanager
def connected(address: str) -> Iterator[ModuleType]:
    """Be part of a cluster, until the block ends; a connection that the program has already is left as it is.

    Raises:
        InputError: there is no cluster.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    ray = require("ray", "ray")
    require("ray.data", "ray")
    if ray.is_initialized():
        yield ray
        return
    words = {"include_dashboard": False} if address == "local" else {}
    try:
        with _hushed():
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL, **words)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"--ray must be local, or a Ray cluster that this machine belongs to, but {address!r} is not "
            f"({first_line(error)}). Start one here: ray start --address HOST:PORT, with --head for the first."
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _look(address: str) -> None:
    """See that somebody answers; Ray itself asks for a minute, and may end the process then.

    Raises:
        InputError: nobody does, or it is no address.
    """
    if address in ("local", "auto"):
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise InputError(f"--ray must be local, auto or HOST:PORT, but got {address!r}. For example 10.0.0.1:6379.")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"a Ray cluster must answer at {address!r}, but none does ({first_line(error)}). "
            "Start it there: ray start --head, or pass local."
        ) from error


def _room(ray: ModuleType, cores: float) -> int:
    """Return how many processes the nodes have cores for.

    Raises:
        InputError: no node has so many.
    """
    sizes = [float(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    count = sum(int(size / cores + 1e-9) for size in sizes)
    if not count:
        raise InputError(
            f"a process must fit on a node, but it reserves {cores:g} cores and the largest node has "
            f"{max(sizes, default=0):g}. Pass fewer --cores, or begin the store with fewer --threads."
        )
    return count


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Take what Ray's own library writes to the terminal while it starts: that it was told to write nothing."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep what Ray Data has to say to its files."""
    logger = logging.getLogger("ray.data")
    levels = {each: each.level for each in logger.handlers if isinstance(each, logging.StreamHandler)}
    try:
        for each in levels:
            each.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for each, level in levels.items():
            each.setLevel(level)
