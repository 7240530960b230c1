"""Convolutions on ragged windows: prepared once, then run on as many chunks as there are.

Which way is quickest depends on the shape alone: one matrix product on the rows as they lie, Winograd, a direct
loop over depthwise taps, or gathered patches times a matrix.
"""

import math
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import NamedTuple

from torch import Tensor

from eyeline.errors import UnsupportedError
from eyeline.incremental import winograd
from eyeline.incremental.graph import Conv, Node
from eyeline.incremental.windows import Frame, Windows, taps

TILES, FEWEST = 2**22, 132
"""Bytes of Winograd's transformed tiles and products at a time; the fewest tiles that large weights are read for."""

NARROW = 32
"""Channels under which Winograd's transforms cost more than they save."""

UNEVEN, SAMPLE = 1000.0, 4096
"""How many times its lower quartile a map's largest number may be: Winograd's rounding goes by the largest of a tile,
and where a later layer cuts that off, it is what remains of the neighbours. Numbers that the quartile is read from."""


class Layer(NamedTuple):
    """A prepared convolution.

    Args:
        run: (source, where the outputs lie) -> (rows, outputs).
        bytes: of the weights as they are laid out for it.
        even: prepares the same without Winograd's tiles, the first time that it is asked; None where none are used.
    """

    run: Callable[[Windows, Frame], Tensor]
    bytes: int
    even: "Callable[[], Layer] | None" = None


def prepare(node: Node, inputs: int, kernels: ModuleType) -> Layer:
    """Choose the way and lay the weights out for it."""
    conv = node.operation
    assert isinstance(conv, Conv)
    rows, columns = conv.geometries
    outputs = len(conv.weight)
    dense = rows.dilation == columns.dilation == rows.stride == columns.stride == 1
    if conv.groups == 1 and rows.pointwise and columns.pointwise:
        return _pointwise(conv, kernels)
    if conv.groups == inputs == outputs:
        return _depthwise(conv, kernels)
    if conv.groups == 1 and dense and conv.kernel == (3, 3) and min(inputs, outputs) >= NARROW:
        return _winograd(conv, node.name, kernels)
    return _gathered(conv, kernels)


def check_finite(data: Tensor, name: str) -> None:
    """Raise an UnsupportedError where a number is not finite: windows cannot follow it exactly."""
    if not math.isfinite(data.sum()):
        raise UnsupportedError(
            f"layers must give finite numbers for the incremental engine, but {name!r} does not. Use engine='full'."
        )


def uneven(data: Tensor, usual: Tensor) -> bool:
    """Say whether a number of `data` is far beyond the lower quartile of those of `usual` that are not 0."""
    sizes = usual.flatten()[:: max(1, usual.numel() // SAMPLE)].abs()
    sizes = sizes[sizes > 0]
    if not len(sizes):
        return False
    quartile = sizes.kthvalue(1 + len(sizes) // 4).values
    return bool(max(data.max(), -data.min()) > UNEVEN * quartile)


def _pointwise(conv: Conv, kernels: ModuleType) -> Layer:
    packed = kernels.pack(conv.weight[:, :, 0, 0].T[None], conv.bias)

    def run(source: Windows, frame: Frame) -> Tensor:
        out: Tensor = kernels.product(source.data[None], packed, conv.activation)[0]
        return out

    return Layer(run, packed.values.nbytes)


def _gathered(conv: Conv, kernels: ModuleType) -> Layer:
    groups, outputs = conv.groups, len(conv.weight)
    # (groups, taps * inputs, outputs), the order in which taps are read
    grouped = conv.weight.reshape(groups, outputs // groups, -1, conv.kernel[0] * conv.kernel[1]).permute(0, 3, 2, 1)
    packed = kernels.pack(grouped.reshape(groups, -1, outputs // groups), conv.bias)
    sizes = taps(conv.geometries)

    def run(source: Windows, frame: Frame) -> Tensor:
        out: Tensor = kernels.convolve(source, frame.box, frame.offsets, packed, **sizes, activation=conv.activation)
        return out

    return Layer(run, packed.values.nbytes)


def _winograd(conv: Conv, name: str, kernels: ModuleType) -> Layer:
    matrices = winograd.weights(conv.weight)
    _, inputs, outputs = matrices.shape
    packed = kernels.pack(matrices)
    step = max(TILES // (36 * 4 * (inputs + outputs)), FEWEST)
    padding = taps(conv.geometries)["padding"]

    def run(source: Windows, frame: Frame) -> Tensor:
        out: Tensor = kernels.winograd(
            source, frame.box, frame.offsets, packed, conv.bias, padding, step, conv.activation
        )
        check_finite(out, name)  # an infinity would spread as NaN over its tile, and a later layer may clip it
        return out

    return Layer(run, packed.values.nbytes, cache(lambda: _gathered(conv, kernels)))


def _depthwise(conv: Conv, kernels: ModuleType) -> Layer:
    weights = conv.weight[:, 0].permute(1, 2, 0).contiguous()
    sizes = taps(conv.geometries)
    del sizes["kernel"]

    def run(source: Windows, frame: Frame) -> Tensor:
        return kernels.depthwise(
            source, frame.box, frame.offsets, weights, conv.bias, **sizes, activation=conv.activation
        )

    return Layer(run, weights.nbytes)
