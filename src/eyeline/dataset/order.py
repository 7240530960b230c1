"""A store's rows and the images that are given at a later start: which is which, and what is missing."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from eyeline.dataset.items import Item, Source, source
from eyeline.dataset.store import MISSING, REFUSED, Store
from eyeline.dataset.work import LABEL
from eyeline.errors import InputError


@dataclass(frozen=True)
class Ordered:
    """A source in another order; places that it does not have any more are -1."""

    inner: Source
    order: tuple[int, ...]
    items: tuple[Item, ...]

    @property
    def origin(self) -> str:
        """Say where the items come from."""
        return self.inner.origin

    def stamp(self, place: int) -> tuple[int, int]:
        """Return size and time of change."""
        return self.inner.stamp(self.order[place])

    def read(self, place: int) -> tuple[object, bytes]:
        """Return an item and its hash.

        Raises:
            InputError: it cannot be read, or is not there any more.
        """
        if self.order[place] < 0:
            raise InputError(f"the image must be among those that are given, but {self.items[place].name!r} is not.")
        return self.inner.read(self.order[place])


def again(store: Store, images: object, needed: str) -> tuple[Source, dict[str, int]]:
    """Return the images of a store again, and the place of each name among them.

    Args:
        store: an open one.
        images: where they are, if not where they were.
        needed: how a sentence begins that says that they are not to be found.

    Raises:
        InputError: they are not.
    """
    if images is None and not store.origin:
        raise InputError(f"{needed}, but the store is of an array in memory. Pass images=.")
    given = source(store.origin if images is None else images)
    return given, {item.name: place for place, item in enumerate(given.items)}


def aligned(held: Store, given: Source, target: object) -> Source:
    """Bring the source into the store's order: rows that are there, then new ones."""
    places = {item.name: place for place, item in enumerate(given.items)}
    known = {item.name for item in held.items}
    order = [places.get(item.name, -1) for item in held.items]
    order += [place for place, item in enumerate(given.items) if item.name not in known]
    listed = [held.items[row] if place < 0 else given.items[place] for row, place in enumerate(order)]
    for old, new in zip(held.items, listed, strict=False):
        if target == LABEL and old.label != new.label:
            raise InputError(
                f"labels must be as they were where they are explained, but {old.name!r} had {old.label!r} and has "
                f"{new.label!r}. Pass another store."
            )
    if tuple(listed) != held.items or given.origin != held.origin:
        held.relist(tuple(listed), given.origin)
    return Ordered(given, tuple(order), tuple(listed))


def missing(held: Store, given: Source) -> tuple[list[int], int, int]:
    """Return the rows that have no map of the image as it is now, how many have one, and how many images are gone.

    A file of the same size and time is taken for the same; otherwise, and for arrays, its bytes are compared.
    """
    order = getattr(given, "order", range(len(given.items)))
    stamps = np.array([given.stamp(row) if order[row] >= 0 else (0, 0) for row in range(len(order))], dtype=np.int64)
    status, same = held.status, held.unchanged(stamps.reshape(-1, 2))
    todo: list[int] = []
    found = gone = 0
    for row, place in enumerate(order):
        if place < 0:
            gone += 1
        elif status[row] == MISSING or not ((same[row] and stamps[row].any()) or _is_same(held, given, row)):
            todo.append(row)
        else:
            found += int(status[row] != REFUSED)
    return todo, found, gone


def _is_same(held: Store, given: Source, row: int) -> bool:
    try:
        return given.read(row)[1] == held.digest(row)
    except InputError:
        return False


def chunks(rows: list[int], size: int) -> Iterator[tuple[int, ...]]:
    """Yield rows that lie in one chunk of the store."""
    start = 0
    for place in range(1, len(rows) + 1):
        if place == len(rows) or rows[place] // size != rows[start] // size:
            yield tuple(rows[start:place])
            start = place
