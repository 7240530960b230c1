"""What `eyeline check` prints: the verdict of each map with the tests behind it, as a table or as JSON."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eyeline.command import measures
from eyeline.command.places import expanded
from eyeline.errors import Error, MissingDependencyError, UnsupportedError
from eyeline.methods import Method
from eyeline.metrics.check import Check, Checked
from eyeline.models.base import Model

Say = Callable[[str], None]

WORDS = {
    "random": "weights randomised",
    "shift": "moved elsewhere",
    "nudge": "image nudged",
    "seed": "another seed",
    "sum": "adds up",
}
"""Test -> what it is called in the table."""


def check(
    model: Model,
    images: Sequence[str],
    methods: Mapping[str, Method],
    target: object,
    check: Check,
    say: Say,
    refuse: Say,
    as_json: bool = False,
    measure: Sequence[measures.Asked] = (),
) -> int:
    """Make, judge and measure the maps of each image, print what was found, and return the exit code.

    0: done. 1: an image was refused, the others are done. A verdict does not change it.

    Raises:
        UnsupportedError: the model cannot do what the method asks.
    """
    records: list[dict[str, Any]] = []
    wanted = [(path, name) for path in expanded(images) for name in methods]
    for path, name in wanted:
        try:
            asked = dataclasses.replace(check, method=methods[name])
            attribution = methods[name](model, path, target)
            found = asked(model, attribution)
            numbers, left_out = measures.measured(measure, model, attribution, methods[name])
        except (UnsupportedError, MissingDependencyError):
            raise
        except Error as error:
            refuse(f"{path}: {error}")
            continue
        records.append({"image": path, **found.record()})
        if measure:
            records[-1]["measured"] = {key: measures.record(each) for key, each in numbers.items()}
            records[-1]["not_measured"] = left_out
        if not as_json:
            told = [*table(found), *(measures.line(each, key) for key, each in numbers.items())]
            told += [f"{key}: not measured: {why.partition('. ')[0]}" for key, why in left_out.items()]
            for each in (f"{path}: {name}: {found.verdicts[0]}", *(f"  {text}" for text in told)):
                say(each)
    if as_json:
        say(json.dumps(records, ensure_ascii=True))
    return int(len(records) < len(wanted))


def table(found: Checked, index: int = 0) -> list[str]:
    """Return one line for each test of an image: its name, value, limits, verdict and reason."""
    rows = [("test", "value", "unit", "doubtful", "failed", "verdict", "reason")]
    for each in found.tests:
        beyond = ">" if each.measured.direction == "lower" else "<"
        doubtful, failed = found.limits.pair(each.name)
        reason = each.reasons[index].rpartition(" (")[0]
        value = f"{each.measured.values[index]:.3g}"
        limits = f"{beyond} {doubtful:g}", f"{beyond}= {failed:g}"
        rows.append((WORDS[each.name], value, each.measured.unit, *limits, each.verdicts[index], reason))
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row[:6], widths, strict=True)), row[6]]) for row in rows
    ]
    # the way out is for those who call the metric alone
    return lines + [f"{WORDS[name]}: not tested: {why.partition('. ')[0]}" for name, why in found.left_out.items()]
