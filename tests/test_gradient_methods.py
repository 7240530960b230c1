"""The gradient methods against mathematics, answers on paper, and second versions in plain loops.

Each oracle is shown to fail: `test_the_oracle_notices` breaks the code on purpose.
"""

import dataclasses
import itertools
import math
import sys

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

import eyeline
from eyeline import Constant
from eyeline.baseline import blurred as blur
from eyeline.command import flags
from eyeline.command.tables import models
from eyeline.errors import InputError, ModelError, OutOfMemoryError, UnsupportedError
from eyeline.methods import METHODS, blurred, build, derivatives, expected, integrated, noise, progress

SIGNED = {"channels": None}
IMAGES = np.random.default_rng(0).random((3, 5, 4, 2), dtype=np.float32)
TARGET = 1

PATHS = {
    "integrated": eyeline.IntegratedGradients(6),
    "midpoint": eyeline.IntegratedGradients(5, Constant(0.3), "midpoint"),
    "expected": eyeline.ExpectedGradients(samples=7),
    "blur": eyeline.BlurIG(3, 6),
    "guided": eyeline.GuidedIG(6, Constant(0.5)),
}
NOISY = {"smooth": eyeline.SmoothGrad(samples=5), "square": eyeline.SmoothGradSquared(samples=5),
         "variance": eyeline.VarGrad(samples=5)}  # fmt: skip
ALL = {"gradient": eyeline.Gradient(), "input": eyeline.GradientInput(), **PATHS, **NOISY}


