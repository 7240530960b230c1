"""Interactions: what covering two windows does beyond what each does alone, read from a kept sweep."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from eyeline._typing import Boxes
from eyeline.attribution import Attribution
from eyeline.errors import UnsupportedError
from eyeline.pairs import PairWindows


@dataclass(frozen=True, eq=False)
class Interactions:
    """What every two windows do together, in the unit of the scores.

    Args:
        matrix: (n, windows, windows): `drop(a and b) - drop(a) - drop(b)`, symmetric, 0 on the diagonal. Above 0:
            either of the two is enough, covering one is made up for by the other. Below 0: both are needed, covering
            one has already done most of it.
        alone: (n, windows), the drop of each window alone.
        chosen: (n,), the window that the attribution's map is about.
        boxes: of the windows.
    """

    matrix: Float[np.ndarray, "n windows windows"]
    alone: Float[np.ndarray, "n windows"]
    chosen: Int[np.ndarray, "n"]
    boxes: Boxes


def interactions(attribution: Attribution) -> Interactions:
    """Return what every two windows do together, for the attribution's target.

    Raises:
        UnsupportedError: the method covers no pairs.

    Examples:
        >>> import numpy as np, eyeline
        >>> model = eyeline.load(lambda images: images.max(axis=(1, 2)), input_size=(1, 2))  # either pixel is enough
        >>> image = np.ones((1, 2, 1), dtype=np.float32)
        >>> found = eyeline.Pairs(window=1, baseline=eyeline.Constant(0))(model, image)
        >>> eyeline.interactions(found).matrix.tolist()
        [[[0.0, 1.0], [1.0, 0.0]]]
    """
    sweep = attribution.sweep
    if sweep is None or not isinstance(sweep.regions, PairWindows):
        raise UnsupportedError(
            f"interactions() must have a sweep of pairs, but the method {attribution.method.get('name')!r} keeps none. "
            "Use method='pairs'."
        )
    values, regions = sweep.values(attribution.weights), sweep.regions
    alone = values[:, : len(regions.windows)]
    return Interactions(regions.matrix(values), alone, regions.chosen_of(values), regions.windows)
