"""Winograd's transforms of 4 x 4 outputs with torch operations."""

import numpy as np
import torch
from torch import Tensor

from eyeline.incremental import lookup, winograd
from eyeline.incremental.lookup import Pair, Source


def count(box: np.ndarray) -> int:
    """Count the tiles of all positions."""
    return int(winograd.tile_offsets(box)[-1])


def seen(source: Source, box: np.ndarray, padding: Pair) -> tuple[Tensor, Tensor]:
    """Return all values that tiles of 4 x 4 outputs can see, and where the 6 x 6 of each lie among them, (36, tiles).

    Tiles follow position after position, each box in raster order.
    """
    device = source.clean.device
    across, down = winograd.tiles_across(box), -(-(box[:, 1] - box[:, 0]) // 4)
    low, sizes = box[:, 0::2] - padding, 4 * np.stack([down, across], axis=1) + 2
    sizes[(down * across) == 0] = 0
    begins = np.concatenate([[0], np.cumsum(sizes.prod(axis=1))])
    reach = np.stack([low[:, 0], low[:, 0] + sizes[:, 0], low[:, 1], low[:, 1] + sizes[:, 1]], axis=1)
    values = lookup.read(source, *lookup.pixels(reach, begins, device), 0.0)
    place, row, column = lookup.tiles(box, (0, count(box)), device)
    width = lookup.on(sizes[:, 1], device)[place]
    corner = lookup.on(begins, device)[place] + (row - lookup.on(box[:, 0], device)[place]) * width
    corner += column - lookup.on(box[:, 2], device)[place]
    taps = torch.arange(6, device=device)
    return values, (corner + taps[:, None, None] * width + taps[:, None]).flatten(0, 1)


def turn_in(values: Tensor, places: Tensor) -> Tensor:
    """Transform what some tiles see: (36, tiles, channels)."""
    found = values.index_select(0, places.flatten())
    return _both_axes(found.new_tensor(winograd.INPUT), found, 6).reshape(*places.shape, values.shape[1])


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
