"""`eyeline demo`, `serve`, `lecture`, `models`, `layers` and `methods`: what comes along, shown."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from eyeline.cli.base import OPENING_FLAGS, ModelArgument, app, given, say, usage
from eyeline.command import flags as making
from eyeline.command.settings import Opening
from eyeline.models.load import load


@app.command()
def demo(
    out: Annotated[Path, typer.Option(metavar="PATH", help="Folder for the pictures and index.html.")] = Path("demo"),
) -> None:
    """Explain four photographs with the bundled network, and write pictures and a page.

    Nothing is downloaded: network and photographs come with eyeline\\[demo]. About half a minute on one core.
    """
    _threads()
    from eyeline.demo import run

    with usage():
        run(out, say)


@app.command()
@making.extended(OPENING_FLAGS)
def serve(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="As for explain; left out, the bundled network.", show_default=False)
    ] = "bundled",
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; 127.0.0.1 is reached from this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="NUMBER", min=0, max=65535, help="0 takes a free one.")] = 8080,
    show: Annotated[bool, typer.Option("--show/--no-show", help="Open the page in the browser.")] = True,
    **flags: Any,
) -> None:
    """Open a page on which a mask is dragged over a picture, and maps fill in while they run.

    Pictures stay on this machine, in memory, until the page is closed. Another --host than 127.0.0.1 lets everyone who
    can reach it use the page, without a password.
    """
    _threads()
    from eyeline.app.serve import serve as serving

    with usage():
        opening = Opening(**given({"": Opening}, OPENING_FLAGS, flags))
        serving(load(model, **opening.words(model)), host, port, show, say)


@app.command()
def lecture(
    out: Annotated[Path, typer.Option(metavar="PATH", help="Folder for the model, the data and the pictures.")] = Path(
        "lecture"
    ),
    data: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Folder of class folders, or .npz; left out, a data set is drawn."),
    ] = None,
) -> None:
    """Train a small Keras network on pictures, and show by both methods what it looks at."""
    from eyeline.lecture.run import run

    with usage():
        run(out, data, say)


@app.command()
def models() -> None:
    """List what explain can open, and what is installed here."""
    from eyeline.command import tables

    tables.models(say)


@app.command()
@making.extended(OPENING_FLAGS)
def layers(model: ModelArgument, **flags: Any) -> None:
    """List the layers of a model, and those that --layer of the class activation maps may name."""
    from eyeline.command import tables

    with usage():
        opening = Opening(**given({"": Opening}, OPENING_FLAGS, flags))
        tables.layers(load(model, **opening.words(model)), say)


@app.command()
def methods(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Of these, the settings too.", show_default=False),
    ] = None,
) -> None:
    """List the methods, or the settings of those that are named."""
    from eyeline.command import tables

    with usage():
        tables.methods(names or (), say)


def _threads() -> None:
    """Leave half of the cores to other programs: where they use them, a thread on each is several times slower."""
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 2) // 2)))
