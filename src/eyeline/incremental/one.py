"""One image that is covered again and again, a place at a time: what the network makes of the image itself is kept."""

import numpy as np
import torch

from eyeline._typing import Images, Scores
from eyeline.incremental.run import Engine


class One:
    """Answers what one image's raw outputs are under one more cover.

    Args:
        engine: of the network.
        image: (1, rows, columns, channels).

    Raises:
        UnsupportedError: a layer gives numbers that are not finite.
    """

    def __init__(self, engine: Engine, image: Images) -> None:
        self._engine = engine
        self._clean = engine.clean(torch.from_numpy(np.ascontiguousarray(image[0])))

    @property
    def raw(self) -> Scores:
        """Raw outputs of the image itself, (1, classes)."""
        return np.asarray(self._clean.output[None].double().numpy())

    def covered(self, patch: Images, box: np.ndarray) -> Scores:
        """Return the raw outputs, (1, classes), of the image whose `box` shows `patch`.

        Args:
            patch: of the image's shape.
            box: (2, 2), start and stop of rows and columns.
        """
        above = torch.from_numpy(np.ascontiguousarray(patch[0]))
        (_, _, raw), *_ = self._engine.sweep(self._clean, above, box[None])
        return np.asarray(raw.double().numpy())
