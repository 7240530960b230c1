"""Winograd's transforms of 4 x 4 outputs with torch operations."""

import numpy as np
import torch
from torch import Tensor

from eyeline.incremental import lookup, winograd
from eyeline.incremental.lookup import Pair, Source


def count(box: np.ndarray) -> int:
    """Count the tiles of all positions."""
    return int(winograd.tile_offsets(box)[-1])


def turn_in(source: Source, box: np.ndarray, padding: Pair, tiles: Pair) -> Tensor:
    """Transform what tiles of 4 x 4 outputs see, 6 x 6 inputs each: (36, tiles, channels).

    `tiles` are the first one wanted and the one after the last: position after position, each box in raster order.
    """
    place, row, column = lookup.tiles(box, tiles, source.clean.device)
    taps = torch.arange(6, device=place.device)
    rows = (row - padding[0] + taps[:, None, None]).expand(6, 6, -1).flatten()
    columns = (column - padding[1] + taps[:, None]).expand(6, 6, -1).flatten()
    seen = lookup.read(source, place.expand(36, -1).flatten(), rows, columns, 0.0)
    return _both_axes(seen.new_tensor(winograd.INPUT), seen, 6).reshape(36, len(place), seen.shape[1])


def turn_out(products: Tensor, box: np.ndarray, offsets: np.ndarray, tiles: Pair, out: Tensor) -> None:
    """Transform products (36, tiles, outputs) back and write the outputs of these tiles into `out`, (rows, outputs)."""
    place, row, column = lookup.tiles(box, tiles, products.device)
    values = _both_axes(products.new_tensor(winograd.OUTPUT), products, 4).reshape(16, *products.shape[1:])
    steps = torch.arange(4, device=place.device)
    rows = (row + steps[:, None, None]).expand(4, 4, -1).reshape(16, -1)
    columns = (column + steps[:, None]).expand(4, 4, -1).reshape(16, -1)
    box_, begin = lookup.on(box, place.device), lookup.on(offsets, place.device)
    inside = (rows < box_[place, 1]) & (columns < box_[place, 3])
    targets = begin[place] + (rows - box_[place, 0]) * (box_[place, 3] - box_[place, 2]) + columns - box_[place, 2]
    out[targets[inside]] = values[inside]


def _both_axes(matrix: Tensor, values: Tensor, size: int) -> Tensor:
    """Multiply (6 * 6, ...) from the left along both of its axes: (size, size * ...)."""
    once = matrix @ values.reshape(6, values.numel() // 6)
    return matrix @ once.reshape(size, 6, values.numel() // 36)
