"""How the numbers of a pixel's channels become one number of a map."""

from typing import Literal

import numpy as np
from jaxtyping import Float

from eyeline._typing import Maps

Channels = Literal["max_abs", "signed", "sum", "mean_abs", "l2"]
"""How the numbers of a pixel's channels become one; None keeps every channel."""

WORDS: dict[Channels | None, str] = {
    None: "per channel",
    "max_abs": "largest magnitude over channels",
    "signed": "of largest magnitude over channels",
    "sum": "summed over channels",
    "mean_abs": "mean magnitude over channels",
    "l2": "Euclidean norm over channels",
}
"""For legends."""


def reduce(values: Float[np.ndarray, "n *space channels"], channels: Channels | None) -> Maps:
    """Reduce the channel axis as `Gradient.channels` says."""
    if channels is None:
        return values.astype(np.float32, copy=False)
    if channels == "max_abs":
        reduced = np.abs(values).max(axis=-1)
    elif channels == "signed":
        strongest = np.abs(values).argmax(axis=-1, keepdims=True)
        reduced = np.take_along_axis(values, strongest, axis=-1)[..., 0]
    else:
        wide = values.astype(np.float64, copy=False)
        reduced = {
            "sum": lambda: wide.sum(axis=-1),
            "mean_abs": lambda: np.abs(wide).mean(axis=-1),
            "l2": lambda: np.sqrt(np.square(wide).sum(axis=-1)),
        }[channels]()
    return np.asarray(reduced, dtype=np.float32)
