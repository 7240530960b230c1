"""The lecture's own function names, each a few lines over eyeline's methods.

    data = load_data()
    covered = occlusion_map(data["test_X"][:1], model, true_class=3)
    picture = red_overlay(data["test_X"][:1], 1 - covered)

`model` is whatever `eyeline.load` opens, or what it returned: load once for many calls, since Keras on JAX and
TensorFlow compiles for each loading. `load_data` gives the lecture's arrays;
`eyeline.lecture.run` goes through all of it.
"""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Float32

from eyeline import colour
from eyeline.baseline import Constant
from eyeline.errors import InputError, nearest
from eyeline.lecture.data import Data, load_data
from eyeline.methods import Gradient, Occlusion
from eyeline.models.base import Model
from eyeline.models.load import load
from eyeline.window import Box, grid

Rescale = Literal["shared", "each", "none"]
"""shared: one smallest and largest value over the whole array. each: per image. none: raw numbers."""

EPSILON = 1e-7
"""Keras' `epsilon()`, which the lecture adds to the denominator."""

GREY = Constant(0.5)

__all__ = ["Data", "iterate_occlusion", "load_data", "occlusion_map", "red_overlay", "saliency_map"]


def iterate_occlusion(
    image: Float[np.ndarray, "1 rows columns channels"], size: int = 8
) -> Iterator[tuple[int, int, Float[np.ndarray, "1 rows columns channels"]]]:
    """Yield the image with one grey square after another on it.

    Squares start at 0, size, 2 size, ... on both axes, rows varying slowest, while the whole square fits.

    Args:
        image: in 0..1, with a leading 1.
        size: side of the square in pixels.

    Returns:
        An iterator over the square's first row, its first column, and a copy of the image whose square is 0.5.

    Raises:
        InputError: integers, more than one image, or a square that does not fit.

    Examples:
        >>> image = np.ones((1, 16, 16, 3), dtype=np.float32)
        >>> [(row, column) for row, column, covered in iterate_occlusion(image, size=8)]
        [(0, 0), (0, 8), (8, 0), (8, 8)]
    """
    given = _single(image, size)
    covered = GREY(given)
    boxes = grid(given.shape[1:3], size, size, "inside")

    def squares() -> Iterator[tuple[int, int, np.ndarray]]:
        for box in map(Box.of, boxes):
            copy = given.copy()
            copy[0][box.slices] = covered[0][box.slices]
            yield box.spans[0].start, box.spans[1].start, copy

    return squares()


def occlusion_map(
    image: Float[np.ndarray, "1 rows columns channels"], model: Any, true_class: int | str, size: int = 8
) -> Float32[np.ndarray, "rows columns"]:
    """Measure the score of a class while one square after another is covered with grey.

    `eyeline.Occlusion` with the lecture's settings: squares side by side, whole ones only, 0.5 as baseline, and
    the covered image's score itself in place of a drop.

    Args:
        image: in 0..1, with a leading 1.
        model: what `eyeline.load` opens, or what it returned.
        true_class: column of the model's scores, or a class name that the model knows.
        size: side of the square in pixels.

    Returns:
        The score with that square covered, on each of its pixels: low where the evidence is. A strip at the right
        or the bottom that no whole square covers keeps 0. The picture: `red_overlay(image, 1 - map)`.

    Raises:
        InputError: as `iterate_occlusion`, or no such class.

    Examples:
        >>> model = load(lambda images: images[:, :8, :8].mean(axis=(1, 2)), input_size=(16, 16))
        >>> image = np.ones((1, 16, 16, 3), dtype=np.float32)
        >>> occlusion_map(image, model, true_class=0, size=8)[[0, 15], [0, 15]].tolist()
        [0.5, 1.0]
    """
    method = Occlusion(window=size, stride=size, baseline=GREY, measure="score", edge="inside")
    return np.asarray(method(_model(model), _single(image, size), target=true_class).maps[0])


