"""Turns at the model: one computation at a time; short questions go first, long runs hand over between their parts."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

IN_A_ROW = 4
"""Short questions that may go before a run that waits: many people who drag do not stop the maps of others."""


class Turns:
    """A lock that is fair: among the short as among the long, who came first goes first."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._taken = False
        self._short: deque[object] = deque()
        self._long: deque[object] = deque()
        self._row = 0

    @contextmanager
    def turn(self, short: bool = False) -> Iterator[None]:
        """Wait for a turn and hold it for the block."""
        self._take(short)
        try:
            yield
        finally:
            self._give()

    def hand_over(self) -> None:
        """Let those who wait go first, and take the turn again; for who holds it."""
        if self._short or self._long:
            self._give()
            self._take(short=False)

    def _take(self, short: bool) -> None:
        ticket, line = object(), self._short if short else self._long
        with self._changed:
            line.append(ticket)
            self._changed.wait_for(lambda: not self._taken and self._next() is line and line[0] is ticket)
            line.popleft()
            self._taken, self._row = True, self._row + 1 if short else 0

    def _next(self) -> "deque[object]":
        hurry = self._short and not (self._long and self._row >= IN_A_ROW)
        return self._short if hurry else self._long

    def _give(self) -> None:
        with self._changed:
            self._taken = False
            self._changed.notify_all()
