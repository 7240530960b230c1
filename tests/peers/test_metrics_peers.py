"""The metrics agree with Quantus' and Captum's, number by number, wherever the definition is the same.

Quantus draws from global generators and takes images with the channels first: both are handed our draws and orders.
"""

import numpy as np
import pytest
import torch
from torch import nn

import eyeline
from eyeline import metrics
from eyeline.metrics import road, similarity

SIDE, TARGET = 12, 2


@pytest.fixture(scope="module")
def quantus(stubbed_torchvision):
    return pytest.importorskip("quantus", reason="quantus")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 6, 3, stride=2), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(96, 4)).eval()


@pytest.fixture(scope="module")
def model(network):
    return eyeline.load(network, input_size=(SIDE, SIDE))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((3, SIDE, SIDE, 1), dtype=np.float32)


@pytest.fixture(scope="module")
def attribution(model, images):
    return eyeline.GradientInput(channels=None)(model, images, TARGET)


def first(values):
    """Channels first, as Quantus and Captum take them."""
    return np.ascontiguousarray(np.moveaxis(values, -1, 1))


def asked(images):
    return {"x_batch": first(images), "y_batch": np.full(len(images), TARGET), "softmax": False, "device": "cpu"}


PLAIN = {"abs": False, "normalise": False, "disable_warnings": True}


def gradients(model, inputs, targets, **_):
    """The gradient by torch alone, for those that explain again themselves."""
    leaf = torch.as_tensor(inputs).requires_grad_()
    rows = model(leaf)[torch.arange(len(leaf)), torch.as_tensor(targets)]
    return torch.autograd.grad(rows.sum(), leaf)[0].numpy()


def test_rank_correlation_and_structural_similarity(quantus):
    from quantus.functions import similarity_func

    one, other = np.random.default_rng(1).standard_normal((2, 15, 17))
    other += one
    wanted = similarity_func.correlation_spearman(one.ravel(), other.ravel())
    np.testing.assert_allclose(similarity.rank_correlation(one, other), wanted, rtol=1e-10)
    np.testing.assert_allclose(similarity.structural_similarity(one, other), similarity_func.ssim(one, other))


def test_deletion_is_pixel_flipping(quantus, network, model, images, attribution):
    """Theirs starts after the first pixel."""
    theirs = quantus.PixelFlipping(features_in_step=3, perturb_baseline=0.25, **PLAIN)
    wanted = theirs(model=network, a_batch=first(attribution.maps), **asked(images))
    ours = metrics.Deletion(eyeline.Constant(0.25), step=3)(model, attribution)
    np.testing.assert_allclose(ours.curves[:, 1:], wanted, rtol=1e-4, atol=1e-5)


def test_roads_imputation(quantus, images):
    from quantus.functions.perturb_func import noisy_linear_imputation

    removed = np.random.default_rng(2).random((SIDE, SIDE)) < 0.7
    picture = np.random.default_rng(3).random((SIDE, SIDE, 3))
    wanted = noisy_linear_imputation(first(picture[None])[0], np.flatnonzero(removed), noise=0)
    np.testing.assert_allclose(first(road.imputed(picture, removed)[None])[0], wanted, atol=1e-7)


def test_the_imputation_notices_other_weights(quantus, images, monkeypatch):
    monkeypatch.setattr(road, "WEIGHTS", dict.fromkeys(road.WEIGHTS, 1 / 8))
    with pytest.raises(AssertionError):
        test_roads_imputation(quantus, images)


def test_roads_accuracy(quantus, network, model, images, monkeypatch):
    """Theirs counts images that keep their class, share by share, without noise; ours is kept image by image."""
    best = network(torch.from_numpy(first(images))).argmax(dim=1).numpy()
    attribution = eyeline.GradientInput(channels=None)(model, images)
    theirs = quantus.ROAD(percentages=[10, 40, 80], noise=0.0, **PLAIN)
    wanted = theirs(
        model=network, a_batch=first(attribution.maps), x_batch=first(images), y_batch=best, softmax=False, device="cpu"
    )
    ours = metrics.Road((0.1, 0.4, 0.8), noise=0)(model, attribution)
    np.testing.assert_allclose(ours.parts["kept"].mean(axis=0), [wanted[each] for each in (10, 40, 80)])


