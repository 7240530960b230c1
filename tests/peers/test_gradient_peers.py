"""The gradient methods agree with Captum's and PAIR's, number by number, wherever the definition is the same.

In float64, so that no activation falls on another side of zero; PAIR's own arithmetic is that of NumPy in float64.
"""

import numpy as np
import pytest
import torch
from captum import attr
from saliency import core as pair
from test_captum import numbers, photograph, tensor
from torch import nn

import eyeline
from agreement import assert_same
from eyeline.methods import derivatives
from eyeline.methods.expected import draws
from eyeline.methods.noise import field
from networks import Lite0, pictures

TARGET = 3
BASELINES = [eyeline.Constant(0), eyeline.Constant((0.2, 0.5, 0.9)), eyeline.Blur(3)]
SIGNED = {"channels": None}


@pytest.fixture(scope="module")
def smooth():
    """A network without kinks: its derivative does not jump along a path."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 6, 5, stride=2), nn.Tanh(), nn.Conv2d(6, 4, 3), nn.Tanh(), nn.Flatten(), nn.LazyLinear(5)]
    network = nn.Sequential(*layers).double()
    network(torch.zeros(1, 3, 21, 17, dtype=torch.float64))
    return network.eval()


def wide(images):
    return tensor(images).double()


@pytest.fixture
def ten_thousandth(monkeypatch):
    """Break our code a little, as nobody would notice in a picture."""
    reduce = derivatives.reduce
    monkeypatch.setattr(derivatives, "reduce", lambda maps, channels: reduce(1.0001 * maps, channels))


@pytest.mark.usefixtures("ten_thousandth")
def test_the_comparison_notices_a_ten_thousandth(network, model, images):
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        test_gradient_times_input(network, model, images)


def pair_model(network):
    def call(points, call_model_args=None, expected_keys=None):
        leaf = torch.from_numpy(np.float32(np.moveaxis(points, -1, 1))).double().requires_grad_()
        found = torch.autograd.grad(network(leaf)[:, TARGET].sum(), leaf)[0]
        return {pair.INPUT_OUTPUT_GRADIENTS: numbers(found)}

    return call


@pytest.mark.parametrize("baseline", BASELINES, ids=repr)
@pytest.mark.parametrize(("ours", "theirs"), [("gauss-legendre", "gausslegendre"), ("midpoint", "riemann_middle")])
def test_integrated_gradients(network, model, images, baseline, ours, theirs):
    method = eyeline.IntegratedGradients(steps=8, rule=ours, baseline=baseline, **SIGNED)
    found, delta = attr.IntegratedGradients(network).attribute(
        wide(images), wide(baseline(images)), target=TARGET, n_steps=8, method=theirs, return_convergence_delta=True
    )
    result = method(model, images, TARGET)
    assert_same(result.maps, numbers(found))
    np.testing.assert_allclose(result.provenance["completeness"]["error"], delta.numpy(), rtol=0, atol=1e-6)


def test_integrated_gradients_of_the_bundled_network():
    """In float32 an activation near zero may fall on either side, see test_captum.py; the two differ by no more."""
    image = photograph()
    ours = eyeline.IntegratedGradients(steps=8, **SIGNED)(eyeline.load("bundled", scores="raw"), image)
    target = int(ours.weights[0].argmax())
    theirs = numbers(attr.IntegratedGradients(Lite0().eval()).attribute(tensor(image), target=target, n_steps=8))
    np.testing.assert_allclose(ours.maps, theirs, rtol=0, atol=1e-2 * np.abs(theirs).max())
    assert np.corrcoef(ours.maps.ravel(), theirs.ravel())[0, 1] > 0.9999


def test_gradient_times_input(network, model, images):
    theirs = attr.InputXGradient(network).attribute(wide(images).requires_grad_(), target=TARGET)
    assert_same(eyeline.GradientInput(**SIGNED)(model, images, TARGET).maps, numbers(theirs))


@pytest.mark.parametrize(
    ("method", "kind"),
    [(eyeline.SmoothGrad, "smoothgrad"), (eyeline.SmoothGradSquared, "smoothgrad_sq"), (eyeline.VarGrad, "vargrad")],
)
def test_the_moments_of_noisy_copies(network, model, images, method, kind, monkeypatch):
    """Captum draws from torch's generator: it is handed our noise."""
    settings = {"samples": 6, "noise": 0.2, "relative": False, "seed": 4}
    noise = np.stack([0.2 * field(4, sample, images.shape[1:]) for sample in range(6)])
    drawn = wide(np.concatenate([noise] * len(images)))
    monkeypatch.setattr(torch, "normal", lambda mean, deviation: mean + drawn)
    theirs = attr.NoiseTunnel(attr.Saliency(network)).attribute(
        wide(images), nt_type=kind, nt_samples=6, stdevs=0.2, target=TARGET, abs=False
    )
    assert_same(method(eyeline.Gradient(**SIGNED), **settings)(model, images, TARGET).maps, numbers(theirs))


