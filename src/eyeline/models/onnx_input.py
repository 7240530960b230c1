"""What the input of an ONNX graph says of itself: layout, sizes, kind of numbers."""

from typing import Any, Literal, NamedTuple

import numpy as np
import onnxruntime

from eyeline.errors import InputError, UnsupportedError
from eyeline.models.base import Options

DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
PICTURE = (1, 2, 3, 4)
"""Numbers of channels that tell where the channels stand."""


class Geometry(NamedTuple):
    """What the graph's input says, and `input_size` where it leaves the size open."""

    layout: Literal["first", "last"]
    batch: int | None
    space: tuple[int, ...] | None
    channels: int | None
    axes: int


def taken(session: onnxruntime.InferenceSession, options: Options) -> Any:
    """Return the one input.

    Raises:
        UnsupportedError: several inputs, an input of integers, or one that is no image.
    """
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(f"{each.name} {each.shape}" for each in inputs)
        raise UnsupportedError(
            f"an ONNX file must take one batch of images, but {options.name} takes {len(inputs)} inputs: {names}. "
            "Pass a function that runs your own session and fills in the others, or explain all of them with "
            "eyeline.several."
        )
    if inputs[0].type not in DTYPES or len(inputs[0].shape) not in (3, 4, 5):
        raise UnsupportedError(
            f"an ONNX file must take images of float32, float16 or float64 and of 3 to 5 axes, but {options.name} "
            f"takes {inputs[0].type} {inputs[0].shape}. Pass a function that runs your own session."
        )
    return inputs[0]


def geometry(given: Any, options: Options) -> Geometry:
    """Read the place of the channels, and the lengths that the graph fixes.

    Raises:
        InputError: the layout cannot be told, or `input_size` is not the graph's.
    """
    shape = [each if isinstance(each, int) and each > 0 else None for each in given.shape]
    layout: Any = options.preprocess.layout
    if layout == "auto":
        first, last = shape[1] in PICTURE, shape[-1] in PICTURE
        if first == last:
            raise InputError(
                f"the place of the channels must be known, but the input of {options.name} has shape {given.shape}. "
                "Pass preprocess=eyeline.Preprocess(layout='first') for (n, channels, *space), or layout='last'."
            )
        layout = "first" if first else "last"
    channels, *space = shape[1:] if layout == "first" else [shape[-1], *shape[1:-1]]
    known = tuple(each for each in space if each is not None)
    size, asked = known if len(known) == len(space) else None, options.size(len(space))
    if size and asked not in (None, size):
        raise InputError(f"input_size must be the graph's, {size}, but got {asked}. Leave it out.")
    return Geometry(layout, shape[0], size or asked, channels, len(space))
