"""What must hold for every image, window and network, by arithmetic: searched over random shapes and settings."""

import numpy as np
import torch
from brute_force import mean_of_windows
from cases import (
    BASELINES,
    SEARCH,
    TOLERANCE,
    cases,
    curved,
    curved_network,
    explain,
    fully_covered,
    linear,
    score_linear,
    torch_curved,
    torch_linear,
)
from hypothesis import given
from hypothesis import strategies as st

import eyeline

baselines = st.sampled_from(BASELINES)


def along(values, maps):
    """One value per image, on every pixel of its map."""
    return np.broadcast_to(values.reshape((-1,) + (1,) * (maps.ndim - 1)), maps.shape)


@SEARCH
@given(cases(), baselines)
def test_linear_occlusion_is_the_mean_over_windows_of_w_times_x_minus_c(case, baseline):
    weights, biases = linear(case)
    result = explain(case, score_linear(weights, biases), 1, baseline=case.baseline(baseline))
    drops = ((case.images - fully_covered(case, baseline)) * weights[..., 1]).sum(-1)
    expected = [mean_of_windows(each, case.window, case.stride) for each in drops]
    np.testing.assert_allclose(result.maps, expected, **TOLERANCE)


@SEARCH
@given(cases())
def test_linear_gradient_is_w(case):
    weights, _ = linear(case)
    model = torch_linear(case)
    one = weights[..., 0]
    largest = np.abs(one).argmax(-1, keepdims=True)
    expected = {
        None: one,
        "sum": one.sum(-1),
        "max_abs": np.abs(one).max(-1),
        "mean_abs": np.abs(one).mean(-1),
        "l2": np.sqrt((one**2).sum(-1)),
        "signed": np.take_along_axis(one, largest, axis=-1)[..., 0],
    }
    for channels, value in expected.items():
        maps = eyeline.Gradient(channels=channels)(model, case.images, 0).maps
        assert maps.dtype == np.float32
        np.testing.assert_allclose(maps, np.broadcast_to(value, maps.shape), **TOLERANCE)
    contrast = eyeline.Gradient(channels=None)(model, case.images, eyeline.Contrast(1, 0)).maps
    np.testing.assert_allclose(contrast, np.broadcast_to(weights[..., 1] - one, contrast.shape), **TOLERANCE)


@SEARCH
@given(cases(), baselines)
def test_linear_single_pixels_are_the_gradient_times_x_minus_c(case, baseline):
    model, setting = torch_linear(case), case.baseline(baseline)
    occluded = eyeline.Occlusion(window=1, stride=1, baseline=setting)(model, case.images, 0).maps
    gradient = eyeline.Gradient(channels=None)(model, case.images, 0).maps
    expected = ((case.images - fully_covered(case, baseline)) * gradient).sum(-1)
    np.testing.assert_allclose(occluded, expected, **TOLERANCE)
    product = eyeline.GradientInput(baseline=setting)(model, case.images, 0).maps
    np.testing.assert_allclose(occluded, product, **TOLERANCE)


@SEARCH
@given(cases(), baselines, st.sampled_from(["cut", "inside"]))
def test_linear_keeping_a_window_brings_what_covering_it_takes(case, baseline, edge):
    function, settings = score_linear(*linear(case)), {"baseline": case.baseline(baseline), "edge": edge}
    drop = explain(case, function, **settings)
    keep = explain(case, function, keep=True, **settings)
    np.testing.assert_allclose(keep.maps, drop.maps, **TOLERANCE)


@SEARCH
@given(cases(), baselines)
def test_linear_a_window_and_its_complement_take_everything(case, baseline):
    function, settings = score_linear(*linear(case)), {"baseline": case.baseline(baseline)}
    drop = explain(case, function, **settings).maps
    only_the_window = explain(case, function, keep=True, measure="score", **settings).maps
    clean, covered = function(case.images)[:, 0], function(fully_covered(case, baseline))[:, 0]
    drop_of_complement = along(clean, drop) - only_the_window
    np.testing.assert_allclose(drop + drop_of_complement, along(clean - covered, drop), **TOLERANCE)


@SEARCH
@given(cases(), baselines)
def test_what_a_window_brings_is_measured_from_the_fully_covered_image(case, baseline):
    function, settings = curved(case), {"baseline": case.baseline(baseline), "keep": True}
    difference = explain(case, function, measure="score", **settings).maps - explain(case, function, **settings).maps
    covered = function(fully_covered(case, baseline))[:, 0]
    np.testing.assert_allclose(difference, along(covered, difference), **TOLERANCE)


@SEARCH
@given(cases(), baselines)
def test_the_whole_image_as_a_window_is_the_difference_to_the_baseline(case, baseline):
    function = curved(case)
    result = explain(case, function, window=case.size, stride=1, baseline=case.baseline(baseline))
    difference = (function(case.images) - function(fully_covered(case, baseline)))[:, 0]
    np.testing.assert_allclose(result.maps, along(difference, result.maps), **TOLERANCE)


@SEARCH
@given(cases(divides=True), st.sampled_from(["constant", "mean", "blur"]), st.integers(0, 2), st.booleans())
def test_flipping_image_and_network_flips_the_map(case, baseline, axis, keep):
    axis = 1 + axis % len(case.size)
    function, settings = curved(case), {"baseline": case.baseline(baseline), "keep": keep}
    plain = explain(case, function, **settings)
    flipped = explain(
        case, lambda images: function(np.flip(images, axis)), images=np.flip(case.images, axis).copy(), **settings
    )
    np.testing.assert_allclose(np.flip(flipped.maps, axis), plain.maps, **TOLERANCE)


