"""Spectral clustering of a class's images: the graph of likeness, its eigenvalues, groups from its eigenvectors."""

import numpy as np
from jaxtyping import Float, Int

from eyeline.errors import require

NEIGHBOURS = 12
"""Of an image in the graph of likeness."""

Vectors = Float[np.ndarray, "n features"]


def spectrum(features: Vectors) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n n"]]:
    """Return eigenvalues, from 0 up, and eigenvectors of `L = I - D^-1/2 A D^-1/2`.

    A is 1 where one of two images is among the nearest neighbours of the other, D its sums of rows.
    """
    neighbors = require("sklearn.neighbors", "audit")
    count = min(NEIGHBOURS, len(features) - 1)
    near = neighbors.kneighbors_graph(features, count).toarray()
    near = np.maximum(near, near.T)
    degrees = near.sum(axis=1)
    values, vectors = np.linalg.eigh(np.eye(len(near)) - near / np.sqrt(np.outer(degrees, degrees)))
    return values, vectors


def groups(vectors: Float[np.ndarray, "n n"], count: int) -> Int[np.ndarray, "n"]:
    """Return the group of each image: k-means of the first eigenvectors' rows (Ng, Jordan, Weiss 2002)."""
    cluster = require("sklearn.cluster", "audit")
    rows = vectors[:, :count]
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return np.asarray(cluster.KMeans(count, n_init=5, random_state=0).fit_predict(rows))


def directions(maps: Float[np.ndarray, "n *space"]) -> Vectors:
    """Return positive evidence as vectors of length 1, so that maps are compared by where, not by how much."""
    evidence = np.maximum(maps, 0).reshape(len(maps), -1).astype(np.float64)
    lengths = np.linalg.norm(evidence, axis=1, keepdims=True)
    return np.asarray(evidence / np.maximum(lengths, 1e-12))
