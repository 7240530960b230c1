"""Images with something done to them, what the model calls them then, and whether it is the store's model at all."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from eyeline._typing import Images, Scores
from eyeline.baseline import Baseline
from eyeline.errors import InputError
from eyeline.filling import Filling
from eyeline.methods.checks import baseline_of
from eyeline.models.base import Model

BATCH = 64
"""Images of a forward pass."""

FAR = 0.01
"""Difference of a score from the store's, as a share of the largest, that is more than another path's rounding."""


@dataclass(frozen=True, eq=False)
class Change:
    """The best classes of some images before and after a change to them.

    Args:
        rows: of the store.
        column: of the class that is counted.
        before: best class of each image as it is.
        after: best class of each changed image.
    """

    rows: tuple[int, ...]
    column: int
    before: Int[np.ndarray, "n"]
    after: Int[np.ndarray, "n"]

    @property
    def shares(self) -> tuple[float, float]:
        """Share of the images whose best class is the counted one, before and after; 0 to 1."""
        before, after = (each == self.column for each in (self.before, self.after))
        return float(before.mean()), float(after.mean())

    def among(self, rows: tuple[int, ...]) -> "Change":
        """Return the same of some of the rows."""
        inside = np.isin(self.rows, rows)
        kept = tuple(row for row, fine in zip(self.rows, inside, strict=True) if fine)
        return Change(kept, self.column, self.before[inside], self.after[inside])


def best(model: Model, images: Images) -> Int[np.ndarray, "n"]:
    """Return the best class of each image."""
    scores = [model.scores(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
    return np.asarray(np.concatenate(scores).argmax(axis=1))


def covered(images: Images, region: Bool[np.ndarray, "*space"], baseline: Baseline) -> Images:
    """Return images that show, inside the region, what the baseline puts there.

    Raises:
        InputError: a baseline that does not fit the images, or that must have pixels left, and none are.
    """
    if isinstance(baseline, Filling):
        fills = np.stack([baseline.fill(image, region.astype(np.float64)) for image in images])
    else:
        fills = baseline_of(baseline, images)
    return np.where(region[..., None], fills, images).astype(np.float32, copy=False)


def check_scores(model: Model, images: Images, kept: Scores, name: str) -> None:
    """Compare a model's scores of one image, (1, *space, channels), with those in a store, (1, classes).

    Raises:
        InputError: they differ by more than rounding.
    """
    scores = model.scores(images)
    if scores.shape != kept.shape or np.abs(scores - kept).max() > FAR * max(1.0, float(np.abs(kept).max())):
        raise InputError(
            f"the model must be the one that made the store, but gives {name!r} other scores "
            f"({_few(scores[0])}; in the store {_few(kept[0])}). Open the same file with the same settings."
        )


def _few(scores: np.ndarray) -> str:
    return ", ".join(f"{each:.3g}" for each in scores[:3]) + (", ..." if len(scores) > 3 else "")