class Function(nn.Module):
    """A function of pixels (n, *space, channels) with one score or several, in float64."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.register_buffer("wide", torch.zeros((), dtype=torch.float64))

    def forward(self, images):
        scores = self.function(images.movedim(1, -1))
        return scores[:, None] if scores.ndim == 1 else scores


def load(function, size=IMAGES.shape[1:-1], **words):
    return eyeline.load(Function(function), input_size=size, output="raw", **words)


def pixels(*values):
    return np.float32(values).reshape(1, -1, 1)


def parts(images):
    """The pixels of an image of one axis and one channel."""
    return images[..., 0].unbind(1)


def linear():
    generator = np.random.default_rng(7)
    weights = generator.normal(size=(*IMAGES.shape[1:], 2))
    model = load(lambda images: images.flatten(1) @ torch.from_numpy(weights.reshape(-1, 2)) + 0.5)
    return model, weights[..., TARGET]


def smooth():
    """No kinks: every derivative exists, and sums over steps converge fast."""
    generator = np.random.default_rng(8)
    first, second = generator.normal(size=(40, 9)), generator.normal(size=(9, 3))

    def function(images):
        return torch.tanh(images.flatten(1) @ torch.from_numpy(first) / 3) @ torch.from_numpy(second)

    return load(function), lambda image: (np.tanh(image.reshape(-1) @ first / 3) @ second)[TARGET]


def difference(function, image, step=1e-5):
    """ds/dx by central differences, in float64."""
    found = np.empty(image.shape)
    for place in np.ndindex(image.shape):
        up, down = image.astype(np.float64), image.astype(np.float64)
        up[place] += step
        down[place] -= step
        found[place] = (function(up) - function(down)) / (2 * step)
    return found


def per_channel(method):
    """The settings that leave channels apart."""
    if hasattr(method, "inner"):
        return dataclasses.replace(method, inner=per_channel(method.inner))
    return dataclasses.replace(method, channels=None)


def maps(method, model, images=IMAGES, target=TARGET):
    return per_channel(method)(model, images, target).maps


def test_gradient_times_input_of_a_linear_model():
    model, weights = linear()
    np.testing.assert_allclose(maps(eyeline.GradientInput(), model), weights * IMAGES, rtol=1e-5, atol=1e-6)
    above = maps(eyeline.GradientInput(baseline=Constant(0.3)), model)
    np.testing.assert_allclose(above, weights * (IMAGES - 0.3), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rule", ["midpoint", "gauss-legendre"])
@pytest.mark.parametrize("baseline", [Constant(0), Constant((0.2, -3)), eyeline.Mean(), eyeline.Image(IMAGES[2])])
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_linear_integrated_gradients_are_w_times_x_minus_c(rule, baseline, steps):
    model, weights = linear()
    found = maps(eyeline.IntegratedGradients(steps, baseline, rule), model)
    np.testing.assert_allclose(found, weights * (IMAGES - baseline(IMAGES)), rtol=1e-5, atol=1e-6)


def test_linear_expected_gradients_are_w_times_x_minus_the_mean_reference():
    model, weights = linear()
    references = (Constant(0), Constant(1), eyeline.Mean())
    mean = np.mean([each(IMAGES) for each in references], axis=0)
    found = maps(eyeline.ExpectedGradients(references, samples=12), model)
    np.testing.assert_allclose(found, weights * (IMAGES - mean), rtol=1e-5, atol=1e-6)


def test_linear_blur_integrated_gradients_are_w_times_x_minus_the_blur():
    model, weights = linear()
    found = maps(eyeline.BlurIG(2.5, steps=3), model)
    gone = np.stack([ndimage.gaussian_filter(np.float64(each), (2.5, 2.5, 0), mode="nearest") for each in IMAGES])
    np.testing.assert_allclose(found, weights * (IMAGES - gone), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("settings", [{}, {"fraction": 1}, {"distance": 0}, {"distance": 1, "fraction": 0.01}])
def test_linear_guided_integrated_gradients_are_w_times_x_minus_c(settings):
    model, weights = linear()
    found = maps(eyeline.GuidedIG(7, Constant(0.3), **settings), model)
    np.testing.assert_allclose(found, weights * (IMAGES - np.float32(0.3)), rtol=1e-5, atol=1e-6)


def test_noise_changes_nothing_for_a_linear_model():
    model, weights = linear()
    weights = np.broadcast_to(weights, IMAGES.shape)
    np.testing.assert_allclose(maps(eyeline.SmoothGrad(samples=4), model), weights, rtol=1e-6)
    np.testing.assert_allclose(maps(eyeline.SmoothGradSquared(samples=4), model), weights**2, rtol=1e-6)
    np.testing.assert_array_equal(maps(eyeline.VarGrad(samples=4), model), 0)


def test_bm2_and_bm3():
    """Two networks that are one function have one map (implementation invariance); their gradients differ."""
    relu = torch.relu
    second = load(lambda images: relu(relu(parts(images)[0]) - 1 - relu(parts(images)[1])), (2,))
    third = load(lambda images: relu(relu(parts(images)[0] - 1) - relu(parts(images)[1])), (2,))
    for model in (second, third):
        for method in (eyeline.IntegratedGradients(20), eyeline.IntegratedGradients(20, rule="midpoint")):
            np.testing.assert_allclose(maps(method, model, pixels(3, 1), 0)[0, :, 0], (1.5, -0.5), rtol=1e-6)


def test_a_sum_of_one_line_functions():
    def function(images):
        a, b, c = parts(images)
        return 5 * a + b**2 + torch.sin(c)

    method = eyeline.IntegratedGradients(10, eyeline.Image(pixels(0.5, 1, 1)[0]))
    found = maps(method, load(function, (3,)), pixels(1, 2, 3), 0)[0, :, 0]
    np.testing.assert_allclose(found, (2.5, 3, math.sin(3) - math.sin(1)), rtol=1e-6)


def test_guided_integrated_gradients_on_paper():
    """f = a + 4 a b from (0, 0) to (1, 1): b, of slope 0, goes first, and as far as it may."""

    def function(images):
        a, b = parts(images)
        return a + 4 * a * b

    model = load(function, (2,))
    for distance, expected_map in ((1, (5, 0)), (0.25, (3.25, 0.25)), (0, (2, 1))):
        found = maps(eyeline.GuidedIG(2, distance=distance), model, pixels(1, 1), 0)
        np.testing.assert_allclose(found[0, :, 0], expected_map, rtol=1e-6)


def test_integrated_gradients_by_differences():
    model, function = smooth()
    start = Constant(0.3)(IMAGES).astype(np.float64)
    expected_maps = np.zeros(IMAGES.shape)
    for i, image in enumerate(IMAGES):
        for step in range(5):
            point = start[i] + (step + 0.5) / 5 * (image - start[i])
            expected_maps[i] += difference(function, point) * (image - start[i]) / 5
    np.testing.assert_allclose(maps(PATHS["midpoint"], model), expected_maps, rtol=1e-4, atol=1e-6)


def test_blur_integrated_gradients_by_differences():
    model, function = smooth()
    image, expected_map = IMAGES[0].astype(np.float64), np.zeros(IMAGES.shape[1:])
    sigmas = [3, 2.5, 2, 1.5, 1, 0.5, 0]
    blurs = [ndimage.gaussian_filter(image, (sigma, sigma, 0), mode="nearest", truncate=4) for sigma in sigmas]
    for before, after in itertools.pairwise(blurs):
        expected_map += difference(function, (before + after) / 2) * (after - before)
    np.testing.assert_allclose(maps(PATHS["blur"], model)[0], expected_map, rtol=1e-4, atol=1e-6)


def test_moments_by_differences():
    """The noise is what its docstring says: normal, one field a sample, times the share of each image's range."""
    model, function = smooth()
    found = []
    for image in IMAGES:
        size = 0.4 * float(image.max() - image.min())
        fields = [np.random.default_rng((3, k)).standard_normal(image.shape, dtype=np.float32) for k in range(4)]
        found.append([difference(function, image + size * each) for each in fields])
    gradients = np.array(found)
    settings = {"samples": 4, "noise": 0.4, "seed": 3}
    same = {"rtol": 1e-4, "atol": 1e-6}
    np.testing.assert_allclose(maps(eyeline.SmoothGrad(**settings), model), gradients.mean(1), **same)
    np.testing.assert_allclose(maps(eyeline.SmoothGradSquared(**settings), model), (gradients**2).mean(1), **same)
    np.testing.assert_allclose(maps(eyeline.VarGrad(**settings), model), gradients.var(1), **same)


