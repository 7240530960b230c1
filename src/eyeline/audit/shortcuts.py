"""Whether the model takes a group's pattern for the class: put on other images, and taken off its own.

The pattern d is the group's mean image minus that of the class's other images, at the pixels where they differ most.
Pasting adds d to images of other classes, taking off subtracts it from the group's own; both are kept within the range
of the run's images. A pattern that turns other images into the class, and whose opposite does not, is a shortcut.
What the class's accuracy would be without it, covering tells: something else in its place, in every image of the
class. What the class's images without the pattern show there, on the mean, came nearest to what the same images gave
without a planted mark; the mean of the pixels around it was a mark itself, of the same place in all images.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from eyeline._typing import Images
from eyeline.audit.changed import Change, best, covered
from eyeline.audit.suspects import SEPARATED, SHARPEST, Kind, Rows, Suspect
from eyeline.baseline import Baseline, Image
from eyeline.filling import Filling
from eyeline.models.base import Model

TURNED = 0.05
"""Least share of other images that pasting turns into the class, beyond what the opposite pattern does."""


PART, MORE = 0.8, 1.5
"""Share of a group's images that makes it a part of a larger one, unless its pattern turns so many times as many."""


@dataclass(frozen=True, eq=False)
class Finding:
    """One suspect, tested.

    Args:
        label: the class.
        rows: of the store, the group's images.
        share: of the class's images.
        separation: see `suspects.Suspect`.
        found_by: maps, images or a place.
        pattern: d, (rows, columns, channels), in pixel values.
        turned: share of other images that pasting d turned into the class, more than were before.
        opposite: the same for -d.
        kept: share of the group's images that had the class as the best, before and after d was taken off.
        pasted: what became of the other images that d was added to.
        covered: what became of the class's images whose `region` was covered; None where the region is all and the
            baseline must have pixels left.
        stability: whether the group comes back where half of the images are searched; see `clusters.returning`.
        seen_in: what the separation is measured in.
        means: mean image of the group, and of the class's other images.
        limits: lowest and highest value of the images; what is pasted or taken off stays within.
    """

    label: str
    rows: tuple[int, ...]
    share: float
    separation: float
    found_by: str
    pattern: Images
    turned: float
    opposite: float
    kept: tuple[float, float]
    pasted: Change | None = None
    covered: Change | None = None
    stability: float = float("nan")
    seen_in: Kind = "pixels"
    means: tuple[Images, Images] | None = None
    limits: tuple[float, float] = (0.0, 1.0)

    @property
    def is_shortcut(self) -> bool:
        """Say whether it is reported as a shortcut."""
        return self.separation >= SEPARATED[self.seen_in] and self.turned - self.opposite >= TURNED

    @property
    def region(self) -> Bool[np.ndarray, "*space"]:
        """Return the pixels that the pattern changes."""
        return np.asarray(np.abs(self.pattern).max(axis=-1) > 0)

    def __str__(self) -> str:
        """Say it in one line."""
        verdict = "shortcut" if self.is_shortcut else "no shortcut"
        return (
            f"{self.label}: {verdict}; {len(self.rows)} images, {self.share:.0%} of the class, "
            f"separation {self.separation:.1f} in {self.seen_in}; pasted, it turns {self.turned:.0%} of other images "
            f"into {self.label} (its opposite {self.opposite:.0%}); taken off, {self.kept[1]:.0%} of its images "
            f"are still {self.label}, before {self.kept[0]:.0%}{self._covered()}"
        )

    def _covered(self) -> str:
        if self.covered is None:
            return ""
        before, after = self.covered.shares
        of_group = self.covered.among(self.rows).shares
        return (
            f"; covered in all {len(self.covered.rows)} images of {self.label}, {after:.0%} are right, before "
            f"{before:.0%} (of the group {of_group[1]:.0%}, before {of_group[0]:.0%})"
        )


