"""Rank correlation and structural similarity against SciPy, scikit-image and what must hold."""

import numpy as np
import pytest
import scipy.stats
import skimage.metrics

from eyeline.metrics import similarity
from eyeline.metrics.similarity import rank_correlation, ranks, structural_similarity

RANDOM = np.random.default_rng(0)


def smooth(seed):
    return np.cumsum(np.random.default_rng(seed).standard_normal((14, 17)), axis=1)


@pytest.mark.parametrize("ties", [False, True])
def test_ranks_are_scipys(ties):
    values = RANDOM.integers(0, 5, 40) if ties else RANDOM.standard_normal(40)
    np.testing.assert_allclose(ranks(values) + 1, scipy.stats.rankdata(values))


@pytest.mark.parametrize("ties", [False, True])
def test_the_rank_correlation_is_scipys(ties):
    one, other = RANDOM.standard_normal((2, 9, 11))
    other = other + one
    if ties:
        one, other = np.round(one), np.round(other)
    np.testing.assert_allclose(rank_correlation(one, other), scipy.stats.spearmanr(one.ravel(), other.ravel())[0])


def test_the_comparison_notices_ties_that_are_not_shared(monkeypatch):
    monkeypatch.setattr(similarity, "ranks", lambda values: values.ravel().argsort().argsort().astype(float))
    with pytest.raises(AssertionError):
        test_the_rank_correlation_is_scipys(True)


def test_the_rank_correlation_of_any_growing_function_is_one():
    one = RANDOM.standard_normal((5, 6))
    assert rank_correlation(one, np.exp(one)) == pytest.approx(1)
    assert rank_correlation(one, -one) == pytest.approx(-1)


def test_a_constant_map_has_no_order_to_share():
    assert rank_correlation(np.ones((3, 3)), smooth(0)[:3, :3]) == 0


def test_the_structural_similarity_is_scikit_images():
    for seed in range(3):
        one, other = smooth(seed), smooth(seed) + smooth(seed + 10)
        span = max(one.max(), other.max()) - min(one.min(), other.min())
        wanted = skimage.metrics.structural_similarity(one, other, data_range=span)
        np.testing.assert_allclose(structural_similarity(one, other), wanted, rtol=1e-10)


def test_scikit_image_notices_another_window(monkeypatch):
    monkeypatch.setattr(similarity, "SIDE", 5)
    with pytest.raises(AssertionError):
        test_the_structural_similarity_is_scikit_images()


def test_the_structural_similarity_on_signals_volumes_and_small_maps():
    for shape in [(20,), (8, 9, 10), (3, 4)]:
        values = RANDOM.standard_normal(shape)
        assert structural_similarity(values, values) == pytest.approx(1)
        assert structural_similarity(values, values[::-1]) < 0.9
    assert structural_similarity(np.ones((8, 8)), np.ones((8, 8))) == 1
