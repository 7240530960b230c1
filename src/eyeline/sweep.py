"""What a run that covers its images keeps: the scores of every class for every region."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from eyeline._typing import Boxes, Maps, Scores
from eyeline.cells import Cells
from eyeline.pairs import PairWindows
from eyeline.region import Arrays, Labels, Regions, SoftWindows, Together, Windows
from eyeline.window import Overlap

Measure = Literal["drop", "score", "complement"]
"""What one region contributes.

drop: the clean score minus the covered one (kept regions: their score minus the fully covered one).
score: the score of the covered image. complement: 1 minus that.
"""

KINDS: dict[str, type[Any]] = {
    "windows": Windows,
    "softwindows": SoftWindows,
    "labels": Labels,
    "cells": Cells,
    "pairwindows": PairWindows,
}
"""Regions that a file may hold, by name; their arrays are their fields."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """The scores of every class for every region: any target's map comes from it without the model.

    Args:
        regions: what was covered, in raster order where they are windows.
        scores: of the image with each region covered (or only that region kept). Where an image has fewer regions
            than another the last rows are its reference: nothing was covered.
        reference: scores that a drop is measured against: of the clean image, or, where regions are kept, of
            the fully covered one; one row an image, or one for each region.
        measure: what one region contributes.
        overlap: how regions on one pixel combine.
        keep: True where regions were kept and all else covered.
    """

    regions: Regions
    scores: Float[np.ndarray, "n regions classes"]
    reference: Float[np.ndarray, "n *regions classes"]
    measure: Measure = "drop"
    overlap: Overlap = "mean"
    keep: bool = False

    @property
    def boxes(self) -> Boxes:
        """The windows, where every image has the same."""
        boxes = None if isinstance(self.regions, Labels) else self.regions.boxes_of(0)
        if boxes is None:
            raise AttributeError("this sweep has no windows that all images share; see regions")
        return boxes

    def values(self, weights: Scores) -> Float[np.ndarray, "n regions"]:
        """Return what each region contributes, in the unit of the scores, as float64."""
        covered: np.ndarray = np.einsum("nwc,nc->nw", self.scores, weights, dtype=np.float64)
        if self.measure == "score":
            return covered
        if self.measure == "complement":
            return np.asarray(1 - covered)
        reference = self.base(weights)
        return np.asarray(covered - reference if self.keep else reference - covered)

    def base(self, weights: Scores) -> Float[np.ndarray, "n regions_or_1"]:
        """Return the explained scalar that drops are measured against."""
        reference: np.ndarray = np.einsum("n...c,nc->n...", self.reference, weights, dtype=np.float64)
        return reference if reference.ndim == 2 else reference[:, None]

    def maps(self, weights: Scores, size: tuple[int, ...]) -> Maps:
        """Lay the values over the image."""
        return self.regions.lay(self.values(weights), size, self.overlap).astype(np.float32)

    def further(self, weights: Scores, size: tuple[int, ...]) -> dict[str, Maps]:
        """Make the maps that say how far the first can be relied on."""
        found = self.regions.further(self.values(weights), size, self.overlap)
        return {name: each.astype(np.float32) for name, each in found.items()}

    def slim(self) -> "Sweep":
        """Return it without its regions and scores; what they measured, and whether in pairs, stays."""
        none = np.zeros((0, 1, 2), dtype=np.int64)
        nothing = PairWindows(none, np.array(-1)) if isinstance(self.regions, PairWindows) else Windows(none)
        return replace(self, regions=nothing, scores=self.scores[:, :0].copy(), reference=self.reference.copy())

    def arrays(self) -> Arrays:
        """Return what a file needs to hold."""
        return {**self.regions.arrays(), "scores": self.scores, "reference": self.reference}

    def words(self) -> dict[str, Any]:
        """Return the rest of what a file needs to hold, as JSON can."""
        kind = {} if isinstance(self.regions, Windows) else {"regions": _kind(self.regions)}
        return {"measure": self.measure, "overlap": self.overlap, "keep": self.keep, **kind}

    @classmethod
    def read(cls, arrays: Arrays, words: dict[str, Any]) -> "Sweep":
        """Return what was written.

        Raises:
            LookupError, TypeError: it was not.
        """
        rest = dict(arrays)
        scores, reference = rest.pop("scores"), rest.pop("reference")
        settings = {name: each for name, each in words.items() if name != "regions"}
        return cls(_read(words.get("regions", "windows"), rest), scores, reference, **settings)


def _kind(regions: Regions) -> Any:
    if isinstance(regions, Together):
        return [_kind(part) for part in regions.parts]
    return type(regions).__name__.lower()


def _read(kind: Any, arrays: Arrays) -> Regions:
    if not isinstance(kind, list):
        return KINDS[kind](**arrays)  # type: ignore[no-any-return]
    parts = []
    for place, each in enumerate(kind):
        head = f"{place}_"
        own = {name.removeprefix(head): array for name, array in arrays.items() if name.startswith(head)}
        parts.append(_read(each, own))
    return Together(tuple(parts))
