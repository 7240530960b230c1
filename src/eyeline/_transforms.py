"""Reading the transforms of torchvision, timm and transformers: by the names of their classes, importing none.

A transform takes a picture of 0..255 integers; what it does to the numbers is followed step by step as
`(image * scale - mean) / std` on image space, 0..1. Only steps whose meaning is known are followed.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NoReturn

import numpy as np

from eyeline.errors import InputError

Affine = tuple[float, tuple[float, ...], tuple[float, ...]]
"""Scale, mean, std."""


@dataclass(frozen=True)
class _Numbers:
    """The picture's numbers after some steps; kind says what the next step will take them for."""

    scale: float = 255.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    kind: Literal["picture", "integers", "floats"] = "picture"

    def normalised(self, mean: Any, std: Any) -> "_Numbers":
        """Follow (v - mean) / std, per channel."""
        means, stds = np.array(self.mean) + np.array(self.std) * _vector(mean), np.array(self.std) * _vector(std)
        return replace(self, mean=tuple(means.tolist()), std=tuple(stds.tolist()))


def affine_of(transform: object) -> Affine:
    """Return what a transform does to the numbers of a picture.

    Raises:
        InputError: a transform, or a step of one, that is not known; the message names it.
    """
    if _is_config(transform):
        numbers = _unit(_Numbers()).normalised(_read(transform, "mean"), _read(transform, "std"))
    elif (processor := _processor(transform)) is not None:
        numbers = _processed(processor, type(transform).__name__)
    else:
        numbers = _Numbers()
        for place, step in enumerate(_steps(transform)):
            follow = _KNOWN.get((_library(step), type(step).__name__))
            if follow is None:
                _unknown(transform, step, place, "is not known")
            after = follow(numbers, step)
            if isinstance(after, str):
                _unknown(transform, step, place, after)
            numbers = after
        if numbers.kind == "picture":
            _unknown(transform, transform, 0, "does not make a tensor, so that the model's scale is not clear")
    return numbers.scale, numbers.mean, numbers.std


def size_of(transform: object) -> tuple[int, int] | None:
    """Return the rows and columns that a transform makes of every picture.

    None where it makes no fixed size, or is a name, a `Preprocess` or nothing.
    """
    if _is_config(transform):
        shape = _read(transform, "input_size")
        return None if shape is None else (int(shape[-2]), int(shape[-1]))
    if (processor := _processor(transform)) is not None:
        return _processed_size(processor)
    size: tuple[int, int] | None = None
    for step in _steps(transform):
        name = type(step).__name__ if _library(step) else ""
        if name in ("CenterCrop", "CenterCropOrPad"):
            size = _pair(step.size, square=True)
        elif name == "ImageClassification":
            size = _pair(step.crop_size, square=True)
        elif name == "Resize":
            size = _pair(step.size, square=False)
        elif name == "ResizeKeepRatio":
            size = None
    return size


def _steps(transform: object) -> Iterator[Any]:
    """Walk through Compose and torch's Sequential, nested too; anything else is one step."""
    if type(transform).__name__ == "Compose" and _library(transform):
        for step in _read(transform, "transforms"):
            yield from _steps(step)
    elif type(transform).__name__ == "Sequential" and type(transform).__module__.startswith("torch.nn."):
        for step in transform:  # type: ignore[attr-defined]
            yield from _steps(step)
    else:
        yield transform


def _library(step: object) -> str:
    library = type(step).__module__.partition(".")[0]
    return library if library in ("torchvision", "timm") else ""


def _same(numbers: _Numbers, step: Any) -> _Numbers:
    return numbers


def _integers(numbers: _Numbers, step: Any = None) -> _Numbers:
    return replace(numbers, kind="integers") if numbers.kind == "picture" else numbers


def _floats(numbers: _Numbers, step: Any = None) -> _Numbers:
    return replace(numbers, kind="floats")


def _unit(numbers: _Numbers, step: Any = None) -> _Numbers:
    """Follow a conversion that divides integers by 255 and leaves floats alone."""
    return numbers if numbers.kind == "floats" else replace(numbers, scale=numbers.scale / 255, kind="floats")


def _to_dtype(numbers: _Numbers, step: Any) -> _Numbers | str:
    dtype = str(step.dtype)
    if dtype not in ("torch.float16", "torch.bfloat16", "torch.float32", "torch.float64"):
        return f"makes {dtype}, not floats,"
    return _unit(numbers) if getattr(step, "scale", True) else _floats(numbers)


def _normalise(numbers: _Numbers, step: Any) -> _Numbers | str:
    if numbers.kind != "floats":
        return "comes before the pixels are floats"
    return numbers.normalised(step.mean, step.std)


