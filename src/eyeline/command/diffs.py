"""What `eyeline diff` says: what changed between two checkpoints, the images that changed most first."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eyeline import dataset, gate, page, picture
from eyeline.attribution import Attribution
from eyeline.command.data_settings import Diffing
from eyeline.command.regions import region
from eyeline.command.runs import described, lines
from eyeline.dataset.conditions import Condition
from eyeline.dataset.rows import Table
from eyeline.dataset.store import Store, exists
from eyeline.dataset.work import LABEL
from eyeline.errors import InputError
from eyeline.gate.shown import attribution
from eyeline.target import parse

Say = Callable[[str], None]

LEFT_OUT = 10
"""Images that were left out whose reasons are printed."""


def stores(a: str, b: str, images: str | None) -> tuple[Store, Store] | None:
    """Open two stores; None where two models are compared on images.

    Raises:
        InputError: one is a store and the other none, or there are no images.
    """
    given = [exists(Path(each)) for each in (a, b)]
    if any(given) != all(given) or (images is None and not any(given)):
        other = b if given[0] else a
        raise InputError(
            f"A and B must be two stores, or two models with IMAGES, but {other!r} is no store. "
            "Write eyeline diff MODEL_A MODEL_B IMAGES, or make the stores with eyeline run."
        )
    return (dataset.open_store(a), dataset.open_store(b)) if all(given) else None


def runs(
    a: str, b: str, images: str, words: dict[str, Any], method: Any, target: str | None, diffing: Diffing, say: Say
) -> tuple[Store, Store]:
    """Run both models, saying what was done."""
    wanted = target if target in (None, LABEL) else parse(str(target))
    return gate.twice(
        a,
        b,
        images,
        diffing.stores,
        method,
        wanted,
        chunk=diffing.chunk,
        workers=diffing.workers,
        tell=lambda told: say(str(told)),
        **words,
    )


def show(a: Store, b: Store, images: str | None, diffing: Diffing, say: Say, complain: Say) -> int:
    """Compare two stores, say and write what was asked for, and return the exit code: 1 where an image was left out.

    Raises:
        InputError: stores that cannot be compared, a condition or a column that is not there.
    """
    found = gate.diff(a, b, region=region(diffing.region, a.manifest.image[:-1]))
    other = ", ".join(f"{key} {value}" for key, value in b.manifest.model.items())
    for line in (*described(a), f"second model: {other}", *found.lines()):
        say(line)
    for name, reason in list(found.left_out.items())[:LEFT_OUT]:
        complain(f"{name}: left out: {reason}")
    table = dataset.ordered(_chosen(found.table, diffing.where), diffing.sort)
    count = len(table["row"])
    say(f"{count} rows, by {diffing.sort}; value_a, value_b and change in {found.unit}")
    for line in lines({name: values[: diffing.show] for name, values in table.items()}):
        say(line)
    if count > diffing.show:
        say(f"... {count - diffing.show} more: --show, or --out rows.csv")
    if diffing.out is not None:
        say(f"{count} rows -> {dataset.save(table, diffing.out)}")
    if count and (diffing.picture or diffing.page):
        _draw(a, b, table, images, diffing, say)
    return 1 if found.left_out else 0


def _chosen(table: Table, where: str | None) -> Table:
    """Return the rows that meet a condition."""
    if where is None:
        return table
    kept = Condition.parse(where, tuple(table))(table)
    return {name: values[kept] for name, values in table.items()}


def _draw(a: Store, b: Store, table: Table, images: str | None, diffing: Diffing, say: Say) -> None:
    """Draw the first rows, the maps of both models side by side."""
    places = {item.name: row for row, item in enumerate(b.items)}
    rows = [int(row) for row in table["row"][: diffing.worst]]
    first = _called("first", attribution(a, rows, images))
    second = _called("second", attribution(b, [places[a.items[row].name] for row in rows], images))
    if diffing.picture is not None:
        drawn = picture.panel(first, second, titles=("first model", "second model"))
        say(f"{len(rows)} images -> {picture.save(drawn, diffing.picture)}")
    if diffing.page is not None:
        say(f"{len(rows)} images -> {page.report([first, second], diffing.page)}")


def _called(which: str, found: Attribution) -> Attribution:
    """Name the maps of one model, for a page that shows both."""
    return dataclasses.replace(found, method={**found.method, "name": f"{which} model: {found.method['name']}"})
