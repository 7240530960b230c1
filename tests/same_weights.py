"""One small network with the same weights in PyTorch and Keras, and the maps of every method that looks inside.

The maps that others are compared with are PyTorch's in double precision.
"""

from functools import cache
from typing import Any

import keras
import numpy as np
import torch
from keras import layers
from torch import nn

import eyeline
from eyeline.methods import METHODS

SIZE, CHANNELS, CLASSES, TARGET = (12, 10), 3, 4, 1
IMAGES = np.random.default_rng(5).random((2, *SIZE, CHANNELS), dtype=np.float32)
SETTINGS: dict[str, Any] = {
    "preprocess": eyeline.Preprocess(mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3)),
    "output": "logit",
    "scores": "probability",
}
PLAIN = eyeline.Gradient(channels=None)

GRADIENTS: dict[str, dict[str, Any]] = {
    "gradient": {"channels": None},
    "gradientinput": {"channels": None},
    "integratedgradients": {"channels": None, "steps": 16},
    "expectedgradients": {"channels": None, "samples": 12},
    "blurig": {"channels": None, "steps": 12, "sigma": 5},
    "guidedig": {"channels": None, "steps": 20, "baseline": eyeline.Blur(2)},  # black ties, see the tests
    "smoothgrad": {"inner": PLAIN, "samples": 8},
    "smoothgradsquared": {"inner": PLAIN, "samples": 8},
    "vargrad": {"inner": PLAIN, "samples": 8},
}
"""Methods that need no more of a model than derivatives to pixels, with settings that leave signs and channels."""

INSIDE: dict[str, dict[str, Any]] = {
    "guidedbackpropagation": {"channels": None},
    "deconvnet": {"channels": None},
    "gradcam": {"relu": False},
    "gradcamplusplus": {"relu": False},
    "hirescam": {"relu": False},
    "layercam": {"relu": False},
    "eigencam": {"relu": False},
    "scorecam": {"relu": False},
    "guidedgradcam": {"channels": None},
}
"""Methods that need layers or ReLUs."""

COVERING = {"occlusion", "superpixels", "multiscale", "baselineagreement", "pairs", "rise"}
EVERY = GRADIENTS | INSIDE


class Network(nn.Module):
    """Two convolutions, of which the first has a norm, and two dense layers; ReLUs, one of them cut at 6.

    Args:
        pool: what follows the first convolution: "max" or "mean".
        named: whether the last ReLU before the dense layers is a module.
    """

    def __init__(self, pool: str = "max", named: bool = True) -> None:
        super().__init__()
        self.pool, self.named = pool, named
        self.first, self.norm = nn.Conv2d(CHANNELS, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.second, self.cut = nn.Conv2d(6, 8, 3, padding=1), nn.ReLU6()
        self.dense, self.last = nn.Linear(8 * (SIZE[0] // 2) * (SIZE[1] // 2), 10), nn.Linear(10, CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pool = nn.functional.max_pool2d if self.pool == "max" else nn.functional.avg_pool2d
        values = self.second(pool(torch.relu(self.norm(self.first(images))), 2))
        values = self.cut(values) if self.named else nn.functional.relu6(values)
        return self.last(torch.relu(self.dense(values.flatten(1))))


def in_torch(pool: str = "max", named: bool = True) -> Network:
    """Return the network with weights, and statistics of its norm, that are felt."""
    torch.manual_seed(3)
    network = Network(pool, named).eval()
    with torch.no_grad():
        for statistic in (network.norm.running_mean, network.norm.running_var, network.norm.weight, network.norm.bias):
            statistic.copy_(0.5 + torch.rand(6))
        network.second.weight.mul_(6)
    return network


def in_keras(network: Network) -> Any:
    """Return the same network on the process' backend; from zeros, which JAX need not compile for each shape."""
    zeros: dict[str, Any] = {"kernel_initializer": "zeros"}
    image = keras.Input((*SIZE, CHANNELS))
    values = layers.Conv2D(6, 3, padding="same", name="first", **zeros)(image)
    values = layers.ReLU()(layers.BatchNormalization(epsilon=network.norm.eps, name="norm")(values))
    pool = layers.MaxPooling2D(2) if network.pool == "max" else layers.AveragePooling2D(2)
    values = layers.Conv2D(8, 3, padding="same", name="second", **zeros)(pool(values))
    values = layers.Flatten()(layers.ReLU(max_value=6)(values))
    values = layers.Dense(10, activation="relu", name="dense", **zeros)(values)
    model = keras.Model(image, layers.Dense(CLASSES, name="last", **zeros)(values))
    for name, arrays in _arrays({key: values.numpy() for key, values in network.state_dict().items()}):
        model.get_layer(name).set_weights(arrays)
    return model


def _arrays(state: dict[str, np.ndarray]) -> list[tuple[str, list[np.ndarray]]]:
    """Lay arrays as Keras does: channels last, which the dense layer's rows follow."""
    rows = state["dense.weight"].reshape(-1, 8, SIZE[0] // 2, SIZE[1] // 2).transpose(2, 3, 1, 0).reshape(-1, 10)
    convolutions = [(name, state[f"{name}.weight"].transpose(2, 3, 1, 0)) for name in ("first", "second")]
    dense = [("dense", rows), ("last", state["last.weight"].T)]
    norm = [state[f"norm.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]
    return [(name, [weight, state[f"{name}.bias"]]) for name, weight in convolutions + dense] + [("norm", norm)]


def mapped(model: Any, method: str, **settings: Any) -> np.ndarray:
    """Return the maps that a method makes."""
    return np.asarray(METHODS[method](**EVERY[method] | settings)(model, IMAGES, TARGET).maps)


@cache
def expected(method: str) -> np.ndarray:
    """Return PyTorch's maps in double precision."""
    return mapped(eyeline.load(in_torch().double(), **SETTINGS), method)


def off(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the largest difference, as a share of the largest number wanted."""
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def same(model: Any, method: str) -> None:
    """Check that a method's maps are those expected: a hundred thousandth of the largest number."""
    found = mapped(model, method)
    assert found.shape == expected(method).shape
    assert off(found, expected(method)) <= 1e-5
