"""ONNX operations in PyTorch that lay numbers out anew: other shapes, parts, borders, other sizes."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eyeline.errors import UnsupportedError
from eyeline.models.onnx_torch_numbers import Step, tensor

CUBIC = -0.75
ROUNDED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "round_prefer_floor": lambda at: np.asarray(np.ceil(at - 0.5)),
    "round_prefer_ceil": lambda at: np.asarray(np.floor(at + 0.5)),
    "floor": lambda at: np.asarray(np.floor(at)),
    "ceil": lambda at: np.asarray(np.ceil(at)),
}
"""What `nearest_mode` makes of a place between two numbers."""


def _reshape(step: Step) -> Tensor:
    data, lengths = step.tensor(), step.whole("shape", 1) or []
    copied = not step.set.get("allowzero")
    return data.reshape([data.shape[place] if not each and copied else each for place, each in enumerate(lengths)])


def _flatten(step: Step) -> Tensor:
    data, axis = step.tensor(), step.set["axis"]
    return data.reshape(math.prod(data.shape[:axis]), -1)


def _transpose(step: Step) -> Tensor:
    data = step.tensor()
    return data.permute(step.set.get("perm") or tuple(reversed(range(data.ndim))))


def _squeeze(step: Step) -> Tensor:
    data, axes = step.tensor(), step.whole("axes", 1)
    return data.squeeze() if axes is None else data.squeeze(tuple(axes))


def _unsqueeze(step: Step) -> Tensor:
    data, axes = step.tensor(), step.whole("axes", 1) or []
    rank = data.ndim + len(axes)
    for axis in sorted(each % rank for each in axes):
        data = data.unsqueeze(axis)
    return data


def _expand(step: Step) -> Tensor:
    data = step.tensor()
    return data.expand(torch.broadcast_shapes(data.shape, tuple(step.whole("shape", 1) or ())))


def _concat(step: Step) -> Tensor:
    return torch.cat([tensor(each) for each in step.given], step.set["axis"])


def _split(step: Step) -> tuple[Tensor, ...]:
    data, lengths, axis = step.tensor(), step.whole("split", 1), step.set["axis"]
    if lengths is None:
        each = math.ceil(data.shape[axis] / step.outputs)
        return tuple(data.split(each, axis))
    return tuple(data.split(lengths, axis))


def _slice(step: Step) -> Tensor:
    data, starts, ends = step.tensor(), step.whole("starts", 1) or [], step.whole("ends", 2) or []
    axes = step.whole("axes", 3) or list(range(len(starts)))
    steps = step.whole("steps", 4) or [1] * len(starts)
    for axis, start, stop, stride in zip(axes, starts, ends, steps, strict=True):
        size = data.shape[axis]
        end = None if stride < 0 and stop < -size else stop  # before the first number, not counted from behind
        data = data.index_select(axis, torch.tensor(range(size)[start:end:stride], dtype=torch.int64))
    return data


def _gather(step: Step) -> Tensor:
    data, places, axis = step.tensor(), step.tensor(1).long(), step.set["axis"]
    axis %= data.ndim
    places = torch.where(places < 0, places + data.shape[axis], places)
    found = data.index_select(axis, places.reshape(-1))
    return found.reshape(*data.shape[:axis], *places.shape, *data.shape[axis + 1 :])


def _gather_elements(step: Step) -> Tensor:
    data, places, axis = step.tensor(), step.tensor(1).long(), step.set["axis"]
    return data.gather(axis, torch.where(places < 0, places + data.shape[axis], places))


def _tile(step: Step) -> Tensor:
    return step.tensor().repeat(step.whole("repeats", 1) or [])


def _pad(step: Step) -> Tensor:
    data, pads = step.tensor(), step.whole("pads", 1) or []
    axes = step.whole("axes", 3) or list(range(data.ndim))
    value, mode = step.input(2), step.set["mode"]
    filled = float(step.set.get("value", 0.0) if value is None else value)
    for place, axis in enumerate(axes):
        before, after, size = pads[place], pads[place + len(axes)], data.shape[axis]
        if mode == "constant":
            borders = [0, 0] * (data.ndim - 1 - axis % data.ndim) + [before, after]
            data = torch.nn.functional.pad(data, borders, value=filled)
        elif before or after:
            around = np.arange(-before, size + after)
            if mode == "reflect":
                around = np.abs((around + size - 1) % max(2 * (size - 1), 1) - (size - 1))
            around = around % size if mode == "wrap" else around.clip(0, size - 1)
            data = data.index_select(axis, torch.from_numpy(around))
    return data


def _depth_to_space(step: Step) -> Tensor:
    data, block = step.tensor(), step.set["blocksize"]
    n, channels, rows, columns = data.shape
    if step.set.get("mode", "DCR") == "DCR":
        parts = data.reshape(n, block, block, channels // block**2, rows, columns).permute(0, 3, 4, 1, 5, 2)
    else:
        parts = data.reshape(n, channels // block**2, block, block, rows, columns).permute(0, 1, 4, 2, 5, 3)
    return parts.reshape(n, channels // block**2, rows * block, columns * block)


def _space_to_depth(step: Step) -> Tensor:
    data, block = step.tensor(), step.set["blocksize"]
    n, channels, rows, columns = data.shape
    parts = data.reshape(n, channels, rows // block, block, columns // block, block).permute(0, 3, 5, 1, 2, 4)
    return parts.reshape(n, channels * block**2, rows // block, columns // block)


def _resize(step: Step) -> Tensor:
    """Read `Resize` and, from old versions, `Upsample`: axis by axis, each output a sum of a few inputs."""
    data, given = step.tensor(), step.set
    old = len(step.given) <= 2
    scales = given.get("scales", step.input(1)) if old else step.input(2)
    sizes = None if old else step.input(3)
    axes = given.get("axes") or list(range(data.ndim))
    if given.get("antialias") or given.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise _resizing("antialias or keep_aspect_ratio_policy")
    transform = "asymmetric" if old else given["coordinate_transformation_mode"]
    for place, axis in enumerate(axes):
        size = data.shape[axis]
        if sizes is not None and len(np.atleast_1d(sizes)):
            wanted = int(sizes[place])
            scale = wanted / size
        else:
            scale = float(np.asarray(scales).reshape(-1)[place])
            wanted = math.floor(np.float32(size) * np.float32(scale))
        if wanted != size or scale != 1:
            data = _resampled(data, axis, _coordinates(transform, size, wanted, scale), given)
    return data


def _coordinates(transform: str, size: int, wanted: int, scale: float | np.float32) -> np.ndarray:
    """Return where each output lies between the inputs, rounded as onnxruntime does."""
    places, scale = np.arange(wanted, dtype=np.float32), np.float32(scale)
    if transform == "asymmetric":
        return places / scale
    if transform == "align_corners":
        return places * ((size - 1) / (wanted - 1)) if wanted > 1 else 0 * places
    if transform == "half_pixel_symmetric":
        adjusted = wanted / (scale * size)
        return size / 2 * (1 - adjusted) + (places + 0.5) / scale - 0.5
    if transform == "pytorch_half_pixel" and wanted == 1:
        return 0 * places
    if transform in ("half_pixel", "pytorch_half_pixel"):
        return (places + 0.5) / scale - 0.5
    raise _resizing(f"coordinate_transformation_mode {transform!r}")


def _resampled(data: Tensor, axis: int, at: np.ndarray, given: dict[str, Any]) -> Tensor:
    size, mode, low = data.shape[axis], given["mode"], np.floor(at)
    part = at - low
    if mode == "nearest":
        taps = [(ROUNDED[given.get("nearest_mode", "floor")](at), np.ones_like(at))]
    elif mode == "linear":
        taps = [(low, 1 - part), (low + 1, part)]
    else:
        a = given.get("cubic_coeff_a", CUBIC)
        taps = [(low + step, _cubic(np.abs(part - step), a)) for step in (-1, 0, 1, 2)]
        if given.get("exclude_outside"):
            raise _resizing("exclude_outside")
    total = torch.zeros(())
    for places, shares in taps:
        found = data.index_select(axis, torch.from_numpy(places.clip(0, size - 1).astype(np.int64)))
        spread = torch.from_numpy(shares.astype(np.float32)).reshape(-1, *[1] * (data.ndim - 1 - axis % data.ndim))
        total = total + found * spread
    return total


def _cubic(far: np.ndarray, a: float) -> np.ndarray:
    """Weigh taps by their distance (Keys 1981)."""
    near = ((a + 2) * far - (a + 3)) * far**2 + 1
    beyond = ((a * far - 5 * a) * far + 8 * a) * far - 4 * a
    return np.asarray(np.where(far <= 1, near, beyond))


def _resizing(got: str) -> UnsupportedError:
    return UnsupportedError(
        f"a Resize must have a derivative that is known for gradients, but got {got}. "
        "Use method='occlusion', which needs scores only, or load the network in the framework it was made in."
    )


def _shape(step: Step) -> np.ndarray:
    return np.array(step.tensor().shape, dtype=np.int64)[step.set.get("start", 0) : step.set.get("end")]


def _triangle(step: Step) -> Tensor:
    offset = step.input(1)
    function = torch.triu if step.set["upper"] else torch.tril
    return function(step.tensor(), 0 if offset is None else int(offset))


TABLE: dict[str, Callable[[Step], Any]] = {
    "Concat": _concat,
    "DepthToSpace": _depth_to_space,
    "Dropout": lambda step: step.tensor(),
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "Identity": lambda step: step.tensor(),
    "Pad": _pad,
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": _shape,
    "Size": lambda step: np.array(step.tensor().numel()),
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Trilu": _triangle,
    "Unsqueeze": _unsqueeze,
    "Upsample": _resize,
}
"""Name of the operation -> tensor, or several, from what is given and set."""
