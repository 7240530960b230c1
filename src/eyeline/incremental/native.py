"""The kernels as a native library: same functions as torch_kernels, several times sooner, on the CPU alone.

Importing this raises LibraryError where no library was built. Its interface is plain C, so that it fits every version
of Python and torch; while it runs, other Python threads do too.
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from eyeline.incremental.blocks import empty
from eyeline.incremental.graph import Activation
from eyeline.incremental.library import SourceStruct, TapsStruct, TargetStruct, choose
from eyeline.incremental.lookup import Pair, Source
from eyeline.incremental.torch_kernels import ACTIVATIONS, Packed, activate

__all__ = [
    "ACTIVATIONS", "NAME", "activate", "average_pool", "convolve", "depthwise", "fetch", "fetch_add", "gather",
    "global_sum_change", "max_pool", "pack", "product", "winograd",
]  # fmt: skip

OPEN = (-math.inf, math.inf)
"""The bounds of a clamp that changes nothing."""


LIBRARY, NAME = choose()


def fetch(source: Source, box: np.ndarray, offsets: np.ndarray, out: Tensor | None = None) -> Tensor:
    """Read other boxes of a source: (rows, channels), also into columns of a wider `out`."""
    if out is None:
        out = empty(int(offsets[-1]), source.clean.shape[2])
    assert out.stride(1) == 1
    assert out.dtype == torch.float32
    LIBRARY.eyeline_fetch(_source(source), _target(box, offsets), out.data_ptr(), out.stride(0))
    return out


def fetch_add(
    target: Tensor, source: Source, box: np.ndarray, offsets: np.ndarray, activation: Activation | None = None
) -> None:
    """Add a source's values at the target's boxes to the target, then activate it."""
    assert target.is_contiguous()
    assert target.dtype == torch.float32
    LIBRARY.eyeline_fetch_add(_source(source), _target(box, offsets), *_clamp(activation), target.data_ptr())
    _finish(target, activation)


def gather(
    source: Source,
    box: np.ndarray,
    offsets: np.ndarray,
    kernel: Pair,
    stride: Pair,
    dilation: Pair,
    padding: Pair,
    pad_value: float = 0.0,
    groups: int = 1,
    rows: Pair | None = None,
) -> Tensor:
    """Lay what each output sees in a row: (outputs, taps * channels), for a matrix product."""
    target = _target(box, offsets, rows)
    out = empty(target.last - target.first, kernel[0] * kernel[1] * source.clean.shape[2])
    taps = TapsStruct(*kernel, *stride, *dilation, *padding)
    LIBRARY.eyeline_gather(_source(source), target, taps, pad_value, groups, out.data_ptr())
    return out


def pack(matrices: Tensor, bias: Tensor | None = None) -> Packed:
    """Lay out matrices (groups, inputs, outputs) for `product` and `convolve`, panel by panel of outputs."""
    groups, inputs, outputs = matrices.shape
    panel = LIBRARY.eyeline_panel()
    filled = functional.pad(matrices, (0, -outputs % panel)) if outputs % panel else matrices
    filled = filled.reshape(groups, inputs, -1, panel)
    bias = matrices.new_zeros(groups * outputs) if bias is None else bias
    return Packed(filled.transpose(1, 2).contiguous(), bias.contiguous(), groups, outputs)


def product(rows: Tensor, packed: Packed, activation: Activation | None = None) -> Tensor:
    """Multiply (groups, rows, inputs) by a matrix each, add bias and activate: (groups, rows, outputs)."""
    groups, count, inputs = rows.shape
    assert (groups, inputs) == (packed.groups, packed.values.shape[2])
    assert rows.dtype == torch.float32
    assert rows.stride(2) == 1 or inputs == 1
    out = empty(count, groups * packed.outputs).view(count, groups, packed.outputs).transpose(0, 1)
    LIBRARY.eyeline_product(
        rows.data_ptr(), groups, count, inputs, *rows.stride()[:2], packed.values.data_ptr(), packed.outputs,
        packed.bias.data_ptr(), *_clamp(activation), out.data_ptr(),
    )  # fmt: skip
    _finish(out, activation)
    return out


def convolve(
    source: Source,
    box: np.ndarray,
    offsets: np.ndarray,
    packed: Packed,
    kernel: Pair,
    stride: Pair,
    dilation: Pair,
    padding: Pair,
    activation: Activation | None = None,
) -> Tensor:
    """Convolve with packed matrices (groups, taps * channels / groups, outputs / groups): (rows, outputs)."""
    channels = source.clean.shape[2]
    assert kernel[0] * kernel[1] * channels == packed.groups * packed.values.shape[2]
    out = empty(int(offsets[-1]), packed.groups * packed.outputs)
    taps = TapsStruct(*kernel, *stride, *dilation, *padding)
    LIBRARY.eyeline_convolve(
        _source(source), _target(box, offsets), taps, packed.groups, packed.values.data_ptr(), packed.outputs,
        packed.bias.data_ptr(), *_clamp(activation), out.data_ptr(),
    )  # fmt: skip
    _finish(out, activation)
    return out


def depthwise(
    source: Source,
    box: np.ndarray,
    offsets: np.ndarray,
    weights: Tensor,
    bias: Tensor | None,
    stride: Pair,
    dilation: Pair,
    padding: Pair,
    activation: Activation | None = None,
) -> Tensor:
    """Convolve each channel with its own taps, `weights` (rows, columns, channels)."""
    out = empty(int(offsets[-1]), weights.shape[2])
    taps = TapsStruct(*weights.shape[:2], *stride, *dilation, *padding)
    weights, bias = weights.contiguous(), _bias(bias, out)
    LIBRARY.eyeline_depthwise(
        _source(source), _target(box, offsets), taps, weights.data_ptr(), bias.data_ptr(), *_clamp(activation),
        out.data_ptr(),
    )  # fmt: skip
    _finish(out, activation)
    return out


def max_pool(
    source: Source, box: np.ndarray, offsets: np.ndarray, kernel: Pair, stride: Pair, dilation: Pair, padding: Pair
) -> Tensor:
    """Take the maximum over the taps; padding is below every number, NaN is above."""
    out = empty(int(offsets[-1]), source.clean.shape[2])
    taps = TapsStruct(*kernel, *stride, *dilation, *padding)
    LIBRARY.eyeline_max_pool(_source(source), _target(box, offsets), taps, out.data_ptr())
    return out


def average_pool(
    source: Source,
    box: np.ndarray,
    offsets: np.ndarray,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    divisors: Tensor,
) -> Tensor:
    """Sum over the taps inside the map, divided by `divisors`, (output rows, output columns)."""
    out = empty(int(offsets[-1]), source.clean.shape[2])
    taps = TapsStruct(*kernel, *stride, 1, 1, *padding)
    divisors = divisors.to(out).contiguous()
    LIBRARY.eyeline_average_pool(
        _source(source), _target(box, offsets), taps, divisors.data_ptr(), divisors.shape[1], out.data_ptr()
    )
    return out


def global_sum_change(source: Source) -> Tensor:
    """Return by how much each position changes the sum over the map, (n, channels), float64."""
    sums = torch.empty(len(source.box), source.clean.shape[2], dtype=torch.float64)
    LIBRARY.eyeline_global_sum_change(_source(source), len(source.box), sums.data_ptr())
    return sums


def winograd(
    source: Source,
    box: np.ndarray,
    offsets: np.ndarray,
    packed: Packed,
    bias: Tensor | None,
    padding: Pair,
    tiles: int,
    activation: Activation | None = None,
) -> Tensor:
    """Convolve with 36 packed matrices of `winograd.weights`, some tiles of outputs at a time: (rows, outputs)."""
    out = empty(int(offsets[-1]), packed.outputs)
    bias = _bias(bias, out)
    LIBRARY.eyeline_winograd(
        _source(source), _target(box, offsets), *padding, packed.values.data_ptr(), packed.outputs, bias.data_ptr(),
        *_clamp(activation), tiles, out.data_ptr(),
    )  # fmt: skip
    _finish(out, activation)
    return out


def _source(source: Source) -> SourceStruct:
    """Describe a source; the description keeps alive what it points to."""
    data, clean = source.data.contiguous(), source.clean.contiguous()
    box, offsets = _numbers(source.box), _numbers(source.offsets)
    assert data.dtype == clean.dtype == torch.float32
    assert data.shape == (offsets[-1], clean.shape[2])
    found = SourceStruct(data.data_ptr(), clean.data_ptr(), box.ctypes.data, offsets.ctypes.data, *clean.shape)
    found.kept = (data, clean, box, offsets)
    return found


def _target(box: np.ndarray, offsets: np.ndarray, some: Pair | None = None) -> TargetStruct:
    """Describe where outputs lie, and which of them are wanted: rows or tiles."""
    box, offsets = _numbers(box), _numbers(offsets)
    found = TargetStruct(box.ctypes.data, offsets.ctypes.data, len(box), *(some or (0, int(offsets[-1]))))
    found.kept = (box, offsets)
    return found


def _numbers(given: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(given, dtype=np.int64)


def _bias(bias: Tensor | None, out: Tensor) -> Tensor:
    return out.new_zeros(out.shape[1]) if bias is None else bias.contiguous()


def _clamp(activation: Activation | None) -> tuple[float, float]:
    """Return the bounds that the library applies itself."""
    return OPEN if activation is None or activation.name != "clamp" else (activation.low, activation.high)


def _finish(data: Tensor, activation: Activation | None) -> None:
    """Apply an activation that the library does not know."""
    if activation is None or activation.name == "clamp":
        return
    if activation.name in ACTIVATIONS:
        activate(data, activation.name)
    else:
        data.copy_(activation.call(data))
