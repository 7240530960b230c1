"""Where channels lie in memory while a PyTorch network runs: seen by a layer of the test, and against torch itself."""

import numpy as np
import pytest
import torch
from torch import nn

from eyeline import load


class Seeing(nn.Conv2d):
    """A convolution that notes whether what it is given has its channels outermost in memory, and innermost."""

    def forward(self, images):
        innermost = images.is_contiguous(memory_format=torch.channels_last)
        self.seen = "outermost" if images.is_contiguous() else "innermost" if innermost else "neither"
        self.given = tuple(images.shape)
        return super().forward(images)


def network(side=8, taps=3):
    """Few weights, then many: 512 * 64 * 9 of them are 295 thousand, above 10 times 64 * 4 * 4 numbers."""
    torch.manual_seed(0)
    layers = [
        Seeing(3, 64, 3, side // 4, 1), nn.Tanh(), Seeing(64, 512, taps, 1, taps // 2), nn.Tanh(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 3),
    ]  # fmt: skip
    return nn.Sequential(*layers).eval()


def pictures(n, side):
    return np.random.default_rng(0).random((n, side, side, 3), dtype=np.float32)


def first(scores):
    return np.eye(scores.shape[1], dtype=np.float32)[np.zeros(len(scores), int)]


@pytest.mark.parametrize(
    ("n", "side", "cells", "taps", "seen"),
    [
        (1, 8, 4, 3, "outermost"),
        (20, 8, 4, 3, "outermost"),
        (40, 8, 4, 3, "innermost"),  # 64 * 4 * 4 * 40 numbers are more than a tenth of the weights
        (1, 64, 32, 3, "innermost"),
        (1, 8, 4, 1, "innermost"),  # weights of one tap lie alike in both
    ],
)
def test_channels_are_outermost_where_weights_outweigh_the_images(n, side, cells, taps, seen):
    module = network(max(side // cells * 4, 4), taps)
    load(module, output="raw").gradient(pictures(n, side), first)
    assert module[2].given == (n, 64, cells, cells)
    assert (module[0].seen, module[2].seen) == ("innermost", seen)


def test_weights_that_lie_innermost_stay_with_images_that_do():
    module = network().to(memory_format=torch.channels_last)
    load(module, output="raw").scores(pictures(1, 8))
    assert module[2].seen == "innermost"


def test_scores_and_gradients_are_those_of_torch():
    module = network().double()
    images = pictures(2, 8)
    pixels = torch.tensor(images, dtype=torch.float64, requires_grad=True)
    output = module(pixels.movedim(-1, 1).contiguous())
    output[:, 0].sum().backward()
    scores, gradient = load(module, output="raw").gradient(images, first)
    np.testing.assert_allclose(scores, output.detach(), rtol=1e-6)
    np.testing.assert_allclose(gradient, pixels.grad, rtol=1e-6, atol=1e-9 * float(pixels.grad.abs().max()))


@pytest.mark.parametrize("fails", [False, True])
def test_hooks_are_those_of_before(fails):
    module, called = network(), []

    def own(layer, given):
        called.append(layer)
        if fails:
            raise RuntimeError("of the network's own")

    module[2].register_forward_pre_hook(own)
    before = dict(module[2]._forward_pre_hooks)
    if fails:
        with pytest.raises(Exception, match="of the network's own"):
            load(module, output="raw").scores(pictures(1, 8))
    else:
        load(module, output="raw").scores(pictures(1, 8))
    assert called == [module[2]]
    assert dict(module[2]._forward_pre_hooks) == before
    assert not module[0]._forward_pre_hooks
