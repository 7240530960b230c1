"""Flip maps against a count written out pixel by pixel."""

import dataclasses

import numpy as np
import pytest

import eyeline
from eyeline.errors import InputError, UnsupportedError


def quadrants(images):
    """Score of class k: the sum over the k-th quadrant."""
    rows, columns = images.shape[1] // 2, images.shape[2] // 2
    parts = [images[:, :rows, :columns], images[:, :rows, columns:], images[:, rows:, :columns]]
    return np.stack([each.sum(axis=(1, 2, 3)) for each in parts], axis=1)


def swept(seed=0, **settings):
    images = np.random.default_rng(seed).uniform(0.4, 0.6, (2, 6, 8, 1)).astype(np.float32)
    return eyeline.explain(
        eyeline.load(quadrants), images, window=(3, 2), stride=(2, 1), baseline=eyeline.Constant(0), **settings
    )


def counted(attribution):
    """Share and class by a loop over pixels and windows."""
    scores, boxes = attribution.sweep.scores, attribution.sweep.boxes
    share, to = np.zeros(attribution.images.shape[:3]), np.full(attribution.images.shape[:3], -1)
    for i, row, column in np.ndindex(share.shape):
        on = [w for w, ((a, b), (c, d)) in enumerate(boxes) if a <= row < b and c <= column < d]
        best = [int(scores[i, w].argmax()) for w in on]
        others = [each for each in best if each != attribution.scores[i].argmax()]
        share[i, row, column] = len(others) / len(on)
        if others:
            to[i, row, column] = min(set(others), key=lambda each: (-others.count(each), each))
    return share, to


@pytest.mark.parametrize("keep", [False, True])
def test_flips_are_what_is_counted_pixel_by_pixel(keep):
    for seed in range(3):
        attribution = swept(seed, keep=keep)
        found = eyeline.flips(attribution)
        share, to = counted(attribution)
        np.testing.assert_allclose(found.share, share, rtol=1e-6)
        np.testing.assert_array_equal(found.to, to)
        np.testing.assert_array_equal(found.top, attribution.scores.argmax(axis=1))
        assert share.max() > 0
        assert len(np.unique(to)) > 2


def test_the_count_sees_a_class_too_many():
    """Sabotage twin: scores in which another class wins one window."""
    attribution = swept()
    scores = attribution.sweep.scores.copy()
    scores[0, 0] = np.roll(scores[0, 0], 1)
    other = dataclasses.replace(attribution, sweep=dataclasses.replace(attribution.sweep, scores=scores))
    assert (eyeline.flips(other).to != counted(attribution)[1]).any()


def test_a_method_without_a_sweep_is_refused():
    attribution = dataclasses.replace(swept(), sweep=None)
    with pytest.raises(UnsupportedError, match="must have a sweep"):
        eyeline.flips(attribution)


def test_one_score_is_refused():
    model = eyeline.load(lambda images: images.sum(axis=(1, 2)))
    attribution = eyeline.explain(model, np.ones((4, 4, 1), dtype=np.float32))
    with pytest.raises(InputError, match="two or more classes"):
        eyeline.flips(attribution)
