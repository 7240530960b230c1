"""Arrays and tensors of torch -> image space: taken as they are, or refused with what they should be."""

from typing import Any, NamedTuple

import numpy as np

from eyeline._pictures import FitMode
from eyeline._typing import Images
from eyeline.errors import InputError
from eyeline.window import AXES


class Wanted(NamedTuple):
    """What the model takes."""

    size: tuple[int, ...] | None
    axes: int
    channels: int | None
    fit: FitMode

    def words(self, first: bool) -> str:
        """Word the shapes that fit, channels first or last."""
        space = ", ".join(f"{name}s" for name in AXES[self.axes])
        with_channels = f"channels, {space}" if first else f"{space}, channels"
        alone = "" if first else f"({space}), "
        return f"{alone}({with_channels}) or (n, {with_channels})"


def from_tensor(tensor: Any, wanted: Wanted, index: int) -> Images:
    """Read a tensor of torch, channels first; `index` is the place of its first image in the batch."""
    if not tensor.is_floating_point():
        raise InputError(
            f"images must be floats, but got a tensor of {tensor.dtype} (image {index}). Pass images.float() / 255 "
            "where the model takes 0..1, or images.float() to keep the numbers."
        )
    values: np.ndarray = tensor.detach().float().cpu().numpy()
    if values.ndim not in (wanted.axes + 1, wanted.axes + 2):
        raise _misshapen(values.shape, wanted, index, first=True)
    if values.ndim == wanted.axes + 1:
        values = values[None]
    last = np.moveaxis(values, 1, -1)
    return _checked(last, tuple(tensor.shape), wanted, index, first=True)


def from_array(array: np.ndarray, wanted: Wanted, index: int) -> Images:
    """Read an array, channels last; `index` is the place of its first image in the batch."""
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(
            f"images must be floats, but got an array of {array.dtype} (image {index}). Pass images / 255 where the "
            "model takes 0..1, or images.astype(np.float32) to keep the numbers."
        )
    if array.ndim == wanted.axes:
        last = array[None, ..., None]
    elif array.ndim == wanted.axes + 1:
        grey = wanted.channels == 1 != array.shape[-1] and array.shape[1:] == wanted.size
        last = array[..., None] if grey else array[None]
    elif array.ndim == wanted.axes + 2:
        last = array
    else:
        raise _misshapen(array.shape, wanted, index, first=False)
    with np.errstate(over="ignore"):
        return _checked(last.astype(np.float32, copy=False), array.shape, wanted, index, first=False)


def _checked(images: Images, shape: tuple[int, ...], wanted: Wanted, index: int, first: bool) -> Images:
    space, channels = images.shape[1:-1], images.shape[-1]
    where = f"(image {index}, shape {shape})"
    if 0 in shape:
        raise InputError(f"images must hold at least one pixel, but got shape {shape} (image {index}). Pass more.")
    if wanted.channels not in (None, channels):
        raise InputError(
            f"images must have {wanted.channels} channels, but got {channels} {where}. "
            + _way_out(shape, wanted, first)
        )
    if wanted.size not in (None, space):
        raise InputError(
            f"images must have the model's size {wanted.size}, but got {space} {where}. "
            + _way_out(shape, wanted, first)
        )
    finite = np.isfinite(images)
    if not finite.all():
        place = np.argwhere(~finite)[0]
        raise InputError(
            f"pixels must be finite, but got {images[tuple(place)]} (image {index + place[0]}, position "
            f"{tuple(int(i) for i in place[1:-1])}, channel {place[-1]}). Replace such pixels first."
        )
    return images


def _way_out(shape: tuple[int, ...], wanted: Wanted, first: bool) -> str:
    """Say what the shape looks like, where it fits the model the other way round."""
    tail = shape[-wanted.axes - 1 :]
    channel, space = (tail[-1], tail[:-1]) if first else (tail[0], tail[1:])
    if len(tail) > wanted.axes and channel == (wanted.channels or channel) and space == (wanted.size or space):
        if first:
            return (
                "This looks channels last, and tensors are channels first: "
                f"pass torch.movedim(images, -1, {-wanted.axes - 1})."
            )
        return (
            "This looks channels first, and arrays are channels last: "
            f"pass np.moveaxis(images, {-wanted.axes - 1}, -1)."
        )
    return f"Arrays and tensors are taken as they are: pass {wanted.words(first)} of the model's size, or a file."


def _misshapen(shape: tuple[int, ...], wanted: Wanted, index: int, first: bool) -> InputError:
    kind = "a tensor of torch" if first else "an array"
    return InputError(
        f"{kind} must have the shape {wanted.words(first)}, but got {shape} (image {index}). "
        f"Add or remove axes, for example images{'[None]' if first else '[..., None]'}."
    )
