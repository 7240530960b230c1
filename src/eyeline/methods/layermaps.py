"""What the methods that look at one layer share: the layer chosen, its pass in batches, its map over the image."""

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from eyeline._typing import Images, Maps, Scores, Weigh
from eyeline.attribution import Attribution, Unit
from eyeline.errors import ModelError
from eyeline.methods.base import enter, result
from eyeline.methods.checks import needs_layers
from eyeline.methods.derivatives import Explained
from eyeline.methods.gradient import at_the_image
from eyeline.models.base import Model
from eyeline.models.layered import Layer, Layered, Values, choose

Combine = Callable[[Values, Values], Float[np.ndarray, "n *positions"]]
"""What a layer gives, A, and ds/dA -> one number per position of the layer."""


def layer_of(method: Any, model: Model, images: Images) -> tuple[Layered, Layer]:
    """Return the model as one with layers, and the layer that the method names, or the last convolution.

    Raises:
        UnsupportedError: the model has no layers to look at.
        InputError: no such layer, or none of which a map can be made.
    """
    layered = needs_layers(model, type(method).__name__.lower())
    listed = layered.layers(images.shape[1:])
    return layered, choose(listed, method.layer, str(model.describe().get("name", "the model")))


def at_the_layer(
    method: Any, model: Model, images: object, target: object, combine: Combine
) -> tuple[Explained, Layer, Float[np.ndarray, "n *positions"]]:
    """Return what is explained, the layer, and its map, from one pass forward and one back to the layer."""
    given = enter(method, model, images)
    layered, layer = layer_of(method, model, given.images)

    def run(pixels: Images, weigh: Weigh) -> tuple[Scores, np.ndarray]:
        scores, activations, gradients = layered.layer(pixels, weigh, layer.name)
        return scores, combine(*(finite_at(layer, each) for each in (activations, gradients)))

    clean, found = at_the_image(method, model, given, target, run)
    return clean, layer, found


def explained_at(
    method: Any, model: Model, images: object, target: object, combine: Combine, words: Callable[[Unit], str]
) -> Attribution:
    """Make the map of a layer, over the image."""
    began = time.perf_counter()
    clean, layer, found = at_the_layer(method, model, images, target, combine)
    return attributed(method, clean, layer, found, words, began)


def attributed(
    method: Any,
    clean: Explained,
    layer: Layer,
    found: Float[np.ndarray, "n *positions"],
    words: Callable[[Unit], str],
    began: float,
    **ran: Any,
) -> Attribution:
    """Make the result of a map of a layer."""
    return result(
        method,
        clean.model,
        clean.given,
        scores=clean.scores,
        weights=clean.weights,
        maps=enlarged(rectified(found) if method.relu else found, clean.given.images.shape[1:-1]),
        quantity=lambda unit: words(unit) + (", negative ones set to 0" if method.relu else ""),
        ran={"engine": "full", "batch": clean.batches.used, "layer": said(layer), **ran},
        began=began,
    )


def finite_at(layer: Layer, values: Values) -> Values:
    """Return what a layer gives, or derivatives there.

    Raises:
        ModelError: NaN or infinite numbers.
    """
    if np.isfinite(values).all():
        return values
    raise ModelError(
        f"activations and their derivatives must be finite, but layer {layer.name!r} has NaN or infinite ones. "
        "Check preprocess=, and that the model is trained."
    )


def said(layer: Layer) -> dict[str, Any]:
    """Say which layer a map comes from."""
    return {"name": layer.name, "kind": layer.kind, "shape": list(layer.shape or ())}


def rectified(values: np.ndarray) -> np.ndarray:
    """Set negative numbers to 0; what is no number stays none."""
    return np.asarray(np.maximum(values, 0))


def spatial(values: np.ndarray) -> tuple[int, ...]:
    """Return the spatial axes of (n, *space, features)."""
    return tuple(range(1, values.ndim - 1))


def enlarged(maps: Float[np.ndarray, "n *positions"], size: tuple[int, ...]) -> Maps:
    """Stretch maps over the image, linear in each axis.

    Pixels and positions are areas of equal extent, and numbers stand at their centres: pixel i of `size` lies at
    (i + 0.5) * positions / size - 0.5 of the layer's map, between two centres; beyond the outermost the map is even.
    """
    found = maps.astype(np.float64)
    for axis, pixels in enumerate(size, start=1):
        found = np.moveaxis(np.moveaxis(found, axis, -1) @ _shares(found.shape[axis], pixels).T, -1, axis)
    return found.astype(np.float32)


@cache
def _shares(positions: int, pixels: int) -> Float64[np.ndarray, "pixels positions"]:
    """Return what each position of an axis contributes to each pixel."""
    places = np.clip((np.arange(pixels) + 0.5) * positions / pixels - 0.5, 0, positions - 1)
    low = np.minimum(places.astype(int), max(positions - 2, 0))
    shares = np.zeros((pixels, positions))
    rows = np.arange(pixels)
    shares[rows, low] = 1 - (places - low)
    shares[rows, np.minimum(low + 1, positions - 1)] += places - low
    return shares
