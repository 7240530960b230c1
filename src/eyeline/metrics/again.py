"""Maps made again: the same method and the same target, for other images, networks or settings."""

import dataclasses
from typing import Any

import numpy as np

from eyeline._typing import Images
from eyeline.attribution import Attribution
from eyeline.errors import InputError
from eyeline.image import Batch
from eyeline.methods.base import Method
from eyeline.methods.inner import with_grey
from eyeline.methods.noise import Held
from eyeline.methods.stored import rebuilt
from eyeline.models.base import Model


def method_of(method: Method | None, attribution: Attribution) -> Method:
    """Return the method that was passed, or the one that the result says it was made by.

    Raises:
        InputError: neither can be called.
    """
    if method is None:
        return rebuilt(attribution)
    if isinstance(method, type) or not callable(method):
        raise InputError(f"method must be a method, but got {method!r}. Pass for example eyeline.Gradient().")
    return method


def again(method: Method, model: Model, attribution: Attribution, images: Images | None = None) -> np.ndarray:
    """Return the maps of a method with the target's weights held as they were, in float64.

    The grey of `Constant()`, which demands images within 0..1, stays the number that it was for the clean images: a
    nudge may lead a little beyond.
    """
    if images is not None:
        method = with_grey(method, attribution.images)
    pixels = attribution.images if images is None else images
    batch = Batch(pixels.copy(), attribution.names, attribution.fits)
    found = method(model, batch, Held(attribution.weights))
    if found.maps.shape != attribution.maps.shape:
        raise InputError(
            f"method must give maps of the shape that is measured {attribution.maps.shape}, but got "
            f"{found.maps.shape}. Pass the settings that made the maps."
        )
    return found.maps.astype(np.float64)


def check_method(method: Any) -> None:
    """Check a setting that may hold a method.

    Raises:
        InputError: something else.
    """
    if method is not None and (isinstance(method, type) or not dataclasses.is_dataclass(method)):
        raise InputError(f"method must be a method or None, but got {method!r}. Leave it out.")
