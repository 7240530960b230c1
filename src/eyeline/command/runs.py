"""What `eyeline run` and `eyeline show` do: maps of many images into a store, and the store as a table."""

from collections.abc import Callable
from typing import Any

import numpy as np

from eyeline import dataset
from eyeline.command.data_settings import Running, Showing
from eyeline.dataset.store import Store
from eyeline.dataset.work import LABEL
from eyeline.target import parse

Say = Callable[[str], None]

REFUSED = 10
"""Refused images whose sentences are printed after a run."""


def run(
    model: str, words: dict[str, Any], images: str, method: Any, target: str, running: Running, say: Say, refuse: Say
) -> int:
    """Run, say what was done, and return the exit code: 1 where an image was refused, else 0."""
    told: list[dataset.Told] = []
    store = dataset.run(
        model,
        images,
        running.store,
        method,
        LABEL if target == LABEL else parse(target),
        chunk=running.chunk,
        threads=running.threads,
        workers=running.workers or 1,
        pool=dataset.cluster(running.ray, running.workers, running.cores) if running.ray else None,
        sweep=running.sweep,
        tell=told.append,
        **words,
    )
    for line in described(store):
        say(line)
    refused = told[0].refused
    for name in list(refused)[:REFUSED]:
        refuse(f"{name}: {refused[name]}")
    if len(refused) > REFUSED:
        refuse(f"... and {len(refused) - REFUSED} more; eyeline show {running.store} --where \"status == 'refused'\"")
    say(f"{told[0]} -> {running.store}")
    return 1 if refused else 0


def described(store: Store) -> list[str]:
    """Say what a store is of."""
    manifest = store.manifest
    settings = ", ".join(
        f"{key}={value}"
        for key, value in manifest.method.items()
        if key not in ("name", "engine") and value is not None
    )
    model = ", ".join(f"{key} {value}" for key, value in manifest.model.items())
    fixed = f"chunks of {manifest.chunk} images, engine {manifest.engine}, batch {manifest.batch}"
    lines = [f"{manifest.method['name']} ({settings}); target {manifest.target}; model: {model}"]
    lines += [f"{manifest.quantity}; {fixed}, threads {manifest.threads}"]
    if not manifest.weights:
        lines += ["the model's weights cannot be seen: that later starts have the same is taken on trust"]
    return lines


def show(path: str, showing: Showing, say: Say) -> None:
    """Print rows of a store, or write them to a table.

    Raises:
        InputError: no store, a condition or a column that is not there.
    """
    store = dataset.open_store(path)
    table = dataset.select(store, showing.where)
    if showing.sort is not None:
        table = dataset.ordered(table, showing.sort)
    count = len(table["row"])
    if showing.out is not None:
        say(f"{count} of {len(store.items)} rows -> {dataset.save(table, showing.out)}")
        return
    for line in described(store):
        say(line)
    say(f"{count} of {len(store.items)} rows; score and value in {store.manifest.unit}")
    for line in lines({name: values[: showing.limit] for name, values in table.items()}):
        say(line)
    if count > showing.limit:
        say(f"... {count - showing.limit} more: --limit, or --out rows.csv")


def lines(table: dict[str, np.ndarray]) -> list[str]:
    """Lay a table out in columns; those that are empty are left out."""
    texts = {name: [_text(each) for each in values.tolist()] for name, values in table.items()}
    texts = {name: each for name, each in texts.items() if any(each)}
    widths = {name: max(len(name), *map(len, each)) for name, each in texts.items()}
    rows = [list(texts), *map(list, zip(*texts.values(), strict=True))]
    return ["  ".join(cell.ljust(widths[name]) for cell, name in zip(row, texts, strict=True)).rstrip() for row in rows]


def _text(value: Any) -> str:
    if value is None or value != value:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)[:60]
