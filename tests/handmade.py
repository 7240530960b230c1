"""Attributions made by hand, for tests of what is drawn."""

from dataclasses import replace

import numpy as np

from eyeline.attribution import Attribution
from eyeline.region import Windows
from eyeline.sweep import Sweep
from eyeline.window import grid


def drawn_image(rows: int, columns: int) -> np.ndarray:
    """A synthetic photograph: a bright disc on a slope."""
    row, column = np.mgrid[:rows, :columns] / max(rows, columns)
    disc = (row - 0.4) ** 2 + (column - 0.5) ** 2 < 0.05
    return np.stack([0.2 + 0.5 * column, 0.3 + 0.3 * row, np.where(disc, 0.9, 0.25)], axis=-1).astype(np.float32)


def made(size=(12, 16), n=2, *, measure="drop", unit="probability", window=4, seed=0) -> Attribution:
    """An occlusion attribution of `n` images with two classes; the scores of the windows are random."""
    random = np.random.default_rng(seed)
    boxes = grid(size, window, window)
    scores = np.tile(np.float32([0.75, 0.25]), (n, 1))
    scale = np.float32(1 + np.arange(n))[:, None, None]
    swept = scores[:, None] + (random.random((n, len(boxes), 2)).astype(np.float32) - 0.6) * 0.1 * scale
    weights = np.tile(np.float32([1, 0]), (n, 1))
    sweep = Sweep(Windows(boxes), swept, scores, measure)
    return Attribution(
        maps=sweep.maps(weights, size), scores=scores, weights=weights, unit=unit,
        quantity=f"drop in {unit} when covered", method={"name": "occlusion"}, targets=("tabby",) * n,
        images=np.stack([drawn_image(*size)] * n), names=tuple(f"cat {i}.png" for i in range(n)),
        fits=(None,) * n, classes=("tabby", "tiger cat"), sweep=sweep,
    )  # fmt: skip


def with_map(values: np.ndarray, **changes) -> Attribution:
    """An attribution of one image without a sweep, with the given map."""
    values = np.asarray(values, dtype=np.float32)
    base = made(n=1)
    space = values.shape
    return replace(
        base, maps=values[None], images=np.full((1, *space, 3), 0.5, dtype=np.float32), sweep=None, **changes
    )
