"""Clusters of the maps within one class: how many ways there are to be of it, and whether they come back.

Maps are pooled, their positive evidence brought to length 1, and clustered spectrally. Images of one run lie in one
frame, so their maps are compared pixel by pixel.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from eyeline.audit.spectral import Vectors, directions, groups, spectrum
from eyeline.audit.suspects import Suspect, suspects
from eyeline.errors import require

MOST = 6
"""Clusters that a class may have."""

LEAST = 4
"""Images, on the mean, that each cluster must have in half of a class: with fewer the number of clusters is cut."""

HALVES, SEARCHES = 10, 3
"""Times that a class is halved to see whether clusters come back, and whether a suspect does."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """The clusters of one class's maps.

    Args:
        label: the class.
        rows: of the store, the images that were clustered.
        members: cluster of each image, 0 the largest.
        eigenvalues: of the graph's Laplacian, the lowest, from 0 up; no unit.
        stability: see `stability`; NaN for one cluster.
        central: distance of each image from its cluster's mean direction, 0 to 2: `1 - cosine`.
    """

    label: str
    rows: tuple[int, ...]
    members: Int[np.ndarray, "n"]
    eigenvalues: Float[np.ndarray, "k"]
    stability: float
    central: Float[np.ndarray, "n"]

    @property
    def count(self) -> int:
        """How many clusters there are: the eigengap is the largest after so many eigenvalues."""
        return int(self.members.max()) + 1

    @property
    def eigengap(self) -> float:
        """The gap `lambda_(k+1) - lambda_k` after the k lowest eigenvalues, k clusters; no unit, higher is clearer.

        References:
            Lapuschkin et al.: Unmasking Clever Hans predictors and assessing what machines really learn, Nature
            Communications 2019 (SpRAy).
        """
        return float(np.diff(self.eigenvalues)[self.count - 1])

    def of(self, cluster: int) -> tuple[int, ...]:
        """Rows of one cluster, the nearest to its mean direction first."""
        inside = np.flatnonzero(self.members == cluster)
        return tuple(self.rows[each] for each in inside[np.argsort(self.central[inside], kind="stable")])


def clustered(label: str, rows: tuple[int, ...], maps: Float[np.ndarray, "n *space"], seed: int = 0) -> Clusters:
    """Cluster the maps of one class, into as many clusters as the largest eigengap says.

    Args:
        label: the class.
        rows: of the store.
        maps: pooled, of which evidence for the class is positive.
        seed: of the halves.
    """
    features = directions(maps)
    values, vectors = spectrum(features)
    most = max(1, min(MOST, len(maps) // (2 * LEAST)))
    values = values[: most + 1]
    count = int(np.argmax(np.diff(values))) + 1
    found = groups(vectors, count)
    order = np.argsort(-np.bincount(found, minlength=count), kind="stable")
    members = np.argsort(order)[found]
    means = np.stack([features[members == each].mean(axis=0) for each in range(count)])
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    central = 1 - (features * means[members]).sum(axis=1)
    again = stability(features, count, seed) if count > 1 else float("nan")
    return Clusters(label, rows, members, values, again, central)


def stability(features: Vectors, count: int, seed: int = 0) -> float:
    """Return whether clusters come back in halves of the images: the mean adjusted Rand index, 1 same, 0 by chance.

    Ten times the images are halved at random and both halves clustered. Each image of the second half takes the
    cluster of its nearest neighbour in the first, and these clusters are compared with the second half's own.

    References:
        Lange, Roth, Braun, Buhmann: Stability-based validation of clustering solutions, Neural Computation 2004.
        Hubert, Arabie: Comparing partitions, Journal of Classification 1985, equation 5.
    """
    metrics = require("sklearn.metrics", "audit")
    found = []
    for one, other in _halves(len(features), HALVES, seed):
        first, second = (groups(spectrum(features[each])[1], count) for each in (one, other))
        away = metrics.pairwise_distances(features[other], features[one])
        found.append(metrics.adjusted_rand_score(first[away.argmin(axis=1)], second))
    return float(np.mean(found))


def returning(found: list[Suspect], maps: np.ndarray, images: np.ndarray, seed: int = 0) -> list[float]:
    """Return whether suspects come back when the search is done again with half of the images.

    Three times a random half is searched. A suspect is compared with the group of that search that is most like it: the
    adjusted Rand index, 1 the same, 0 by chance; the mean over the searches, 0 for one in which nothing is found.
    """
    metrics = require("sklearn.metrics", "audit")
    scores: list[list[float]] = [[] for _ in found]
    for half, _ in _halves(len(maps), SEARCHES, seed):
        again = suspects(maps[half], images[half])
        for score, each in zip(scores, found, strict=True):
            own = each.members[half]
            score.append(max((metrics.adjusted_rand_score(own, other.members) for other in again), default=0.0))
    return [float(np.mean(each)) for each in scores]


def _halves(count: int, times: int, seed: int) -> list[tuple[Int[np.ndarray, "a"], Int[np.ndarray, "b"]]]:
    chance = np.random.default_rng(seed)
    orders = [chance.permutation(count) for _ in range(times)]
    return [(np.sort(order[: count // 2]), np.sort(order[count // 2 :])) for order in orders]
