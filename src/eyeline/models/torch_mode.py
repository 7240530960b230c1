"""Puts a PyTorch module into the state a pass needs, and back, whatever happens."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Switch every submodule to evaluation; flags, not eval(), which a network may have given side effects."""
    training = [each for each in module.modules() if each.training]
    try:
        for each in training:
            each.training = False
        yield
    finally:
        for each in training:
            each.training = True


@contextmanager
def frozen(module: torch.nn.Module) -> Iterator[None]:
    """Keep the parameters out of the graph: what only their gradients need is not kept."""
    free = [each for each in module.parameters() if each.requires_grad]
    try:
        for each in free:
            each.requires_grad_(False)
        yield
    finally:
        for each in free:
            each.requires_grad_(True)


@contextmanager
def recording(module: torch.nn.Module) -> Iterator[None]:
    """Record what the network does, in evaluation, for a pass back to its inputs or to a layer."""
    with torch.inference_mode(False), torch.enable_grad(), evaluating(module), frozen(module):
        yield
