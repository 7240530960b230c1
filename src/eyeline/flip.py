"""Flip maps: where covering the image changes the best class, and to which; read from a kept sweep."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from eyeline._typing import Maps
from eyeline.attribution import Attribution
from eyeline.errors import InputError, UnsupportedError
from eyeline.pairs import PairWindows


@dataclass(frozen=True, eq=False)
class Flips:
    """What covering does to the best class of each image.

    Args:
        share: (n, *space), of the windows or regions on a pixel, those under which another class is best: 0 to 1; by
            the weights by which the map is laid.
        to: (n, *space), the class that is best under most of these, ties to the lowest index; -1 where share is 0.
        top: (n,), the best class of each clean image.
    """

    share: Maps
    to: Int[np.ndarray, "n *space"]
    top: Int[np.ndarray, "n"]


def flips(attribution: Attribution) -> Flips:
    """Return where the best class changes, and to what.

    With `keep=True`, and for RISE's masks, the windows are what is left to see: the share is that of the windows that
    alone do not give the clean image's class.

    Raises:
        UnsupportedError: the method keeps no sweep.
        InputError: the model has one score, so that no class can take another's place.

    Examples:
        >>> import numpy as np, eyeline
        >>> model = eyeline.load(lambda x: np.stack([x[:, 0, 0, 0], 0.5 + 0 * x[:, 0, 0, 0]], 1), input_size=(2, 2))
        >>> image = np.ones((2, 2, 1), dtype=np.float32)
        >>> found = eyeline.explain(model, image, window=1, stride=1, baseline=eyeline.Constant(0))
        >>> eyeline.flips(found).share.tolist()
        [[[1.0, 0.0], [0.0, 0.0]]]
    """
    sweep = attribution.sweep
    if sweep is None:
        raise UnsupportedError(
            f"flips() must have a sweep to read from, but the method {attribution.method.get('name')!r} keeps none. "
            "Use method='occlusion'."
        )
    if isinstance(sweep.regions, PairWindows):
        raise UnsupportedError(
            "flips() must have regions that are covered one by one, but got pairs. Use method='occlusion'."
        )
    classes = sweep.scores.shape[2]
    if classes < 2:
        raise InputError(
            "flips() must have two or more classes, but the model gives one score. Wrap it so that it gives one for "
            "each answer: for a probability p, 1 - p and p."
        )
    size = attribution.images.shape[1:-1]
    top, best = attribution.scores.argmax(axis=1), sweep.scores.argmax(axis=2)
    flipped = best != top[:, None]
    share = sweep.regions.lay(flipped.astype(np.float64), size)
    most, to = np.zeros_like(share), np.full(share.shape, -1, dtype=np.int64)
    for each in np.unique(best[flipped]):
        own = sweep.regions.lay((flipped & (best == each)).astype(np.float64), size)
        to[own > most] = each
        most = np.maximum(most, own)
    return Flips(share.astype(np.float32), to, top)