def test_model_randomisation(quantus, network, model, images):
    """Layer after layer from the last, each as before training, from the same seed."""
    attribution = eyeline.Gradient(channels=None)(model, images, TARGET)
    theirs = quantus.MPRT(layer_order="top_down", seed=41, **PLAIN)
    found = theirs(model=network, a_batch=first(attribution.maps), explain_func=gradients, **asked(images))
    metric = metrics.Randomisation(stages=None, draw="initial", seed=42)
    ours = metric(model, attribution)
    assert ours.stages == tuple(name for name in found if name != "original")
    wanted = np.array([found[name] for name in ours.stages]).T
    np.testing.assert_allclose(ours.parts["rank"], wanted, atol=1e-4)


def test_model_randomisation_of_one_layer_at_a_time(quantus, network, model, images):
    attribution = eyeline.Gradient(channels=None)(model, images, TARGET)
    theirs = quantus.MPRT(layer_order="independent", seed=41, **PLAIN)
    found = theirs(model=network, a_batch=first(attribution.maps), explain_func=gradients, **asked(images))
    ours = metrics.Randomisation("independent", stages=None, draw="initial", seed=42)(model, attribution)
    wanted = np.array([found[name] for name in ours.stages]).T
    np.testing.assert_allclose(ours.parts["rank"], wanted, atol=1e-4)


def test_max_sensitivity(quantus, network, model, images):
    """Theirs is handed our nudges."""
    attribution = eyeline.Gradient(channels=None)(model, images, TARGET)
    nudges = iter([np.random.default_rng((5, k)).uniform(-1, 1, images.shape[1:]) for k in range(4)])
    spans = np.ptp(images.reshape(3, -1).astype(np.float64), axis=1)

    def nudged(arr, indices, **_):
        nudge = first(next(nudges)[None]).reshape(1, -1)
        return (arr + 0.1 * spans[:, None] * nudge).astype(np.float32)

    theirs = quantus.MaxSensitivity(
        nr_samples=4, perturb_func=nudged, return_nan_when_prediction_changes=False, **PLAIN
    )
    wanted = theirs(model=network, a_batch=first(attribution.maps), explain_func=gradients, **asked(images))
    ours = metrics.MaxSensitivity(radius=0.1, samples=4, seed=5)(model, attribution)
    np.testing.assert_allclose(ours.values, wanted, rtol=1e-3)


