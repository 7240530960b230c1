"""Numbers that callers give as settings: what counts as one, and lists and arrays of them as tuples."""

from typing import Any

import numpy as np


def whole(value: object) -> bool:
    """Say whether a value is a whole number; True and False are none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def number(value: object) -> bool:
    """Say whether a value is a real number; True and False are none."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def plain(value: Any) -> Any:
    """Return lists and arrays as tuples of Python's own numbers, which can be hashed; anything else as it is."""
    if hasattr(value, "__array__"):
        value = np.asarray(value).tolist()
    return tuple(map(plain, value)) if isinstance(value, list | tuple) else value
