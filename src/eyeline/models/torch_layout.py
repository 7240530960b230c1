"""Channels innermost in memory or outermost: what each convolution of a PyTorch network is sooner done with."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from eyeline.models.torch_mode import inside

HEAVY = 10
"""Weights for each number of the images from which on channels outermost pay.

With channels innermost, each pass lays the weights out anew, once forward and once back, which only large images
outweigh.
"""

LIGHT = 2**18
"""Weights that are laid out in no time."""


@contextmanager
def outermost(module: torch.nn.Module) -> Iterator[None]:
    """Run convolutions whose weights outweigh their images with channels outermost, on the processor."""
    handles = [each.register_forward_pre_hook(_outermost) for each in inside(module) if _heavy(each)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _heavy(layer: torch.nn.Module) -> bool:
    """Say whether a convolution has many weights, of more than one tap, which lie with channels outermost."""
    if not isinstance(layer, torch.nn.Conv2d) or layer.kernel_size == (1, 1):
        return False
    weight = layer._parameters.get("weight")
    known = weight is not None and not torch.nn.parameter.is_lazy(weight)
    return known and weight.numel() > LIGHT and weight.device.type == "cpu" and weight.is_contiguous()


def _outermost(layer: torch.nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Lay out what a convolution is given, if that is small beside its weights."""
    if not given or not isinstance(given[0], torch.Tensor) or layer.weight.numel() < HEAVY * given[0].numel():
        return None
    return (given[0].contiguous(), *given[1:])
