"""Groups of images of one class that share a pattern which the others lack: candidates for a shortcut.

Candidates come from clusters of the maps, from clusters of the images, and from single places whose values fall into
two heaps. Each is refined: the pixels that tell the group from the rest best, then the images that have them, until
nothing changes. What remains is measured by how far apart the two groups lie along that pattern: natural groups, such
as dark and light shirts, run into each other; a mark that was put on pictures does not.
"""

from collections.abc import Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class Suspect:
    """A group within one class.

    Args:
        members: which of the class's images.
        separation: distance of the two groups' means along the pattern, over the sum of their standard deviations,
            each half of the images measured along the pattern of the other half; the smaller of the two.
        found_by: maps, images or a place.
    """

    members: Rows
    separation: float
    found_by: str


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
    flat = images.reshape(n, -1).astype(np.float64)
    found: list[Suspect] = []
    for members, name in _candidates(maps, flat):
        refined = refine(flat, members)
        if min(refined.sum(), n - refined.sum()) < max(FEWEST, LEAST * n):
            continue
        if 2 * refined.sum() > n:
            refined = ~refined
        if any(_alike(refined, other.members) for other in found):
            continue
        found.append(Suspect(refined, separation(flat, refined), name))
    return sorted(found, key=lambda each: -each.separation)


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


def _candidates(maps: np.ndarray, images: Vectors) -> Iterator[tuple[Rows, str]]:
    for features, name in ((directions(maps), "maps"), (images - images.mean(axis=0), "images")):
        vectors = spectrum(features)[1]
        for labels in (groups(vectors, count) for count in CLUSTERS):
            for label in np.unique(labels):
                if FEWEST <= (labels == label).sum() <= len(labels) - FEWEST:
                    yield labels == label, name
    for members in _places(images):
        yield members, "a place"


def _places(images: Vectors) -> Iterator[Rows]:
    """Yield the two heaps into which the values of single places fall, the best parted first."""
    parted: list[tuple[float, int]] = []
    splits = {}
    for place in range(images.shape[1]):
        values = images[:, place]
        start = values > values.mean()
        if start.all() or not start.any():
            continue
        split = halves(values, start)
        if not FEWEST <= split.sum() <= len(split) - FEWEST:
            continue
        a, b = values[split], values[~split]
        splits[place] = split
        parted.append((float((a.mean() - b.mean()) / (a.std() + b.std() + FLOOR)), place))
    chosen: list[Rows] = []
    for _, place in sorted(parted, reverse=True):
        if len(chosen) == PLACES:
            return
        if not any(_alike(splits[place], other) for other in chosen):
            chosen.append(splits[place])
            yield splits[place]


def _alike(a: Rows, b: Rows) -> bool:
    return bool(max((a & b).sum() / max((a | b).sum(), 1), (a & ~b).sum() / max((a | ~b).sum(), 1)) > 0.9)
