"""Image space -> model space: a per-pixel affine step, named, given or read from another library's transform."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from eyeline._numbers import number, plain
from eyeline._transforms import affine_of
from eyeline._transforms import size_of as size_of
from eyeline._typing import Images
from eyeline.errors import InputError, nearest

Layout = Literal["auto", "first", "last"]
"""Where the network wants its channels. auto: as is usual in its framework."""


def _numbers(name: str, given: object) -> tuple[float, ...]:
    found = plain(given)
    each = found if isinstance(found, tuple) else (found,)
    if not all(map(number, each)):
        raise InputError(
            f"{name} must be one number, or one per channel, but got {given!r}. Pass for example {name}=127.5."
        )
    return tuple(map(float, each))


def _worded(numbers: tuple[float, ...]) -> str:
    words = [f"{each:.6g}" for each in numbers]
    return words[0] if len(set(words)) == 1 else f"({', '.join(words)})"


def _rows(values: np.ndarray) -> np.ndarray:
    """Lay the pixels of a row side by side: numpy is quick along an axis that is long."""
    return values.reshape(*values.shape[:-2], -1)


def _row(numbers: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Repeat one number, or one per channel, for all pixels of such a row."""
    return np.tile(np.broadcast_to(numbers, shape[-1]), shape[-2])


@dataclass(frozen=True)
class Preprocess:
    """What the network was fed while it was trained: `model input = (image * scale - mean) / std`.

    Args:
        scale: the model's white where image space has 1: 255 for a network of 0..255.
        mean: one number, or one per channel, on the scaled image.
        std: one positive number, or one per channel, on the scaled image.
        layout: where the channels stand in the network's input, for functions and ONNX files that do not
            follow their framework's order.

    Raises:
        InputError: something else than numbers, std zero or negative, a number that is not finite, mean and std of
            different lengths.

    Examples:
        >>> import numpy as np, eyeline
        >>> step = eyeline.Preprocess(scale=255, mean=127.5, std=127.5)
        >>> step(np.float32([0, 0.5, 1]).reshape(1, 1, 3, 1)).ravel().tolist()
        [-1.0, 0.0, 1.0]
    """

    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: Layout = "auto"

    def __post_init__(self) -> None:
        if not number(plain(self.scale)):
            raise InputError(f"scale must be one number, but got {self.scale!r}. Pass scale=255, or leave it out.")
        object.__setattr__(self, "scale", float(self.scale))
        object.__setattr__(self, "mean", _numbers("mean", self.mean))
        object.__setattr__(self, "std", _numbers("std", self.std))
        if not all(map(math.isfinite, (self.scale, *self.mean, *self.std))) or self.scale == 0:
            raise InputError(
                f"scale, mean and std must be finite and scale not 0, but got {self!r}. Pass scale=255 for a "
                "network of 0..255."
            )
        if not self.std or not all(each > 0 for each in self.std):
            raise InputError(f"std must be positive, but got {self.std}. Pass std=1 to leave the spread alone.")
        if not self.mean or (len(self.mean) != len(self.std) and 1 not in (len(self.mean), len(self.std))):
            raise InputError(
                "mean and std must hold one number, or one per channel, but got "
                f"{len(self.mean)} and {len(self.std)} numbers. Pass as many of one as of the other."
            )
        if self.layout not in get_args(Layout):
            raise InputError(
                f"layout must be 'auto', 'first' or 'last', but got {self.layout!r}. "
                + nearest(str(self.layout), get_args(Layout))
            )

    def __call__(self, images: Images) -> Images:
        """Return the network's input, float32, channels still last: always a new array.

        Raises:
            InputError: the images have another number of channels than mean and std.
        """
        self._check(images.shape[-1])
        scaled: Images = np.array(images, order="C")
        rows = _rows(scaled)  # a view; steps that change nothing are left out
        if self.scale != 1:
            rows *= np.float32(self.scale)
        if any(self.mean):
            rows -= _row(np.array(self.mean, dtype=np.float32), images.shape)
        if set(self.std) != {1.0}:
            rows /= _row(np.array(self.std, dtype=np.float32), images.shape)
        return scaled

    def pull(self, gradients: Images) -> Images:
        """Turn gradients by the network's input, channels last, into gradients by image: times `scale / std`."""
        self._check(gradients.shape[-1])
        factors = (self.scale / np.array(self.std)).astype(np.float32)
        if (factors == 1).all():
            return gradients
        return np.asarray((_rows(gradients) * _row(factors, gradients.shape)).reshape(gradients.shape))

    def affine(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return one factor and one summand per channel: the network's input is `image * factor + summand`."""
        self._check(channels)
        std = np.broadcast_to(np.array(self.std), channels)
        summand = -np.broadcast_to(np.array(self.mean), channels) / std
        return tuple((self.scale / std).tolist()), tuple(summand.tolist())

    def __str__(self) -> str:
        return self.describe()

    def describe(self) -> str:
        """Word the step for the run's line."""
        layout = "" if self.layout == "auto" else f", channels {self.layout}"
        step = (self.scale, self.mean, self.std)
        if step == (1.0, (0.0,), (1.0,)):
            return f"images as they are{layout}"
        words = "image" if self.scale == 1 else f"image * {self.scale:.6g}"
        if any(self.mean):
            words = f"{words} - {_worded(self.mean)}"
        if any(each != 1 for each in self.std):
            words = f"({words}) / {_worded(self.std)}" if " " in words else f"{words} / {_worded(self.std)}"
        names = [name for name, known in NAMED.items() if step == (known.scale, known.mean, known.std)]
        return f"{names[0] + ': ' if names else ''}{words}{layout}"

    def _check(self, channels: int) -> None:
        stated = max(len(self.mean), len(self.std))
        if stated not in (1, channels):
            raise InputError(
                f"preprocess must have one mean and std, or one per channel ({channels}), but got {stated}. "
                f"Pass images of {stated} channels, or another preprocess=."
            )


NAMED = {
    "unit": Preprocess(),
    "imagenet": Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "lite0": Preprocess(scale=255, mean=(127,), std=(128,)),
    "raw": Preprocess(scale=255),
}
"""unit: 0..1. imagenet: 0..1, then mean and std of ImageNet. lite0: EfficientNet-Lite, about -1..1. raw: 0..255."""


def as_preprocess(given: object) -> Preprocess:
    """Read the preprocessing in any form people hold it.

    Args:
        given: None (images as they are), a name of `NAMED`, a `Preprocess`, or what another library prepares its
            pictures with: torchvision's Compose of known steps or ImageClassification preset, timm's transform
            or data config, an image processor of transformers. Their resizing is left to `size_of` and `fit=`.

    Raises:
        InputError: no such name; a transform or a step in it that is not known. Nothing is guessed.
    """
    if given is None:
        return Preprocess()
    if isinstance(given, Preprocess):
        return given
    if isinstance(given, str):
        if given not in NAMED:
            raise InputError(
                f"preprocess must be one of {', '.join(map(repr, NAMED))} where it is a name, but got {given!r}. "
                + nearest(given, NAMED)
            )
        return NAMED[given]
    return Preprocess(*affine_of(given))