def test_smoothing_integrated_gradients(network, model, images, monkeypatch):
    noise = np.stack([0.1 * field(0, sample, images.shape[1:]) for sample in range(3)])
    monkeypatch.setattr(torch, "normal", lambda mean, deviation: mean + wide(np.concatenate([noise] * len(images))))
    theirs = attr.NoiseTunnel(attr.IntegratedGradients(network)).attribute(
        wide(images), nt_type="smoothgrad", nt_samples=3, stdevs=0.1, target=TARGET, n_steps=5
    )
    method = eyeline.SmoothGrad(eyeline.IntegratedGradients(5, **SIGNED), samples=3, noise=0.1, relative=False)
    assert_same(method(model, images, TARGET).maps, numbers(theirs))


def test_expected_gradients_with_the_same_draws(network, model, images, monkeypatch):
    """Gradient SHAP of Captum, handed our references and our places on the way."""
    references = tuple(map(eyeline.Image, pictures(3, 32, seed=9)[:, :, :24].copy()))
    method = eyeline.ExpectedGradients(references, samples=7, seed=2, **SIGNED)
    which, along = draws(3, 7, 2)
    monkeypatch.setattr(np.random, "choice", lambda count, size: np.tile(which, size // 7))
    monkeypatch.setattr(np.random, "uniform", lambda low, high, size: np.tile(along, size // 7))
    theirs = attr.GradientShap(network).attribute(
        wide(images), wide(np.stack([each.pixels for each in references])), n_samples=7, stdevs=0.0, target=TARGET
    )
    assert_same(method(model, images, TARGET).maps, numbers(theirs))


def test_expected_gradients_in_expectation(smooth):
    """With draws of its own, Captum's mean over many samples is ours within its standard error."""
    image = pictures(1, 21, seed=5)[:, :, :17].copy()
    references = pictures(4, 21, seed=6)[:, :, :17].copy()
    model = eyeline.load(smooth, input_size=(21, 17))
    ours = eyeline.ExpectedGradients(tuple(map(eyeline.Image, references)), samples=400, **SIGNED)(model, image, TARGET)
    torch.manual_seed(0)
    np.random.seed(0)
    runs = [
        numbers(
            attr.GradientShap(smooth).attribute(wide(image), wide(references), n_samples=40, stdevs=0.0, target=TARGET)
        )
        for _ in range(50)
    ]
    error = np.std(runs, axis=0) / np.sqrt(len(runs))
    assert np.mean(np.abs(ours.maps - np.mean(runs, axis=0)) < 3 * error) > 0.98


def test_pairs_integrated_gradients(smooth):
    """PAIR weighs both ends as much as the middle; with many steps that is the same."""
    image = pictures(1, 21, seed=5)[:, :, :17].copy()
    theirs = pair.IntegratedGradients().GetMask(np.float64(image[0]), pair_model(smooth), x_steps=4000, batch_size=200)
    model = eyeline.load(smooth, input_size=(21, 17))
    ours = eyeline.IntegratedGradients(steps=50, **SIGNED)(model, image, TARGET).maps[0]
    assert_same(ours, theirs, 1e-3)


def test_pairs_blur_integrated_gradients(smooth):
    """PAIR takes the left end of each step and a quotient of differences, and pads with 0: black far from the border.

    With many steps, and a picture that is black there, it is the same.
    """
    image = np.zeros((1, 21, 17, 3), dtype=np.float32)
    image[:, 8:12, 6:10] = pictures(1, 4, seed=5)
    theirs = pair.BlurIG().GetMask(
        np.float64(image[0]), pair_model(smooth), max_sigma=1.4, steps=2000, grad_step=1e-4, batch_size=100
    )
    model = eyeline.load(smooth, input_size=(21, 17))
    ours = eyeline.BlurIG(sigma=1.4, steps=200, **SIGNED)(model, image, TARGET).maps[0]
    assert_same(ours, theirs, 5e-3)


@pytest.mark.parametrize(("fraction", "distance"), [(0.25, 0.02), (0.1, 0.3), (1.0, 1.0), (0.5, 0.0)])
def test_pairs_guided_integrated_gradients(smooth, monkeypatch, fraction, distance):
    """The same path, step by step. NumPy has renamed an argument since PAIR's last version."""
    quantile = np.quantile
    monkeypatch.setattr(np, "quantile", lambda values, q, interpolation: quantile(values, q, method=interpolation))
    image, start = pictures(2, 21, seed=5)[:, :, :17].copy()
    theirs = pair.GuidedIG().GetMask(
        np.float64(image), pair_model(smooth), x_baseline=np.float64(start), x_steps=40,
        fraction=fraction, max_dist=distance,
    )  # fmt: skip
    method = eyeline.GuidedIG(40, eyeline.Image(start), fraction, distance, **SIGNED)
    ours = method(eyeline.load(smooth, input_size=(21, 17)), image, TARGET)
    assert_same(ours.maps[0], theirs)