def _classification(numbers: _Numbers, step: Any) -> _Numbers:
    return _unit(numbers).normalised(step.mean, step.std)


_KNOWN: dict[tuple[str, str], Callable[[_Numbers, Any], _Numbers | str]] = {
    ("torchvision", "ToTensor"): _unit,
    ("torchvision", "PILToTensor"): _integers,
    ("torchvision", "ToImage"): _integers,
    ("torchvision", "ToPureTensor"): _same,
    ("torchvision", "Identity"): _same,
    ("torchvision", "RGB"): _same,
    ("torchvision", "Resize"): _same,
    ("torchvision", "CenterCrop"): _same,
    ("torchvision", "ConvertImageDtype"): _to_dtype,
    ("torchvision", "ToDtype"): _to_dtype,
    ("torchvision", "Normalize"): _normalise,
    ("torchvision", "ImageClassification"): _classification,
    ("timm", "MaybeToTensor"): _unit,
    ("timm", "MaybePILToTensor"): _integers,
    ("timm", "ResizeKeepRatio"): _same,
    ("timm", "CenterCropOrPad"): _same,
}
"""What each step does to the numbers; a text says why this one cannot be followed."""


def _is_config(transform: object) -> bool:
    return isinstance(transform, Mapping) and "mean" in transform and "std" in transform


def _processor(transform: object) -> dict[str, Any] | None:
    """Return the settings of an image processor of transformers, also from inside a processor for text and images."""
    inner: Any = getattr(transform, "image_processor", transform)
    return dict(inner.to_dict()) if hasattr(inner, "image_mean") and hasattr(inner, "to_dict") else None


_HARMLESS = ("do_resize", "do_center_crop", "do_convert_rgb", "do_reduce_labels")
_FOLLOWED = ("do_rescale", "do_normalize")


def _processed(settings: dict[str, Any], name: str) -> _Numbers:
    for key, value in settings.items():
        if value and (key.startswith("do_") or key == "offset") and key not in (*_HARMLESS, *_FOLLOWED):
            raise InputError(
                f"preprocess must be a known affine step, but got {name} with {key}={value!r}. "
                "Pass Preprocess(scale=, mean=, std=) with the numbers of the whole transform."
            )
    numbers = _floats(_Numbers())
    if settings.get("do_rescale"):
        numbers = replace(numbers, scale=255 * float(settings["rescale_factor"]))
        if settings.get("rescale_offset"):
            numbers = numbers.normalised(1, 1)
    if settings.get("do_normalize"):
        numbers = numbers.normalised(settings["image_mean"], settings["image_std"])
    if settings.get("include_top"):  # EfficientNet's processor divides by the standard deviation twice
        numbers = numbers.normalised(0, settings["image_std"])
    return numbers


def _processed_size(settings: dict[str, Any]) -> tuple[int, int] | None:
    crop, size = settings.get("crop_size"), settings.get("size")
    if settings.get("do_center_crop") and crop:
        return _edges(crop)
    if not settings.get("do_resize") or not size:
        return None
    if isinstance(size, Mapping) and "crop_pct" in settings and size.get("shortest_edge"):
        return _pair(size["shortest_edge"], square=True)  # ConvNeXt's processor crops or squashes to this square
    return _edges(size)


def _edges(size: Any) -> tuple[int, int] | None:
    if isinstance(size, Mapping):
        high, wide = size.get("height"), size.get("width")
        return (int(high), int(wide)) if high and wide else None
    return _pair(size, square=True)


def _pair(size: Any, square: bool) -> tuple[int, int] | None:
    """Read a size of one or two numbers; one is a square, or (not `square`) the shorter side alone."""
    if size is None:
        return None
    numbers = [int(each) for each in np.atleast_1d(size)]
    if len(numbers) == 1:
        return (numbers[0], numbers[0]) if square else None
    return numbers[0], numbers[1]


def _read(source: Any, name: str) -> Any:
    return source.get(name) if isinstance(source, Mapping) else getattr(source, name)


def _vector(numbers: Any) -> np.ndarray:
    given = np.atleast_1d(np.asarray(numbers))
    # float32 0.485 is 0.48500001430511475 in float64: its own shortest digits say what was meant
    return np.array([float(str(each)) for each in given])


def _unknown(transform: object, step: object, place: int, why: str) -> NoReturn:
    kind = type(step)
    raise InputError(
        f"preprocess must be a name, a Preprocess or a transform of known steps, but {kind.__name__} {why} "
        f"(step {place + 1} of {type(transform).__name__}; {kind.__module__}). "
        "Pass Preprocess(scale=, mean=, std=) with the numbers of the whole transform."
    )
