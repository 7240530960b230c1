"""EfficientNet-Lite0 for inference (Tan and Le 2019, the Lite variant: ReLU6, no squeeze-and-excitation).

`STAGES` and `STEPS` are plain numbers, so that the same network can be built in another framework; `rename` tells
where each published weight belongs. Dropout is left out: it does nothing outside training.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import nn

EPSILON = 1e-3
"""Of every batch normalisation."""

SIZE = 224
"""Pixels per side that the weights were trained for."""


class Stage(NamedTuple):
    """Repeated blocks; only the first of them changes the size and the number of channels."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STEM, HEAD, CLASSES = 32, 1280, 1000


class Step(NamedTuple):
    """One inverted residual block: expand 1x1, depthwise, project 1x1, and the input added where shapes agree."""

    incoming: int
    wide: int
    outgoing: int
    kernel: int
    stride: int


def steps() -> list[Step]:
    """Lay the stages out, one entry per block."""
    found, incoming = [], STEM
    for stage in STAGES:
        for repeat in range(stage.repeats):
            stride = stage.stride if repeat == 0 else 1
            found.append(Step(incoming, incoming * stage.expansion, stage.channels, stage.kernel, stride))
            incoming = stage.channels
    return found


def padding(kernel: int, stride: int) -> tuple[int, int]:
    """Pixels before and after, per axis: "same" padding of an even size, so the odd pixel lies behind."""
    total = kernel - stride
    return total // 2, total - total // 2


class Block(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """One inverted residual block."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        incoming, wide, outgoing, kernel, stride = step
        self.expand = _unit(incoming, wide) if wide != incoming else nn.Identity()
        self.depthwise = _unit(wide, wide, kernel, stride, groups=wide)
        self.project = nn.Sequential(nn.Conv2d(wide, outgoing, 1, bias=False), nn.BatchNorm2d(outgoing, eps=EPSILON))
        self.adds = stride == 1 and incoming == outgoing

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Map (n, incoming, rows, columns) to (n, outgoing, ...)."""
        result = self.project(self.depthwise(self.expand(values)))
        return result + values if self.adds else result


def build() -> nn.Sequential:
    """Return the network with random weights, in evaluation mode; its outputs are logits of 1,000 classes."""
    laid = steps()
    network = nn.Sequential()
    network.add_module("stem", _unit(3, STEM, 3, 2))
    network.add_module("blocks", nn.Sequential(*(Block(step) for step in laid)))
    network.add_module("head", _unit(laid[-1].outgoing, HEAD))
    network.add_module("pool", nn.AdaptiveAvgPool2d(1))
    network.add_module("flatten", nn.Flatten())
    network.add_module("classifier", nn.Linear(HEAD, CLASSES))
    return network.eval()


def _unit(incoming: int, outgoing: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Padding, convolution, batch normalisation, ReLU6; the padding is a layer only where it is lopsided."""
    before, after = padding(kernel, stride) if kernel > 1 else (0, 0)
    inside = before if before == after else 0
    return nn.Sequential(
        nn.Identity() if before == after else nn.ZeroPad2d((before, after, before, after)),
        nn.Conv2d(incoming, outgoing, kernel, stride, inside, groups=groups, bias=False),
        nn.BatchNorm2d(outgoing, eps=EPSILON),
        nn.ReLU6(),
    )


_NAMES = (
    (r"^_conv_stem\.", "stem.1."),
    (r"^_bn0\.", "stem.2."),
    (r"^_conv_head\.", "head.1."),
    (r"^_bn1\.", "head.2."),
    (r"^_fc\.", "classifier."),
    (r"^_blocks\.(\d+)\._expand_conv\.", r"blocks.\1.expand.1."),
    (r"^_blocks\.(\d+)\._bn0\.", r"blocks.\1.expand.2."),
    (r"^_blocks\.(\d+)\._depthwise_conv\.", r"blocks.\1.depthwise.1."),
    (r"^_blocks\.(\d+)\._bn1\.", r"blocks.\1.depthwise.2."),
    (r"^_blocks\.(\d+)\._project_conv\.", r"blocks.\1.project.0."),
    (r"^_blocks\.(\d+)\._bn2\.", r"blocks.\1.project.1."),
)


def rename(published: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Give the published weights the names that `build` uses."""
    renamed = {}
    for name, values in published.items():
        for pattern, ours in _NAMES:
            name = re.sub(pattern, ours, name)
        renamed[name] = values
    return renamed
