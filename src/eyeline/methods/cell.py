"""A progress bar below a notebook's cell: plain HTML that is replaced as the run goes on, and gone at its end."""

import importlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape

EVERY = 0.25
"""Seconds between two pictures of the bar."""


@contextmanager
def cell_bar(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """Yield a function that is told how many positions are done; for notebooks, whose IPython is there."""
    shown = importlib.import_module("IPython.display")
    began = drawn = time.perf_counter()
    count, handle = 0, shown.display(shown.HTML(picture(what, 0, total, None)), display_id=True)

    def advance(done: int) -> None:
        nonlocal count, drawn
        count, now = count + done, time.perf_counter()
        if count and now - drawn >= EVERY:
            drawn = now
            handle.update(shown.HTML(picture(what, count, total, (now - began) / count * (total - count))))

    try:
        yield advance
    finally:
        handle.update(shown.HTML(""))


def picture(what: str, done: int, total: int, left: float | None) -> str:
    """Return the bar as HTML: what runs, how much of it is done, and the seconds that are left."""
    words = f"{what}: {done} of {total}" + ("" if left is None else f", about {left:.0f} s left")
    bar = f'<progress value="{done}" max="{max(total, 1)}" style="width: 20em"></progress>'
    return f"<label>{escape(words)} {bar}</label>"
