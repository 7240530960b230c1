"""Keras networks with weights drawn anew, on a clone."""

import importlib
from typing import Any

import numpy as np

from eyeline._typing import Images
from eyeline.errors import UnsupportedError, first_line
from eyeline.models import keras_input
from eyeline.models.keras import KerasModel


def weighted(model: KerasModel, images: Images) -> tuple[str, ...]:
    """Name the layers that hold weights, in the order of the model's layers; see `randomised`."""
    if not model._model.built:
        model.scores(images)
    return tuple(_known(model._model))


def copied(model: KerasModel) -> tuple[KerasModel, dict[str, Any]]:
    """Return the model on a clone of its network, and the clone's layers that hold weights.

    Raises:
        UnsupportedError: the network cannot be cloned, or its clone holds other weights.
    """
    network, name = model._model, model._options.name
    library = importlib.import_module(model._library)
    try:
        with model._device():
            clone = library.models.clone_model(network)
            clone.set_weights(network.get_weights())
    except Exception as error:
        raise UnsupportedError(
            f"a Keras network must let itself be cloned to be randomised, but {name!r} does not "
            f"({first_line(error, 160)}). Build it with the functional API, or leave the randomisation test out."
        ) from error
    twin = KerasModel(clone, model._options, model._note)
    twin._output = model._output
    return twin, _known(clone)


def redraw(layer: Any, name: str, seed: int, place: int, draw: str) -> None:
    """Draw the weights of one layer anew.

    Raises:
        UnsupportedError: draw="initial", which Keras does not repeat from a seed.
    """
    if draw == "initial":
        raise UnsupportedError(
            f"draw must be 'shuffle' for a Keras network, but got 'initial' ({name}). Leave draw= out."
        )
    generator = np.random.default_rng((seed, place))
    layer.set_weights([generator.permutation(each.reshape(-1)).reshape(each.shape) for each in layer.get_weights()])


def _known(network: Any) -> dict[str, Any]:
    """Return the layers with weights that hold no other layers, by names that are made to differ."""
    found: dict[str, Any] = {}
    for layer in keras_input.layers(network):
        if layer.weights and not getattr(layer, "layers", ()):
            name, number = layer.name, 2
            while name in found:
                name, number = f"{layer.name}-{number}", number + 1
            found[name] = layer
    return found
