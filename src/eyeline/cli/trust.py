"""`eyeline check` and `metrics`: whether a map can be trusted."""

from typing import Annotated, Any

import typer
from rich.markup import escape

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
from eyeline.command.settings import Opening
from eyeline.metrics.check import Check
from eyeline.metrics.limits import Limits
from eyeline.models.load import load
from eyeline.target import parse

CHECK_FLAGS = [each for each in making.parameters({"": Check}, "The check") if each.name != "method"]
LIMIT_FLAGS = making.parameters({"": Limits}, "Its limits")


@app.command()
@making.extended([*CHECK_FLAGS, *LIMIT_FLAGS, *METHOD_FLAGS, *OPENING_FLAGS])
def check(
    model: ModelArgument,
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE", help="Image files, or folders of them.", show_default=False)
    ],
    method: MethodsOption = "gradient",
    target: TargetOption = "top",
    preset: PresetOption = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar=escape("METRIC[:SETTINGS],..."),
            help="Numbers beside the verdict, as deletion,road; see eyeline metrics.",
            show_default=False,
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Where the object is, for pointinggame and evidenceinside: a share of the middle, as 0.5, or a "
            "picture that is white there.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    **flags: Any,
) -> None:
    """Judge maps: passed, doubtful or failed, and why. The map is made some twelve times.

    The weights are randomised on a copy, the map is moved elsewhere, the image is nudged, another seed is taken, and
    the numbers are added up. A verdict says what speaks against a map; it cannot say that a map is right.
    """
    from eyeline.command import check as checking
    from eyeline.command import measures
    from eyeline.command.chosen import chosen

    with usage():
        methods = chosen(method, {each.name: flags[each.name] for each in METHOD_FLAGS}, preset)
        limits = Limits(**given({"": Limits}, LIMIT_FLAGS, flags))
        asked = Check(**given({"": Check}, CHECK_FLAGS, flags), limits=limits)
        opening = Opening(**given({"": Opening}, OPENING_FLAGS, flags))
        wanted = parse(target)
        numbers = measures.asked(metrics, region)
        opened = load(model, **opening.words(model))
        code = checking.check(opened, images, methods, wanted, asked, say, complain, as_json, numbers)
    raise typer.Exit(code)


@app.command("metrics")
def listed() -> None:
    """List the metrics: what each is, its unit, which way is better, its paper and its settings."""
    from eyeline.command import measures

    measures.listed(say)
