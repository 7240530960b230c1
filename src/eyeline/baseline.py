"""Baselines: what replaces the covered pixels. Each gives the fully covered image, in image space.

A baseline never looks at a neighbour in the batch: the same image gets the same baseline, whatever runs
beside it.
"""

import math
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from eyeline._numbers import number, plain, shown, whole
from eyeline._typing import Images
from eyeline.errors import InputError, nearest
from eyeline.filling import Inpaint, LocalMean, SurroundingMean

Border = Literal["repeat", "black"]
"""What a blur sees beyond the image: the edge pixel again, or 0."""


@runtime_checkable
class Baseline(Protocol):
    """Images in, fully covered images of the same shape out."""

    def __call__(self, images: Images) -> Images:
        """Return what each pixel is replaced by when it is covered."""
        ...


@dataclass(frozen=True)
class Constant:
    """One value everywhere, or one per channel.

    Args:
        value: in image space; taken as it is. None means 0.5, mid grey, and demands images within 0..1.

    Raises:
        InputError: something else than numbers; None with images outside 0..1; a number of values that is not the
            number of channels.

    Examples:
        >>> import numpy as np, eyeline
        >>> eyeline.Constant(0.25)(np.ones((1, 2, 2, 1), dtype=np.float32)).ravel().tolist()
        [0.25, 0.25, 0.25, 0.25]
    """

    value: float | tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", plain(self.value))
        values = self.value if isinstance(self.value, tuple) else (0.5 if self.value is None else self.value,)
        if not values or not all(map(number, values)):
            raise InputError(
                f"baseline value must be one number or one per channel, but got {self.value!r}. Pass Constant(0.5)."
            )

    def __call__(self, images: Images) -> Images:
        value = self.value
        if value is None:
            low, high = float(images.min()), float(images.max())
            if low < 0 or high > 1:
                raise InputError(
                    "images must lie within 0..1 for the grey of Constant(), but got values within "
                    f"{low:.4g}..{high:.4g}. Pass the grey of your scale, baseline=Constant(127.5) for 0..255, "
                    "or give images in 0..1 and the model's scale as preprocess=."
                )
            value = 0.5
        given = np.asarray(value, dtype=np.float32)
        if given.ndim and len(given) != images.shape[-1]:
            raise InputError(
                f"baseline value must be one number or one per channel ({images.shape[-1]}), "
                f"but got {self.value!r}. Pass Constant({float(given.flat[0]):g})."
            )
        return np.broadcast_to(given, images.shape).astype(np.float32)


@dataclass(frozen=True)
class Mean:
    """The image's own mean, per image and channel.

    Examples:
        >>> import numpy as np, eyeline
        >>> eyeline.Mean()(np.float32([0, 1]).reshape(1, 1, 2, 1)).ravel().tolist()
        [0.5, 0.5]
    """

    def __call__(self, images: Images) -> Images:
        spatial = tuple(range(1, images.ndim - 1))
        mean = images.mean(axis=spatial, keepdims=True, dtype=np.float64)
        return np.broadcast_to(mean, images.shape).astype(np.float32)


@dataclass(frozen=True)
class Blur:
    """The image, blurred by a true Gaussian: separable, cut at 4 sigma, edge pixels repeated, per channel.

    Args:
        sigma: standard deviation in pixels. None means the shorter side / 18.

    Examples:
        >>> import numpy as np, eyeline
        >>> step = np.float32([0, 0, 0, 1, 1, 1]).reshape(1, 1, 6, 1)
        >>> eyeline.Blur(1)(step).astype(float).round(2).ravel().tolist()
        [0.0, 0.06, 0.3, 0.7, 0.94, 1.0]
    """

    sigma: float | None = None

    def __post_init__(self) -> None:
        if self.sigma is not None and not (number(self.sigma) and 0 < self.sigma < math.inf):
            raise InputError(f"sigma must be a positive number of pixels, but got {self.sigma!r}. Pass Blur(12).")

    def __call__(self, images: Images) -> Images:
        space = images.shape[1:-1]
        sigma = min(space) / 18 if self.sigma is None else self.sigma
        return blurred(images.astype(np.float64), sigma).astype(np.float32)


