"""A store as a table: one row an image, with what was found; read chunk by chunk, chosen by a condition, exported."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from eyeline import target as targets
from eyeline._files import cell, writing
from eyeline.dataset.conditions import Condition
from eyeline.dataset.store import DONE, REFUSED, Store
from eyeline.errors import InputError, nearest, require
from eyeline.window import AXES

STATES = {0: "missing", DONE: "done", REFUSED: "refused"}

AT_ONCE = 4096
"""Rows that are read at a time."""

BYTES = 2**26
"""Of maps that are read at a time, where a chunk is not larger."""

Table = dict[str, np.ndarray]
"""Columns of one length."""


def columns(store: Store) -> tuple[str, ...]:
    """Name the columns.

    row: place in the store. image, label: as given. status: done, refused or missing. predicted: best class of the
    clean image. score: its score. target: what was explained, in words; value: that scalar. highest, lowest: of the
    map; highest_row, highest_column: where the first is. error: the sentence of a refused image.
    """
    where = tuple(f"highest_{name}" for name in AXES[len(store.manifest.image) - 1])
    found = ("row", "image", "label", "status", "predicted", "score", "target", "value")
    return (*found, "highest", *where, "lowest", "error")


def tables(store: Store) -> Iterator[Table]:
    """Yield the table, some rows at a time."""
    status, said = store.status, store.sentences()
    for start, stop, maps in blocks(store):
        yield _table(store, start, stop, maps, status, said)


def blocks(store: Store) -> Iterator[tuple[int, int, Float[np.ndarray, "n *space"]]]:
    """Yield (start, stop, maps), some rows at a time in whole chunks; see `over_channels` for maps with channels."""
    step = at_once(store)
    for start in range(0, len(store.items), step):
        stop = min(start + step, len(store.items))
        yield start, stop, over_channels(store, np.asarray(store["maps"][start:stop]))


def at_once(store: Store) -> int:
    """Return how many rows are read at a time: whole chunks, whose maps take at most BYTES where one chunk does."""
    manifest = store.manifest
    rows = min(AT_ONCE, BYTES // (4 * math.prod(manifest.map)))
    return max(1, rows // manifest.chunk) * manifest.chunk


def best_classes(store: Store, name: str = "scores") -> Int[np.ndarray, "rows"]:
    """Return the column of each row's largest score, or weight, reading some rows at a time."""
    step = at_once(store)
    starts = range(0, len(store.items), step)
    return np.concatenate([np.asarray(store[name][start : start + step]).argmax(axis=1) for start in starts])


def over_channels(store: Store, maps: np.ndarray) -> Float[np.ndarray, "n *space"]:
    """Return maps of a store's rows; those that have the image's channels are summed over them."""
    return maps.sum(axis=-1) if maps.ndim > len(store.manifest.image) else maps


def select(store: Store, where: str | None = None) -> Table:
    """Return the rows that meet a condition, all columns.

    Args:
        store: an open one.
        where: for example "label == 'cat' and score < 0.5"; see `conditions`. None means all.

    Raises:
        InputError: a condition that cannot be read.
    """
    chosen = None if where is None else Condition.parse(where, columns(store))
    found: list[Table] = []
    for table in tables(store):
        kept = slice(None) if chosen is None else np.flatnonzero(chosen(table))
        found.append({name: values[kept] for name, values in table.items()})
    return {name: np.concatenate([table[name] for table in found]) for name in columns(store)}


def ordered(table: Table, by: str) -> Table:
    """Sort rows by a column, from the lowest up, or by "-column" from the highest down; what is not there comes last.

    Raises:
        InputError: no such column.
    """
    name = by.removeprefix("-")
    if name not in table:
        raise InputError(f"--sort must name a column, but got {by!r}. {nearest(name, table)}")
    values = table[name].tolist()
    there = [place for place, value in enumerate(values) if value is not None and value == value]
    there.sort(key=lambda place: values[place], reverse=by.startswith("-"))
    rest = sorted(set(range(len(values))) - set(there))
    return {key: each[there + rest] for key, each in table.items()}


def save(table: Mapping[str, np.ndarray], path: str | Path) -> Path:
    """Write a table as .csv, whose cells no spreadsheet takes for formulas, or as .parquet.

    Raises:
        InputError: another ending; the folder cannot be written.
        MissingDependencyError: pyarrow is not installed.
    """
    target = Path(path)
    if target.suffix == ".csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(table)
        writer.writerows([_plain(each) for each in row] for row in zip(*table.values(), strict=True))
        content = text.getvalue().encode("utf-8", "surrogateescape")
    elif target.suffix == ".parquet":
        arrow, parquet = require("pyarrow", "run"), require("pyarrow.parquet", "run")
        sink = io.BytesIO()
        parquet.write_table(arrow.table({name: values.tolist() for name, values in table.items()}), sink)
        content = sink.getvalue()
    else:
        raise InputError(f"the table's name must end in .csv or .parquet, but got {target.name!r}. Choose one.")
    with writing(target) as file:
        file.write(content)
    return target


def _table(store: Store, start: int, stop: int, maps: np.ndarray, status: np.ndarray, said: Mapping[int, str]) -> Table:
    manifest, rows = store.manifest, range(start, stop)
    done = status[start:stop] == DONE
    scores, weights = (np.asarray(store[name][start:stop]) for name in ("scores", "weights"))
    flat = maps.reshape(stop - start, -1)
    best, peak = scores.argmax(axis=1), flat.argmax(axis=1)
    places = np.unravel_index(peak, manifest.map[: len(manifest.image) - 1])
    value = np.einsum("nc,nc->n", scores, weights, dtype=np.float64)

    def number(values: np.ndarray) -> np.ndarray:
        return np.where(done, values.astype(np.float64), np.nan)

    def words(values: Sequence[str | None]) -> np.ndarray:
        return np.array(values, dtype=object)

    names = [targets.name(int(each), manifest.classes) for each in best]
    explained = targets.describe(weights, manifest.classes)
    found = {
        "row": np.arange(start, stop),
        "image": words([store.items[row].name for row in rows]),
        "label": words([store.items[row].label for row in rows]),
        "status": words([STATES[int(each)] for each in status[start:stop]]),
        "predicted": words([name if fine else None for name, fine in zip(names, done, strict=True)]),
        "score": number(scores.max(axis=1)),
        "target": words([text if fine else None for text, fine in zip(explained, done, strict=True)]),
        "value": number(value),
        "highest": number(flat.max(axis=1)),
        "lowest": number(flat.min(axis=1)),
        "error": words([said.get(row) for row in rows]),
    }
    found |= {f"highest_{name}": number(each) for name, each in zip(AXES[len(manifest.image) - 1], places, strict=True)}
    return {name: found[name] for name in columns(store)}


def _plain(value: Any) -> Any:
    """Write a cell: nothing for what is not there, text that no spreadsheet runs."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return cell(value) if isinstance(value, str) else value
