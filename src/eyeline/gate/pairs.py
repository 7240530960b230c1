"""Which rows of two stores are of the same image, and whether their maps can be compared."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from eyeline.dataset.store import DONE, Store
from eyeline.errors import InputError

PATHS = ("engine", "batch", "memory", "verify")
"""Settings that say how maps are computed, not what they are."""


@dataclass(frozen=True)
class Paired:
    """Rows of two stores.

    Args:
        rows: of the first and the second store, in the first one's order.
        left_out: images that cannot be compared -> why.
    """

    rows: tuple[tuple[int, int], ...]
    left_out: dict[str, str]


def paired(a: Store, b: Store) -> Paired:
    """Find the images that both stores have maps of, by name and content.

    Raises:
        InputError: stores of other methods, images, classes or units; no image in common.
    """
    _check(a, b)
    places = {item.name: row for row, item in enumerate(b.items)}
    states, digests = (a.status, b.status), (a["digests"][:], b["digests"][:])
    rows: list[tuple[int, int]] = []
    left_out = {item.name: "only in the second store" for item in b.items}
    for row, item in enumerate(a.items):
        left_out.pop(item.name, None)
        other = places.get(item.name)
        if other is None:
            left_out[item.name] = "only in the first store"
        elif states[0][row] != DONE or states[1][other] != DONE:
            which = "first" if states[0][row] != DONE else "second"
            left_out[item.name] = f"no map in the {which} store"
        elif not np.array_equal(digests[0][row], digests[1][other]):
            left_out[item.name] = "another image under the same name"
        else:
            rows.append((row, other))
    if not rows:
        name, reason = next(iter(left_out.items()), ("", "both are empty"))
        raise InputError(
            f"two stores must have maps of the same images, but got none ({name!r}: {reason}). "
            "Make both of one folder, and start again what has not ended."
        )
    return Paired(tuple(rows), left_out)


def _check(a: Store, b: Store) -> None:
    """Compare what fixes the meaning of two stores' numbers."""
    for name, one, other in _facts(a, b):
        if one != other:
            raise InputError(
                f"two stores must be of one kind to be compared, but the {name} of {str(a.path)!r} is "
                f"{str(one)[:60]!r} and that of {str(b.path)!r} is {str(other)[:60]!r}. "
                "Run both models with the same settings."
            )


def _facts(a: Store, b: Store) -> list[tuple[str, Any, Any]]:
    one, other = a.manifest, b.manifest
    keys = [key for key in {**one.method, **other.method} if key not in PATHS]
    facts = [
        ("method" if key == "name" else f"method's {key}", one.method.get(key), other.method.get(key)) for key in keys
    ]
    facts += [(name, getattr(one, name), getattr(other, name)) for name in ("unit", "image", "map", "scores", "fit")]
    if one.classes is not None and other.classes is not None:
        facts.append(("classes", one.classes, other.classes))
    return facts