@dataclass(frozen=True)
class Noise:
    """Uniform noise between each channel's own smallest and largest value, the same field for every image.

    Args:
        seed: of the generator (PCG64).

    Examples:
        >>> import numpy as np, eyeline
        >>> images = np.random.default_rng(1).random((2, 4, 4, 3), dtype=np.float32)
        >>> covered = eyeline.Noise(seed=7)(images)
        >>> bool((covered.max(axis=(1, 2)) <= images.max(axis=(1, 2))).all())
        True
    """

    seed: int = 0

    def __post_init__(self) -> None:
        if not whole(self.seed) or self.seed < 0:
            raise InputError(f"seed must be a whole number, 0 or more, but got {self.seed!r}. Pass Noise(0).")

    def __call__(self, images: Images) -> Images:
        spatial = tuple(range(1, images.ndim - 1))
        low, high = images.min(axis=spatial, keepdims=True), images.max(axis=spatial, keepdims=True)
        field = np.random.default_rng(self.seed).random(images.shape[1:], dtype=np.float32)
        return np.asarray(low + (high - low) * field, dtype=np.float32)


@dataclass(frozen=True, eq=False, repr=False)
class Image:
    """Another picture, of the image's own shape (*space, channels), in image space.

    Examples:
        >>> import numpy as np, eyeline
        >>> empty = eyeline.Image(np.zeros((2, 2, 1), dtype=np.float32))
        >>> empty(np.ones((3, 2, 2, 1), dtype=np.float32)).shape
        (3, 2, 2, 1)
    """

    pixels: Float[np.ndarray, "*space channels"]

    def __post_init__(self) -> None:
        if not isinstance(self.pixels, np.ndarray) or self.pixels.dtype.kind != "f":
            raise InputError(
                "the baseline picture must be an array of floats (*space, channels), but got "
                f"{shown(self.pixels)}. Read a file first: numpy.asarray(PIL.Image.open(path)) / 255."
            )

    def __call__(self, images: Images) -> Images:
        if self.pixels.shape != images.shape[1:]:
            raise InputError(
                f"the baseline picture must have the image's shape {images.shape[1:]}, but got "
                f"{self.pixels.shape}. Fit it to the model's size first."
            )
        return np.broadcast_to(self.pixels, images.shape).astype(np.float32)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and np.array_equal(self.pixels, other.pixels)

    def __hash__(self) -> int:
        return hash(self.pixels.tobytes())

    def __repr__(self) -> str:
        digest = blake2b(np.ascontiguousarray(self.pixels).tobytes(), digest_size=6).hexdigest()
        return f"Image(shape={self.pixels.shape}, blake2b={digest})"


BASELINES: dict[str, type] = {
    "blur": Blur,
    "constant": Constant,
    "mean": Mean,
    "noise": Noise,
    "localmean": LocalMean,
    "surroundingmean": SurroundingMean,
    "inpaint": Inpaint,
}
"""Baselines that a word can name, with at most one number behind a colon."""


def parse(text: str) -> Baseline:
    """Read a baseline from the command line: "blur", "blur:12", "constant:0.5", "mean", "noise:7".

    Raises:
        InputError: an unknown word, or what follows the colon is not a number.
    """
    word, colon, rest = text.partition(":")
    if word not in BASELINES:
        raise InputError(
            f"baseline must be one of {', '.join(sorted(BASELINES))}, but got {word!r}. {nearest(word, BASELINES)}"
        )
    if not colon:
        return BASELINES[word]()  # type: ignore[no-any-return]
    try:
        numbers = tuple(float(each) for each in rest.split(","))
        value = int(rest) if word in ("noise", "surroundingmean") else numbers[0] if len(numbers) == 1 else numbers
        return BASELINES[word](value)  # type: ignore[no-any-return]
    except (ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"baseline must be a word and at most one number, but got {text!r}. Pass blur:12, constant:0.5 or noise:7."
        ) from error


def blurred(images: Float[np.ndarray, "n *space channels"], sigma: float, border: Border = "repeat") -> np.ndarray:
    """Blur along the spatial axes, in the images' own precision."""
    kernel = gaussian(sigma)
    for axis in range(1, images.ndim - 1):
        images = _correlate(images, kernel, axis, border)
    return images


def gaussian(sigma: float) -> Float[np.ndarray, "taps"]:
    """Weights of a Gaussian at whole pixels, cut at 4 sigma, summing to 1."""
    radius = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.asarray(weights / weights.sum())


def _correlate(
    array: Float[np.ndarray, "..."], kernel: Float[np.ndarray, "taps"], axis: int, border: Border
) -> Float[np.ndarray, "..."]:
    """Weigh each pixel's neighbours along one axis."""
    radius, length = len(kernel) // 2, array.shape[axis]
    index = np.arange(length)[:, None] + np.arange(-radius, radius + 1)
    matrix = np.zeros((length, length))
    taps = kernel * ((index >= 0) & (index < length)) if border == "black" else kernel
    np.add.at(matrix, (np.arange(length)[:, None], np.clip(index, 0, length - 1)), taps)
    return np.moveaxis(np.tensordot(matrix, array, axes=(1, axis)), 0, axis)
