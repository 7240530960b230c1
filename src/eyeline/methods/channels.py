"""How the numbers of a pixel's channels become one number of a map."""

from typing import Literal

import numpy as np
from jaxtyping import Float

from eyeline._typing import Maps

Channels = Literal["max_abs", "signed", "sum", "mean", "mean_abs", "sum_abs", "l2", "abs"]
"""How the numbers of a pixel's channels become one; "abs" keeps every channel's magnitude, None every channel."""

WORDS: dict[Channels | None, str] = {
    None: "per channel",
    "max_abs": "largest magnitude over channels",
    "signed": "of largest magnitude over channels",
    "sum": "summed over channels",
    "mean": "mean over channels",
    "mean_abs": "mean magnitude over channels",
    "sum_abs": "sum of magnitudes over channels",
    "l2": "Euclidean norm over channels",
    "abs": "magnitude per channel",
}
"""For legends."""


def reduce(values: Float[np.ndarray, "n *space channels"], channels: Channels | None) -> Maps:
    """Reduce the channel axis as `Gradient.channels` says."""
    if channels is None:
        return values.astype(np.float32, copy=False)
    planes = np.moveaxis(values, -1, 0)  # numpy is quick where the long axes are the inner ones
    if channels == "abs":
        reduced = np.abs(values)
    elif channels == "max_abs":
        reduced = np.abs(planes, order="C").max(axis=0)
    elif channels == "signed":
        strongest = np.abs(planes, order="C").argmax(axis=0, keepdims=True)
        reduced = np.take_along_axis(planes, strongest, axis=0)[0]
    else:
        wide = planes.astype(np.float64, order="C")
        reduced = {
            "sum": lambda: wide.sum(axis=0),
            "mean": lambda: wide.mean(axis=0),
            "mean_abs": lambda: np.abs(wide).mean(axis=0),
            "sum_abs": lambda: np.abs(wide).sum(axis=0),
            "l2": lambda: np.sqrt(np.square(wide).sum(axis=0)),
        }[channels]()
    return np.asarray(reduced, dtype=np.float32)
