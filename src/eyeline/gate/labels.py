"""The labels of a store, as columns of its scores."""

import numpy as np
from jaxtyping import Int

from eyeline.audit.labelled import column
from eyeline.dataset.store import Store


def columns(store: Store) -> Int[np.ndarray, "rows"]:
    """Return the column of each row's label, -1 where it has none.

    Raises:
        InputError: a label that is no class of the model.
    """
    labels = {item.label for item in store.items if item.label is not None}
    known: dict[str | None, int] = {label: column(store, label) for label in sorted(labels)}
    return np.array([known.get(item.label, -1) for item in store.items])
