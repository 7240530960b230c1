"""What the gradient methods refuse: settings, models, baselines, and derivatives that are no numbers."""

import math
from collections.abc import Callable

import numpy as np

from eyeline._numbers import floats, number, shown, unfit, whole
from eyeline._typing import Images
from eyeline.baseline import Baseline, Constant
from eyeline.errors import InputError, ModelError, UnsupportedError
from eyeline.models.base import Differentiable, Model
from eyeline.models.layered import Layered, Ruled

BLACK = Constant(0)
"""Where paths start by default, as in the papers: black where images lie in 0..1."""


def at_least(low: int, **settings: object) -> None:
    """Check whole numbers.

    Raises:
        InputError: the sentence names the setting.
    """
    for name, value in settings.items():
        if not whole(value) or value < low:  # type: ignore[operator]
            raise InputError(
                f"{name} must be a whole number, {low} or more, but got {value!r}. Leave it out for the default."
            )


def within(name: str, value: object, low: float = 0, high: float = math.inf, *, closed: bool = False) -> None:
    """Check a number above `low` (`closed`: or equal to it) and at most `high`, and finite.

    Raises:
        InputError: the sentence names the setting.
    """
    if number(value) and (low < value or (closed and low == value)) and value <= high and value < math.inf:  # type: ignore[operator]
        return
    rule = f"{'at least' if closed else 'above'} {low:g}" + (f" and at most {high:g}" if high < math.inf else "")
    raise InputError(f"{name} must be a number {rule}, but got {value!r}. Leave it out for the default.")


def needs_gradient(model: Model, method: str) -> Differentiable:
    """Return the model as one with gradients.

    Raises:
        UnsupportedError: it gives scores only; the message names what works.
    """
    if isinstance(model, Differentiable):
        return model
    raise UnsupportedError(
        f"method {method!r} must have a model with gradients, but {model.describe().get('name', 'it')!r} gives "
        "scores only. Use method='occlusion', or load the network in its own framework (PyTorch, Keras, SavedModel)."
    )


def needs_layers(model: Model, method: str) -> Layered:
    """Return the model as one with layers.

    Raises:
        UnsupportedError: it has none that can be seen into; the message names what works.
    """
    if isinstance(model, Layered):
        return model
    needs_gradient(model, method)
    raise UnsupportedError(
        f"method {method!r} must have a model with layers, but {model.describe().get('name', 'it')!r} is one whole. "
        "Load the network in its own framework (PyTorch, Keras), or use another method: 'gradient', 'occlusion'."
    )


def needs_rules(model: Model, method: str) -> Ruled:
    """Return the model as one whose ReLUs can have another way back.

    Raises:
        UnsupportedError: they cannot; the message names what works.
    """
    if isinstance(model, Ruled):
        return model
    needs_gradient(model, method)
    raise UnsupportedError(
        f"method {method!r} must have a model whose ReLUs can be reached, but {model.describe().get('name', 'it')!r} "
        "is one whole. Load the network in its own framework (PyTorch, Keras), or use another method: 'gradient', "
        "'smoothgrad'."
    )


def checked(gradients: Images, where: Callable[[int], str]) -> Images:
    """Return the derivatives, or say which image gave a NaN or an infinite one.

    Raises:
        ModelError: with `where(row)` in the sentence.
    """
    for row in np.flatnonzero(~np.isfinite(gradients).reshape(len(gradients), -1).all(axis=1)):
        raise ModelError(
            f"derivatives must be finite, but those of {where(int(row))} hold NaN or infinite values. "
            "Check for a square root, a logarithm or a division at 0 in the model."
        )
    return gradients


def baseline_of(baseline: Baseline, pixels: Images) -> Images:
    """Return the baseline of each image.

    Raises:
        InputError: no baseline, or one that does not fit the images.
    """
    if isinstance(baseline, type) or not callable(baseline):
        raise InputError(
            f"baseline must be a baseline, but got {shown(baseline)}. "
            "Pass for example eyeline.Blur(12), eyeline.Constant(0.5) or eyeline.Image(pixels)."
        )
    given = baseline(pixels)
    found = floats(given)
    if found is None or found.shape != pixels.shape or not np.isfinite(found).all():
        raise InputError(
            f"the baseline must give finite images of shape {pixels.shape}, but {shown(baseline)} gave "
            f"{unfit(found, pixels.shape, given)}. Return one value per pixel and channel."
        )
    return found
