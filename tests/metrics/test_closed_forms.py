"""Infidelity, max-sensitivity and completeness where mathematics gives the answer, and against plain loops."""

import dataclasses

import numpy as np
import pytest
from measured_networks import IMAGES, SIZE, Linear, convolutional, linear

import eyeline
from eyeline.errors import InputError, UnsupportedError
from eyeline.metrics import Completeness, Infidelity, MaxSensitivity, base, infidelity, sensitivity

GREY = eyeline.Constant(0.3)


@pytest.mark.parametrize(
    "method",
    [eyeline.Gradient(channels=None), eyeline.GradientInput(baseline=GREY), eyeline.GradientInput(None, GREY)],
    ids=repr,
)
def test_exact_attributions_of_a_linear_model_have_no_infidelity(method):
    """I . w is the change itself."""
    model = linear()
    found = Infidelity(window=4, samples=20, baseline=GREY)(model, method(model, IMAGES, 0))
    np.testing.assert_allclose(found.values / found.parts["change"], 0, atol=1e-9)
    np.testing.assert_allclose(found.parts["factor"], 1, rtol=1e-4)


def test_the_closed_form_notices_another_kind():
    """Sabotage twin: shares read as derivatives."""
    model = linear()
    attribution = eyeline.GradientInput(baseline=GREY)(model, IMAGES, 0)
    found = Infidelity(window=4, samples=20, baseline=GREY, kind="derivative")(model, attribution)
    assert (found.values / found.parts["change"] > 0.1).all()


def test_a_map_of_zeros_foretells_no_change():
    model = linear()
    attribution = dataclasses.replace(eyeline.Gradient()(model, IMAGES, 0), maps=np.zeros((2, *SIZE), np.float32))
    found = Infidelity(window=4, samples=20)(model, attribution)
    np.testing.assert_allclose(found.values, found.parts["change"], rtol=1e-12)
    np.testing.assert_allclose(found.parts["scaled"], found.parts["change"], rtol=1e-12)


def test_a_map_in_other_units_is_as_good_with_a_factor():
    model = linear()
    attribution = eyeline.GradientInput(baseline=GREY)(model, IMAGES, 0)
    large = dataclasses.replace(attribution, maps=-7 * attribution.maps)
    found = Infidelity(window=4, samples=20, baseline=GREY)(model, large)
    assert (found.values > found.parts["change"]).all()
    np.testing.assert_allclose(found.parts["scaled"] / found.parts["change"], 0, atol=1e-9)
    np.testing.assert_allclose(found.parts["factor"], -1 / 7, rtol=1e-4)


@pytest.mark.parametrize("method", [eyeline.Gradient(), eyeline.Gradient("sum"), eyeline.Occlusion(3, 2)], ids=repr)
def test_infidelity_is_that_of_a_plain_loop(method):
    model, metric = convolutional(), Infidelity(window=(3, 5), samples=7, baseline=GREY, seed=2)
    attribution = method(model, IMAGES, 1)
    wanted = []
    for image, numbers in zip(IMAGES, attribution.maps, strict=True):
        errors = []
        for box in metric.boxes(SIZE):
            (top, bottom), (left, right) = box.spans
            changed, foretold = image.copy(), 0.0
            for row in range(top, bottom):
                for column in range(left, right):
                    move = float((image[row, column] - np.float32(0.3)).mean())
                    foretold += numbers[row, column] * (1 if isinstance(method, eyeline.Occlusion) else move)
                    changed[row, column] = 0.3
            change = model.scores(image[None])[0, 1] - model.scores(changed[None])[0, 1]
            errors.append((foretold - change) ** 2)
        wanted.append(np.mean(errors))
    np.testing.assert_allclose(metric(model, attribution).values, wanted, rtol=1e-4)


def test_windows_lie_inside_and_anywhere():
    boxes = np.array([box.spans for box in Infidelity(window=(3, 5), samples=500).boxes(SIZE)])
    assert boxes.min(axis=(0, 2)).tolist() == [0, 0]
    assert boxes.max(axis=(0, 2)).tolist() == list(SIZE)
    assert (boxes[..., 1] - boxes[..., 0] == (3, 5)).all()


def test_the_plain_loop_notices_a_change_of_the_wrong_sign(monkeypatch):
    clean = base.Scalar.clean
    monkeypatch.setattr(base.Scalar, "clean", lambda self: -clean(self))
    with pytest.raises(AssertionError):
        test_infidelity_is_that_of_a_plain_loop(eyeline.Gradient())


