"""What the commands share: the application, arguments that several have, and how they speak."""

import contextlib
from collections.abc import Iterator
from importlib.metadata import version
from typing import Annotated, Any

import typer
from rich.markup import escape

from eyeline.command import flags as making
from eyeline.command.printed import printable
from eyeline.command.settings import Opening
from eyeline.errors import Error
from eyeline.methods import METHODS, PRESETS

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
TARGET_HELP = escape("What to explain: top, top:2, an index, a name, 'tabby vs tiger cat'.")

ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A file, a folder, package.module:name, or bundled; see eyeline models.",
        show_default=False,
    ),
]
MethodOption = Annotated[str, typer.Option(metavar="|".join(METHODS), help="How to look; see eyeline methods.")]
SEVERAL_HELP = escape(
    "How to look; see eyeline methods. Several, as occlusion:window=56,gradient, are drawn side by side; a flag "
    "goes to each that has it, what stands behind a name to that one."
)
MethodsOption = Annotated[str, typer.Option(metavar=escape("METHOD[:SETTINGS],..."), help=SEVERAL_HELP)]
PresetOption = Annotated[
    str | None,
    typer.Option(
        metavar="|".join(PRESETS), help="What this tool means by the method; flags count before it.", show_default=False
    ),
]
TargetOption = Annotated[str, typer.Option(metavar="CLASS", help=TARGET_HELP)]


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


def given(owners: making.Owners, own: list[Any], flags: dict[str, Any], chosen: str = "") -> dict[str, Any]:
    """Read the flags of the owner that was chosen; nothing where it has none."""
    if chosen not in owners:
        return {}
    return making.settings(owners, chosen, {each.name: flags[each.name] for each in own})
