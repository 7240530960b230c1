"""What a Keras model says about its input: size, axes, channels, layout and how one image batch is handed over."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from eyeline._typing import Images
from eyeline.errors import InputError, UnsupportedError
from eyeline.models.base import Options

Layout = Literal["last", "first", "none"]
"""Where the network wants the channels. none: pictures of one channel, without an axis for it."""

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Input:
    """The one input of a network.

    Args:
        size: pixels per spatial axis, or None where any goes.
        axes: number of spatial axes.
        channels: or None where any number goes.
        layout: where the network wants the channels.
        name: the key under which a network with a dict of inputs wants its images.
        listed: the network wants a list of one.
        dtype: of the input as the network declares it, or "" where it does not.
    """

    size: tuple[int, ...] | None
    axes: int
    channels: int | None
    layout: Layout
    name: str | None = None
    listed: bool = False
    dtype: str = ""

    def arrange(self, values: np.ndarray) -> np.ndarray:
        """Bring channels-last values to the network's layout."""
        if self.layout == "last":
            return np.ascontiguousarray(values)
        return np.ascontiguousarray(values[..., 0] if self.layout == "none" else np.moveaxis(values, -1, 1))

    def restore(self, values: np.ndarray) -> Images:
        """Bring values in the network's layout back to channels last."""
        if self.layout == "none":
            return values[..., None]
        return values if self.layout == "last" else np.ascontiguousarray(np.moveaxis(values, 1, -1))

    def feed(self, tensor: Any) -> Any:
        """Put the images into the structure that the network was built with."""
        if self.name is not None:
            return {self.name: tensor}
        return [tensor] if self.listed else tensor


def read(model: Any, options: Options) -> Input:
    """Read the input of a Keras or tf_keras model.

    Raises:
        UnsupportedError: several inputs, or one that is no image.
        InputError: `options.input_size` is not the model's.
    """
    struct = getattr(model, "_inputs_struct", getattr(model, "_nested_inputs", None))
    shape = _shape(model, options.name)
    if shape is None:
        size = options.size()
        return Input(size, len(size or (0, 0)), None, _layout(model, options))
    if not 2 <= len(shape) - 1 <= 4:
        raise UnsupportedError(
            f"{options.name} must take images (n, *space, channels) with one to three spatial axes, but its input "
            f"has shape {shape}. Put a keras.layers.Reshape in front that takes images."
        )
    layout = "none" if _bare(model, shape, options) else _layout(model, options)
    space = {"last": shape[1:-1], "first": shape[2:], "none": shape[1:]}[layout]
    channels = {"last": shape[-1], "first": shape[1], "none": 1}[layout]
    return Input(
        size=_size(space, options),
        axes=len(space),
        channels=channels,
        layout=layout,
        name=next(iter(struct)) if isinstance(struct, dict) else None,
        listed=isinstance(struct, list | tuple),
        dtype=str(getattr(model.inputs[0].dtype, "name", model.inputs[0].dtype)) if model.inputs else "",
    )


def _shape(model: Any, name: str) -> Shape | None:
    try:
        shape = model.input_shape
    except (AttributeError, RuntimeError):  # not built, or a subclass that never says
        return None
    if isinstance(shape, dict):
        shape = list(shape.values())
    if isinstance(shape, list):
        if len(shape) != 1:
            raise UnsupportedError(
                f"{name} must take one input, but it takes {len(shape)}, of shapes {shape}. Fix the others: pass "
                "keras.Model(image, model([image, other])), or a function, lambda images: model([images, other])."
            )
        shape = shape[0]
    return None if shape is None else tuple(shape)


def _size(space: Shape, options: Options) -> tuple[int, ...] | None:
    asked = options.size(len(space))
    if asked is not None and not agrees(space, asked):
        raise InputError(
            f"input_size must be the model's own, {space}, but got {asked} ({options.name}). Leave input_size out."
        )
    known = tuple(each for each in space if each is not None)
    return asked if asked is not None else known if len(known) == len(space) else None


def agrees(space: Shape, asked: tuple[int, ...]) -> bool:
    """Tell whether a size that was asked for is one that a network with these spatial axes takes."""
    return len(space) == len(asked) and all(own in (None, given) for own, given in zip(space, asked, strict=True))


def _layout(model: Any, options: Options) -> Layout:
    asked = options.preprocess.layout
    if asked in ("first", "last"):
        return asked
    formats = (getattr(layer, "data_format", None) for layer in layers(model))
    return "first" if next(filter(None, formats), None) == "channels_first" else "last"


def _bare(model: Any, shape: Shape, options: Options) -> bool:
    """Tell (n, rows, columns), pictures without a channel axis, from (n, samples, channels)."""
    if len(shape) != 3 or options.preprocess.layout in ("first", "last"):
        return False
    if isinstance(options.input_size, tuple):
        return len(options.input_size) == 2
    passing = {"InputLayer", "Rescaling", "Normalization"}
    first = next((each for each in map(_kind, layers(model)) if each not in passing), None)
    return first in ("Flatten", "Reshape")


def layers(model: Any) -> Iterator[Any]:
    """Walk through a model's layers, nested ones after the model that holds them."""
    for layer in getattr(model, "layers", ()):
        yield layer
        yield from layers(layer)


def _kind(layer: Any) -> str:
    return type(layer).__name__
