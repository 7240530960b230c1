"""Scores of every covered image, by the path that was asked for or is the soonest, proved against the full one."""

import time
import warnings
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from eyeline._typing import Scores
from eyeline.errors import InputError, OutOfMemoryError, UnsupportedError
from eyeline.methods.batches import Batches
from eyeline.methods.choice import Choice
from eyeline.methods.covered import Covered
from eyeline.methods.kept import Kept, graphless, kept, work
from eyeline.methods.paths import Full, Path, quick
from eyeline.methods.progress import progress
from eyeline.methods.proof import CHANGES, ROUNDING, Proof, blame, far, prove, restless, rounding
from eyeline.methods.watch import WATCH
from eyeline.models.base import Model, Traceable

LONG = 10.0
"""Seconds of a sweep from which on a reader is told that the native kernels are missing."""

FEW = 4
"""Positions under which not even looking for an engine pays."""

MANY = 100
"""Covered images from which on the full path asks for a clean image twice: a hundredth of its time or less."""


@dataclass
class Sweeper:
    """Runs sweeps, and says in `ran` by which path and why.

    Args:
        clean_seconds: what one clean image took, from which `auto` foresees the full path's time.
        verify: positions that are run in full too where another path runs; at least 1.
    """

    model: Model
    batches: Batches
    path: Path
    clean_seconds: float
    verify: int = 1
    ran: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.verify < 1:
            raise InputError(
                f"verify must be 1 or more, so that every run is proved, but got {self.verify}. Leave it out for 1."
            )

    def __call__(self, covered: Covered, reference: Scores) -> Scores:
        """Return the scores of every covered image, (n, windows, classes).

        Args:
            covered: the images and their windows.
            reference: the model's scores of each image with nothing covered.

        Raises:
            UnsupportedError: a path is asked for and the model cannot go it.
            MissingDependencyError: engine="openvino" and it is not installed.
        """
        self.ran.clear()
        full = Full(self.model, self.batches, covered)
        path, entry = self._way(covered, full)
        found = None if entry is None or path == "full" else self._proved(path, entry, covered, full, reference)
        if found is None:
            found = self._full(full, entry, reference)
        return found.reshape(len(covered.ground), len(covered.boxes), -1)

    def _way(self, covered: Covered, full: Full) -> tuple[Path, Kept | None]:
        """Return the path, and what is kept of the model with what that path needs."""
        if self.path == "full":
            return "full", None
        if not isinstance(self.model, Traceable):
            error = graphless(self.model, self.path)
            if self.path != "auto":
                raise error
            self.ran["why"] = str(error)
            return "full", None
        if self.path == "auto" and covered.total < FEW:
            self.ran["why"] = "a short sweep"
            return "full", None
        entry = kept(self.model, covered.ground.shape[1:], self.batches.budget)
        if self.path == "auto" and entry.why_full(covered):
            self.ran["why"] = entry.why_full(covered)  # a fingerprint may take as long as a few windows
            return "full", entry
        entry.check(self.model)
        if self.path == "auto":
            choice = Choice(self.model, entry, covered, full, self.clean_seconds, self.verify, self.ran)
            return choice(), entry
        try:
            if self.path == "openvino":
                entry.compile(self.model)
            else:
                entry.make(self.model)
                self.ran |= work(entry.plan(self.model, covered.boxes))
        except OutOfMemoryError as error:
            self.ran["why"] = str(error)
            return "full", entry
        return self.path, entry

    def _proved(self, path: Path, entry: Kept, covered: Covered, full: Full, reference: Scores) -> Scores | None:
        """Return the scores of a path other than the full one; None, with the reason in `ran`, where it erred."""
        assert isinstance(self.model, Traceable)
        began = time.perf_counter()
        try:
            rows = self._swept(path, entry, covered, reference)
        except (OutOfMemoryError, UnsupportedError) as error:  # also: a layer whose numbers are not finite
            self.ran["why"] = str(error)
            return None
        took = time.perf_counter() - began
        if not np.isfinite(rows).all():  # Winograd makes NaN of an infinity that the network may yet clip
            self.ran["why"] = "numbers that are not finite"
            return None
        clean, scores = rows[:0], rows
        if path == "incremental":
            images, windows = len(covered.ground), len(covered.boxes) + 1
            broken = len(rows) < images * windows
            clean = rows[:1] if broken else rows[::windows]
            scores = rows[:0] if broken else rows.reshape(images, windows, -1)[:, 1:].reshape(covered.total, -1)
        self._draw(full)
        proof = prove(covered, scores, full, clean, reference)
        if not proof.holds:
            proof = replace(proof, allowed=proof.allowed + rounding(self.model, proof.images(covered)))
        self.ran |= {"verified": proof.count, "proved": proof.where, "error": proof.error, "allowed": proof.allowed}
        if not proof.holds:
            self._part(path, entry, covered, proof)
            return None
        self._note(path, entry, full, took)
        return scores

    def _swept(self, path: Path, entry: Kept, covered: Covered, reference: Scores) -> Scores:
        """Return the rows of a path; the first few alone where the clean image's scores are far off."""
        assert isinstance(self.model, Traceable)
        parts: list[Scores] = []
        own, watch = len(covered.ground) if path == "incremental" else 0, WATCH.get()
        done, each = 0, len(covered.boxes) + 1 if own else 0
        run = quick(path, entry, self.model.convert, covered, self.batches)
        with progress(covered.total + own, "occlusion") as advance, closing(run):
            for part in run:
                parts.append(part)
                if watch is not None:
                    watch.found(covered, reference, *_windows(part, done, each))
                done += len(part)
                advance(len(part))
                first = path == "incremental" and len(parts) == 1
                if first and far(self.model, covered.ground[:1], part[:1], reference[:1]):
                    break
        return np.concatenate(parts)

    def _draw(self, full: Full) -> None:
        """Run as many random positions in full as are to be verified, beside those that were run to choose the path."""
        left = np.flatnonzero(~full.done)
        list(full.run(np.random.default_rng().choice(left, min(self.verify, len(left)), replace=False)))

    def _part(self, path: Path, entry: Kept, covered: Covered, proof: Proof) -> None:
        """Say that a path was found out, and where it parts from the framework."""
        assert isinstance(self.model, Traceable)
        reason = blame(self.model, entry, covered, proof, path)
        self.ran["why"] = f"the path {path!r} {proof}: {reason}"
        entry.refuse(self.model, self.ran["why"])  # until the model is another
        warnings.warn(
            f"the path {path!r} must agree with the full path, but it {proof}: {reason}. "
            "The full path runs instead; the map is its own.",
            RuntimeWarning,
            stacklevel=5,
        )

    def _note(self, path: Path, entry: Kept, full: Full, took: float) -> None:
        """Note what ran, and how quick it was."""
        self.ran["engine"] = path
        total = len(full.done)
        if path == "incremental":
            assert entry.engine is not None
            self.ran["kernels"] = entry.engine.kernels
            if took > LONG:
                _say_kernels()
            took /= max(float(self.ran["multiply_adds"]), 1e-4)
        entry.rates[path] = took / total
        entry.rates["full"] = min(full.rate, entry.rates.get("full", full.rate))

    def _full(self, full: Full, entry: Kept | None, reference: Scores) -> Scores:
        """Run the network on every covered image that has no scores yet, (total, classes)."""
        left = np.flatnonzero(~full.done)
        seen = _tell(full, reference, 0)
        with progress(len(full.done), "occlusion") as advance:
            advance(len(full.done) - len(left))
            for count in full.run(left):
                seen = _tell(full, reference, seen)
                advance(count)
        if entry is not None:
            entry.spent += full.seconds
            entry.rates["full"] = full.rate
        self.ran |= {"engine": "full", "batch": self.batches.used}
        if full.covered.total >= MANY and CHANGES not in self.ran.get("why", ""):
            self._settled(full.covered, reference)
        return full.scores

    def _settled(self, covered: Covered, reference: Scores) -> None:
        """Warn where the network's scores of one image change from call to call: its map holds that noise."""
        image, own = covered.ground[:1], reference[:1]
        gap, allowed = float(np.abs(self.model.scores(image) - own).max()), ROUNDING * float(np.abs(own).max())
        if not gap <= allowed and restless(self.model, image, allowed):
            self.ran["restless"] = gap
            warnings.warn(
                f"the model must give the same scores on every call, but {CHANGES}, by {gap:.2g} for "
                f"{covered.names[0]!r}: the map holds that noise. Take what draws random numbers out of the network.",
                RuntimeWarning,
                stacklevel=6,
            )


def _windows(rows: Scores, done: int, each: int) -> tuple[int, Scores]:
    """Leave out the rows of images with nothing covered, the first of every `each`; number the rest without them."""
    if not each:
        return done, rows
    return done - -(-done // each), rows[np.arange(done, done + len(rows)) % each > 0]


def _tell(full: Full, reference: Scores, seen: int) -> int:
    """Hand the scores that have come since, in order and without a gap, to who watches; return how many are handed."""
    watch = WATCH.get()
    ready = len(full.done) if full.done.all() else int(full.done.argmin())
    if watch is not None and ready > seen:
        watch.found(full.covered, reference, seen, full.scores[seen:ready])
    return max(ready, seen)


@cache
def _say_kernels() -> None:
    """Say, once a process, that a long sweep could have been a short one."""
    from eyeline.incremental.kernels import reason

    why = reason()
    if why:
        warnings.warn(
            f"the engine must have its native kernels to be quick, but torch operations serve in their place: {why}.",
            RuntimeWarning,
            stacklevel=6,
        )
