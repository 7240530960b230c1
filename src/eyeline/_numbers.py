"""Numbers that callers give as settings: what counts as one, and lists and arrays of them as tuples."""

from typing import Any

import numpy as np

LONGEST = 160
"""Letters of a value in a sentence."""


def whole(value: object) -> bool:
    """Say whether a value is a whole number; True and False are none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def number(value: object) -> bool:
    """Say whether a value is a real number; True and False are none."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def floats(given: Any) -> np.ndarray | None:
    """Return an array of real numbers, float32; None where it holds anything else, or rows of several lengths."""
    try:
        found = np.asarray(given)
    except (ValueError, TypeError, RuntimeError):  # rows of several lengths; a tensor with a history
        return None
    return found.astype(np.float32, copy=False) if found.dtype.kind in "fiub" else None


def shown(value: object) -> str:
    """Word a value for a sentence: an array by its kind and shape, anything else as it prints, on one line."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{type(value).__name__} of {value.dtype}, shape {tuple(value.shape)}"
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def unfit(found: np.ndarray | None, shape: tuple[int, ...], given: object) -> str:
    """Word what a caller's function gave in the place of finite numbers of a shape."""
    if found is None:
        return f"no array of real numbers ({type(given).__name__})"
    return "NaN or infinite numbers" if found.shape == shape else f"{found.shape}"


def plain(value: Any) -> Any:
    """Return lists and arrays as tuples of Python's own numbers, which can be hashed; anything else as it is."""
    if hasattr(value, "__array__"):
        value = np.asarray(value).tolist()
    return tuple(map(plain, value)) if isinstance(value, list | tuple) else value
