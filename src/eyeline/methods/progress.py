"""A progress bar with the time left: on a terminal and in notebooks; elsewhere silent, but for who watches."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from eyeline.methods.cell import cell_bar
from eyeline.methods.watch import WATCH

if TYPE_CHECKING:
    from rich.progress import Progress

SHOWN: "ContextVar[Progress | None]" = ContextVar("SHOWN", default=None)
"""The bars on the screen: a method that runs inside another one has its bar below the other's."""


@contextmanager
def progress(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """Yield a function that is told how many positions are done."""
    watch, count = WATCH.get(), 0
    if watch is not None:  # who watches shows it in a way of their own

        def advance(done: int) -> None:
            nonlocal count
            count += done
            watch.advanced(what, count, total)

        yield advance
        return
    if _in_notebook():
        with cell_bar(total, what) as show:
            yield show
        return
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    outer = SHOWN.get()
    if outer is not None:
        inner = outer.add_task(what, total=total)
        yield lambda done: outer.update(inner, advance=done)
        outer.remove_task(inner)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        token = SHOWN.set(bar)
        try:
            yield lambda done: bar.update(task, advance=done)
        finally:
            SHOWN.reset(token)


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"
