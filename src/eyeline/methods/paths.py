"""The ways to the scores of covered images: the whole network on each, or only what a window can change.

All give the same numbers. The full path, which is the framework's own, is the reference for the others.
"""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import numpy as np

from eyeline._typing import Images, Scores
from eyeline.errors import OutOfMemoryError, first_line
from eyeline.methods.base import finite
from eyeline.methods.batches import Batches
from eyeline.methods.covered import Covered, Positions
from eyeline.methods.watch import TOGETHER, WATCH
from eyeline.models.base import Model

if TYPE_CHECKING:
    from eyeline.incremental.run import Engine
    from eyeline.methods.kept import Kept

Path = Literal["auto", "full", "folded", "incremental", "openvino"]
"""full: the framework's own pass. folded: the simplified graph, run whole. incremental: only what a window can change.
openvino: OpenVINO's pass. auto: the soonest of them."""

Convert = Callable[[Scores], Scores]


class Full:
    """The framework's own passes over covered images, run as far as they are wanted.

    Args:
        model: as `load` returned it.
        batches: the loop.
        covered: the images.
    """

    def __init__(self, model: Model, batches: Batches, covered: Covered) -> None:
        self._model, self._batches, self.covered = model, batches, covered
        self.done = np.zeros(covered.total, dtype=bool)
        """Which positions have scores."""
        self.scores = np.empty((covered.total, 0), dtype=np.float32)
        """One row a position."""
        self.seconds = 0.0
        """What they took."""
        self.rate = float("inf")
        """Seconds a position, of the best batch."""

    def run(self, positions: Positions) -> Iterator[int]:
        """Run some positions, and yield how many after each batch.

        Raises:
            ModelError: scores that are not finite; the sentence names the window.
        """

        def call(start: int, stop: int) -> Scores:
            began = time.perf_counter()
            some = positions[start:stop]
            scores = self._model.scores(self.covered.images(some))
            took = time.perf_counter() - began
            self.seconds, self.rate = self.seconds + took, min(self.rate, took / len(some))
            return finite(scores, lambda row: self.covered.where(some[row]))

        for start, stop, scores in self._batches.run(len(positions), call):
            if not self.scores.shape[1]:
                self.scores = np.empty((self.covered.total, scores.shape[1]), dtype=np.float32)
            self.scores[positions[start:stop]] = scores
            self.done[positions[start:stop]] = True
            yield stop - start


def quick(
    path: Path, kept: "Kept", convert: Convert, covered: Covered, batches: Batches
) -> Generator[Scores, None, None]:
    """Yield the scores of a path other than the full one, with what was kept for it; see `incremental` and `whole`."""
    if path == "openvino":
        assert kept.compiled is not None
        yield from whole(kept.compiled, convert, covered, batches)
        return
    assert kept.engine is not None
    if path == "incremental":
        yield from incremental(kept.engine, convert, covered)
    else:
        yield from whole(kept.engine.whole, convert, covered, batches)


def incremental(engine: "Engine", convert: Convert, covered: Covered) -> Iterator[Scores]:
    """Yield the engine's scores, some rows at a time: for each image of itself, then of every window.

    Raises:
        OutOfMemoryError: no memory left.
    """
    nothing, content = np.zeros_like(covered.boxes[:1]), covered.content
    patch = covered.patch if content is None else lambda image, position: content(image, position - 1)
    boxes, most = np.concatenate([nothing, covered.boxes]), TOGETHER if WATCH.get() else len(covered.boxes) + 1
    with _memory():
        for _, raw in engine.run(covered.ground, patch, boxes, most):
            yield convert(raw)


def whole(run: Callable[[Images], Scores], convert: Convert, covered: Covered, batches: Batches) -> Iterator[Scores]:
    """Yield the scores of every position by another way to run the whole network, from images to raw outputs.

    Raises:
        OutOfMemoryError: not even one image fits.
    """

    def call(start: int, stop: int) -> Scores:
        with _memory():
            return convert(run(covered.images(np.arange(start, stop))))

    for _, _, scores in batches.run(covered.total, call):
        yield scores


@contextmanager
def _memory() -> Iterator[None]:
    """Turn what a library says when memory ends into an OutOfMemoryError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "alloc" not in str(error).lower():
            raise
        raise OutOfMemoryError(
            f"the sweep must fit into memory, but it did not ({first_line(error)}). Pass a smaller memory=."
        ) from error
