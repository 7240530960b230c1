"""`eyeline run`, `show` and `audit`: maps of many images in a store on disk, and what they have in common."""

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
from eyeline.command.data_settings import Auditing, Running, Showing
from eyeline.command.settings import Opening
from eyeline.methods import METHODS, build
from eyeline.models.load import load

RUNNING_FLAGS = making.parameters({"": Running}, "The run")
SHOWING_FLAGS = making.parameters({"": Showing}, "The rows")
AUDITING_FLAGS = making.parameters({"": Auditing}, "The audit")
StoreArgument = Annotated[
    str, typer.Argument(metavar="STORE", help="A folder that eyeline run made.", show_default=False)
]


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
    store: StoreArgument,
    **flags: Any,
) -> None:
    """Print the rows of a store that meet a condition, or write them to a table."""
    from eyeline.command import runs

    with usage():
        runs.show(store, Showing(**given({"": Showing}, SHOWING_FLAGS, flags)), say)


@app.command()
@making.extended([*AUDITING_FLAGS, *OPENING_FLAGS])
def audit(store: StoreArgument, model: ModelArgument, **flags: Any) -> None:
    """Look for shortcuts of each class in a run with labels; exit code 1 where there is one."""
    from eyeline.command import audits

    with usage():
        auditing = Auditing(**given({"": Auditing}, AUDITING_FLAGS, flags))
        opening = Opening(**given({"": Opening}, OPENING_FLAGS, flags))
        code = audits.run(store, load(model, **opening.words(model)), auditing, say)
    raise typer.Exit(code)