def test_a_window_larger_than_the_image():
    model = linear()
    with pytest.raises(InputError, match="window must be at most the image's size"):
        Infidelity(window=11)(model, eyeline.Gradient()(model, IMAGES))


def test_a_linear_models_gradient_does_not_move():
    model = linear()
    found = MaxSensitivity(samples=3)(model, eyeline.Gradient(channels=None)(model, IMAGES, 0))
    np.testing.assert_array_equal(found.values, 0)


def test_gradient_times_input_moves_with_the_pixels():
    """|w e| / |w x|, in closed form."""
    model, metric = linear(), MaxSensitivity(radius=0.1, samples=4, seed=3)
    attribution = eyeline.GradientInput(channels=None)(model, IMAGES, 0)
    weights = Linear().weights[0].detach().numpy()
    for image, value in zip(IMAGES, metric(model, attribution).values, strict=True):
        size, ratios = 0.1 * np.float64(image.max() - image.min()), []
        for sample in range(4):
            nudge = size * np.random.default_rng((3, sample)).uniform(-1, 1, image.shape)
            ratios.append(np.linalg.norm(weights * nudge) / np.linalg.norm(weights * image))
        np.testing.assert_allclose(value, max(ratios), rtol=1e-5)


def test_a_map_of_zeros_that_stays_has_no_sensitivity_and_one_that_moves_has_no_bound():
    model = linear()
    attribution = dataclasses.replace(eyeline.Gradient()(model, IMAGES, 0), maps=np.zeros((2, *SIZE), np.float32))
    assert np.isinf(MaxSensitivity(samples=1)(model, attribution).values).all()
    flat = eyeline.load(lambda images: np.ones((len(images), 1)) * 0.5, input_size=SIZE)
    found = MaxSensitivity(samples=1)(flat, eyeline.explain(flat, IMAGES, window=4, stride=4))
    np.testing.assert_array_equal(found.values, 0)


def test_the_closed_form_notices_a_nudge_of_another_size(monkeypatch):
    monkeypatch.setattr(sensitivity, "again", lambda method, model, attribution, nudged: attribution.maps * 1.1)
    with pytest.raises(AssertionError):
        test_gradient_times_input_moves_with_the_pixels()


def test_completeness_takes_the_methods_own_account():
    model = convolutional()
    attribution = eyeline.IntegratedGradients(steps=5, channels="max_abs")(model, IMAGES, 1)
    found = Completeness()(model, attribution)
    np.testing.assert_allclose(found.values, np.abs(attribution.provenance["completeness"]["share"]))


def test_completeness_against_a_baseline_adds_the_map_up():
    model = convolutional()
    attribution = eyeline.IntegratedGradients(steps=5, baseline=GREY)(model, IMAGES, 1)
    own, added = Completeness()(model, attribution), Completeness(GREY)(model, attribution)
    np.testing.assert_allclose(added.values, own.values, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(added.parts["error"], own.parts["error"], rtol=1e-3, atol=1e-5)


def test_gradient_times_input_of_a_linear_model_is_complete():
    model = linear()
    found = Completeness(GREY)(model, eyeline.GradientInput(baseline=GREY)(model, IMAGES, 0))
    np.testing.assert_allclose(found.values, 0, atol=1e-5)
    assert (Completeness(eyeline.Constant(0.9))(model, eyeline.GradientInput(baseline=GREY)(model, IMAGES, 0)).values
            > 0.1).all()  # fmt: skip


def test_what_cannot_be_added_up():
    model = linear()
    with pytest.raises(UnsupportedError, match="must promise that its maps add up, but 'occlusion' does not"):
        Completeness()(model, eyeline.explain(model, IMAGES, window=4))
    with pytest.raises(InputError, match=r"channels must be summed .* reduced by 'max_abs'"):
        Completeness(GREY)(model, eyeline.GradientInput("max_abs")(model, IMAGES))


def test_a_score_that_does_not_change_is_said():
    model = eyeline.load(lambda images: np.ones((len(images), 1)) * 0.5, input_size=SIZE)
    found = Completeness(GREY)(model, eyeline.explain(model, IMAGES, window=4, stride=4))
    assert np.isnan(found.values).all()
    assert found.notes == ("s of 'image 0' does not change", "s of 'image 1' does not change")


def test_infidelity_of_kinds():
    with pytest.raises(InputError, match="kind must be auto, derivative or share"):
        infidelity.Infidelity(kind="other")
