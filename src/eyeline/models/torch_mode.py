"""Puts a PyTorch module into the state a pass needs, and back, whatever happens; runs it on any number of images."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from eyeline.models.base import single


def inside(module: torch.nn.Module) -> list[torch.nn.Module]:
    """List a module and all below it, one that is used twice twice; `modules()` takes several times longer."""
    found = [module]
    for each in found:
        found.extend(child for child in each._modules.values() if child is not None)
    return found


@contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Switch every submodule to evaluation; flags, not eval(), which a network may have given side effects."""
    training = [each for each in inside(module) if each.training]
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
    held = (own for each in inside(module) for own in each._parameters.values() if own is not None)
    free = [each for each in held if each.requires_grad]
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


def rows(
    module: torch.nn.Module,
    images: torch.Tensor,
    sizes: tuple[int, int | None],
    head: Callable[[Any], Any] | None,
    contiguous: bool,
) -> torch.Tensor:
    """Return one row of raw outputs an image, (n, *space, channels).

    The module runs on copies, which it may overwrite; a single image is fastest with its channels outermost.
    """
    low, high = sizes[0], sizes[1] or len(images)
    layout = torch.contiguous_format if contiguous or len(images) == 1 else torch.preserve_format
    found = []
    for start in range(0, len(images), high):
        piece = images[start : start + high].movedim(-1, 1).clone(memory_format=layout)
        filler = piece[-1:].expand(max(low - len(piece), 0), *piece.shape[1:])
        output = module(torch.cat([piece, filler]) if len(filler) else piece)
        raw = single(head(output) if head else output, len(piece) + len(filler))
        found.append(raw.reshape(len(raw), -1)[: len(piece)])
    return torch.cat(found) if len(found) > 1 else found[0]
