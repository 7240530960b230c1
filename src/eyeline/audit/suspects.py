"""Groups of images of one class that share a pattern which the others lack: candidates for a shortcut.

Candidates come from clusters of the maps, from clusters of the images, and from single places whose values fall into
two heaps. Each is refined: the pixels that tell the group from the rest best, then the images that have them, until
nothing changes. What remains is measured by how far apart the two groups lie along that pattern: natural groups, such
as dark and light shirts, run into each other; a mark that was put on pictures does not.

The same is done with the maps in the place of the images: where pictures differ so much that a mark does not set them
apart, what the model makes of it may.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from eyeline.audit.spectral import Vectors, directions, groups, spectrum

FEWEST, LEAST = 5, 0.05
"""Images, and share of the class, that make a group, and that must be left beside it."""

SHARPEST = 0.5
"""Pixels belong to the pattern whose difference is at least this share of the largest, in standard deviations."""

FLOOR = 0.1
"""Standard deviation, in pixel values, under which a difference is not called sharper: noise of a camera, not of it."""

ROUNDS, CLUSTERS, PLACES = 5, (2, 3), 12
"""Rounds of refinement; numbers of clusters; single places that are tried."""

Rows = Bool[np.ndarray, "n"]
Kind = Literal["pixels", "maps"]

SEPARATED: dict[Kind, float] = {"pixels": 4.0, "maps": 3.2}
"""Least separation of a suspect. Pixels: natural groups of clothes that were looked at had 1.3 to 3.6, marks 5 and
more. Maps: natural groups of clothes and stamps had up to 2.9, a mark on stamps over photographs 3.4 to 3.8."""


@dataclass(frozen=True, eq=False)
class Suspect:
    """A group within one class.

    Args:
        members: which of the class's images.
        separation: distance of the two groups' means along the pattern, over the sum of their standard deviations,
            each half of the images measured along the pattern of the other half; the smaller of the two.
        found_by: maps, images or a place.
        seen_in: what the pattern is made of.
    """

    members: Rows
    separation: float
    found_by: str
    seen_in: Kind = "pixels"

    @property
    def clearness(self) -> float:
        """Return the separation as a multiple of the least that a suspect must have."""
        return self.separation / SEPARATED[self.seen_in]


def suspects(
    maps: Float[np.ndarray, "n rows columns"], images: Float[np.ndarray, "n rows columns channels"]
) -> list[Suspect]:
    """Return the groups of one class's images, the best separated first; each once.

    Args:
        maps: pooled, of which evidence for the class is positive.
        images: pooled, in image space.
    """
    n = len(images)
    if n < 2 * FEWEST:
        return []
    flat, evidence = images.reshape(n, -1).astype(np.float64), maps.reshape(n, -1).astype(np.float64)
    evidence /= max(float(evidence.std()), 1e-12)
    of_maps = list(_clusters(directions(maps), "maps"))
    candidates = [*of_maps, *_clusters(flat - flat.mean(axis=0), "images"), *_places(flat)]
    found = list(_refined(flat, candidates, "pixels"))
    found += _refined(evidence, [*of_maps, *_places(evidence)], "maps")
    chosen: list[Suspect] = []
    for each in sorted(found, key=lambda each: -each.clearness):
        if not any(_alike(each.members, other.members) for other in chosen):
            chosen.append(each)
    return chosen


def _refined(vectors: Vectors, candidates: list[tuple[Rows, str]], kind: Kind) -> Iterator[Suspect]:
    n, seen = len(vectors), list[Rows]()
    for members, name in candidates:
        refined = refine(vectors, members)
        if 2 * refined.sum() > n:
            refined = ~refined
        if refined.sum() < max(FEWEST, LEAST * n) or any(_alike(refined, other) for other in seen):
            continue
        seen.append(refined)
        apart = separation(vectors, refined)
        yield Suspect(widened(vectors, refined) if kind == "maps" else refined, apart, name, kind)


def refine(images: Vectors, members: Rows) -> Rows:
    """Return the group whose images have the pattern that tells `members` from the rest."""
    for _ in range(ROUNDS):
        values = images @ pattern(images, members)
        split = halves(values, members)
        if not FEWEST <= split.sum() <= len(split) - FEWEST or (split == members).all():
            break
        members = split
    return members


def pattern(images: Vectors, members: Rows) -> Float[np.ndarray, "features"]:
    """Return the differences of pixels in standard deviations, 0 for all but the sharpest."""
    inside, outside = images[members], images[~members]
    share = members.mean()
    spread = np.sqrt(share * inside.var(axis=0) + (1 - share) * outside.var(axis=0) + FLOOR**2)
    sharp = (inside.mean(axis=0) - outside.mean(axis=0)) / spread
    return np.where(np.abs(sharp) >= SHARPEST * np.abs(sharp).max(), sharp, 0.0)


def separation(images: Vectors, members: Rows) -> float:
    """Return how far apart two groups lie, along a pattern that was read from other images than it is measured on."""
    if min(members.sum(), (~members).sum()) < 4:
        return 0.0
    first = np.where(members, np.cumsum(members), np.cumsum(~members)) % 2 == 0  # every other image of each group
    found = []
    for known in (first, ~first):
        values = images[~known] @ pattern(images[known], members[known])
        a, b = values[members[~known]], values[~members[~known]]
        found.append(float((a.mean() - b.mean()) / max(a.std() + b.std(), 1e-12)))
    return min(found)


def halves(values: Float[np.ndarray, "n"], members: Rows) -> Rows:
    """Split numbers at the middle between two means, from the means of a group and of the rest on (Lloyd)."""
    low, high = values[~members].mean(), values[members].mean()
    split: Rows = np.asarray(values > (low + high) / 2)
    for _ in range(50):
        if split.all() or not split.any():
            break
        low, high = values[~split].mean(), values[split].mean()
        again = np.asarray(values > (low + high) / 2)
        if (again == split).all():
            break
        split = again
    return split


def widened(vectors: Vectors, members: Rows) -> Rows:
    """Move the border towards the group that varies less: evidence of a mark varies much more than that of none."""
    values = vectors @ pattern(vectors, members)
    inside, outside = values[members], values[~members]
    a, b = inside.std(), outside.std()
    found: Rows = np.asarray(values > (inside.mean() * b + outside.mean() * a) / max(a + b, 1e-12))
    return found if FEWEST <= found.sum() <= len(found) - FEWEST else members


def _clusters(features: Vectors, name: str) -> Iterator[tuple[Rows, str]]:
    vectors = spectrum(features)[1]
    for labels in (groups(vectors, count) for count in CLUSTERS):
        for label in np.unique(labels):
            if FEWEST <= (labels == label).sum() <= len(labels) - FEWEST:
                yield labels == label, name


def _places(vectors: Vectors) -> Iterator[tuple[Rows, str]]:
    """Yield the two heaps into which the values of single places fall, the best parted first."""
    splits = _heaps(vectors)
    count = splits.sum(axis=0)
    inside, outside = (np.ma.array(vectors, mask=each) for each in (~splits, splits))
    apart = (inside.mean(axis=0) - outside.mean(axis=0)) / (inside.std(axis=0) + outside.std(axis=0) + FLOOR)
    apart = np.where((count >= FEWEST) & (count <= len(vectors) - FEWEST), np.ma.filled(apart, -np.inf), -np.inf)
    chosen: list[Rows] = []
    for place in np.argsort(-apart, kind="stable"):
        if len(chosen) == PLACES or not np.isfinite(apart[place]):
            return
        if not any(_alike(splits[:, place], other) for other in chosen):
            chosen.append(splits[:, place])
            yield splits[:, place], "a place"


def _heaps(vectors: Vectors) -> Bool[np.ndarray, "n features"]:
    """Do as `halves` with each column, from those above its mean on."""
    splits: np.ndarray = vectors > vectors.mean(axis=0)
    for _ in range(50):
        count = splits.sum(axis=0)
        high = (vectors * splits).sum(axis=0) / np.maximum(count, 1)
        low = (vectors * ~splits).sum(axis=0) / np.maximum(len(vectors) - count, 1)
        again = np.where((count > 0) & (count < len(vectors)), vectors > (low + high) / 2, splits)
        if (again == splits).all():
            break
        splits = again
    return splits


def _alike(a: Rows, b: Rows) -> bool:
    return bool(max((a & b).sum() / max((a | b).sum(), 1), (a & ~b).sum() / max((a | ~b).sum(), 1)) > 0.9)
