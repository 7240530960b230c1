"""Reads ragged windows with torch operations: the one look-up rule, and where the taps of each output lie.

A source is one layer's values for n positions: `data` (rows, channels) holds every position's box in raster order,
`box` (n, 4) its first row, the row after its last, and its columns likewise, `offsets` (n + 1,) where its rows begin,
`clean` (rows, columns, channels) the map of the image that nothing covers. One rule reads it: outside the map the
value is padding, inside a position's box it is data, elsewhere the clean map's.
"""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from eyeline.incremental import winograd

Pair = tuple[int, int]


class Source(Protocol):
    """One layer's values for a chunk of positions, and the clean map beneath them."""

    @property
    def data(self) -> Tensor: ...
    @property
    def box(self) -> np.ndarray: ...
    @property
    def offsets(self) -> np.ndarray: ...
    @property
    def clean(self) -> Tensor: ...


def on(numbers: np.ndarray, device: torch.device) -> Tensor:
    """Return integers as a tensor on a device."""
    return torch.from_numpy(np.ascontiguousarray(numbers, dtype=np.int64)).to(device)


def pixels(box: np.ndarray, offsets: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return position, row and column of every pixel of the boxes, as they lie in data."""
    where, begin = on(box, device), on(offsets, device)
    place = torch.repeat_interleave(begin.diff())
    local = torch.arange(len(place), device=device) - begin[place]
    width = (where[:, 3] - where[:, 2])[place]
    return place, where[place, 0] + local // width, where[place, 2] + local % width


def read(source: Source, place: Tensor, row: Tensor, column: Tensor, pad_value: float) -> Tensor:
    """Look pixels up: padding outside the map, data inside the position's box, the clean map elsewhere."""
    height, width, channels = source.clean.shape
    where = on(source.box, place.device)[place]
    begin = on(source.offsets, place.device)[place]
    spot = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
    found = source.clean.reshape(-1, channels).index_select(0, spot)
    found[(row < 0) | (row >= height) | (column < 0) | (column >= width)] = pad_value
    inside = (row >= where[:, 0]) & (row < where[:, 1]) & (column >= where[:, 2]) & (column < where[:, 3])
    spot = begin + (row - where[:, 0]) * (where[:, 3] - where[:, 2]) + column - where[:, 2]
    hits = inside.nonzero().squeeze(1)
    return found.index_copy_(0, hits, source.data.index_select(0, spot[hits]))


def taps(
    source: Source,
    box: np.ndarray,
    offsets: np.ndarray,
    kernel: Pair,
    stride: Pair,
    dilation: Pair,
    padding: Pair,
    pad_value: float,
) -> tuple[Tensor, Tensor]:
    """Return all values that the outputs can see, and the place of each output's taps among them, (outputs, taps)."""
    low = box[:, 0::2] * stride - padding
    high = (box[:, 1::2] - 1) * stride - padding + np.multiply(dilation, np.subtract(kernel, 1)) + 1
    hollow = np.diff(offsets) == 0
    low[hollow] = high[hollow] = 0
    sizes = high - low
    begins = np.concatenate([[0], np.cumsum(sizes.prod(axis=1))])
    reach = np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], axis=1)
    device = source.clean.device
    values = read(source, *pixels(reach, begins, device), pad_value)

    place, row, column = pixels(box, offsets, device)
    width = on(sizes[:, 1], device)[place][:, None, None]
    first = on(low, device)[place]
    rows = (row * stride[0] - padding[0] - first[:, 0])[:, None] + dilation[0] * torch.arange(kernel[0], device=device)
    columns = (column * stride[1] - padding[1] - first[:, 1])[:, None]
    columns = columns + dilation[1] * torch.arange(kernel[1], device=device)
    spots = on(begins, device)[place][:, None, None] + rows[:, :, None] * width + columns[:, None, :]
    return values, spots.flatten(1)


def tiles(box: np.ndarray, tiles: Pair, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return position, first row and first column of tiles."""
    begins, across = winograd.tile_offsets(box), winograd.tiles_across(box)
    wanted = np.arange(*tiles)
    place = np.searchsorted(begins, wanted, side="right") - 1
    local = wanted - begins[place]
    row, column = box[place, 0] + 4 * (local // across[place]), box[place, 2] + 4 * (local % across[place])
    return on(place, device), on(row, device), on(column, device)
