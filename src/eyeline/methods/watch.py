"""Watching a run from outside: how far it is, the scores that a sweep has so far, and a way to end it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from eyeline._typing import Scores

if TYPE_CHECKING:
    from eyeline.methods.covered import Covered

TOGETHER = 16
"""Positions that an engine hands out together while somebody watches, so that a map fills in smoothly."""


class Watch(Protocol):
    """Is told of a run by the thread it runs in; what it raises ends the run."""

    def advanced(self, what: str, done: int, total: int) -> None:
        """Take note that so many positions of a method's run are done."""
        ...

    def found(self, covered: "Covered", reference: Scores, start: int, scores: Scores) -> None:
        """Take the scores of the positions from `start` on, in raster order.

        A sweep begins at 0, and again at 0 where a quick path is found out and the full path runs in its place.

        Args:
            covered: all images and windows of the sweep.
            reference: scores that a drop is measured against.
            start: the first position.
            scores: one row a position.
        """
        ...


WATCH: "ContextVar[Watch | None]" = ContextVar("WATCH", default=None)
"""Who watches the runs of this context."""


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Let runs inside the block tell `watch` how far they are."""
    token = WATCH.set(watch)
    try:
        yield
    finally:
        WATCH.reset(token)
