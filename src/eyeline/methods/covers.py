"""The run of every method that covers: clean scores, weights, the sweep over its regions, and the result."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eyeline._typing import Images, Scores
from eyeline.attribution import Attribution, Unit
from eyeline.image import Batch
from eyeline.methods.base import enter, finite, result, weigh
from eyeline.methods.batches import Batches
from eyeline.methods.checks import baseline_of
from eyeline.methods.masking import cover
from eyeline.methods.sweeps import Sweeper
from eyeline.models.base import Model
from eyeline.region import Labels, Regions
from eyeline.sweep import Measure, Sweep
from eyeline.window import Overlap


@dataclass
class Covers:
    """One run of a method with settings `batch`, `memory`, `engine`, `verify`, `baseline`.

    Args:
        method: its settings.
        model: as `load` returned it.
        images: what the caller holds.
        target: as for `explain`.
    """

    method: Any
    model: Model
    images: object
    target: object
    ran: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._began = time.perf_counter()
        self.given: Batch = enter(self.method, self.model, self.images)
        self.pixels, self.names = self.given.images, self.given.names
        self.size = self.pixels.shape[1:-1]
        self._batches = Batches(self.method.batch, self.method.memory)

    def __call__(
        self,
        regions: Regions,
        *,
        measure: Measure = "drop",
        overlap: Overlap = "mean",
        keep: bool = False,
        centred: bool = False,
        settings: Any = None,
        words: Callable[[Unit], str] | None = None,
    ) -> Attribution:
        """Run the sweep and make the result.

        Args:
            regions: what is covered.
            measure: what one of them contributes.
            overlap: how they combine on a pixel.
            keep: cover everything but the region.
            centred: measure drops against the mean over the regions.
            settings: the method's, with what was left out written out.
            words: for a number of the map; None means by measure and keep.
        """
        clean = self._clean()
        weights = weigh(self.target, len(self.pixels), self.model)(clean, 0)
        reference = clean
        if keep:
            covered = baseline_of(self.method.baseline, self.pixels)
            reference = self._scores(covered, lambda row: f"{self.names[row]!r}, all covered")
        swept = self._swept(regions, keep, reference)
        if centred:
            reference = swept.mean(axis=1, dtype=np.float64).astype(np.float32)
        sweep = Sweep(regions, swept, reference, measure, overlap, keep)
        return result(
            settings or self.method,
            self.model,
            self.given,
            scores=clean,
            weights=weights,
            maps=sweep.maps(weights, self.size),
            quantity=words or (lambda unit: quantity(measure, keep, unit)),
            ran={**self.ran, f"{regions.word}s": len(regions)},
            began=self._began,
            sweep=sweep,
        )

    def _clean(self) -> Scores:
        started = time.perf_counter()
        clean = self._scores(self.pixels, lambda row: f"the clean image {self.names[row]!r}")
        self._seconds = (time.perf_counter() - started) / len(self.pixels)
        return clean

    def _swept(self, regions: Regions, keep: bool, reference: Scores) -> np.ndarray:
        """Return the scores of every region of every image, (n, regions, classes)."""
        if not isinstance(regions, Labels):
            return self._sweep(self.pixels, self.names, regions, keep, reference)
        found = np.repeat(reference[:, None], len(regions), axis=1)  # nothing covered where an image has fewer
        for image, name in enumerate(self.names):
            own, one = regions.alone(image), slice(image, image + 1)
            found[image, : len(own)] = self._sweep(self.pixels[one], (name,), own, keep, reference[one])[0]
        return found

    def _sweep(
        self, pixels: Images, names: tuple[str, ...], regions: Regions, keep: bool, reference: Scores
    ) -> np.ndarray:
        method = self.method
        sweeper = Sweeper(self.model, self._batches, method.engine, self._seconds, method.verify)
        found = sweeper(cover(method.baseline, keep, pixels, regions, names), reference)
        self.ran |= sweeper.ran
        return found

    def _scores(self, images: Images, where: Callable[[int], str]) -> Scores:
        """Return the scores of whole images."""
        parts = self._batches.run(
            len(images),
            lambda start, stop: finite(self.model.scores(images[start:stop]), lambda row: where(start + row)),
        )
        return np.concatenate([scores for _, _, scores in parts])


def quantity(measure: Measure, keep: bool, unit: Unit) -> str:
    """Say what a number of the map is."""
    state = "alone" if keep else "covered"
    if measure == "drop":
        return f"gain in {unit} over all covered" if keep else f"drop in {unit} when covered"
    return f"{unit} when {state}" if measure == "score" else f"1 - {unit} when {state}"
