"""A progress bar with the time left: on a terminal and in notebooks; silent elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

SHOWN: "ContextVar[Progress | None]" = ContextVar("SHOWN", default=None)
"""The bars on the screen: a method that runs inside another one has its bar below the other's."""


@contextmanager
def progress(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """Yield a function that is told how many positions are done."""
    if not (sys.stderr.isatty() or _in_notebook()):
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
