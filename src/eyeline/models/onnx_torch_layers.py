"""ONNX's convolutions, poolings and normalisations in PyTorch, on any number of axes, (n, channels, *space)."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from eyeline.errors import UnsupportedError
from eyeline.incremental.geometry import Geometry
from eyeline.models.onnx_torch_numbers import Step

CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED: dict[int, Callable[..., Tensor]] = {
    1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d,
}  # fmt: skip
MAXIMA: dict[int, Callable[..., Tensor]] = {
    1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d,
}  # fmt: skip


def _geometries(step: Step, space: Sequence[int], kernel: Sequence[int]) -> list[Geometry]:
    """Return how the kernel slides along each axis."""
    count, found = len(space), []
    strides, dilations = step.set.get("strides") or [1] * count, step.set.get("dilations") or [1] * count
    pads = step.set.get("pads") or [0] * 2 * count
    for axis, size in enumerate(space):
        extent = dilations[axis] * (kernel[axis] - 1) + 1
        before, after = pads[axis], pads[axis + count]
        if step.set.get("auto_pad", "NOTSET") != "NOTSET":
            total = max((math.ceil(size / strides[axis]) - 1) * strides[axis] + extent - size, 0)
            total = 0 if step.set["auto_pad"] == "VALID" else total
            less, more = total // 2, total - total // 2
            before, after = (more, less) if step.set["auto_pad"] == "SAME_LOWER" else (less, more)
        found.append(Geometry(int(kernel[axis]), strides[axis], dilations[axis], before, after))
    return found


def _borders(pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Word borders as torch's `pad` takes them: the last axis first."""
    return [each for pair in reversed(pairs) for each in pair]


def _slides(geometries: Sequence[Geometry]) -> tuple[list[int], list[int]]:
    return [each.stride for each in geometries], [each.dilation for each in geometries]


def _conv(step: Step) -> Tensor:
    data, weight = step.tensor(), step.tensor(1)
    bias = None if step.input(2) is None else step.tensor(2)
    geometries = _geometries(step, data.shape[2:], weight.shape[2:])
    strides, dilations = _slides(geometries)
    data = functional.pad(data, _borders([(each.before, each.after) for each in geometries]))
    return CONVOLUTIONS[weight.ndim - 2](data, weight, bias, strides, 0, dilations, step.set["group"])


def _conv_transposed(step: Step) -> Tensor:
    data, weight = step.tensor(), step.tensor(1)
    bias = None if step.input(2) is None else step.tensor(2)
    if step.set.get("output_shape") or step.set.get("auto_pad", "NOTSET") != "NOTSET":
        raise UnsupportedError(
            "a ConvTranspose must say its pads for gradients, but got output_shape or auto_pad. "
            "Use method='occlusion', which needs scores only, or load the network in the framework it was made in."
        )
    geometries = _geometries(step, data.shape[2:], weight.shape[2:])
    strides, dilations = _slides(geometries)
    more = step.set.get("output_padding") or [0] * len(strides)
    whole = TRANSPOSED[weight.ndim - 2](data, weight, bias, strides, 0, more, step.set["group"], dilations)
    return functional.pad(whole, _borders([(-each.before, -each.after) for each in geometries]))


def _reach(step: Step, data: Tensor) -> tuple[list[Geometry], list[int]]:
    """Return how a pooling slides, and the borders that make as many outputs as ONNX counts."""
    space, pairs = data.shape[2:], []
    geometries = _geometries(step, space, step.set["kernel_shape"])
    for each, size in zip(geometries, space, strict=True):
        outputs = each.outputs(size, bool(step.set.get("ceil_mode")))
        pairs.append((each.before, (outputs - 1) * each.stride + each.extent - size - each.before))
    return geometries, _borders(pairs)


def _max_pool(step: Step) -> Tensor:
    data = step.tensor()
    geometries, borders = _reach(step, data)
    strides, dilations = _slides(geometries)
    padded = functional.pad(data, borders, value=-math.inf)
    return MAXIMA[data.ndim - 2](padded, [each.kernel for each in geometries], strides, 0, dilations)