@SEARCH
@given(cases(), st.sampled_from(["constant", "mean", "blur"]))
def test_swapping_the_axes_of_image_and_network_swaps_those_of_the_map(case, baseline):
    last = len(case.size)
    function, setting = curved(case), case.baseline(baseline)
    plain = explain(case, function, baseline=setting)
    model = eyeline.load(lambda images: function(np.swapaxes(images, 1, last)), input_size=case.size[::-1])
    method = eyeline.Occlusion(window=case.window[::-1], stride=case.stride[::-1], baseline=setting)
    swapped = method(model, np.swapaxes(case.images, 1, last).copy(), 0)
    np.testing.assert_allclose(np.swapaxes(swapped.maps, 1, last), plain.maps, **TOLERANCE)


@SEARCH
@given(cases(), baselines.filter(lambda name: name != "image"), st.sampled_from([None, 0, "gradient"]))
def test_permuting_the_batch_permutes_the_maps(case, baseline, target):
    order = np.random.default_rng(case.seed).permutation(len(case.images))
    if target == "gradient":
        method, model = eyeline.Gradient(channels=None), torch_curved(case)
    else:
        method = eyeline.Occlusion(window=case.window, stride=case.stride, baseline=case.baseline(baseline))
        model = eyeline.load(curved(case), input_size=case.size)
    wanted = None if target == "gradient" else target
    plain = method(model, case.images, wanted)
    shuffled = method(model, case.images[order], wanted)
    np.testing.assert_allclose(shuffled.maps, plain.maps[order], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(shuffled.weights, plain.weights[order])


@SEARCH
@given(cases(), st.integers(1, 7), baselines, st.booleans())
def test_the_batch_size_does_not_matter(case, batch, baseline, keep):
    settings = {"baseline": case.baseline(baseline), "keep": keep}
    plain = explain(case, curved(case), **settings)
    small = explain(case, curved(case), batch=batch, **settings)
    np.testing.assert_allclose(small.maps, plain.maps, rtol=1e-6, atol=1e-6)
    model = torch_curved(case)
    gradients = [eyeline.Gradient(batch=size)(model, case.images).maps for size in (None, batch)]
    np.testing.assert_allclose(gradients[0], gradients[1], rtol=1e-6, atol=1e-6)


@SEARCH
@given(cases(), baselines)
def test_an_image_alone_has_the_map_that_it_has_in_company(case, baseline):
    setting = case.baseline(baseline)
    together = explain(case, curved(case), None, baseline=setting)
    for n in range(len(case.images)):
        alone = explain(case, curved(case), None, images=case.images[n], baseline=setting)
        np.testing.assert_allclose(alone.maps[0], together.maps[n], rtol=1e-6, atol=1e-6)


@SEARCH
@given(cases(), st.sampled_from(["raw", "probability", "log-odds"]))
def test_gradient_is_that_of_finite_differences(case, scores):
    """Central differences of the network itself in float64, for every pixel and channel of the first image."""
    network = curved_network(case)
    model = eyeline.load(network, input_size=case.size, scores=scores, output="logit")
    result = eyeline.Gradient(channels=None)(model, case.images, 1)

    def scalar(image):
        with torch.no_grad():
            first = torch.from_numpy(np.moveaxis(image, -1, 0)[None].copy())
            logits = exact(first)[0].numpy()
        if scores == "raw":
            return logits[1]
        p = np.exp(logits[1]) / np.exp(logits).sum()
        return p if scores == "probability" else np.log(p / (1 - p))

    exact, step = curved_network(case).double(), 1e-4
    image, expected = case.images[0].astype(np.float64), np.zeros(case.images.shape[1:])
    exact.load_state_dict(network.state_dict())
    for place in np.ndindex(image.shape):
        up, down = image.copy(), image.copy()
        up[place] += step
        down[place] -= step
        expected[place] = (scalar(up) - scalar(down)) / (2 * step)
    np.testing.assert_allclose(result.maps[0], expected, rtol=1e-4, atol=1e-5)


def test_noise_is_the_same_field_for_every_image_within_its_own_range():
    images = np.random.default_rng(0).uniform(0, 1, (2, 40, 30, 3)).astype(np.float32)
    images[1] = 5 * images[1] - 2
    first, second = eyeline.Noise(3)(images)
    for n, field in enumerate((first, second)):
        low, high = images[n].min((0, 1)), images[n].max((0, 1))
        assert (field >= low).all()
        assert (field <= high).all()
    share = [(field - field.min((0, 1))) / np.ptp(field, axis=(0, 1)) for field in (first, second)]
    np.testing.assert_allclose(share[0], share[1], atol=1e-5)
    assert np.abs(np.histogram(share[0], 10, (0, 1))[0] / share[0].size - 0.1).max() < 0.02


def test_noise_is_decided_by_its_seed():
    images = np.random.default_rng(0).uniform(0, 1, (1, 6, 5, 2)).astype(np.float32)
    np.testing.assert_array_equal(eyeline.Noise(1)(images), eyeline.Noise(1)(images))
    assert np.abs(eyeline.Noise(1)(images) - eyeline.Noise(2)(images)).max() > 0.1