@pytest.mark.parametrize("name", PATHS)
def test_the_error_of_completeness_is_told(name):
    model, function = smooth()
    method = PATHS[name]
    result = method(model, IMAGES, TARGET)
    starts = {
        "integrated": [Constant(0)(IMAGES)],
        "midpoint": [Constant(0.3)(IMAGES)],
        "expected": [Constant(value)(IMAGES) for value in np.float64([0, 0.5, 1])[expected.draws(3, 7, 0)[0]]],
        "blur": [eyeline.Blur(3)(IMAGES)],
        "guided": [Constant(0.5)(IMAGES)],
    }[name]
    changes = [function(x) - np.mean([function(each[i]) for each in starts]) for i, x in enumerate(IMAGES)]
    told = result.provenance["completeness"]
    errors = result.maps.sum(axis=(1, 2)) - changes
    np.testing.assert_allclose(told["change"], changes, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(told["error"], errors, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(told["share"], np.divide(told["error"], told["change"]))
    assert np.abs(told["error"]).max() < 0.6 * np.abs(changes).max()


def test_completeness_with_enough_steps():
    model, _ = smooth()
    for method, share in ((eyeline.IntegratedGradients(20), 1e-5), (eyeline.BlurIG(3, 100), 2e-3),
                          (eyeline.GuidedIG(200), 2e-2)):  # fmt: skip
        assert np.abs(method(model, IMAGES, TARGET).provenance["completeness"]["share"]).max() < share


def test_nothing_changes_where_image_and_baseline_are_one():
    model, _ = smooth()
    for method in (eyeline.IntegratedGradients(3), eyeline.GuidedIG(3)):
        result = dataclasses.replace(method, baseline=eyeline.Image(IMAGES[0]))(model, IMAGES[:1], TARGET)
        np.testing.assert_array_equal(result.maps, 0)
        assert result.provenance["completeness"] == {"change": [0], "error": [0], "share": [None]}


@pytest.mark.parametrize("method", ALL.values(), ids=ALL)
def test_batch_order_and_company_do_not_matter(method):
    model, _ = smooth()
    whole = maps(method, model)
    np.testing.assert_allclose(maps(method, model, IMAGES[::-1].copy()), whole[::-1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(maps(method, model, IMAGES[1]), whole[1:2], rtol=1e-5, atol=1e-6)
    for batch in (1, 4, 100):
        sized = dataclasses.replace(getattr(method, "inner", method), batch=batch)
        sized = dataclasses.replace(method, inner=sized) if hasattr(method, "inner") else sized
        np.testing.assert_allclose(maps(sized, model), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["expected", *NOISY])
def test_seeds(name):
    model, _ = smooth()
    first, again, other = (maps(dataclasses.replace(ALL[name], seed=seed), model) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3 * np.abs(first).max()


def test_draws_are_balanced():
    which, along = expected.draws(3, 30, 0)
    assert np.bincount(which).tolist() == [10, 10, 10]
    assert sorted((along * 30).astype(int)) == list(range(30))
    both = np.concatenate([np.stack(expected.draws(2, 5, seed)) for seed in range(4000)], axis=1)
    assert np.abs(both.mean(axis=1) - 0.5).max() < 0.01, "each draw alone is even"
    assert abs(np.corrcoef(both)[0, 1]) < 0.02, "and says nothing about the other"


def test_the_weights_of_the_clean_image_are_held():
    """Towards black, and with noise, another class is the best; the map stays that of the first."""
    model = load(lambda images: torch.stack([images.flatten(1).sum(1) ** 3, 30 - images.flatten(1).sum(1)], dim=1))
    image = np.full((1, 5, 4, 2), 0.2, dtype=np.float32)
    image[0, 0, 0, 0] = 0.3
    assert model.scores(image).argmax() == 0
    assert model.scores(np.zeros_like(image)).argmax() == 1
    whole = eyeline.IntegratedGradients(8)(model, image)
    assert whole.targets == ("class 0",)
    np.testing.assert_allclose(whole.maps.sum(), 8.1**3, rtol=1e-5)
    noisy = maps(eyeline.SmoothGrad(samples=20, noise=0.1, relative=False), model, image, None)
    assert noisy.min() > 0


def test_channels_are_reduced_after_the_mean():
    model, _ = smooth()
    raw = maps(eyeline.SmoothGrad(samples=5), model)
    for channels, wanted in (("sum", raw.sum(-1)), ("max_abs", np.abs(raw).max(-1)), (None, raw)):
        found = eyeline.SmoothGrad(eyeline.Gradient(channels), samples=5)(model, IMAGES, TARGET)
        np.testing.assert_allclose(found.maps, wanted, rtol=1e-5, atol=1e-6)
    twice = eyeline.SmoothGrad(eyeline.VarGrad(eyeline.Gradient("l2"), samples=2), samples=2)(model, IMAGES, TARGET)
    raw = maps(eyeline.SmoothGrad(eyeline.VarGrad(samples=2), samples=2), model)
    np.testing.assert_allclose(twice.maps, np.sqrt((raw**2).sum(-1)), rtol=1e-5)


def test_any_method_can_be_smoothed():
    model, _ = smooth()
    copies = [IMAGES + np.float32(0.2) * noise.field(0, sample, IMAGES.shape[1:]) for sample in range(3)]
    for inner in (eyeline.Occlusion(window=2, engine="full"), eyeline.IntegratedGradients(4), eyeline.GradientInput()):
        found = eyeline.SmoothGrad(inner, samples=3, noise=0.2, relative=False)(model, IMAGES, TARGET)
        wanted = np.mean([inner(model, each, TARGET).maps for each in copies], axis=0)
        np.testing.assert_allclose(found.maps, wanted, rtol=1e-4, atol=1e-5)
        assert "mean over 3 noisy copies" in found.quantity
    assert found.quantity.endswith("summed over channels")


def test_the_standard_error_is_told():
    model, _ = smooth()
    result = eyeline.SmoothGrad(samples=6)(model, IMAGES, TARGET)
    variance, mean = maps(eyeline.VarGrad(samples=6), model), maps(eyeline.SmoothGrad(samples=6), model)
    wanted = np.sqrt((variance / 5).mean(axis=(1, 2, 3)) / (mean**2).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(result.provenance["standard_error"], wanted, rtol=1e-5)
    assert eyeline.SmoothGrad(samples=1)(model, IMAGES, TARGET).provenance["standard_error"] == [None] * 3


@pytest.mark.parametrize("method", ALL.values(), ids=ALL)
def test_a_result_says_what_it_is_and_can_be_kept(method, tmp_path):
    model, _ = smooth()
    result = method(model, IMAGES, TARGET)
    again = eyeline.Attribution.load(result.save(tmp_path / "kept.npz"))
    np.testing.assert_array_equal(again.maps, result.maps)
    assert again.maps.shape == IMAGES.shape[:-1]
    assert again.method["name"] == type(method).__name__.lower()
    assert " score" in again.quantity
    assert "channels" in again.quantity
    assert type(method).__name__.lower() in repr(again)


def test_other_units_are_in_the_words():
    model = eyeline.load(Function(lambda images: images.mean((1, 2))), input_size=(5, 4), output="logit",
                         scores="log-odds")  # fmt: skip
    words = eyeline.IntegratedGradients(2)(model, IMAGES).quantity
    assert words == "share of the change in log-odds from the baseline, summed over channels"


@pytest.mark.parametrize(
    ("kind", "settings", "sentence"),
    [
        ("integratedgradients", {"steps": 0}, "steps must be a whole number, 1 or more, but got 0"),
        ("integratedgradients", {"steps": 2.5}, r"steps must be a whole number, 1 or more, but got 2\.5"),
        ("integratedgradients", {"rule": "left"}, r"rule must be one of gauss-legendre, midpoint, .*but got 'left'"),
        ("integratedgradients", {"baseline": 0.5}, r"baseline must be a baseline, but got 0\.5"),
        ("integratedgradients", {"baseline": eyeline.Image(IMAGES[0, :2])}, "must have the image's shape"),
        ("integratedgradients", {"baseline": lambda images: images[:1]}, "must give finite images of shape"),
        ("expectedgradients", {"references": ()}, "references must hold at least one baseline"),
        ("expectedgradients", {"references": (0.5,)}, r"baseline must be a baseline, but got 0\.5"),
        ("expectedgradients", {"samples": 0}, "samples must be a whole number, 1 or more"),
        ("expectedgradients", {"seed": -1}, "seed must be a whole number, 0 or more"),
        ("blurig", {"sigma": 0}, "sigma must be a number above 0, but got 0"),
        ("blurig", {"sigma": math.inf}, "sigma must be a number above 0, but got inf"),
        ("blurig", {"steps": True}, "steps must be a whole number"),
        ("guidedig", {"fraction": 0}, "fraction must be a number above 0 and at most 1, but got 0"),
        ("guidedig", {"distance": 1.5}, r"distance must be a number at least 0 and at most 1, but got 1\.5"),
        ("guidedig", {"distance": math.nan}, "distance must be a number at least 0"),
        ("smoothgrad", {"samples": 0}, "samples must be a whole number, 1 or more"),
        ("smoothgrad", {"noise": 0}, "noise must be a number above 0, but got 0"),
        ("smoothgrad", {"inner": "gradient"}, "inner must be a method, but got 'gradient'"),
        ("smoothgrad", {"inner": eyeline.Gradient}, "inner must be a method, but got <class"),
        ("smoothgrad", {"relative": 1}, "relative must be True or False"),
        ("smoothgradsquared", {"seed": 0.5}, "seed must be a whole number"),
        ("vargrad", {"samples": 1}, "samples must be a whole number, 2 or more"),
        ("gradientinput", {"channels": "median"}, "channels must be one of"),
    ],
)
def test_settings_that_cannot_be(kind, settings, sentence):
    with pytest.raises(InputError, match=sentence):
        eyeline.explain(smooth()[0], IMAGES, kind, TARGET, **settings)


def test_an_image_of_one_value_has_no_relative_noise():
    images = IMAGES.copy()
    images[1] = 0.5
    model, _ = smooth()
    with pytest.raises(InputError, match=r"'image 1' has not\. Pass relative=False"):
        eyeline.SmoothGrad(samples=2)(model, images, TARGET)
    assert eyeline.SmoothGrad(samples=2, noise=0.1, relative=False)(model, images, TARGET).maps.any()


@pytest.mark.parametrize("name", METHODS)
def test_a_model_without_gradients_is_refused_where_scores_are_not_enough(name):
    """They are enough for those that `eyeline models` names, and for no other."""
    said = []
    models(said.append)
    (words,) = (each for each in said if each.startswith("Scores are enough for "))
    if name in words.removeprefix("Scores are enough for ").rstrip(".").split(", "):
        model = eyeline.load(lambda images: images.mean(axis=(1, 2)), input_size=(8, 8))
        image = np.random.default_rng(0).random((1, 8, 8, 3), dtype=np.float32)
        assert eyeline.explain(model, image, name, **{"masks": 9} if name == "rise" else {}).maps.any()
        return
    model = eyeline.load(lambda images: images.mean(axis=(1, 2)), input_size=(5, 4))
    with pytest.raises(UnsupportedError, match=r"must have a model with gradients.*method='occlusion'"):
        eyeline.explain(model, IMAGES, name)


@pytest.mark.parametrize("method", [eyeline.IntegratedGradients(5), eyeline.GuidedIG(5), PATHS["expected"]])
def test_what_is_not_finite_names_image_and_step(method):
    root = load(lambda images: torch.sqrt(images - 0.25).sum((1, 2, 3)))
    images = np.full((2, 5, 4, 2), 0.9, dtype=np.float32)
    images[1] = 0.2501
    with pytest.raises(
        ModelError, match=r"scores must be finite, but got nan for class 0 \('image 0', step \d of \d\)"
    ):
        method(root, images, 0)
    with pytest.raises(ModelError, match=r"'image 1, sample \d'"):
        eyeline.SmoothGrad(samples=5, noise=0.1, relative=False)(root, images, 0)


def test_memory_that_runs_out_halves_the_batch(monkeypatch):
    model, _ = smooth()
    whole = maps(PATHS["integrated"], model)
    gradient, sizes = model.gradient, []

    def tight(points, weigh):
        sizes.append(len(points))
        if len(points) > 2:
            raise OutOfMemoryError("full")
        return gradient(points, weigh)

    monkeypatch.setattr(type(model), "gradient", lambda self, points, weigh: tight(points, weigh))
    np.testing.assert_allclose(maps(PATHS["integrated"], model), whole, rtol=1e-6)
    assert sizes[:4] == [18, 9, 4, 2]


@pytest.mark.parametrize("passes", [50, 5000])
def test_a_small_budget_starts_with_one_image(passes):
    narrow, wide = np.zeros((9, 224, 224, 3), np.float32), np.zeros((9, 1024, 1024, 3), np.float32)
    assert derivatives.sized(None, 1024, narrow[:, :64, :64], passes).size == 49
    assert derivatives.sized(None, 100, narrow[:, :64, :64], passes).size == 6
    assert derivatives.sized(None, 1024, narrow, passes).size == 4
    assert derivatives.sized(None, 100, narrow, passes).size == 1
    assert derivatives.sized(None, 1024, wide, passes).size == 1
    assert derivatives.sized(7, 100, wide, passes).size == 7
    with pytest.raises(InputError, match="memory must be 1 or more"):
        derivatives.sized(None, 0, narrow, passes)


def test_keras_gives_the_same_maps():
    keras = pytest.importorskip("keras")
    generator = np.random.default_rng(3)
    first, second = np.float32(generator.normal(size=(40, 9))), np.float32(generator.normal(size=(9, 3)))
    layers = [keras.layers.Flatten(), keras.layers.Dense(9, "tanh"), keras.layers.Dense(3)]
    network = keras.Sequential([keras.Input((5, 4, 2)), *layers])
    network.set_weights([first, np.zeros(9), second, np.zeros(3)])
    weights = [torch.from_numpy(each).double() for each in (first, second)]
    twin = load(lambda images: torch.tanh(images.flatten(1) @ weights[0]) @ weights[1])
    model = eyeline.load(network)
    for method in ALL.values():
        np.testing.assert_allclose(maps(method, model), maps(method, twin), rtol=1e-3, atol=1e-4)


def test_the_command_reads_inner_methods_and_references():
    given = {"inner": "integratedgradients:steps=3,baseline=constant:0.1,0.2,channels=none", "samples": "4",
             "relative": False}  # fmt: skip
    method = build("smoothgrad", flags.settings(METHODS, "smoothgrad", given))
    inner = eyeline.IntegratedGradients(3, Constant((0.1, 0.2)), channels=None)
    assert method == eyeline.SmoothGrad(inner, samples=4, relative=False)
    nested = flags.settings(METHODS, "vargrad", {"inner": "smoothgrad:relative=no,inner=gradient"})["inner"]
    assert nested == eyeline.SmoothGrad(relative=False)
    references = flags.settings(METHODS, "expectedgradients", {"references": "blur:2,constant:0.1,0.2,mean"})
    assert references["references"] == (eyeline.Blur(2), Constant((0.1, 0.2)), eyeline.Mean())
    assert flags.explained(METHODS, "references").endswith("default constant:0,constant,constant:1)")
    assert "(default gradient" in flags.explained(METHODS, "inner")
    assert "default 50; 100 for blurig; 200 for guidedig" in flags.explained(METHODS, "steps")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("gradent", "Did you mean 'gradient'"),
        ("gradient:chanels=sum", "Did you mean 'channels'"),
        ("gradient:channels=some", "--channels must be one of"),
        ("smoothgrad:relative=maybe", "--relative must be one of yes, no, but got 'maybe'"),
    ],
)
def test_inner_methods_that_cannot_be(text, sentence):
    with pytest.raises(InputError, match=sentence):
        flags.settings(METHODS, "smoothgrad", {"inner": text})


def test_the_bar_of_an_inner_method_is_below_the_others(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    model, _ = smooth()
    shown = []
    with progress.progress(4, "outer") as advance:
        eyeline.SmoothGrad(samples=2)(model, IMAGES, TARGET)
        shown += [task.description for task in progress.SHOWN.get().tasks]
        advance(4)
    assert shown == ["outer"], "the inner bars are gone when their methods are done"
    assert progress.SHOWN.get() is None
    assert "outer" in capsys.readouterr().err


# --- each oracle can fail -------------------------------------------------------------------------------------

reduce, quadrature, field, draws = derivatives.reduce, integrated.quadrature, noise.field, expected.draws
values, moved = derivatives.Explained.values, eyeline.GuidedIG._moved


def left(rule, steps):
    nodes, shares = quadrature(rule, steps)
    return nodes - 0.5 / steps, shares


def not_held(self, points, owners, where):
    def best(scores):
        return np.eye(scores.shape[1], dtype=np.float32)[scores.argmax(axis=1)]

    return self.model.gradient(points, best)[1]


def neighbour(self, points, owners, where):
    return derivatives.checked(
        self.model.gradient(points, lambda scores: np.roll(self.weights, 1, 1)[owners])[1], where
    )


def steep_first(self, gone, way, slope, goal):
    return moved(self, gone, way, -slope, goal)


def told(name):
    def completeness():
        test_the_error_of_completeness_is_told(name)

    return completeness


def linear_guided():
    test_linear_guided_integrated_gradients_are_w_times_x_minus_c({})


def linear_integrated():
    test_linear_integrated_gradients_are_w_times_x_minus_c("midpoint", Constant(0), 2)


BREAKS = {
    "sign flipped": (derivatives, "reduce", lambda found, channels: reduce(-found, channels), [
        linear_integrated, linear_guided, test_bm2_and_bm3, test_gradient_times_input_of_a_linear_model,
        test_linear_blur_integrated_gradients_are_w_times_x_minus_the_blur, test_integrated_gradients_by_differences,
        test_linear_expected_gradients_are_w_times_x_minus_the_mean_reference,
    ]),
    "a thousandth too large": (derivatives, "reduce", lambda found, channels: reduce(1.001 * found, channels), [
        linear_integrated, test_a_sum_of_one_line_functions, test_blur_integrated_gradients_by_differences,
        told("integrated"), told("guided"), test_noise_changes_nothing_for_a_linear_model,
    ]),
    "left ends of the steps": (integrated, "quadrature", left, [
        test_a_sum_of_one_line_functions, test_bm2_and_bm3, test_integrated_gradients_by_differences,
    ]),
    "another class": (derivatives.Explained, "gradients", neighbour, [
        linear_integrated, linear_guided, test_integrated_gradients_by_differences,
    ]),
    "weights of each step": (derivatives.Explained, "gradients", not_held, [
        test_the_weights_of_the_clean_image_are_held,
    ]),
    "s of the start twice": (derivatives.Explained, "values", lambda *given: 2 * values(*given), [
        told("midpoint"), told("expected"), told("blur"), told("guided"),
    ]),
    "blur a little too wide": (blurred, "blurred", lambda images, sigma, border: blur(images, 1.05 * sigma, border), [
        test_linear_blur_integrated_gradients_are_w_times_x_minus_the_blur,
        test_blur_integrated_gradients_by_differences,
    ]),
    "noise a little too strong": (noise, "field", lambda *given: np.float32(1.05) * field(*given), [
        test_moments_by_differences,
    ]),
    "the same noise in every sample": (noise, "field", lambda seed, sample, shape: field(seed, 0, shape), [
        test_moments_by_differences,
    ]),
    "variance of the sample": (
        noise.Moments, "variance", property(lambda self: self.spread / (self.count - 1)),
        [test_moments_by_differences],
    ),
    "channels left reduced": (noise, "per_channel", lambda inner: (inner, None), [
        test_channels_are_reduced_after_the_mean,
    ]),
    "one reference": (expected, "draws", lambda n, *given: (0 * draws(n, *given)[0], draws(n, *given)[1]), [
        test_linear_expected_gradients_are_w_times_x_minus_the_mean_reference,
    ]),
    "steep values first": (eyeline.GuidedIG, "_moved", steep_first, [test_guided_integrated_gradients_on_paper]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("place", "name", "broken", "oracle"),
    [
        pytest.param(place, name, broken, oracle, id=f"{what}: {oracle.__name__.removeprefix('test_')}")
        for what, (place, name, broken, oracles) in BREAKS.items()
        for oracle in oracles
    ],
)
def test_the_oracle_notices(monkeypatch, place, name, broken, oracle):
    monkeypatch.setattr(place, name, broken)
    with pytest.raises(AssertionError):
        oracle()


@pytest.mark.parametrize(
    "inner",
    [
        eyeline.Occlusion(1, 1, baseline=Constant()),
        eyeline.ExpectedGradients((Constant(), Constant()), samples=2),
        eyeline.BaselineAgreement(eyeline.Occlusion(1, 1), (Constant(), Constant(0.5))),
    ],
)
@pytest.mark.parametrize(
    "wrapper",
    [eyeline.SmoothGrad, lambda each, **words: eyeline.SmoothGrad(eyeline.SmoothGrad(each, **words), **words)],
)
def test_grey_is_grey_for_noisy_copies_that_leave_the_unit_range(inner, wrapper):
    """A linear network: w (x - 0.5) for each pixel, to the noise, which is small; images reach 0 and 1."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 1, bias=False))
    model = eyeline.load(network, input_size=4, output="raw")
    images = np.linspace(0, 1, 16, dtype=np.float32).reshape(1, 4, 4, 1)
    found = wrapper(inner, samples=3, noise=1e-5, relative=False)(model, images, 0).maps[0]
    weights = network[1].weight.detach().numpy().reshape(4, 4)
    np.testing.assert_allclose(found, weights * (images[0, ..., 0] - 0.5), atol=1e-4)
    with pytest.raises(InputError, match=r"within 0\.\.1 for the grey of Constant\(\), but got values within 0\.\.255"):
        wrapper(inner, samples=3)(model, images * 255, 0)
