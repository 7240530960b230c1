"""The one batched loop: how many images go to the model at once is measured, within a memory budget.

The budget bounds what the process grows by while a batch runs (its resident memory, so activations and
workspaces of any framework on a CPU). Memory of another device is not seen here: there a batch grows until it
stops paying, and is halved when the device is out of memory. Where the system does not say what a process holds
(only Linux is asked), a batch stays small.
"""

import contextlib
import ctypes
import os
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from eyeline.errors import InputError, OutOfMemoryError

T = TypeVar("T")

LARGEST = 1024
UNMEASURED = 16  # images a batch at most where growth cannot be measured
WORTH = 0.97  # a larger batch stays only if it takes less than this share of the time an image
SHORT = 0.025  # seconds: a batch this quick is mostly overhead, so the next one is four times as large
TRIAL = 16  # a larger size is tried where at least so many batches of it are still to come


class Batches:
    """Runs work in batches and remembers the size that paid, and the largest that was used.

    A measured size starts at one image and grows while an image takes less time for it and the next size is
    expected to fit: growth so far, and the growth from the size before, carried on in a straight line. Growth is
    measured on Linux; elsewhere the budget cannot be watched, and no measured size exceeds 16 images.

    Args:
        size: images a batch; None means measured.
        memory: mebibytes that the process may grow by; one image is always tried.
    """

    def __init__(self, size: int | None, memory: int) -> None:
        for name, value in (("batch", size), ("memory", memory)):
            if value is not None and value < 1:
                raise InputError(f"{name} must be 1 or more, but got {value!r}. Leave it out for the default.")
        self.budget = memory * 2**20
        self.size = size or 1
        self.used = 0
        self._largest = LARGEST
        self._growing = size is None
        self._best, self._before = (float("inf"), 1), (0, 0)
        self._missed = False
        self._first: float | None = None
        self._ground: int | None = None

    def run(self, total: int, call: Callable[[int, int], T]) -> Iterator[tuple[int, int, T]]:
        """Yield (start, stop, call(start, stop)) until `total` is reached, in order.

        Raises:
            OutOfMemoryError: not even one image fits.
        """
        start = 0
        measured = self._growing and total > 1
        if measured and self._ground is None:
            _release()
            self._ground = _resident()
            self._largest = LARGEST if self._ground else UNMEASURED
        while start < total:
            count = min(self.size, total - start)
            watched = measured and self._growing and count == self.size
            if watched:
                _forget_peak()
            began = _clock() if watched else (0.0, 0.0)
            try:
                result = call(start, start + count)
            except OutOfMemoryError:
                if count == 1:
                    raise
                self.size, self._growing = count // 2, False
                continue
            if watched:
                left = total - start - count
                measured = self._adjust(_passed(began), max(_peak() - (self._ground or 0), 0), left)
            self.used = max(self.used, count)
            yield start, start + count, result
            start += count

    def _adjust(self, seconds: float, grown: int, left: int) -> bool:
        """Choose the next size from what this batch took; False where too little is left to try one in this run."""
        if grown > self.budget:
            self.size, self._growing = max(1, int(self.size * self.budget / grown)), False
            return True
        each = seconds / self.size
        if self._first is None and left >= self.size:
            self._first = each  # each size twice: its first batch also pays for what frameworks prepare for it
            return True
        each, self._first = min(each, self._first or each), None
        size, earlier = self.size, self._before
        missed = each > self._best[0] * WORTH
        if missed and (self._missed or seconds >= SHORT):
            self.size, self._growing = self._best[1], False
            return True
        wanted = min(size * 4, left) if seconds < SHORT else size * 2 if left >= size * 2 * TRIAL else size
        if wanted <= size < self._largest:
            return False  # the next run may have more: a few whole images come before the many windows
        self._missed = missed  # frameworks have sizes at which they are slow: a quick batch may miss once
        if not missed:
            self._best = each, size
        slope = max(grown / size, (grown - earlier[1]) / (size - earlier[0]))
        fitting = int(size + (self.budget - grown) / slope) if slope > 0 else self._largest
        self._before, larger = (size, grown), min(wanted, fitting, self._largest)
        self._growing = larger > size
        self.size = larger if self._growing else self._best[1]
        return True


def _clock() -> tuple[float, float]:
    """Return seconds of which those are taken off in which this thread was ready and had no place; those worked."""
    return time.perf_counter() - _waited(), time.process_time()


def _passed(since: tuple[float, float]) -> float:
    """Return the seconds since then without those in which other programs had this thread's place.

    A framework's own threads may have had it, where there are fewer processors than threads: what this process worked
    on all of its processors cannot have taken less.
    """
    thread, worked = (now - then for now, then in zip(_clock(), since, strict=True))
    return max(thread, worked / _processors())


def _processors() -> int:
    """Return how many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _waited() -> float:
    """Read the seconds that this thread has waited for a processor (Linux); 0 elsewhere."""
    with contextlib.suppress(OSError, LookupError, ValueError), open("/proc/thread-self/schedstat") as file:
        return int(file.read().split()[1]) / 1e9
    return 0.0


def _release() -> None:
    """Hand freed memory back to the system (glibc), so that growth is not hidden in it."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _status(key: str) -> int:
    """Read bytes from the kernel's account of this process (Linux); 0 elsewhere."""
    try:
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith(key):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _resident() -> int:
    return _status("VmRSS:")


def _peak() -> int:
    return _status("VmHWM:")


def _forget_peak() -> None:
    """Let the kernel's record of the highest resident memory start anew."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass
