"""`eyeline diff` and `gate`: what changed between two checkpoints, and limits for a CI job."""

from pathlib import Path
from typing import Annotated, Any

import typer

from eyeline.cli.base import (
    METHOD_FLAGS,
    OPENING_FLAGS,
    MethodOption,
    PresetOption,
    app,
    complain,
    given,
    say,
    usage,
)
from eyeline.cli.many import StoreArgument
from eyeline.cli.trust import CHECK_FLAGS, LIMIT_FLAGS
from eyeline.command import flags as making
from eyeline.command.data_settings import Diffing, Gating
from eyeline.command.settings import Opening
from eyeline.errors import InputError
from eyeline.gate.limits import GateLimits
from eyeline.methods import METHODS, build
from eyeline.metrics.check import Check
from eyeline.metrics.limits import Limits
from eyeline.models.load import load

DIFFING_FLAGS = making.parameters({"": Diffing}, "The difference")
GATING_FLAGS = making.parameters({"": Gating}, "The gate")
GATE_FLAGS = making.parameters({"": GateLimits}, "What must hold")
OWNERS = {"gating": Gating, "limits": GateLimits, "check": Check, "marks": Limits}
"""Whose settings a file of limits may hold."""


@app.command()
@making.extended([*DIFFING_FLAGS, *METHOD_FLAGS, *OPENING_FLAGS])
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A model, or a store.", show_default=False)],
    b: Annotated[str, typer.Argument(metavar="B", help="The other one.", show_default=False)],
    images: Annotated[
        str | None,
        typer.Argument(
            metavar="IMAGES",
            help="What both models see, as for eyeline run; for two stores where their images are now.",
            show_default=False,
        ),
    ] = None,
    method: MethodOption = "occlusion",
    target: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS",
            help="What both explain. Left out: label where every image has one, else the best class of A.",
            show_default=False,
        ),
    ] = None,
    preset: PresetOption = None,
    **flags: Any,
) -> None:
    """Say what changed between two checkpoints: predictions, scores and where the evidence lies, most changed first."""
    from eyeline.command import diffs

    with usage():
        diffing = Diffing(**given({"": Diffing}, DIFFING_FLAGS, flags))
        pair = diffs.stores(a, b, images)
        if pair is None:
            chosen = build(method, given(METHODS, METHOD_FLAGS, flags, method), preset)
            words = Opening(**given({"": Opening}, OPENING_FLAGS, flags)).words(a)
            pair = diffs.runs(a, b, str(images), words, chosen, target, diffing, say)
        else:
            _refuse([each.name for each in (*METHOD_FLAGS, *OPENING_FLAGS) if flags[each.name] is not None])
        code = diffs.show(*pair, images, diffing, say, complain)
    raise typer.Exit(code)


@app.command()
@making.extended([*GATE_FLAGS, *GATING_FLAGS, *CHECK_FLAGS, *LIMIT_FLAGS, *OPENING_FLAGS])
def gate(
    store: StoreArgument,
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="That made the store; for the check and the audit.", show_default=False),
    ] = None,
    limits: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="A TOML file with these settings, or a pyproject.toml with tool.eyeline.gate; flags count before it.",
            show_default=False,
        ),
    ] = None,
    **flags: Any,
) -> None:
    """Hold a run to limits: exit code 0 where all are kept, 1 where one is not, 2 where one cannot be measured."""
    from eyeline.command import gates

    with usage():
        held = gates.read(limits, OWNERS) if limits is not None else {owner: {} for owner in OWNERS}
        own = {"gating": GATING_FLAGS, "limits": GATE_FLAGS, "check": CHECK_FLAGS, "marks": LIMIT_FLAGS}
        told = {owner: held[owner] | given({"": kind}, own[owner], flags) for owner, kind in OWNERS.items()}
        check = Check(**told["check"], limits=Limits(**told["marks"]))
        opening = Opening(**given({"": Opening}, OPENING_FLAGS, flags))
        asked = GateLimits(**told["limits"])
        opened = None if model is None else load(model, **opening.words(model))
        code = gates.run(store, asked, Gating(**told["gating"]), opened, check, say)
    raise typer.Exit(code)


def _refuse(settings: list[str]) -> None:
    """Refuse settings of runs that have been made.

    Raises:
        InputError: there is one.
    """
    if settings:
        raise InputError(
            f"{making.option(settings[0])} must come with two models, but got two stores, whose settings are fixed. "
            "Leave it out."
        )
