"""One image under one cover after another, of any shape: what dragging a mask over a picture asks for."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

from eyeline._typing import Images, Scores
from eyeline.errors import OutOfMemoryError, UnsupportedError
from eyeline.methods.base import finite
from eyeline.methods.kept import Kept, kept
from eyeline.methods.proof import ROUNDING, rounding
from eyeline.models.base import Model, Traceable

if TYPE_CHECKING:
    from eyeline.incremental.one import One

MEMORY = 1024
"""Mebibytes that an engine may use: as many as a sweep has unless it is told otherwise, so that both share one."""

Mask = Bool[np.ndarray, "rows columns"]
"""True where the image is covered."""


class Covering:
    """Scores of one image under covers: by the incremental engine where it is proved on this image, else in full.

    Args:
        model: as `load` returned it.
        image: (1, rows, columns, channels).

    Raises:
        ModelError: scores that are not finite.
    """

    def __init__(self, model: Model, image: Images) -> None:
        self._model, self.image = model, image
        self.clean: Scores = finite(model.scores(image), lambda _: "the image with nothing covered")
        """Scores of the image itself."""
        self.why = ""
        """Why the network runs in full; "" where the engine serves."""
        self._convert: Callable[[Scores], Scores] = lambda raw: raw
        self._one: One | None = None
        self._prepare()

    def __call__(self, mask: Mask, patch: Images) -> Scores:
        """Return the scores, (1, classes), of the image that shows `patch` where the mask is True.

        Raises:
            ModelError: scores that are not finite.
        """
        if not mask.any():
            return self.clean
        covered = np.where(mask[None, ..., None], patch, self.image).astype(np.float32)
        if self._one is None:
            scores = self._model.scores(covered)
        else:
            scores = self._convert(self._one.covered(covered, _around(mask)))
        return finite(scores, lambda _: "under the mask")

    def _prepare(self) -> None:
        """Take the engine where the model has one that agrees with it; say why not elsewhere."""
        if not isinstance(self._model, Traceable):
            self.why = "the model's graph cannot be read"
            return
        entry = kept(self._model, self.image.shape[1:], MEMORY * 2**20).check(self._model)
        self.why = entry.refused
        if self.why:
            return
        try:
            self._engine(self._model, entry)
        except (UnsupportedError, OutOfMemoryError) as error:
            self.why = str(error)

    def _engine(self, model: Traceable, entry: Kept) -> None:
        engine = entry.make(model)
        from eyeline.incremental.one import One

        one, self._convert = One(engine, self.image), model.convert
        self._one = one
        rows, columns = self.image.shape[1:3]
        mask = np.zeros((rows, columns), dtype=bool)
        mask[rows // 3 : rows // 3 + rows // 4 + 1, columns // 3 : columns // 3 + columns // 4 + 1] = True
        patch = np.ascontiguousarray(self.image[:, ::-1, ::-1])
        covered = np.where(mask[None, ..., None], patch, self.image).astype(np.float32)
        for image, found in ((self.image, model.convert(one.raw)), (covered, self(mask, patch))):
            own = model.scores(image)
            error, allowed = float(np.abs(found - own).max()), ROUNDING * float(np.abs(own).max())
            if error > allowed and error > allowed + rounding(model, image):
                self._one = None
                self.why = f"the engine differs from the network's own scores by {error:.2g}"
                return


def _around(mask: Mask) -> np.ndarray:
    """Return the smallest box that holds the mask, (2, 2)."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([[rows[0], rows[-1] + 1], [columns[0], columns[-1] + 1]])
