"""The command: `eyeline demo | explain | plan | lecture | models | methods`.

Importing this file loads no framework and no matplotlib. Exit codes: 0 done; 1 an image was refused, the others
are done; 2 usage: a flag or a model that cannot be. Ctrl-C: 130; what is done is kept, and nothing is half-written.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from eyeline.command import flags as making
from eyeline.command.settings import Opening, Planning, Writing
from eyeline.command.words import printable
from eyeline.errors import Error
from eyeline.methods import METHODS, Occlusion, build
from eyeline.models.load import load
from eyeline.target import parse

app = typer.Typer(
    help="Shows what an image classifier looks at: exact occlusion and saliency maps.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

METHOD_FLAGS = making.parameters(METHODS, "Settings of {owners}")
OPENING_FLAGS = making.parameters({"": Opening}, "The model")
WRITING_FLAGS = making.parameters({"": Writing}, "What is written")
PLANNED: making.Owners = {"occlusion": Occlusion}
PLANNED_FLAGS = making.parameters(PLANNED, "Settings of {owners}")
PLANNING_FLAGS = making.parameters({"": Planning}, "The time")

ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A file, a folder, package.module:name, or bundled; see eyeline models.",
        show_default=False,
    ),
]


def main(arguments: list[str] | None = None) -> None:
    """Run the command and leave the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A file name may hold what the terminal's encoding cannot show.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    # Threads that wait in a loop take the cores from those that work, wherever cores are shared. Read by OpenMP when a
    # framework is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # For package.module:name of the reader's own; last, so that a file here never stands in for a library.
    sys.path.append(os.getcwd())
    try:
        try:
            app(arguments, prog_name="eyeline")
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone; the interpreter must not try to flush to it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"eyeline {version('eyeline')}")
        raise typer.Exit


@app.callback()
def _top(
    wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, metavar=" ", help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
@making.extended([*METHOD_FLAGS, *OPENING_FLAGS, *WRITING_FLAGS])
def explain(
    model: ModelArgument,
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE", help="Image files, or folders of them.", show_default=False)
    ],
    method: Annotated[
        str, typer.Option(metavar="|".join(METHODS), help="How to look; see eyeline methods.")
    ] = "occlusion",
    target: Annotated[
        str,
        typer.Option(
            metavar="CLASS", help=escape("What to explain: top, top:2, an index, a name, 'tabby vs tiger cat'.")
        ),
    ] = "top",
    **flags: Any,
) -> None:
    """Make maps of images and pictures of them.

    One line says what was assumed. One line per image says its class, its score, and the region that carried it.
    Log-odds are ln(p / (1 - p)) of a probability p.
    """
    from eyeline.command.run import Run

    with usage():
        chosen = build(method, _given(METHODS, METHOD_FLAGS, flags, method))
        writing = Writing(**_given({"": Writing}, WRITING_FLAGS, flags))
        opening = Opening(**_given({"": Opening}, OPENING_FLAGS, flags))
        wanted = parse(target)
        opened = load(model, **opening.words(model))
        code = Run(opened, chosen, method, wanted, writing, say, complain)(images)
    raise typer.Exit(code)


@app.command()
@making.extended([*PLANNED_FLAGS, *OPENING_FLAGS, *PLANNING_FLAGS])
def plan(
    model: ModelArgument,
    image: Annotated[
        str | None, typer.Argument(metavar="IMAGE", help="An image file; left out, noise of the model's size.")
    ] = None,
    **flags: Any,
) -> None:
    """Say what an occlusion run would do and how long it would take, before it runs; about half a minute.

    With --budget it proposes the finest stride that fits the time, and prints the command for it.
    """
    from eyeline.command import plan as planning

    with usage():
        method = Occlusion(**_given(PLANNED, PLANNED_FLAGS, flags, "occlusion"))
        budget = Planning(**_given({"": Planning}, PLANNING_FLAGS, flags)).seconds()
        opening = Opening(**_given({"": Opening}, OPENING_FLAGS, flags))
        opened = load(model, **opening.words(model))
        proposed = planning.plan(opened, image, method, budget, say)
        if proposed is not None:
            told = {each.name: flags[each.name] for each in (*PLANNED_FLAGS, *OPENING_FLAGS)}
            say(planning.command(model, image or "IMAGE", told, *proposed))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(metavar="PATH", help="Folder for the pictures and index.html.")] = Path("demo"),
) -> None:
    """Explain four photographs with the bundled network, and write pictures and a page.

    Nothing is downloaded: network and photographs come with eyeline\\[demo]. About half a minute on one core.
    """
    # Where other programs use the cores too, a thread on each of them is several times slower than on half of them.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 2) // 2)))
    from eyeline.demo import run

    with usage():
        run(out, say)


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
def methods() -> None:
    """List the methods with their settings."""
    from eyeline.command import tables

    tables.methods(say)


def say(line: str) -> None:
    """Print a line; what a terminal would act on is spelled out."""
    typer.echo(printable(line))


def complain(line: str) -> None:
    """Print a sentence on stderr."""
    typer.echo(f"eyeline: {printable(line)}", err=True)


@contextlib.contextmanager
def usage() -> Iterator[None]:
    """Turn an error of eyeline into its sentence and exit code 2."""
    try:
        yield
    except Error as error:
        complain(str(error))
        raise typer.Exit(2) from None


def _given(owners: making.Owners, own: list[Any], flags: dict[str, Any], chosen: str = "") -> dict[str, Any]:
    if chosen not in owners:
        return {}
    return making.settings(owners, chosen, {each.name: flags[each.name] for each in own})