def _average_pool(step: Step) -> Tensor:
    """Sums by a convolution with ones, over how many numbers each holds."""
    data = step.tensor()
    geometries, borders = _reach(step, data)
    strides, dilations = _slides(geometries)
    convolve, inside = CONVOLUTIONS[data.ndim - 2], torch.ones(1, 1, *data.shape[2:])
    counted = [each for pair in reversed(geometries) for each in (pair.before, pair.after)]
    if step.set.get("count_include_pad"):
        inside = functional.pad(inside, counted, value=1.0)
        borders_inside = [each - known for each, known in zip(borders, counted, strict=True)]
    else:
        borders_inside = borders
    ones = torch.ones(1, 1, *[each.kernel for each in geometries])
    counts = convolve(functional.pad(inside, borders_inside), ones, None, strides, 0, dilations)
    channels = data.shape[1]
    weight = ones.expand(channels, *ones.shape[1:])
    sums = convolve(functional.pad(data, borders), weight, None, strides, 0, dilations, channels)
    return sums / counts


def _spread(values: Tensor, like: Tensor) -> Tensor:
    """Lay one number per channel so that it is broadcast."""
    return values.reshape(-1, *[1] * (like.ndim - 2))


def _batch_norm(step: Step) -> Tensor:
    data, weight, bias, mean, variance = (step.tensor(place) for place in range(5))
    return functional.batch_norm(data, mean, variance, weight, bias, False, 0.0, step.set["epsilon"])


def _instance_norm(step: Step) -> Tensor:
    data, axes = step.tensor(), tuple(range(2, step.tensor().ndim))
    variance, mean = torch.var_mean(data, axes, correction=0, keepdim=True)
    normal = (data - mean) * (variance + step.set["epsilon"]).rsqrt()
    return normal * _spread(step.tensor(1), data) + _spread(step.tensor(2), data)


def _layer_norm(step: Step) -> Tensor:
    data = step.tensor()
    normal = functional.layer_norm(data, data.shape[step.set["axis"] :], eps=step.set["epsilon"]) * step.tensor(1)
    return normal if step.input(2) is None else normal + step.tensor(2)


def _group_norm(step: Step) -> Tensor:
    data, groups = step.tensor(), step.set["num_groups"]
    weight, bias = (each.repeat_interleave(data.shape[1] // len(each)) for each in (step.tensor(1), step.tensor(2)))
    return functional.group_norm(data, groups, weight, bias, step.set["epsilon"])


def _root_mean_square(step: Step) -> Tensor:
    data = step.tensor()
    axes = tuple(range(step.set["axis"] % data.ndim, data.ndim))
    return data * (data.square().mean(axes, keepdim=True) + step.set["epsilon"]).rsqrt() * step.tensor(1)


def _local_response(step: Step) -> Tensor:
    data, size = step.tensor(), step.set["size"]
    border = [0, 0] * (data.ndim - 2) + [(size - 1) // 2, size // 2]
    sums = functional.pad(data.square(), border).unfold(1, size, 1).sum(-1)
    return data / (step.set["bias"] + step.set["alpha"] / size * sums) ** step.set["beta"]


def _normalised(step: Step) -> Tensor:
    return functional.normalize(step.tensor(), p=step.set["p"], dim=step.set["axis"], eps=0.0)


def _global(function: Callable[..., Any]) -> Callable[[Step], Tensor]:
    return lambda step: function(step.tensor(), tuple(range(2, step.tensor().ndim)), keepdim=True)


TABLE: dict[str, Callable[[Step], Any]] = {
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Conv": _conv,
    "ConvTranspose": _conv_transposed,
    "GlobalAveragePool": _global(torch.mean),
    "GlobalMaxPool": _global(torch.amax),
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LRN": _local_response,
    "LayerNormalization": _layer_norm,
    "LpNormalization": _normalised,
    "MaxPool": _max_pool,
    "RMSNormalization": _root_mean_square,
}
"""Name of the operation -> tensor from what is given and set."""
