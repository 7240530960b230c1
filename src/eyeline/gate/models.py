"""Two models over the same images: two stores whose maps explain the same class of each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from eyeline.dataset import items as reading
from eyeline.dataset.items import Item, Source
from eyeline.dataset.order import Ordered
from eyeline.dataset.rows import best_classes
from eyeline.dataset.running import Told, run
from eyeline.dataset.store import DONE, Store
from eyeline.dataset.work import LABEL
from eyeline.errors import InputError
from eyeline.target import Top, as_target

STORES = ("a.zarr", "b.zarr")
"""Names of the stores in their folder."""


def twice(
    model_a: object,
    model_b: object,
    images: object,
    folder: str | Path,
    method: Any = None,
    target: object = None,
    *,
    labels: object = None,
    chunk: int | None = None,
    workers: int = 1,
    tell: Callable[[Told], None] = lambda told: None,
    **words: Any,
) -> tuple[Store, Store]:
    """Run two models over the same images, into two stores; started again, only what is missing is computed.

    Args:
        model_a: what `load` opens, or returned.
        model_b: the other one.
        images: as for `eyeline.run`.
        folder: where a.zarr and b.zarr are made, or gone on with.
        method: settings; None means Occlusion().
        target: what both explain. None means each image's label where every image has one, else the best class of the
            first model. `Top(k)` is that of the first model for both.
        labels: of the images of an array.
        chunk: as for `eyeline.run`.
        workers: as for `eyeline.run`.
        tell: gets what was done, after each model.
        words: of `load`, for both models.

    Returns:
        Both stores, open for reading.

    Raises:
        InputError: as for `eyeline.run`; no image that the first model takes.
        UnsupportedError: a model cannot do what the method asks.
    """
    given, places = reading.source(images, labels), Path(folder)
    if target is None and all(item.label is not None for item in given.items):
        target = LABEL
    settings = {"method": method, "chunk": chunk, "workers": workers, "tell": tell, **words}
    first = run(model_a, given, places / STORES[0], target=target, **settings)
    if target != LABEL and isinstance(as_target(target), Top):
        given, target = _aimed(first, given), LABEL
    return first, run(model_b, given, places / STORES[1], target=target, **settings)


def _aimed(first: Store, given: Source) -> Ordered:
    """Return the images of a store that have maps, labelled with the class that was explained."""
    columns = best_classes(first, "weights")
    explained = {
        first.items[row].name: _label(int(columns[row]), first.manifest.classes)
        for row in np.flatnonzero(first.status == DONE)
    }
    order = tuple(place for place, item in enumerate(given.items) if item.name in explained)
    if not order:
        raise InputError("two models must have an image to be compared on, but the first one's are all refused.")
    items = tuple(Item(given.items[place].name, explained[given.items[place].name]) for place in order)
    return Ordered(given, order, items)


def _label(column: int, classes: tuple[str, ...] | None) -> str:
    """Write a column so that a label of these words stands for it: its number, unless that is a class's name."""
    return classes[column] if classes is not None and str(column) in classes else str(column)
