"""The kernels written with torch operations: any device, and the oracle of the native ones."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from eyeline.incremental import lookup, torch_tiles
from eyeline.incremental.graph import Activation
from eyeline.incremental.lookup import Pair, Source

NAME = "torch"
"""Of this backend, for the provenance."""

BLOCK = 2**20
"""Bytes of gathered patches at a time: they stay in cache until the product has read them."""

TILES = 2**15
"""Numbers of all channels, in and out, of Winograd's tiles at a time."""


ACTIVATIONS: dict[str, Callable[[Tensor, float, float], Tensor]] = {
    "clamp": lambda data, low, high: data.clamp_(low, high),
    "silu": lambda data, *_: functional.silu(data, inplace=True),
    "sigmoid": lambda data, *_: data.sigmoid_(),
    "hardswish": lambda data, *_: functional.hardswish(data, inplace=True),
    "hardsigmoid": lambda data, *_: functional.hardsigmoid(data, inplace=True),
    "gelu": lambda data, *_: torch.ops.aten.gelu_(data),
    "gelu_tanh": lambda data, *_: torch.ops.aten.gelu_(data, approximate="tanh"),
}
"""Each acts in place, given bounds that only the clamp reads."""


def fetch(source: Source, box: np.ndarray, offsets: np.ndarray, out: Tensor | None = None) -> Tensor:
    """Read other boxes of a source: (rows, channels), also into columns of a wider `out`."""
    found = lookup.read(source, *lookup.pixels(box, offsets, source.clean.device), 0.0)
    return found if out is None else out.copy_(found)


def fetch_add(
    target: Tensor, source: Source, box: np.ndarray, offsets: np.ndarray, activation: Activation | None = None
) -> None:
    """Add a source's values at the target's boxes to the target, then activate it."""
    target += fetch(source, box, offsets)
    _activate(target, activation)


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
    """Lay what each output sees in a row: (outputs, taps * channels), for a matrix product.

    A row is ordered by group, then tap, then channel. `padding` stands before the first row and the first column;
    `rows` are the first output wanted and the one after the last, None means all.
    """
    start, stop = rows or (0, int(offsets[-1]))
    values, places = lookup.taps(source, box, offsets, kernel, stride, dilation, padding, pad_value)
    return _patches(values, places[start:stop], groups)


def _patches(values: Tensor, places: Tensor, groups: int) -> Tensor:
    """Lay the values at (outputs, taps) places in rows, ordered by group, then tap, then channel."""
    patches = values.index_select(0, places.flatten()).reshape(*places.shape, groups, values.shape[1] // groups)
    return patches.transpose(1, 2).flatten(1)


class Packed(NamedTuple):
    """Matrices laid out once for many products.

    Args:
        values: in the layout of the backend.
        bias: (groups * outputs,).
        outputs: of each group.
    """

    values: Tensor
    bias: Tensor
    groups: int
    outputs: int


def pack(matrices: Tensor, bias: Tensor | None = None) -> Packed:
    """Lay out matrices (groups, inputs, outputs) for `product` and `convolve`."""
    groups, _, outputs = matrices.shape
    bias = matrices.new_zeros(groups * outputs) if bias is None else bias
    return Packed(matrices.contiguous(), bias.contiguous(), groups, outputs)


def product(rows: Tensor, packed: Packed, activation: Activation | None = None) -> Tensor:
    """Multiply (groups, rows, inputs) by a matrix each, add bias and activate: (groups, rows, outputs)."""
    out = torch.baddbmm(packed.bias.reshape(packed.groups, 1, -1), rows, packed.values)
    _activate(out, activation)
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
    total, wide = int(offsets[-1]), packed.values.shape[1] * packed.groups
    out = source.clean.new_empty(total, packed.groups * packed.outputs)
    step = max(BLOCK // (4 * wide), 64)
    values, places = lookup.taps(source, box, offsets, kernel, stride, dilation, padding, 0.0)
    for start in range(0, total, step):
        some = (start, min(start + step, total))
        patches = _patches(values, places[slice(*some)], packed.groups)
        parts = patches.reshape(len(patches), packed.groups, -1).transpose(0, 1)
        out[slice(*some)] = product(parts, packed, activation).transpose(0, 1).flatten(1)
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
    kernel = (weights.shape[0], weights.shape[1])
    values, places = lookup.taps(source, box, offsets, kernel, stride, dilation, padding, 0.0)
    out = values.new_zeros(len(places), values.shape[1])
    for place, weight in zip(places.T, weights.flatten(0, 1), strict=True):
        out.addcmul_(values.index_select(0, place), weight)
    if bias is not None:
        out += bias
    _activate(out, activation)
    return out


def max_pool(
    source: Source, box: np.ndarray, offsets: np.ndarray, kernel: Pair, stride: Pair, dilation: Pair, padding: Pair
) -> Tensor:
    """Take the maximum over the taps; padding is below every number, NaN is above."""
    values, places = lookup.taps(source, box, offsets, kernel, stride, dilation, padding, -torch.inf)
    out = values.new_full((len(places), values.shape[1]), -torch.inf)
    for place in places.T:
        torch.maximum(out, values.index_select(0, place), out=out)
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
    values, places = lookup.taps(source, box, offsets, kernel, stride, (1, 1), padding, 0.0)
    out = values.new_zeros(len(places), values.shape[1])
    for place in places.T:
        out += values.index_select(0, place)
    _, row, column = lookup.pixels(box, offsets, values.device)
    return out.div_(divisors.to(out)[row, column][:, None])


def global_sum_change(source: Source) -> Tensor:
    """Return by how much each position changes the sum over the map, (n, channels), float64."""
    places = lookup.pixels(source.box, source.offsets, source.clean.device)
    change = source.data.double() - source.clean[places[1], places[2]].double()
    sums = torch.zeros(len(source.box), change.shape[1], dtype=torch.float64, device=change.device)
    return sums.index_add_(0, places[0], change)


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
    out = source.clean.new_empty(int(offsets[-1]), packed.outputs)
    values, places = torch_tiles.seen(source, box, padding)
    total, tiles = places.shape[1], min(tiles, max(TILES // (source.clean.shape[2] + packed.outputs), 64))
    for start in range(0, total, tiles):
        some = (start, min(start + tiles, total))
        products = product(torch_tiles.turn_in(values, places[:, slice(*some)]), packed)
        torch_tiles.turn_out(products, box, offsets, some, out)
    if bias is not None:
        out += bias
    _activate(out, activation)
    return out


def activate(data: Tensor, name: str, low: float = 0.0, high: float = 0.0) -> None:
    """Apply the activation of a name of ACTIVATIONS in place; low and high are the clamp's bounds."""
    ACTIVATIONS[name](data, low, high)


def _activate(data: Tensor, activation: Activation | None) -> None:
    if activation is not None and activation.name in ACTIVATIONS:
        activate(data, activation.name, activation.low, activation.high)
    elif activation is not None:
        data.copy_(activation.call(data))
