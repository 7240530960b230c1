"""Operations on whole maps, (n, rows, columns, channels): the clean pass, and whatever the windows cannot follow."""

import torch
from torch import Tensor
from torch.nn import functional

from eyeline.incremental.graph import (
    Activation,
    Add,
    Affine,
    AveragePool,
    Concat,
    Conv,
    Flatten,
    Geometries,
    GlobalMean,
    Input,
    LayerNorm,
    Linear,
    MaxPool,
    Mul,
    Operation,
    Pad,
    Unknown,
)


def apply(operation: Operation, inputs: list[Tensor], shape: tuple[int, ...], images: int) -> Tensor:
    """Run one operation on n images; `shape` is its output's, which poolings need."""
    match operation:
        case Conv() | MaxPool() | AveragePool() | Pad():
            return _sliding(operation, inputs[0].movedim(-1, 1), shape).movedim(1, -1).contiguous()
        case Activation():
            return operation.call(inputs[0])
        case Affine():
            return activated(inputs[0] * operation.scale + operation.shift, operation.activation)
        case Linear():
            return activated(functional.linear(inputs[0], operation.weight, operation.bias), operation.activation)
        case Add():
            return activated(torch.add(*inputs), operation.activation)
        case Mul():
            return activated(torch.mul(*inputs), operation.activation)
        case Concat():
            return torch.cat(inputs, dim=-1)
        case LayerNorm():
            return functional.layer_norm(
                inputs[0], inputs[0].shape[-1:], operation.weight, operation.bias, operation.epsilon
            )
        case GlobalMean():
            return inputs[0].mean((1, 2), keepdim=operation.keep)
        case Flatten():
            return (inputs[0] if operation.raster else inputs[0].movedim(-1, 1)).flatten(1)
        case Unknown():
            return operation.call(images, *inputs)
        case Input():
            raise AssertionError("the input is given, not computed")


def activated(data: Tensor, activation: Activation | None) -> Tensor:
    """Apply an activation, if there is one."""
    return data if activation is None else activation.call(data)


def _sliding(operation: Conv | MaxPool | AveragePool | Pad, images: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Run an operation with a geometry on (n, channels, rows, columns), channels innermost in memory."""
    rows, columns = operation.geometries
    stride, dilation = (rows.stride, columns.stride), (rows.dilation, columns.dilation)
    match operation:
        case Pad():
            return functional.pad(images, _borders(operation.geometries), value=operation.value)
        case Conv():
            even = all(each.before == each.after >= 0 for each in operation.geometries)
            if not even:
                images = functional.pad(images, _borders(operation.geometries))
            padding = (rows.before, columns.before) if even else (0, 0)
            result = functional.conv2d(
                images, operation.weight, operation.bias, stride, padding, dilation, operation.groups
            )
            return activated(result, operation.activation)
        case MaxPool():
            reach = _reach(operation.geometries, images, shape)
            images = functional.pad(images, reach, value=-torch.inf)
            return functional.max_pool2d(images, (rows.kernel, columns.kernel), stride, 0, dilation)
        case AveragePool():
            padded = functional.pad(images, _reach(operation.geometries, images, shape))
            sums = functional.avg_pool2d(padded, (rows.kernel, columns.kernel), stride, divisor_override=1)
            return sums / divisors(operation, images.shape[2:], shape).to(sums.dtype)[:, :]


def divisors(operation: AveragePool, inputs: tuple[int, ...], shape: tuple[int, ...]) -> Tensor:
    """Return what each output's sum is divided by, (rows, columns)."""
    if operation.divisor is not None:
        return torch.full(shape[:2], operation.divisor)
    counts = []
    for each, size, outputs in zip(operation.geometries, inputs, shape[:2], strict=True):
        start = torch.arange(outputs) * each.stride - each.before
        stop = torch.clamp(start + each.kernel, max=size + each.after)
        if not operation.count_padding:
            start, stop = start.clamp(min=0), stop.clamp(max=size)
        counts.append(stop - start)
    return counts[0][:, None] * counts[1]


def _borders(geometries: Geometries) -> tuple[int, int, int, int]:
    rows, columns = geometries
    return (columns.before, columns.after, rows.before, rows.after)


def _reach(geometries: Geometries, images: Tensor, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return the borders that make exactly `shape` outputs, also where the last one sticks out."""
    sides = []
    for each, size, outputs in zip(geometries, images.shape[2:], shape[:2], strict=True):
        sides.append((each.before, (outputs - 1) * each.stride + each.extent - size - each.before))
    return (*sides[1], *sides[0])
