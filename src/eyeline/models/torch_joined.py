"""PyTorch modules of several inputs as one of rows that hold them all."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from eyeline.models.base import Options
from eyeline.models.several import Several, Shapes, required, starts, told
from eyeline.models.torch import TorchModel


class Joined(torch.nn.Module):  # type: ignore[misc]  # torch is untyped here
    """Cuts rows, (n, 1, total), into the inputs of a module; arrays with axes become channels first."""

    def __init__(self, module: torch.nn.Module, shapes: Shapes) -> None:
        super().__init__()
        self.module, self.shapes = module, shapes

    def forward(self, rows: Tensor) -> Any:
        bounds = starts(self.shapes)
        parts = []
        for start, shape in zip(bounds, self.shapes, strict=False):
            part = rows[:, 0, start : start + _size(shape)].reshape(len(rows), *shape)
            parts.append(part.movedim(-1, 1).contiguous() if len(shape) > 1 else part)
        return self.module(*parts)


def several(module: torch.nn.Module, options: Options) -> Several:
    """Return a module of several inputs, named as the parameters of its forward."""

    def join(shapes: Shapes) -> TorchModel:
        sized = replace(told(options, names, shapes), input_size=(starts(shapes)[-1],))
        return TorchModel(Joined(module, shapes), sized, axes=1, channels=1)

    names = required(module.forward)
    return Several(names, join)


def _size(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())