def saliency_map(
    model: Any,
    image: Float[np.ndarray, "n rows columns channels"],
    class_idx: int | str,
    *,
    rescale: Rescale = "shared",
    signed: bool = False,
) -> Float32[np.ndarray, "n rows columns"]:
    """Differentiate the score of a class by every pixel: `|d predictions[:, class_idx] / d image|`.

    Of a pixel's channels the largest magnitude counts. Then `(map - min) / (max - min + 1e-7)`, over the whole
    array: in a batch the images compare, each alone would fill 0..1.

    Args:
        model: what `eyeline.load` opens with gradients, or what it returned.
        image: one image or several, in 0..1.
        class_idx: column of the model's scores, or a class name that the model knows.
        rescale: "shared" over the whole array, as the lecture does; "each" image for itself; "none" gives the
            derivative itself, in score per unit of pixel value: numbers that compare across calls.
        signed: keep the sign of the derivative; rescaling then divides by the largest magnitude (plus 1e-7), so that
            0 stays 0 and the map lies in -1..1.

    Returns:
        One number per pixel. The picture: `red_overlay(image, map)`, or `red_overlay(image, (1 + map) / 2)` for
        a signed map.

    Raises:
        InputError: integers, no such class, an unknown `rescale`.
        UnsupportedError: the model gives scores only.

    Examples:
        >>> import torch
        >>> model = load(torch.nn.Flatten(), input_size=(1, 2))  # score k is pixel k
        >>> saliency_map(model, np.ones((1, 1, 2, 1), dtype=np.float32), class_idx=1).round(5).tolist()
        [[[0.0, 1.0]]]
    """
    if rescale not in ("shared", "each", "none"):
        raise InputError(
            f"rescale must be 'shared', 'each' or 'none', but got {rescale!r}. "
            f"{nearest(str(rescale), ('shared', 'each', 'none'))}"
        )
    method = Gradient(channels="signed" if signed else "max_abs")
    maps = method(_model(model), _floats(image, 4), target=class_idx).maps
    if rescale == "none":
        return maps
    axes = (1, 2) if rescale == "each" else (0, 1, 2)
    low, high = maps.min(axis=axes, keepdims=True), maps.max(axis=axes, keepdims=True)
    if signed:
        low, high = np.zeros_like(low), np.maximum(high, -low)
    return np.asarray((maps - low) / (high - low + EPSILON))


def red_overlay(image: Float[np.ndarray, "..."], red: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Copy an image with its red channel replaced.

    Args:
        image: floats, (rows, columns, channels) or with a leading n.
        red: (rows, columns), or with a leading n: `1 - occlusion_map(...)` or `saliency_map(...)`.

    Returns:
        The copy, with the image's shape and dtype; nothing is clipped.

    Raises:
        InputError: integers, or a map of another size than the image's.

    Examples:
        >>> image = np.zeros((1, 2, 2, 3), dtype=np.float32)
        >>> red_overlay(image, np.ones((2, 2)))[0, 0, 0].tolist()
        [1.0, 0.0, 0.0]
    """
    given, values = _floats(image, 3, 4), np.asarray(red)
    space = given.shape[:-1]
    if values.shape not in {space, (1, *space), space[1:] if space[0] == 1 else space}:
        raise InputError(
            f"red must have the image's rows and columns {space[-2:]}, one map per image, but got shape {values.shape} "
            f"for an image of shape {given.shape}. Pass 1 - occlusion_map(...) or saliency_map(...) of this image."
        )
    return colour.red(given, values.reshape(space)).astype(given.dtype)


def _model(model: Any) -> Model:
    return model if isinstance(model, Model) else load(model)


def _single(image: Any, size: int) -> np.ndarray:
    given = _floats(image, 4)
    rows, columns = given.shape[1:3]
    if len(given) != 1:
        raise InputError(
            f"image must be a single one, of shape (1, rows, columns, channels), but got shape {given.shape}. "
            "Pass images[i : i + 1]."
        )
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or not 1 <= size <= min(rows, columns):
        raise InputError(
            f"size must be a whole number of pixels, 1 to {min(rows, columns)}, so that a square fits into the image's "
            f"{rows} rows and {columns} columns, but got {size!r}. Pass size={min(8, rows, columns)}."
        )
    return given


def _floats(image: Any, *axes: int) -> np.ndarray:
    """Return the array, or refuse it: in integers the grey of 0.5 would become 0."""
    given = np.asarray(image)
    if given.dtype.kind != "f":
        raise InputError(
            f"image must hold floats in 0..1, in which 0.5 is grey, but got {given.dtype}. "
            "Pass image / 255 for 8-bit pixels."
        )
    if given.ndim not in axes:
        shape = "(rows, columns, channels), or a leading n" if 3 in axes else "(n, rows, columns, channels)"
        raise InputError(f"image must have shape {shape}, but got {given.shape}. Pass image[None] for the leading 1.")
    return given
