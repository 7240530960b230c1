"""Occlusion equals plain loops over images, windows and pixels, for every setting and every target."""

import brute_force
import numpy as np
import pytest
from cases import BASELINES, SEARCH, TOLERANCE, cases, curved, explain, fully_covered, score_linear, score_one
from hypothesis import given
from hypothesis import strategies as st

import eyeline

baselines = st.sampled_from(BASELINES)


@SEARCH
@given(
    cases(),
    baselines,
    st.sampled_from(["drop", "score", "complement"]),
    st.sampled_from(["mean", "sum"]),
    st.sampled_from(["cut", "inside"]),
    st.booleans(),
)
def test_every_setting(case, baseline, measure, overlap, edge, keep):
    function, settings = curved(case), {"measure": measure, "overlap": overlap, "edge": edge, "keep": keep}
    result = explain(case, function, 1, baseline=case.baseline(baseline), **settings)
    weights = np.tile([0.0, 1.0, 0.0], (len(case.images), 1))
    covered = fully_covered(case, baseline)
    expected = brute_force.occlusion(
        score_one(function), case.images, covered, weights, window=case.window, stride=case.stride, **settings
    )
    assert result.maps.dtype == np.float32
    scale = max(1, np.abs(expected).max())
    np.testing.assert_allclose(result.maps / scale, expected / scale, **TOLERANCE)


@SEARCH
@given(cases(), st.sampled_from(["top", "second", "contrast", "weights", "one per image"]))
def test_every_target(case, target):
    function, n = curved(case), len(case.images)
    clean = np.float32(function(case.images))
    order = np.argsort(-clean, axis=1, kind="stable")
    rows = np.eye(3)
    asked, weights = {
        "top": (None, rows[order[:, 0]]),
        "second": (eyeline.Top(2), rows[order[:, 1]]),
        "contrast": (eyeline.Contrast(2, 0), np.tile([-1.0, 0, 1], (n, 1))),
        "weights": (eyeline.Weights((0.5, -2.0, 1.5)), np.tile([0.5, -2, 1.5], (n, 1))),
        "one per image": (eyeline.Class(tuple(range(n))), rows[np.arange(n)]),
    }[target]
    result = explain(case, function, asked, baseline=eyeline.Constant(0.25))
    covered = np.full_like(case.images, 0.25)
    expected = brute_force.occlusion(
        score_one(function), case.images, covered, weights, window=case.window, stride=case.stride
    )
    np.testing.assert_allclose(result.maps, expected, **TOLERANCE)
    np.testing.assert_array_equal(result.weights, weights)
    np.testing.assert_allclose(result.value(), (clean * weights).sum(1), **TOLERANCE)
    later = explain(case, function, 0, baseline=eyeline.Constant(0.25)).to(asked)
    np.testing.assert_allclose(later.maps, expected, **TOLERANCE)


@SEARCH
@given(cases(), st.booleans(), st.sampled_from(["cut", "inside"]))
def test_the_sweep_holds_every_window_in_raster_order(case, keep, edge):
    function, covered = curved(case), np.full_like(case.images, 0.5)
    sweep = explain(case, function, baseline=eyeline.Constant(0.5), keep=keep, edge=edge).sweep
    boxes = brute_force.windows(case.size, case.window, case.stride, edge)
    assert sweep.boxes.tolist() == [[list(span) for span in box] for box in boxes]
    expected = [
        [function(brute_force.perturbed(image, cover, box, keep)[None])[0] for box in boxes]
        for image, cover in zip(case.images, covered, strict=True)
    ]
    np.testing.assert_allclose(sweep.scores, expected, **TOLERANCE)
    np.testing.assert_allclose(sweep.reference, function(covered if keep else case.images), **TOLERANCE)


@pytest.mark.parametrize("size", [(1,), (7,), (37,), (5, 12), (12, 5), (40, 33), (9, 6, 7)])
def test_defaults(size):
    images = np.random.default_rng(0).uniform(0, 1, (1, *size, 2)).astype(np.float32)
    weights = np.random.default_rng(1).normal(size=(*size, 2, 2))
    model = eyeline.load(score_linear(weights, np.zeros(2)), input_size=size)
    result = eyeline.explain(model, images, target=1)
    window = max(1, round(min(size) / 4))
    drops = (weights[..., 1] * (images - brute_force.blur(images, min(size) / 18))[0]).sum(-1)
    expected = brute_force.mean_of_windows(drops, (window,) * len(size), (max(1, window // 4),) * len(size))
    np.testing.assert_allclose(result.maps[0], expected, **TOLERANCE)
