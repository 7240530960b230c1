"""How many positions go through at a time, and how many come out together: what stays in cache, and in memory."""

import math

import numpy as np
import torch

from eyeline.errors import OutOfMemoryError
from eyeline.incremental.plan import Plan

WORKING, CHUNK, LIVE = 2**25, (8, 64), 4
"""Bytes that a chunk's largest layer may take, the fewest and most positions for that, and layers alive at a time."""

HEAVY, GROUP = 2**24, (128, 512)
"""Bytes of a linear layer to be read for many positions at once; how many come out together, without one and with."""

KEPT = 64
"""The part of the memory that a thread keeps for the next chunk."""

COLLECTED = 2**27
"""Bytes that the values of the positions that come out together may take."""

SHORT = 2**31
"""Multiply-adds of a sweep, some hundredths of a second, under which threads cost more than they bring."""


def threads(plan: Plan) -> int:
    """Return how many threads pay."""
    count = torch.get_num_threads()
    return 1 if count > 1 and plan.done < SHORT else count


def sizes(plan: Plan, memory: int, held: int, chunk: int | None, each: int, heavy: bool, count: int) -> tuple[int, int]:
    """Return positions of a chunk, and of a group of chunks whose values are collected.

    Args:
        plan: of the sweep.
        memory: bytes in all.
        held: bytes of the weights as they are laid out.
        chunk: positions of a chunk; None means as many as pay.
        each: bytes of a position's collected values and whole maps.
        heavy: whether there is a linear layer that should be read for many positions.
        count: threads that share the positions, and the memory.

    Raises:
        OutOfMemoryError: the memory does not hold the weights, the clean maps and one position a thread.
    """
    fixed, one = held + plan.clean_bytes, LIVE * plan.position_bytes + each
    room = (memory - fixed) // count
    if room < one:
        needed = math.ceil((fixed + count * one) / 2**20)
        raise OutOfMemoryError(
            "memory must hold the weights, the image's own maps and one window a thread, "
            f"{needed} MiB for this network, but it is {memory // 2**20}. Pass memory={needed} or more."
        )
    position = max(plan.position_bytes, 1)
    chunk = chunk or int(np.clip(room // (2 * LIVE * position), 1, np.clip(WORKING // position, *CHUNK)))
    together = min(room // 2, COLLECTED) // max(each, 1)
    group = int(np.clip(together // chunk * chunk, 1, GROUP[heavy]))
    group = _up(plan.positions, count * _up(plan.positions, count * group))  # all threads end together
    return _up(group, _up(group, chunk)), group


def _up(whole: int, parts: int) -> int:
    """Divide and round up: how many parts of a size, or how large so many parts are."""
    return -(-whole // parts)
