"""Memory for windows that is used again.

What is freed goes back to the system, which fills it with zeros, page by page, when it is asked for anew. In a small
network that takes much of the time, so the blocks of one chunk are kept for the next.
"""

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

SPARE = 8
"""A new block is larger than asked for by this part, as the windows of the next chunk may be larger."""

WIDE = 1.3
"""How many times larger than what is asked for a block may be."""


class Blocks(threading.local):
    """What one thread keeps.

    Args:
        most: bytes that are kept while nobody uses them.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.free: list[np.ndarray] = []


class _Used(threading.local):
    blocks: Blocks | None = None


_USED = _Used()


@contextmanager
def reused(blocks: Blocks) -> Iterator[None]:
    """Let `empty` take this thread's memory from `blocks` while this lasts."""
    before, _USED.blocks = _USED.blocks, blocks
    try:
        yield
    finally:
        _USED.blocks = before


def empty(rows: int, columns: int) -> Tensor:
    """Return (rows, columns) float32 of any values, in a kept block where there is one of about that size."""
    count, blocks = rows * columns, _USED.blocks
    if blocks is None or not count:
        return torch.empty(rows, columns)
    free = blocks.free
    sizes = [(len(each), -place) for place, each in enumerate(free) if count <= len(each) <= WIDE * count]
    block = free.pop(-min(sizes)[1]) if sizes else torch.empty(count + count // SPARE).numpy()
    given = block[:count]  # dies with the last tensor on it
    weakref.finalize(given, _give_back, block, free, blocks.most)
    return torch.from_numpy(given).view(rows, columns)


def _give_back(block: np.ndarray, free: list[np.ndarray], most: int) -> None:
    """Keep a block; those that were not used for longest go first."""
    free.append(block)
    while sum(each.nbytes for each in free) > most:
        free.pop(0)
