"""`eyeline run` and `eyeline show`: maps of many images in a store on disk."""

from typing import Annotated, Any

import typer

from eyeline.cli.base import (
    METHOD_FLAGS,
    OPENING_FLAGS,
    TARGET_HELP,
    MethodOption,
    ModelArgument,
    PresetOption,
    app,
    complain,
    given,
    say,
    usage,
)
from eyeline.command import flags as making
from eyeline.command.settings import Opening, Running, Showing
from eyeline.methods import METHODS, build

RUNNING_FLAGS = making.parameters({"": Running}, "The run")
SHOWING_FLAGS = making.parameters({"": Showing}, "The rows")


@app.command()
@making.extended([*RUNNING_FLAGS, *METHOD_FLAGS, *OPENING_FLAGS])
def run(
    model: ModelArgument,
    images: Annotated[
        str,
        typer.Argument(
            metavar="IMAGES",
            help="A folder (its subfolders are the labels), a .csv with columns image and label, a .npy or a .npz.",
            show_default=False,
        ),
    ],
    method: MethodOption = "occlusion",
    target: Annotated[
        str, typer.Option(metavar="CLASS", help=f"{TARGET_HELP[:-1]}, or label: each image's own.")
    ] = "top",
    preset: PresetOption = None,
    **flags: Any,
) -> None:
    """Make maps of many images into a store on disk; started again after any end, it computes what is missing."""
    from eyeline.command import runs

    with usage():
        chosen = build(method, given(METHODS, METHOD_FLAGS, flags, method), preset)
        running = Running(**given({"": Running}, RUNNING_FLAGS, flags))
        words = Opening(**given({"": Opening}, OPENING_FLAGS, flags)).words(model)
        code = runs.run(model, words, images, chosen, target, running, say, complain)
    raise typer.Exit(code)


@app.command()
@making.extended(SHOWING_FLAGS)
def show(
    store: Annotated[str, typer.Argument(metavar="STORE", help="A folder that eyeline run made.", show_default=False)],
    **flags: Any,
) -> None:
    """Print the rows of a store that meet a condition, or write them to a table."""
    from eyeline.command import runs

    with usage():
        runs.show(store, Showing(**given({"": Showing}, SHOWING_FLAGS, flags)), say)
