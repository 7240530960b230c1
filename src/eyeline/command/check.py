"""What `eyeline check` prints: the verdict of each map with the tests behind it, as a table or as JSON."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
) -> int:
    """Make and judge the maps of each image, print what was found, and return the exit code.

    0: done. 1: an image was refused, the others are done. A verdict does not change it.

    Raises:
        UnsupportedError: the model cannot do what the method asks.
    """
    records: list[dict[str, Any]] = []
    wanted = [(path, name) for path in expanded(images) for name in methods]
    for path, name in wanted:
        try:
            asked = dataclasses.replace(check, method=methods[name])
            found = asked(model, methods[name](model, path, target))
        except (UnsupportedError, MissingDependencyError):
            raise
        except Error as error:
            refuse(f"{path}: {error}")
            continue
        records.append({"image": path, **found.record()})
        if not as_json:
            for line in (f"{path}: {name}: {found.verdicts[0]}", *(f"  {each}" for each in table(found))):
                say(line)
    if as_json:
        say(json.dumps(records, ensure_ascii=True))
    return int(len(records) < len(wanted))


def table(found: Checked, index: int = 0) -> list[str]:
    """Return one line for each test of an image: its name, value, limits, verdict and reason."""
    rows = [("test", "value", "doubtful", "failed", "verdict", "reason")]
    for each in found.tests:
        beyond = ">" if each.measured.direction == "lower" else "<"
        doubtful, failed = found.limits.pair(each.name)
        reason = each.reasons[index].rpartition(" (")[0]
        value = f"{each.measured.values[index]:.3g}"
        rows.append(
            (WORDS[each.name], value, f"{beyond} {doubtful:g}", f"{beyond}= {failed:g}", each.verdicts[index], reason)
        )
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row[:5], widths, strict=True)), row[5]]) for row in rows
    ]
    return lines + [f"{WORDS[name]}: not tested: {why}" for name, why in found.left_out.items()]
