"""The labels and the best classes of a store, as columns of its scores."""

import numpy as np
from jaxtyping import Int

from eyeline.audit.labelled import column
from eyeline.dataset.rows import at_once
from eyeline.dataset.store import Store


def columns(store: Store) -> Int[np.ndarray, "rows"]:
    """Return the column of each row's label, -1 where it has none.

    Raises:
        InputError: a label that is no class of the model.
    """
    labels = {item.label for item in store.items if item.label is not None}
    known: dict[str | None, int] = {label: column(store, label) for label in sorted(labels)}
    return np.array([known.get(item.label, -1) for item in store.items])


def best(store: Store) -> Int[np.ndarray, "rows"]:
    """Return the column of each row's best class, reading some scores at a time."""
    step = at_once(store)
    starts = range(0, len(store.items), step)
    return np.concatenate([np.asarray(store["scores"][start : start + step]).argmax(axis=1) for start in starts])
