"""Ctrl-C that is not lost: libraries that call back from threads and finalisers may swallow what it raises in them."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def heeded() -> Iterator[Callable[[], None]]:
    """Yield a function that raises KeyboardInterrupt where Ctrl-C was pressed since the block began, however it went.

    Elsewhere than in the main thread, and where Ctrl-C is ignored, it does nothing.
    """
    before: Any = signal.getsignal(signal.SIGINT)
    pressed = threading.Event()

    def press(number: int, frame: object) -> None:
        pressed.set()
        before(number, frame)

    def check() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield check
        return
    signal.signal(signal.SIGINT, press)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
