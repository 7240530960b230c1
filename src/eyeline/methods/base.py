"""What every method shares: the door where images and model are checked, and the making of the result."""

import dataclasses
import platform
import time
from collections.abc import Callable, Hashable
from functools import cache
from importlib.metadata import version
from types import NoneType
from typing import Any, Literal, Protocol, get_args, get_origin, get_type_hints, runtime_checkable

import numpy as np
from jaxtyping import Float

from eyeline import target as targets
from eyeline._numbers import floats, unfit, whole
from eyeline._typing import Maps, Scores
from eyeline.attribution import Attribution, Unit
from eyeline.errors import InputError, ModelError, UnsupportedError, nearest
from eyeline.image import Batch, collect
from eyeline.models.base import Model
from eyeline.models.several import Several
from eyeline.sweep import Sweep


@runtime_checkable
class Method(Protocol):
    """Settings that, called, make maps. Every method is a frozen dataclass with this call."""

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        """Explain the target scalar of each image."""
        ...


def enter(method: Any, model: object, images: object) -> Batch:
    """Check settings and model, and turn what the caller holds into a batch of images in image space.

    Raises:
        UnsupportedError: `model` is not something `load` returned.
        InputError: a setting has a word it does not know; the images are not what the model takes.
    """
    for field in dataclasses.fields(method):
        words, value = choices(type(method), field.name), getattr(method, field.name)
        _check_kind(_hints(type(method))[field.name], field.name, value)  # type: ignore[arg-type]
        if words and value not in words:
            raise InputError(
                f"{field.name} must be one of {', '.join(map(str, words))}, but got {value!r}. "
                f"{nearest(str(value), [word for word in words if word])}"
            )
    if isinstance(model, Several):
        raise UnsupportedError(
            "model must be one of one input where a method is called, but got one of several "
            f"({', '.join(map(repr, model.names))}). Use eyeline.explain(model, inputs, "
            f"{type(method).__name__.lower()!r}), with settings as keywords."
        )
    if not isinstance(model, Model):
        raise UnsupportedError(
            f"model must be one that eyeline.load returned, but got {type(model).__name__}. Pass eyeline.load(model)."
        )
    if isinstance(images, Batch):
        return images
    return collect(images, input_size=model.input_size, axes=model.axes, channels=model.channels, fit=model.fit)


def weigh(target: object, n: int, model: Model) -> Callable[[Scores, int], Scores]:
    """Return a function (scores of images start.., start) -> their weights, for a target of all n images."""
    chosen = targets.as_target(target)

    def weights(scores: Scores, start: int) -> Scores:
        whole = np.zeros((n, scores.shape[1]), dtype=np.float32)
        whole[start : start + len(scores)] = scores
        given = chosen(whole, model.classes)
        rows = floats(given)
        if rows is None or rows.shape != whole.shape or not np.isfinite(rows).all():
            raise InputError(
                f"target must return finite weights of the scores' shape {whole.shape}, but {type(chosen).__name__} "
                f"returned {unfit(rows, whole.shape, given)}. Return one weight per image and class."
            )
        return rows[start : start + len(scores)]

    return weights


def finite(scores: Scores, where: Callable[[int], str]) -> Scores:
    """Return the scores, or say which image and window gave a NaN or an infinite one.

    Raises:
        ModelError: with `where(row)` in the sentence.
    """
    if np.isfinite(scores).all():
        return scores
    row, column = (int(each) for each in np.argwhere(~np.isfinite(scores))[0])
    raise ModelError(
        f"scores must be finite, but got {scores[row, column]} for class {column} ({where(row)}). "
        "Check preprocess=, the baseline, and that the model is trained."
    )


def result(
    method: Any,
    model: Model,
    batch: Batch,
    *,
    scores: Scores,
    weights: Scores,
    maps: Float[np.ndarray, "n ..."],
    quantity: Callable[[Unit], str],
    ran: dict[str, Any],
    began: float,
    sweep: Sweep | None = None,
) -> Attribution:
    """Put a method's numbers together with everything that says what they mean."""
    images = batch.images
    provenance = {
        "eyeline": _version(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "model": model.describe(),
        "images": " x ".join(str(each) for each in images.shape[1:]),
        "range": [float(images.min()), float(images.max())],
        "fit": sorted({fit.mode if fit else "as given" for fit in batch.fits}),
        **ran,
        "seconds": round(time.perf_counter() - began, 3),
    }
    unit = model.unit
    assert unit is not None, "decided on the first scores"
    final: Maps = np.ascontiguousarray(maps, dtype=np.float32)
    return Attribution(
        maps=final,
        scores=scores,
        weights=weights,
        unit=unit,
        quantity=quantity(unit),
        method=settings(method),
        targets=targets.describe(weights, model.classes),
        images=images,
        names=batch.names,
        fits=batch.fits,
        classes=model.classes,
        provenance=provenance,
        sweep=sweep,
        further={} if sweep is None else sweep.further(weights, images.shape[1:-1]),
    )


def settings(method: Any) -> dict[str, Any]:
    """Return a method's name and settings as JSON can hold them."""
    plain = (type(None), bool, int, float, str)

    def stored(value: object) -> object:
        if isinstance(value, tuple):
            return [stored(each) for each in value]
        return value if isinstance(value, plain) else repr(value)

    fields = {field.name: stored(getattr(method, field.name)) for field in dataclasses.fields(method)}
    return {"name": type(method).__name__.lower(), **fields}


def choices(method: type[Any], name: str) -> tuple[str | None, ...]:
    """Return the words that a setting may take, or () where it is no choice of words."""
    hint = _hints(method)[name]  # type: ignore[arg-type]
    parts = (hint,) if get_origin(hint) is Literal else get_args(hint)
    words = [word for part in parts if get_origin(part) is Literal for word in get_args(part)]
    return (*words, None) if words and NoneType in parts else tuple(words)


def _check_kind(hint: Any, name: str, value: object) -> None:
    if hint is bool and not isinstance(value, bool | np.bool_):
        raise InputError(f"{name} must be True or False, but got {value!r}. Pass {name}=True.")
    if hint in (int, int | None) and not (whole(value) or (value is None and hint is not int)):
        raise InputError(f"{name} must be a whole number, but got {value!r}. Leave it out for the default.")


@cache
def _version() -> str:
    return version("eyeline")


@cache
def _hints(method: Hashable) -> dict[str, Any]:
    return get_type_hints(method)
