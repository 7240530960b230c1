"""How alike two maps are: rank correlation and structural similarity."""

import numpy as np
from jaxtyping import Float
from numpy.lib.stride_tricks import sliding_window_view

Map = Float[np.ndarray, "..."]

SIDE = 7
"""Pixels along a side of the windows of the structural similarity."""


def rank_correlation(one: Map, other: Map) -> float:
    """Return Spearman's rank correlation over all numbers of two maps; equal numbers share their mean rank.

    1: the same order. 0: unrelated, or one of the two is constant: it has no order to share. -1: the reverse order.
    """
    a, b = ranks(one), ranks(other)
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else 0.0


def ranks(values: Map) -> Float[np.ndarray, "count"]:
    """Return the rank of each number from 0; equal numbers get the mean of their ranks."""
    _, inverse, counts = np.unique(values.reshape(-1), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    middle: np.ndarray = last - (counts + 1) / 2
    return middle[inverse.reshape(-1)]


def structural_similarity(one: Map, other: Map) -> float:
    """Return the mean structural similarity (SSIM) of two maps over the windows that lie wholly inside.

    `(2 m n + c)(2 v + d) / ((m^2 + n^2 + c)(s + t + d))` with means m, n, variances s, t and covariance v of a window,
    c = (0.01 r)^2, d = (0.03 r)^2, r the range of both maps together. Windows of 7 pixels a side, less where the map is
    smaller. 1: the same; two constant maps that are the same are 1 too.

    References:
        Wang, Bovik, Sheikh, Simoncelli: Image quality assessment: from error visibility to structural similarity, IEEE
        Transactions on Image Processing 13 (4), 2004.
    """
    a, b = one.astype(np.float64), other.astype(np.float64)
    span = max(a.max(), b.max()) - min(a.min(), b.min())
    if not span:
        return 1.0
    sides = tuple(min(SIDE, side) for side in a.shape)
    count = int(np.prod(sides))

    def mean(values: np.ndarray) -> np.ndarray:
        for axis, side in enumerate(sides):
            values = sliding_window_view(values, side, axis=axis).mean(axis=-1)
        return values

    m, n = mean(a), mean(b)
    unbiased = count / (count - 1) if count > 1 else 1.0
    s, t, v = (unbiased * each for each in (mean(a * a) - m * m, mean(b * b) - n * n, mean(a * b) - m * n))
    c, d = (0.01 * span) ** 2, (0.03 * span) ** 2
    found = (2 * m * n + c) * (2 * v + d) / ((m * m + n * n + c) * (s + t + d))
    return float(found.mean())


def distance(one: Map, other: Map) -> float:
    """Return half the L1 distance of two maps, each divided by the sum of its magnitudes: `sum |a/|a| - b/|b|| / 2`.

    0: the same up to a factor above 0. 1: no place where both have numbers of one sign. NaN where one of them is 0
    everywhere.
    """
    a, b = one.astype(np.float64), other.astype(np.float64)
    size, length = np.abs(a).sum(), np.abs(b).sum()
    if not (size and length):
        return float("nan")
    return float(np.abs(a / size - b / length).sum() / 2)


def moved(one: Map, other: Map) -> float:
    """Return the share of the positive numbers' sum that lies elsewhere in the other map, 0 to 1.

    `sum |p - q| / 2` with p and q the maps' positive numbers, each divided by their sum: the total variation distance.
    NaN where one of them has no positive number.
    """
    return distance(np.maximum(one, 0), np.maximum(other, 0))
