"""`eyeline explain` and `eyeline plan`: maps of some images, and what a run would take."""

from typing import Annotated, Any

import typer

from eyeline.cli.base import (
    METHOD_FLAGS,
    OPENING_FLAGS,
    MethodsOption,
    ModelArgument,
    PresetOption,
    TargetOption,
    app,
    complain,
    given,
    say,
    usage,
)
from eyeline.command import flags as making
from eyeline.command.settings import Opening, Planning, Writing
from eyeline.methods import Occlusion
from eyeline.models.load import load
from eyeline.target import parse

WRITING_FLAGS = making.parameters({"": Writing}, "What is written")
PLANNED: making.Owners = {"occlusion": Occlusion}
PLANNED_FLAGS = making.parameters(PLANNED, "Settings of {owners}")
PLANNING_FLAGS = making.parameters({"": Planning}, "The time")


@app.command()
@making.extended([*METHOD_FLAGS, *OPENING_FLAGS, *WRITING_FLAGS])
def explain(
    model: ModelArgument,
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE", help="Image files, or folders of them.", show_default=False)
    ],
    method: MethodsOption = "occlusion",
    target: TargetOption = "top",
    preset: PresetOption = None,
    **flags: Any,
) -> None:
    """Make maps of images and pictures of them.

    One line says what was assumed. One line per image says its class, its score, and the region that carried it.
    Log-odds are ln(p / (1 - p)) of a probability p.
    """
    from eyeline.command.chosen import chosen
    from eyeline.command.run import Run

    with usage():
        methods = chosen(method, {each.name: flags[each.name] for each in METHOD_FLAGS}, preset)
        writing = Writing(**given({"": Writing}, WRITING_FLAGS, flags))
        opening = Opening(**given({"": Opening}, OPENING_FLAGS, flags))
        wanted = parse(target)
        opened = load(model, **opening.words(model))
        code = Run(opened, methods, wanted, writing, say, complain)(images)
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
        method = Occlusion(**given(PLANNED, PLANNED_FLAGS, flags, "occlusion"))
        budget = Planning(**given({"": Planning}, PLANNING_FLAGS, flags)).seconds()
        opening = Opening(**given({"": Opening}, OPENING_FLAGS, flags))
        opened = load(model, **opening.words(model))
        proposed = planning.plan(opened, image, method, budget, say)
        if proposed is not None:
            told = {each.name: flags[each.name] for each in (*PLANNED_FLAGS, *OPENING_FLAGS)}
            say(planning.command(model, image or "IMAGE", told, *proposed))
