"""Puts a PyTorch module into the state a pass needs, and back, whatever happens; runs it on any number of images."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

from eyeline.errors import UnsupportedError
from eyeline.models.base import single

Modules = list[tuple[torch.nn.Module, dict[str, torch.nn.Module | None]]]
"""Modules, and what is in each, by its name."""


def inside(module: torch.nn.Module) -> list[torch.nn.Module]:
    """List a module and all below it, one that is used twice twice; `modules()` takes several times longer."""
    found = [module]
    for each in found:
        if each._modules:  # most have none
            found.extend(child for child in each._modules.values() if child is not None)
    return found


def modules(module: torch.nn.Module) -> Modules:
    """Return what each module holds now, in order to see later whether it still does."""
    return [(each, dict(each._modules)) for each in inside(module)]


def evaluating(module: torch.nn.Module) -> AbstractContextManager[None]:
    """Switch every submodule to evaluation."""
    return _set([each for each in inside(module) if each.training], [])


@contextmanager
def recording(module: torch.nn.Module) -> Iterator[None]:
    """Record what the network does, in evaluation, for a pass back to its inputs or to a layer.

    Parameters are kept out of the graph: what only their gradients need is not kept.
    """
    everything = inside(module)
    held = [own for each in everything if each._parameters for own in each._parameters.values() if own is not None]
    training, free = [each for each in everything if each.training], [each for each in held if each.requires_grad]
    with torch.inference_mode(False), torch.enable_grad(), _set(training, free):
        yield


@contextmanager
def _set(training: list[torch.nn.Module], free: list[torch.nn.Parameter]) -> Iterator[None]:
    """Switch modules to evaluation and keep parameters from being recorded; flags, not eval() with its side effects."""
    try:
        for module in training:
            module.training = False
        for parameter in free:
            parameter.requires_grad_(False)
        yield
    finally:
        for module in training:
            module.training = True
        for parameter in free:
            parameter.requires_grad_(True)


def rows(
    module: torch.nn.Module,
    images: torch.Tensor,
    sizes: tuple[int, int | None],
    head: Callable[[Any], Any] | None,
    contiguous: bool,
) -> torch.Tensor:
    """Return one row of raw outputs an image, (n, *space, channels).

    The module runs on copies, which it may overwrite.
    """
    low, high = sizes[0], sizes[1] or len(images)
    layout = torch.contiguous_format if contiguous else torch.preserve_format
    found = []
    for start in range(0, len(images), high):
        piece = images[start : start + high].movedim(-1, 1).clone(memory_format=layout)
        filler = piece[-1:].expand(max(low - len(piece), 0), *piece.shape[1:])
        output = module(torch.cat([piece, filler]) if len(filler) else piece)
        raw = _scores(single(head(output) if head else output, len(piece) + len(filler)))
        found.append(raw.reshape(len(raw), -1)[: len(piece)])
    return torch.cat(found) if len(found) > 1 else found[0]


def _scores(raw: Any) -> torch.Tensor:
    """Return raw outputs that are real numbers in a tensor.

    Raises:
        UnsupportedError: an array of another library, whose way back is cut, or complex numbers.
    """
    if not isinstance(raw, torch.Tensor):
        raise UnsupportedError(
            f"the network, or its head, must return a tensor of PyTorch, but got {type(raw).__name__}. "
            "Leave out .numpy() in forward and in head=."
        )
    if raw.is_complex():
        raise UnsupportedError(
            f"the model's output must be real numbers, but got {str(raw.dtype).removeprefix('torch.')}. "
            "Pass head=, for example lambda output: output.abs()."
        )
    return raw
