"""Soft edges: how much of each pixel of a window is covered."""

import math
from dataclasses import dataclass
from functools import reduce
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from eyeline._numbers import number
from eyeline.errors import InputError, nearest

Weights = Float[np.ndarray, "*window"]


@runtime_checkable
class Mask(Protocol):
    """Pixels of a window per axis in, how much of each is covered out, 0 to 1."""

    def __call__(self, window: tuple[int, ...]) -> Weights:
        """Return the weights of a whole window."""
        ...


@runtime_checkable
class Sharing(Protocol):
    """A mask whose windows' values count by other weights than those that cover."""

    def share(self, window: tuple[int, ...]) -> Weights:
        """Return how much a window's value counts at each of its pixels."""
        ...


@dataclass(frozen=True)
class LinearMask:
    """Edges that rise in a straight line: `m = product over the axes of min(1, (i + 1/2) / (edge * window))`.

    i counts the pixels between a pixel and the nearer border of the window, so the middle is covered wholly.

    Args:
        edge: how far an edge reaches, as a share of the window; at most 0.5, a pyramid.

    Raises:
        InputError: not above 0 and at most 0.5.

    Examples:
        >>> import eyeline
        >>> eyeline.LinearMask(0.5)((4,)).tolist()
        [0.25, 0.75, 0.75, 0.25]
    """

    edge: float = 0.25

    def __post_init__(self) -> None:
        if not number(self.edge) or not 0 < self.edge <= 0.5:
            raise InputError(
                f"edge must be a share of the window above 0 and at most 0.5, but got {self.edge!r}. "
                "Pass LinearMask(0.25)."
            )

    def __call__(self, window: tuple[int, ...]) -> Weights:
        def along(width: int) -> Float[np.ndarray, "width"]:
            place = np.arange(width)
            return np.minimum(1, (np.minimum(place, width - 1 - place) + 0.5) / (self.edge * width))

        return _product([along(width) for width in window])


@dataclass(frozen=True)
class GaussianMask:
    """A bell: `m = product over the axes of exp(-d^2 / (2 (sigma * window)^2))`, d pixels from the window's middle.

    Divided by its largest number, so that the middle is covered wholly. With sigma 0.25 the middle of a side is covered
    by 0.14.

    Args:
        sigma: standard deviation, as a share of the window.

    Raises:
        InputError: not above 0, or not finite.

    Examples:
        >>> import eyeline
        >>> eyeline.GaussianMask()((5,)).round(2).tolist()
        [0.28, 0.73, 1.0, 0.73, 0.28]
    """

    sigma: float = 0.25

    def __post_init__(self) -> None:
        if not number(self.sigma) or not 0 < self.sigma < np.inf:
            raise InputError(
                f"sigma must be a share of the window above 0, but got {self.sigma!r}. Pass GaussianMask(0.25)."
            )

    def __call__(self, window: tuple[int, ...]) -> Weights:
        def along(width: int) -> Float[np.ndarray, "width"]:
            bell = np.exp(-0.5 * ((np.arange(width) - (width - 1) / 2) / (self.sigma * width)) ** 2)
            return np.asarray(bell / bell.max())

        return _product([along(width) for width in window])


@dataclass(frozen=True)
class MonaiMask:
    """MONAI's bell of standard deviation window / 4: the middle is covered wholly, the farthest corner not at all.

    `m = (k - min k) / (max k - min k)`, k the product over the axes of the Gaussian's area over a pixel, its middle at
    window // 2. Windows count by another bell: of standard deviation window / 8, and at least 0.001.

    Examples:
        >>> import eyeline
        >>> eyeline.MonaiMask()((4, 4)).round(2)[2].tolist()
        [0.14, 0.62, 1.0, 0.62]
    """

    def __call__(self, window: tuple[int, ...]) -> Weights:
        def along(width: int) -> Float[np.ndarray, "width"]:
            scale = math.sqrt(0.5) / (0.25 * width)
            edges = [math.erf(scale * (place - width // 2 - 0.5)) for place in range(width + 1)]
            return np.diff(edges) / 2

        bell = _product([along(width) for width in window])
        span = float(np.ptp(bell))
        return np.asarray((bell - bell.min()) / span) if span else np.ones(window)

    def share(self, window: tuple[int, ...]) -> Weights:
        """Return how much a window's value counts at each of its pixels."""

        def along(width: int) -> Float[np.ndarray, "width"]:
            return np.asarray(np.exp(-32 * ((np.arange(width) - (width - 1) / 2) / width) ** 2))

        return np.asarray(np.maximum(_product([along(width) for width in window]), 1e-3))


MASKS: dict[str, type] = {"linear": LinearMask, "gaussian": GaussianMask, "monai": MonaiMask}
"""Masks that a word can name, with at most one number behind a colon."""


def parse(text: str) -> Mask:
    """Read a mask from the command line: "linear", "gaussian:0.3".

    Raises:
        InputError: an unknown word, or what follows the colon is not a number.
    """
    word, colon, rest = text.partition(":")
    if word not in MASKS:
        raise InputError(f"mask must be one of {', '.join(MASKS)}, but got {word!r}. {nearest(word, MASKS)}")
    try:
        return MASKS[word](*([float(rest)] if colon else []))  # type: ignore[no-any-return]
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"mask must be a word and at most one number, but got {text!r}. Pass linear:0.25 or gaussian:0.25."
        ) from error


def weights(mask: Mask, window: tuple[int, ...]) -> tuple[Weights, Weights]:
    """Return how much of each pixel of a window is covered, and how much its value counts there.

    Raises:
        InputError: no mask, or one that gives something else than numbers within 0..1 for each pixel.
    """
    if isinstance(mask, type) or not callable(mask):
        raise InputError(f"mask must be a mask, but got {mask!r}. Pass for example eyeline.LinearMask(0.25).")
    found = np.asarray(mask(window), dtype=np.float64)
    if found.shape != window or not (np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1):
        raise InputError(
            f"a mask must give numbers within 0..1 of the window's shape {window}, but {mask!r} gave {found.shape}. "
            "Return one number a pixel."
        )
    return found, np.asarray(mask.share(window), dtype=np.float64) if isinstance(mask, Sharing) else found


def _product(axes: list[Float[np.ndarray, "width"]]) -> Weights:
    return np.asarray(reduce(np.multiply.outer, axes))
