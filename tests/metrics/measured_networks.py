"""Small networks for the metrics' tests, with known weights."""

import numpy as np
import torch
from torch import nn

import eyeline

SIZE = (10, 12)
IMAGES = np.random.default_rng(5).random((2, *SIZE, 3), dtype=np.float32)


def convolutions(seed=0):
    """Two convolutions, batch norm, a classifier of four classes."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 4),
    )  # fmt: skip
    with torch.no_grad():
        network[1].running_mean.copy_(torch.linspace(-0.2, 0.2, 6))
        network[1].running_var.copy_(torch.linspace(0.5, 2, 6))
    return network.eval()


def convolutional(seed=0):
    return eyeline.load(convolutions(seed), input_size=SIZE)


class Linear(nn.Module):
    """Scores that are linear in the image, with weights of a shape (2, *SIZE, 3)."""

    def __init__(self, seed=1):
        super().__init__()
        random = np.random.default_rng(seed)
        self.weights = nn.Parameter(torch.from_numpy(random.standard_normal((2, *SIZE, 3)).astype(np.float32)))

    def forward(self, images):
        return torch.einsum("nkhw,chwk->nc", images, self.weights)


def linear(seed=1):
    return eyeline.load(Linear(seed), input_size=SIZE)
