"""Copies of a network with weights drawn anew, to see what a map owes to what the network has learnt.

The model itself is never touched: an adapter's module here copies its network first.
"""

import importlib
from collections.abc import Collection
from typing import Any, Literal

from eyeline._typing import Images
from eyeline.errors import InputError, UnsupportedError
from eyeline.models.base import Model

Draw = Literal["shuffle", "initial"]
"""How weights are drawn anew.

shuffle: the values of each tensor change places, batch statistics too: every layer keeps the distribution of its
weights, so that signals neither fade nor grow, and loses which weight is where. initial: as before any training, by
the layer's own `reset_parameters` (PyTorch only).
"""

HOMES = {"TorchModel": "torch_random", "KerasModel": "keras_random", "OnnxModel": "onnx_random"}
"""Adapter -> the module that copies its network."""


def weighted(model: Model, images: Images) -> tuple[str, ...]:
    """Name the layers that hold weights, in the order in which they run on the images.

    Raises:
        UnsupportedError: the network cannot be copied, or has no weights.
    """
    found: tuple[str, ...] = _home(model).weighted(model, images)
    if not found:
        raise UnsupportedError(
            f"a network must have weights to be randomised, but {_name(model)!r} has none that can be seen. "
            "Leave the randomisation test out."
        )
    return found


def randomised(model: Model, layers: Collection[str], seed: int, draw: Draw = "shuffle") -> Model:
    """Return a copy in which the weights of the named layers are drawn anew; the same for the same seed.

    Each layer's draw depends on the seed and its place alone, not on which other layers are drawn.

    Raises:
        UnsupportedError: the network cannot be copied, or a layer has no `reset_parameters` for draw="initial".
        InputError: no such layer.
    """
    home = _home(model)
    copy, known = home.copied(model)
    unknown = [name for name in layers if name not in known]
    if unknown:
        raise InputError(f"a layer must be one that holds weights, but got {unknown[0]!r}. Take a name of weighted().")
    for place, name in enumerate(known):
        if name in layers:
            home.redraw(known[name], name, seed, place, draw)
    if hasattr(home, "finish"):
        home.finish(copy)
    result: Model = copy
    return result


def _home(model: Model) -> Any:
    kind = type(model).__name__
    if kind not in HOMES:
        raise UnsupportedError(
            "a model must be a PyTorch, Keras or ONNX network for its weights to be drawn anew, but "
            f"{_name(model)!r} is {model.describe().get('framework', kind)}. Load the network in its own framework, "
            "or leave the randomisation test out."
        )
    return importlib.import_module(f"eyeline.models.{HOMES[kind]}")


def _name(model: Model) -> str:
    return model.describe().get("name", "the model")
