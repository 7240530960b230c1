"""Scores of covered images: the whole network on each (full), or only what a window can change (incremental).

Both give the same numbers; the full path is the reference, and goes wherever the engine cannot.
"""

import time
import warnings
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from eyeline._typing import Boxes, Images, Scores
from eyeline.errors import UnsupportedError
from eyeline.methods.base import finite
from eyeline.methods.batches import Batches
from eyeline.methods.progress import progress
from eyeline.models.base import Model, Traceable
from eyeline.window import Box

if TYPE_CHECKING:
    from eyeline.incremental.run import Engine

Path = Literal["auto", "full", "incremental"]
"""auto: incremental where that is sooner. full, incremental: that one, whatever it takes."""

SETUP = 3.0
"""Seconds of a full sweep under which reading the graph may take longer than the engine saves."""

LITTLE, MUCH = 0.3, 0.95
"""Shares of the full multiply-adds: under the first the engine is taken untried, over the other it is not."""

TRIED = 16
"""Windows on which both paths are timed."""

EXACT = 1e-3
"""Largest difference from the full path that is put down to rounding, as a share of the scores' range."""


@dataclass(frozen=True)
class Covered:
    """Images of which boxes are replaced, one at a time.

    Args:
        ground: what the network sees outside the box.
        patch: what it sees inside, of the same shape.
    """

    ground: Images
    patch: Images
    boxes: Boxes
    names: tuple[str, ...]

    @property
    def total(self) -> int:
        """How many images that makes."""
        return len(self.boxes) * len(self.ground)

    def where(self, position: int) -> str:
        """Name a covered image."""
        image, window = divmod(position, len(self.boxes))
        return f"{self.names[image]!r}, window {window}: {Box.of(self.boxes[window])}"

    def after(self, start: int, row: int) -> str:
        """Name the image `row` places after `start`."""
        return self.where(start + row)

    def images(self, positions: np.ndarray) -> Images:
        """Return some of them, image by image and window by window."""
        owners, windows = np.divmod(positions, len(self.boxes))
        perturbed = self.ground[owners]
        for row, (owner, window) in enumerate(zip(owners, windows, strict=True)):
            slices = Box.of(self.boxes[window]).slices
            perturbed[row][slices] = self.patch[owner][slices]
        return perturbed


@dataclass
class Sweeper:
    """Runs sweeps on one of the two paths, and says in `ran` which and why.

    Args:
        clean_seconds: what one clean image took, from which `auto` foresees the full path's time.
    """

    model: Model
    batches: Batches
    path: Path
    clean_seconds: float
    ran: dict[str, Any] = field(default_factory=dict)

    def __call__(self, covered: Covered) -> Scores:
        """Return the scores of every covered image, (n, windows, classes).

        Raises:
            UnsupportedError: the incremental engine is asked for and the model has no graph.
        """
        engine = None if self.path == "full" else self._engine(covered)
        scores = None if engine is None else self._incremental(engine, covered)
        if scores is None:
            scores = self._full(covered)
        return scores.reshape(len(covered.ground), len(covered.boxes), -1)

    def _engine(self, covered: Covered) -> "Engine | None":
        """Return an engine, or None, with the reason in `ran`, where the full path is at least as quick."""
        shape = covered.ground.shape[1:]
        if self.path == "auto" and self.clean_seconds * covered.total < SETUP:
            self.ran["why"] = "a short sweep"
            return None
        try:
            if not isinstance(self.model, Traceable) or len(shape) != 3:
                raise UnsupportedError(
                    "engine='incremental' must have a model whose graph can be read, a PyTorch network on images of "
                    f"two axes, but got {type(self.model).__name__} and {len(shape) - 1}. Use engine='auto'."
                )
            graph = self.model.graph(shape)
        except UnsupportedError as error:
            if self.path == "incremental":
                raise
            self.ran["why"] = str(error)
            return None
        from eyeline.incremental.run import Engine

        engine = Engine(graph, memory=self.batches.budget)
        plan = engine.plan(covered.boxes)
        share = plan.done / max(plan.full, 1)
        self.ran |= {"dense_from": plan.dense_from, "multiply_adds": round(share, 4)}
        if self.path == "auto" and (share > MUCH or (share > LITTLE and not self._sooner(engine, covered))):
            self.ran["why"] = f"{share:.0%} of the multiply-adds would remain"
            return None
        return engine

    def _sooner(self, engine: "Engine", covered: Covered) -> bool:
        """Try both paths on a few windows spread over the first image."""
        some = np.linspace(0, len(covered.boxes) - 1, min(TRIED, len(covered.boxes))).astype(int)
        few = Covered(covered.ground[:1], covered.patch[:1], covered.boxes[some], covered.names)
        seconds = []
        for run in (
            lambda: self.model.scores(few.images(np.arange(few.total))),
            lambda: list(engine.run(few.ground, few.patch, few.boxes)),
        ):
            run()
            began = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - began)
        return seconds[1] < seconds[0]

    def _incremental(self, engine: "Engine", covered: Covered) -> Scores | None:
        """Return the engine's scores, (total, classes); None where one window, run in full, disagrees."""
        assert isinstance(self.model, Traceable)
        model, convert = self.model, self.model.convert
        parts = []
        with progress(covered.total, "occlusion") as advance:
            for _, raw in engine.run(covered.ground, covered.patch, covered.boxes):
                parts.append(convert(raw))
                advance(len(raw))
        scores = np.concatenate(parts)
        if not np.isfinite(scores).all():  # Winograd makes NaN of an infinity that the network may yet clip
            self.ran["why"] = "numbers that are not finite"
            return None
        drawn = int(np.random.default_rng().integers(covered.total))
        full = model.scores(covered.images(np.array([drawn])))[0]
        error = float(np.abs(full - scores[drawn]).max())
        allowed = EXACT * float(np.ptp(scores, axis=0).max()) + 1e-5 * float(np.abs(full).max())
        self.ran |= {"proved": covered.where(drawn), "error": error, "allowed": allowed}
        if error <= allowed:
            self.ran |= {"engine": "incremental", "kernels": engine.kernels}
            return scores
        warnings.warn(
            f"the incremental engine must agree with the full path to {allowed:.2g}, but it differs by {error:.2g} "
            f"({covered.where(drawn)}). The full path runs instead; the map is its own.",
            RuntimeWarning,
            stacklevel=4,
        )
        self.ran["why"] = f"the engine differed by {error:.2g} where {allowed:.2g} is allowed"
        return None

    def _full(self, covered: Covered) -> Scores:
        """Run the network on every covered image, (total, classes)."""

        def call(start: int, stop: int) -> np.ndarray:
            images = covered.images(np.arange(start, stop))
            return finite(self.model.scores(images), partial(covered.after, start))

        rows: np.ndarray | None = None
        with progress(covered.total, "occlusion") as advance:
            for start, stop, scores in self.batches.run(covered.total, call):
                if rows is None:
                    rows = np.empty((covered.total, scores.shape[1]), dtype=np.float32)
                rows[start:stop] = scores
                advance(stop - start)
        assert rows is not None
        self.ran |= {"engine": "full", "batch": self.batches.used}
        return rows