@dataclass(frozen=True, eq=False)
class Trial:
    """What a suspect of one class is tested with.

    Args:
        model: the one that made the maps.
        label: the class's name.
        column: of the scores.
        rows: of the store, the class's images.
        images: the class's, in image space.
        best: their best classes.
        other_rows: of the store, images of other classes.
        others: those images.
        other_best: their best classes.
        limits: of the run's images.
        baseline: what covers a pattern; None means what the class's images without it show there, on the mean.
    """

    model: Model
    label: str
    column: int
    rows: tuple[int, ...]
    images: Images
    best: Int[np.ndarray, "n"]
    other_rows: tuple[int, ...]
    others: Images
    other_best: Int[np.ndarray, "n"]
    limits: tuple[float, float]
    baseline: Baseline | None

    def __call__(self, suspect: Suspect, stability: float = float("nan")) -> Finding:
        """Paste the pattern and its opposite; the group that has what turns more is the one that is reported."""
        members = suspect.members
        d = difference(self.images, members)
        pasted, reversed_ = (self._pasted(each) for each in (d, -d))
        turned, opposite = (each.shares[1] - each.shares[0] for each in (pasted, reversed_))
        if opposite > turned:  # the group is the one without the pattern
            members, d, turned, opposite, pasted = ~members, -d, opposite, turned, reversed_
        own, rest = self.images[members], self.images[~members].mean(axis=0)
        return Finding(
            label=self.label,
            rows=tuple(row for row, inside in zip(self.rows, members, strict=True) if inside),
            share=float(members.mean()),
            separation=suspect.separation,
            found_by=suspect.found_by,
            pattern=d,
            turned=turned,
            opposite=opposite,
            kept=(self._share(self.best[members]), self._share(best(self.model, self._within(own - d)))),
            pasted=pasted,
            covered=self._covered(np.abs(d).max(axis=-1) > 0, rest),
            stability=stability,
            seen_in=suspect.seen_in,
            means=(own.mean(axis=0), rest),
            limits=self.limits,
        )

    def _pasted(self, d: Images) -> Change:
        after = best(self.model, self._within(self.others + d))
        return Change(self.other_rows, self.column, self.other_best, after)

    def _covered(self, region: Bool[np.ndarray, "*space"], rest: Images) -> Change | None:
        baseline = Image(rest) if self.baseline is None else self.baseline
        if region.all() and isinstance(baseline, Filling):
            return None
        after = best(self.model, covered(self.images, region, baseline))
        return Change(self.rows, self.column, self.best, after)

    def _share(self, classes: Int[np.ndarray, "n"]) -> float:
        return float((classes == self.column).mean())

    def _within(self, images: Images) -> Images:
        return np.asarray(np.clip(images, *self.limits), dtype=np.float32)


def largest(findings: list[Finding]) -> list[Finding]:
    """Of shortcuts of one class, one within the other, leave out the smaller: it is a part of one pattern.

    Where the smaller turns many more images, it is the pattern, and the larger one goes.
    """

    def nested(part: Finding, whole: Finding) -> bool:
        inside = len(set(part.rows) & set(whole.rows)) / len(part.rows)
        return part.label == whole.label and len(part.rows) < len(whole.rows) and inside > PART

    def lost(each: Finding, other: Finding) -> bool:
        own, its = each.turned - each.opposite, other.turned - other.opposite
        return (nested(each, other) and own <= MORE * its) or (nested(other, each) and its > MORE * own)

    marks = [each for each in findings if each.is_shortcut]
    return [each for each in findings if not any(lost(each, other) for other in marks)]


def difference(images: Images, members: Rows) -> Float[np.ndarray, "*space channels"]:
    """Return the group's mean image minus that of the rest, 0 at pixels where they hardly differ."""
    d = images[members].mean(axis=0, dtype=np.float64) - images[~members].mean(axis=0, dtype=np.float64)
    size = np.abs(d).max(axis=-1, keepdims=True)
    return np.where(size >= SHARPEST * size.max(), d, 0.0).astype(np.float32)
