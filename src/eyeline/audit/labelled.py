"""The rows of a store that have a label and a map, and which of them the model gets right."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from eyeline.dataset.rows import best_classes
from eyeline.dataset.store import DONE, Store
from eyeline.dataset.work import named
from eyeline.errors import InputError
from eyeline.target import index


@dataclass(frozen=True, eq=False)
class Labelled:
    """What is known of every row.

    Args:
        labels: of each row, "" where it has none.
        done: rows that have a label and a map.
        columns: of the scores, each row's label; -1 where not done.
        best: column of each row's best class.
    """

    labels: np.ndarray
    done: Bool[np.ndarray, "rows"]
    columns: Int[np.ndarray, "rows"]
    best: Int[np.ndarray, "rows"]

    @property
    def classes(self) -> list[str]:
        """The labels that rows have, sorted."""
        return sorted(set(self.labels[self.done]))

    @property
    def right(self) -> Bool[np.ndarray, "rows"]:
        """Rows whose best class is their label."""
        return np.asarray(self.done & (self.best == self.columns))

    def rows(self, label: str) -> Int[np.ndarray, "n"]:
        """Rows of one class."""
        return np.flatnonzero(self.done & (self.labels == label))


def labelled(store: Store) -> Labelled:
    """Read the labels of a store.

    Raises:
        InputError: no image has one, or one is no class of the model.
    """
    labels = np.array([item.label or "" for item in store.items], dtype=object)
    done = (store.status == DONE) & (labels != "")
    if not done.any():
        raise InputError("an audit must have labels, but no image of the store has one. Run it on class folders.")
    known = {label: column(store, label) for label in set(labels[done])}
    columns = np.array([known[label] if fine else -1 for label, fine in zip(labels, done, strict=True)])
    return Labelled(labels, done, columns, best_classes(store))


def column(store: Store, label: str) -> int:
    """Return a label's column of the scores.

    Raises:
        InputError: it is no class of the model.
    """
    return index(named(label, store.manifest.classes), store.manifest.scores, store.manifest.classes)
