"""Baselines that depend on what is covered: the covered pixels' own mean, that of those around them, inpainting.

`fill` says what replaces the covered pixels of one image; called like other baselines, they give the image of which
everything is covered, where that is defined.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32

from eyeline._numbers import whole
from eyeline._typing import Images
from eyeline.errors import InputError, require

Pixels = Float32[np.ndarray, "*space channels"]
Share = Float[np.ndarray, "*space"]
"""How much of each pixel is covered, 0 to 1."""


@runtime_checkable
class Filling(Protocol):
    """A baseline that looks at what is covered."""

    def __call__(self, images: Images) -> Images:
        """Return the images with everything covered."""
        ...

    def fill(self, image: Pixels, covered: Share) -> Pixels:
        """Return an image that shows, wherever `covered` is above 0, what replaces the pixel."""
        ...


@dataclass(frozen=True)
class LocalMean:
    """The mean of the covered pixels themselves, per channel, weighted by how much of each is covered.

    It takes the detail of a region away and leaves its brightness and colour. With everything covered it is `Mean()`.

    Examples:
        >>> import numpy as np, eyeline
        >>> image, hidden = np.float32([[0], [0.5], [1], [0], [0.25]]), np.float32([0, 1, 1, 0, 0])
        >>> eyeline.LocalMean().fill(image, hidden).ravel().tolist()
        [0.75, 0.75, 0.75, 0.75, 0.75]
    """

    def __call__(self, images: Images) -> Images:
        return np.stack([self.fill(each, np.ones(each.shape[:-1])) for each in images])

    def fill(self, image: Pixels, covered: Share) -> Pixels:
        mean = np.tensordot(covered, image.astype(np.float64), covered.ndim) / covered.sum()
        return np.broadcast_to(mean.astype(np.float32), image.shape)


@dataclass(frozen=True)
class SurroundingMean:
    """The mean of the pixels around the covered ones, per channel: what a region would be if it were more of the same.

    Args:
        width: of the band around the covered pixels, in pixels along rows, columns and diagonals.

    Raises:
        InputError: not a whole number, 1 or more; everything is covered.

    Examples:
        >>> import numpy as np, eyeline
        >>> image, hidden = np.float32([[0], [0.5], [1], [0], [0.25]]), np.float32([0, 1, 1, 0, 0])
        >>> eyeline.SurroundingMean(width=1).fill(image, hidden).ravel().tolist()
        [0.0, 0.0, 0.0, 0.0, 0.0]
    """

    width: int = 4

    def __post_init__(self) -> None:
        if not whole(self.width) or self.width < 1:
            raise InputError(
                f"width must be a whole number of pixels, 1 or more, but got {self.width!r}. Pass SurroundingMean(4)."
            )

    def __call__(self, images: Images) -> Images:
        raise _nothing_left(self)

    def fill(self, image: Pixels, covered: Share) -> Pixels:
        hidden = covered > 0
        near = hidden
        for axis in range(hidden.ndim):
            near = wider(near, self.width, axis)
        band = near & ~hidden
        if not band.any():
            raise _nothing_left(self)
        return np.broadcast_to(image[band].mean(axis=0, dtype=np.float64).astype(np.float32), image.shape)


@dataclass(frozen=True)
class Inpaint:
    """What biharmonic inpainting makes of the covered pixels from those around them: scikit-image's, per channel.

    A smooth surface that goes on from the border of the hole; values beyond those of the visible pixels are cut to
    them. It is computed anew for every covered image, in about a tenth of a second for windows on 224 x 224 pixels.

    Raises:
        MissingDependencyError: scikit-image is not installed.
        InputError: everything is covered.

    References:
        Damelin, Hoang: On surface completion and image inpainting by biharmonic functions: numerical aspects,
        International Journal of Mathematics and Mathematical Sciences, 2018.

    Examples:
        >>> import numpy as np, eyeline
        >>> ramp = np.broadcast_to(np.linspace(0, 1, 9, dtype=np.float32)[:, None], (9, 9, 1))
        >>> hidden = np.zeros((9, 9))
        >>> hidden[3:6, 3:6] = 1
        >>> bool(np.allclose(eyeline.Inpaint().fill(ramp, hidden), ramp, atol=0.01))
        True
    """

    def __call__(self, images: Images) -> Images:
        raise _nothing_left(self)

    def fill(self, image: Pixels, covered: Share) -> Pixels:
        inpaint = require("skimage.restoration", "superpixels").inpaint_biharmonic
        hidden = covered > 0
        if hidden.all():
            raise _nothing_left(self)
        return np.asarray(inpaint(image.astype(np.float64), hidden, channel_axis=-1), dtype=np.float32)


def wider(mask: np.ndarray, width: int, axis: int) -> np.ndarray:
    """Return a mask with `width` pixels more on either side along an axis."""
    counts = np.cumsum(np.moveaxis(mask, axis, 0), axis=0, dtype=np.int64)
    length = len(counts)
    high = counts[np.minimum(np.arange(length) + width, length - 1)]
    low = np.concatenate([np.zeros_like(counts[:1]), counts])[np.maximum(np.arange(length) - width, 0)]
    return np.asarray(np.moveaxis(high > low, 0, axis))


def _nothing_left(baseline: object) -> InputError:
    return InputError(
        f"the baseline {baseline} must have pixels left to fill from, but everything is covered. "
        "Pass smaller windows and keep=False, or another baseline, for example Blur()."
    )
