"""Times paths on a few windows of a sweep."""

import time
from collections.abc import Callable

import numpy as np

from eyeline._typing import Images, Scores
from eyeline.methods import paths
from eyeline.methods.batches import Batches
from eyeline.methods.covered import Covered
from eyeline.methods.kept import Kept
from eyeline.models.base import Traceable

TRIED = 16
"""Positions on which a path is timed."""


def windows(model: Traceable, kept: Kept, covered: Covered, count: int = TRIED) -> float:
    """Return the engine's seconds a window, beside those of the image itself."""
    engine = kept.make(model)

    def run(windows: int) -> None:
        list(paths.incremental(engine, model.convert, _spread(covered, windows)))

    run(1)  # what frameworks prepare once does not count
    return max(_timed(lambda: run(count + 1)) - _timed(lambda: run(1)), 0.0) / count


def passes(model: Traceable, run: Callable[[Images], Scores], covered: Covered, count: int = TRIED) -> float:
    """Return the seconds a position of a way to run the whole network, from images to raw outputs."""

    def few(windows: int) -> None:
        list(paths.whole(run, model.convert, _spread(covered, windows), Batches(count, 1)))

    few(1)
    return _timed(lambda: few(count)) / count


def _spread(covered: Covered, count: int) -> Covered:
    """Return windows from all over the first image."""
    return covered.of(0, np.linspace(0, len(covered.boxes) - 1, count).astype(int))


def _timed(run: Callable[[], None]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
