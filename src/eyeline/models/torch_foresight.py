"""What an engine for a PyTorch module would cost and bring, foreseen from the module and one run of it."""

import math
import sys
import time
from collections.abc import Callable
from functools import cache
from statistics import median
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from eyeline.models.torch_state import watching

EXPORT, LAYER, WEIGHT = 1.6, 0.005, 2e-8
"""Seconds: the exporter's own imports, once a process; each layer that it follows; each number that is laid out."""

LOOP = 0.0008
"""Seconds of the loop in `_pace`, on the machine where the others were measured."""

ASKING = {"__bool__", "__int__", "__float__", "__index__", "__array__", "item", "tolist", "numpy"}
"""What turns a tensor into numbers."""


def share(module: torch.nn.Module, run: Callable[[], object]) -> float:
    """Estimate the share of the multiply-adds whose outputs differ between two images, which `run` runs as one batch.

    1 where nothing can be seen, or where `forward` asks for a number: its way may depend on the image.
    """
    found: list[tuple[int, torch.Tensor]] = []

    def see(_: str, layer: torch.nn.Module, output: Any) -> None:
        weight = getattr(layer, "weight", None)
        both = isinstance(output, torch.Tensor) and len(output) == 2
        if both and isinstance(weight, torch.Tensor) and weight.ndim > 1:
            differs = output[0] != output[1]
            channel = -1 if isinstance(layer, torch.nn.Linear) else 0
            found.append((weight.numel(), differs.any(channel) if differs.ndim == 3 else differs.any().expand(1)))

    with watching(module, see), _Asked() as asked:
        run()
    if asked.numbers or not found:
        return 1.0
    done: int = sum(weights * _box(differs) for weights, differs in found)
    every: int = sum(weights * differs.numel() for weights, differs in found)
    return done / every


def _box(differs: torch.Tensor) -> int:
    """Count the pixels of the smallest box that holds every difference."""
    sides = differs.nonzero()
    return math.prod((sides.amax(0) - sides.amin(0) + 1).tolist()) if len(sides) else 0


class _Asked(TorchFunctionMode):  # type: ignore[misc]  # torch is untyped here
    """Notes whether a forward turns tensors into Python's numbers."""

    numbers = False

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(function, "__name__", "")
        self.numbers = self.numbers or name in ASKING
        return function(*args, **(kwargs or {}))


def setup(module: torch.nn.Module, exported: bool) -> float:
    """Foresee the seconds that `torch.export` and the laying out of the weights take; see EXPORT, LAYER and WEIGHT."""
    weights: int = sum(each.numel() for each in module.parameters())
    seconds = WEIGHT * weights
    if not exported:
        seconds += LAYER * sum(1 for _ in module.modules())
        seconds += 0.0 if "torch._dynamo" in sys.modules else EXPORT
    return seconds * _pace()


@cache
def _pace() -> float:
    """Return how many times as long as where the seconds were measured this machine takes for Python's own work."""

    def once() -> float:
        began, written = time.perf_counter(), {}
        for number in range(10_000):
            written[number % 97] = str(number)
        return time.perf_counter() - began

    return median(once() for _ in range(5)) / LOOP