def test_infidelity(quantus, network, model, images):
    """Theirs is handed our windows; it goes through as many blocks as we have windows."""
    attribution = eyeline.Gradient(channels=None)(model, images, TARGET)
    metric = metrics.Infidelity(window=(4, 3), samples=4, baseline=eyeline.Constant(0.1), seed=4)
    boxes = iter(metric.boxes((SIDE, SIDE)))

    def covered(arr, indices, **_):
        changed = images.copy()
        changed[(slice(None), *next(boxes).slices)] = 0.1
        return first(changed).reshape(len(images), -1)

    theirs = quantus.Infidelity(perturb_patch_sizes=[SIDE // 2], n_perturb_samples=1, perturb_func=covered, **PLAIN)
    wanted = theirs(model=network, a_batch=first(attribution.maps), **asked(images))
    np.testing.assert_allclose(metric(model, attribution).values, wanted, rtol=1e-3)
    assert next(boxes, None) is None


def test_completeness(quantus):
    """Theirs says whether the sum is equal to the last digit: whole numbers, one weight of which is changed."""
    numbers = np.random.default_rng(6).integers(-4, 5, (2, SIDE * SIDE)).astype(np.float32)
    layer = nn.Linear(SIDE * SIDE, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(numbers))
    network = nn.Sequential(nn.Flatten(), layer).eval()
    images = np.random.default_rng(7).integers(1, 9, (2, SIDE, SIDE, 1)).astype(np.float32)
    attribution = eyeline.GradientInput(channels="sum")(eyeline.load(network, input_size=SIDE), images, 1)
    attribution.maps[1, 0, 0] += 3
    seen = []
    theirs = quantus.Completeness(
        perturb_baseline=0.0, output_func=lambda change: seen.append(change) or change, **PLAIN
    )
    wanted = theirs(
        model=network, a_batch=attribution.maps[:, None], x_batch=first(images), y_batch=np.array([1, 1]),
        softmax=False, device="cpu",
    )  # fmt: skip
    ours = metrics.Completeness(eyeline.Constant(0))(eyeline.load(network, input_size=SIDE), attribution)
    assert [bool(each) for each in wanted] == [True, False]
    np.testing.assert_allclose(ours.parts["change"], seen[0], rtol=1e-6)
    np.testing.assert_allclose(ours.values, [0, 3 / abs(float(seen[0][1]))], rtol=1e-6)


def test_captums_infidelity(network, model, images):
    """Captum is handed our windows."""
    from captum.metrics import infidelity

    attribution = eyeline.Gradient(channels=None)(model, images, TARGET)
    metric = metrics.Infidelity(window=(4, 3), samples=6, baseline=eyeline.Constant(0.1), seed=4)
    boxes = metric.boxes((SIDE, SIDE))

    def replaced(inputs):
        changed = inputs.clone()
        for row in range(len(changed)):  # each image comes as often as there are windows, one after the other
            rows, columns = boxes[row % 6].slices
            changed[row, :, rows, columns] = 0.1
        return inputs - changed, changed

    wanted = infidelity(
        network, replaced, torch.from_numpy(first(images)), torch.from_numpy(first(attribution.maps)), target=TARGET,
        n_perturb_samples=6, max_examples_per_batch=18,
    )  # fmt: skip
    np.testing.assert_allclose(metric(model, attribution).values, wanted.detach(), rtol=1e-3)


def test_captums_sensitivity(network, model, images):
    from captum.attr import Saliency
    from captum.metrics import sensitivity_max

    attribution = eyeline.Gradient(channels=None)(model, images, TARGET)
    spans = np.ptp(images.reshape(3, -1).astype(np.float64), axis=1)
    drawn = [np.random.default_rng((5, k)).uniform(-1, 1, images.shape[1:]) for k in range(4)]

    def nudged(inputs):
        made = [inputs[row] + torch.from_numpy(np.float32(0.1 * spans[row // 4] * first(drawn[row % 4][None])[0]))
                for row in range(len(inputs))]  # fmt: skip
        return torch.stack(made)

    def saliency(inputs, **_):  # captum hands over tuples, and wants them back
        given = inputs if isinstance(inputs, tuple) else (inputs,)
        leaves = tuple(each.detach().clone().requires_grad_() for each in given)
        return Saliency(network).attribute(leaves, target=TARGET, abs=False)

    wanted = sensitivity_max(
        saliency, torch.from_numpy(first(images)), nudged, n_perturb_samples=4, max_examples_per_batch=12
    )
    ours = metrics.MaxSensitivity(radius=0.1, samples=4, seed=5)(model, attribution)
    np.testing.assert_allclose(ours.values, wanted.detach(), rtol=1e-3)


def test_localisation(quantus, network, model, images, attribution):
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[2:9, 4:10] = True
    masks = np.repeat(mask[None, None], 3, axis=0)
    region = metrics.Region(mask=mask)
    hits = quantus.PointingGame(**PLAIN)(model=network, a_batch=first(attribution.maps), s_batch=masks, **asked(images))
    np.testing.assert_array_equal(metrics.PointingGame(region)(model, attribution).values, hits)
    inside = quantus.AttributionLocalisation(positive_attributions=True, **PLAIN)(
        model=network, a_batch=first(attribution.maps), s_batch=masks, **asked(images)
    )
    np.testing.assert_allclose(metrics.EvidenceInside(region)(model, attribution).values, inside, rtol=1e-5)
