"""The layers of a PyTorch module as they run: listed, or one opened between the pass forward and the pass back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from eyeline.errors import UnsupportedError
from eyeline.models.layered import Layer

FIRST = (
    "Conv",
    "BatchNorm",
    "GroupNorm",
    "InstanceNorm",
    "Pool",
    "Upsample",
    "Pad",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
)
"""In the kinds of PyTorch's own layers whose outputs have their channels first."""

LAST = ("Linear", "LayerNorm", "RMSNorm")
"""And last."""


Listed = dict[str, tuple[Layer, bool]]
"""Layers by their names, in the order in which they end, and whether their channels stand first."""


def listed(module: torch.nn.Module, run: Callable[[], object], axes: int, model: str) -> Listed:
    """Return the layers that run while `run` runs the network on one image.

    Where a layer's kind does not say where its channels stand, another layer that gives the same shape does. Where none
    does, they stand first, as the image's.

    Raises:
        UnsupportedError: no module is seen to run, as in exported programs and TorchScript.
    """
    ran: dict[str, tuple[torch.nn.Module, Any, int]] = {}

    def hook(name: str) -> Callable[..., None]:
        def see(layer: torch.nn.Module, _: Any, output: Any) -> None:
            runs = ran.pop(name, (None, None, 0))[2] + 1  # popped, so that the order is that of the last ends
            ran[name] = layer, _shape(output), runs

        return see

    handles = [each.register_forward_hook(hook(name)) for name, each in module.named_modules() if name]
    try:
        run()
    finally:
        for each in handles:
            each.remove()
    if not any(shape for _, shape, _ in ran.values()):
        raise UnsupportedError(
            f"the layers of a network must be modules that it calls, but {model} calls none: exported programs and "
            "TorchScript hold operations only. Load the network from its weights with architecture=, or live."
        )
    first = {shape for layer, shape, _ in ran.values() if _of(layer, FIRST)}
    last = {shape for layer, shape, _ in ran.values() if _of(layer, LAST)} - first
    return {name: _row(name, *each, axes, each[1] not in last) for name, each in ran.items()}


def _row(name: str, layer: torch.nn.Module, shape: Any, runs: int, axes: int, first: bool) -> tuple[Layer, bool]:
    space = shape is not None and len(shape) == axes + 1
    standing = (*shape[1:], shape[0]) if space and first else shape
    return Layer(name, type(layer).__name__, standing, space, runs), first


def _shape(output: Any) -> tuple[int, ...] | None:
    """Return the shape of what a layer gives for the one image."""
    plain = isinstance(output, torch.Tensor) and output.is_floating_point() and output.ndim > 1 and len(output) == 1
    return tuple(output.shape[1:]) if plain else None


def _of(layer: torch.nn.Module, kinds: tuple[str, ...]) -> bool:
    name = type(layer).__name__
    return type(layer).__module__.startswith("torch.nn.") and any(kind in name for kind in kinds)


@contextmanager
def opened(layer: torch.nn.Module) -> Iterator[list[torch.Tensor]]:
    """Cut the network open behind a layer: it goes on with copies of the leaves that are collected here.

    Nothing before the layer is recorded, so that the pass back ends there.
    """
    leaves: list[torch.Tensor] = []

    def cut(_: torch.nn.Module, __: Any, output: Any) -> Any:
        if not isinstance(output, torch.Tensor):
            return output
        leaves.append(output.detach().clone().requires_grad_())
        return leaves[-1].clone()  # which the next layer may overwrite

    handle = layer.register_forward_hook(cut)
    try:
        yield leaves
    finally:
        handle.remove()
