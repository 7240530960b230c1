"""Random images, networks and settings for the property tests, drawn by hypothesis."""

from dataclasses import dataclass

import brute_force
import numpy as np
import torch
from hypothesis import Phase, settings
from hypothesis import strategies as st

import eyeline

SEARCH = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
    phases=[Phase.generate],
)
"""The same cases in every run; they are small as they are, so a failing one is shown without a search for a smaller."""

BASELINES = ("constant", "per channel", "mid grey", "mean", "blur", "blur 0.7", "noise", "image")
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
"""Scores are float32, of the order of 1 to 10: a difference of two is exact to about 1e-6."""
SIDES = {1: 12, 2: 9, 3: 5}


@dataclass(frozen=True)
class Case:
    """Images of any size, a window on them, and a seed for whatever else is random."""

    images: np.ndarray
    window: tuple[int, ...]
    stride: tuple[int, ...]
    seed: int

    @property
    def size(self):
        return self.images.shape[1:-1]

    @property
    def channels(self):
        return self.images.shape[-1]

    def baseline(self, name):
        """The baseline as a setting."""
        values = np.random.default_rng(self.seed + 1).uniform(0, 1, self.channels)
        return {
            "constant": eyeline.Constant(float(values[0])),
            "per channel": eyeline.Constant(tuple(map(float, values))),
            "mid grey": eyeline.Constant(),
            "mean": eyeline.Mean(),
            "blur": eyeline.Blur(),
            "blur 0.7": eyeline.Blur(0.7),
            "noise": eyeline.Noise(self.seed),
            "image": eyeline.Image(np.flip(self.images[-1], axis=0).copy()),
        }[name]


@st.composite
def cases(draw, divides=False):
    """Non-square images of one to three axes; `divides`: the windows fill the image without a rest.

    Sizes come from a generator, whose seed is searched: drawn one by one, half of them were single windows.
    """
    seed = draw(st.integers(0, 10**6))
    generator = np.random.default_rng(seed)
    axes = int(generator.choice([1, 2, 2, 3]))
    size, window, stride = zip(*(_axis(generator, SIDES[axes], divides) for _ in range(axes)), strict=True)
    n, channels = (int(count) for count in generator.integers(1, 4, 2))
    images = generator.uniform(0, 1, (n, *size, channels)).astype(np.float32)
    return Case(images, window, stride, seed)


def _axis(generator, side, divides):
    """Pixels, window and stride of one axis."""
    if not divides:
        pixels = int(generator.integers(1, side + 1))
        window = int(generator.integers(1, pixels + 1))
        return pixels, window, int(generator.integers(1, window + 1))
    stride = int(generator.integers(1, 3))
    window = stride * int(generator.integers(1, 3))
    return window + stride * int(generator.integers(0, 3)), window, stride


def linear(case, classes=2):
    """Weights (*size, channels, classes) and biases of f = w.x + b."""
    generator = np.random.default_rng(case.seed + 2)
    weights = generator.normal(size=(*case.images.shape[1:], classes))
    return weights, generator.normal(size=classes)


def score_linear(weights, biases):
    """f = w.x + b of a batch, computed in float64."""

    def scores(images):
        flat = np.asarray(images, dtype=np.float64).reshape(len(images), -1)
        return flat @ weights.reshape(flat.shape[1], -1) + biases

    return scores


def curved(case, classes=3):
    """A function of a batch whose classes mix every pixel, each with its own weight, and are not additive."""
    generator = np.random.default_rng(case.seed + 3)
    pixels = int(np.prod(case.images.shape[1:]))
    first = generator.normal(size=(pixels, 6)) / np.sqrt(pixels)
    last = generator.normal(size=(6, classes))

    def scores(images):
        flat = np.asarray(images, dtype=np.float64).reshape(len(images), -1)
        return np.tanh(3 * flat @ first) @ last

    return scores


def explain(case, function, target=0, images=None, **settings):
    settings = {"window": case.window, "stride": case.stride, **settings}
    model = eyeline.load(function, input_size=case.size)
    return eyeline.Occlusion(**settings)(model, case.images if images is None else images, target)


def score_one(function):
    return lambda image: function(image[None])[0]


def fully_covered(case, name):
    """The baseline's image by other means where there are any."""
    sigma = {"blur": min(case.size) / 18, "blur 0.7": 0.7}
    if name in sigma:
        return brute_force.blur(case.images, sigma[name])
    if name == "mean":
        return brute_force.mean(case.images)
    if name == "mid grey":
        return np.full_like(case.images, 0.5)
    if name == "image":
        return np.broadcast_to(case.baseline(name).pixels, case.images.shape)
    if name == "noise":
        return case.baseline(name)(case.images)
    return np.broadcast_to(np.float32(case.baseline(name).value), case.images.shape)


def torch_linear(case):
    """f = w.x + b as a torch network, channels first."""
    weights, biases = linear(case)
    layer = torch.nn.Linear(int(np.prod(weights.shape[:-1])), weights.shape[-1])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.moveaxis(weights, -2, 0).reshape(-1, weights.shape[-1]).T.copy()))
        layer.bias.copy_(torch.from_numpy(biases))
    return eyeline.load(torch.nn.Sequential(torch.nn.Flatten(), layer), input_size=case.size)


def curved_network(case):
    torch.manual_seed(case.seed)
    pixels = int(np.prod(case.images.shape[1:]))
    layers = [torch.nn.Flatten(), torch.nn.Linear(pixels, 6), torch.nn.Softplus(), torch.nn.Linear(6, 3)]
    return torch.nn.Sequential(*layers)


def torch_curved(case):
    return eyeline.load(curved_network(case), input_size=case.size)


def random_images(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0, 1, shape).astype(np.float32)


def occluded(model, images, **settings):
    return eyeline.Occlusion(**{"baseline": eyeline.Constant(0), **settings})(model, images, 0).maps


def total(images):
    return images.sum(axis=tuple(range(1, images.ndim)))[:, None]
