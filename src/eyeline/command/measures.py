"""Metrics that `eyeline check --metrics` names: numbers beside the verdict, each with its unit and its direction."""

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eyeline.attribution import Attribution
from eyeline.audit.evidence import centre
from eyeline.command import flags
from eyeline.command.chosen import split
from eyeline.command.regions import region
from eyeline.command.tables import paragraph
from eyeline.errors import InputError, UnsupportedError, nearest
from eyeline.methods import Method
from eyeline.metrics import METRICS, Measured, Region
from eyeline.models.base import Model

Say = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """A metric that was named.

    Args:
        name: in METRICS.
        given: its settings.
        where: a region in words, for metrics that have one.
    """

    name: str
    given: dict[str, Any]
    where: str | None

    def __call__(self, model: Model, attribution: Attribution, method: Method) -> Measured:
        """Measure the maps that the method made."""
        known, given = {field.name for field in dataclasses.fields(METRICS[self.name])}, dict(self.given)
        if "method" in known:
            given.setdefault("method", method)
        if "region" in known:
            size = attribution.images.shape[1:-1]
            where = region(self.where, size)
            given["region"] = Region(mask=centre(size, where) if isinstance(where, float) else where)
        found: Measured = METRICS[self.name](**given)(model, attribution)
        return found


def asked(text: str | None, where: str | None) -> list[Asked]:
    """Read `--metrics`: names with commas between them, each with settings of its own behind a colon.

    Raises:
        InputError: an unknown metric or setting, a metric without its region, a region without a metric.
    """
    found = [_one(*flags.parted(part), where) for part in split(text, METRICS)] if text else []
    if where is not None and not any(_has(each.name, "region") for each in found):
        having = " or ".join(name for name in METRICS if _has(name, "region"))
        raise InputError(f"--region must come with a metric that has one, but got none. Pass --metrics {having}.")
    return found


def measured(
    wanted: Sequence[Asked], model: Model, attribution: Attribution, method: Method
) -> tuple[dict[str, Measured], dict[str, str]]:
    """Measure what was asked for; also what the model or the method does not allow -> why."""
    found, left_out = {}, {}
    for each in wanted:
        try:
            found[each.name] = each(model, attribution, method)
        except UnsupportedError as error:
            left_out[each.name] = str(error)
    return found, left_out


def line(found: Measured, name: str, index: int = 0) -> str:
    """Say one image's value with its unit, which way is better, and what it is."""
    notes = "".join(f" ({note})" for note in found.notes)
    value = f"{found.values[index]:.4g} {found.unit}"
    return f"{name}: {value}; {found.direction} is better; {found.definition}{notes}"


def record(found: Measured, index: int = 0) -> dict[str, Any]:
    """Return one image's value as JSON can hold it."""
    value = float(found.values[index])
    return {
        "value": value if np.isfinite(value) else None,
        "unit": found.unit,
        "better": found.direction,
        "definition": found.definition,
        "paper": found.paper,
        "metric": {key: each for key, each in found.metric.items() if key != "method"},
        "notes": list(found.notes),
    }


def listed(say: Say) -> None:
    """Print each metric with what it is, its unit, which way is better, its paper and its settings."""
    width = min(110, shutil.get_terminal_size().columns)
    for name, kind in METRICS.items():
        paragraph(say, f"{name}: ", kind.DEFINITION, width)
        say(f"  unit {kind.UNIT}; {kind.DIRECTION} is better" + (f"; {kind.PAPER}" if kind.PAPER else ""))
        for setting in _own(name):
            paragraph(say, f"  {setting}: ", flags.explained({name: kind}, setting), width)
        if _has(name, "region"):
            say("  needs --region")
    say("")
    say("eyeline check MODEL IMAGE --metrics deletion,road:noise=0 prints them beside the verdict.")


def _one(name: str, given: dict[str, str], where: str | None) -> Asked:
    if name not in METRICS:
        raise InputError(f"--metrics must name metrics, but got {name!r}. {nearest(name, METRICS)}")
    if _has(name, "region") and where is None:
        raise InputError(f"{name} must have a region to be measured on, but got none. Pass --region.")
    unknown = next((key for key in given if key not in _own(name)), None)
    if unknown is not None:
        raise InputError(
            f"what stands behind {name} must be its settings, but got {unknown!r}. {nearest(unknown, _own(name))}"
        )
    read = flags.settings({name: METRICS[name]}, name, given)
    if not _has(name, "region"):
        METRICS[name](**read)  # settings that cannot be are refused before a map is made
    return Asked(name, read, where)


def _own(name: str) -> list[str]:
    """Name the settings that text can set; the method is that of the maps."""
    kind = METRICS[name]
    settable = [field.name for field in dataclasses.fields(kind) if flags.holders({name: kind}, field.name)]
    return [each for each in settable if each != "method"]


def _has(name: str, setting: str) -> bool:
    return any(field.name == setting for field in dataclasses.fields(METRICS[name]))
