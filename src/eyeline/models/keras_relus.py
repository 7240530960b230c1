"""The ReLUs of a Keras model, other activations of it, and what cannot be looked into. No framework is imported."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from eyeline.models.keras_walk import LIBRARIES, Held, Step, flat, graph_of, kind, steps, walk
from eyeline.models.selfgated import PRODUCTS, Reach, reached, written

OTHERS = {
    "celu": "CELU", "elu": "ELU", "gelu": "GELU", "glu": "GLU", "hardshrink": "hard shrink", "hardsilu": "hard swish",
    "hardswish": "hard swish", "hardtanh": "hard tanh", "leakyrelu": "leaky ReLU", "logsigmoid": "log-sigmoid",
    "mish": "Mish", "prelu": "PReLU", "selu": "SELU", "silu": "SiLU", "softplus": "softplus",
    "softshrink": "soft shrink", "sparseplus": "sparse plus", "squareplus": "square plus", "swish": "SiLU",
    "tanhshrink": "tanh shrink",
    "threshold": "threshold",
}  # fmt: skip
"""Activations that stand where ReLUs would, by their names without lines; gates and ends (sigmoid, tanh) are none."""

PLAIN = {
    "exponential",
    "hard_sigmoid",
    "linear",
    "log_softmax",
    "sigmoid",
    "softmax",
    "softsign",
    "sparse_sigmoid",
    "tanh",
}
"""Functions that are differentiated as they are."""

CLOSED = {"layers.Lambda", "layers.TFSMLayer", "layers.JaxLayer", "layers.FlaxLayer", "layers.TorchModuleWrapper"}
"""Layers that hold anything."""

FRAMEWORKS = (*LIBRARIES, "tensorflow", "jax")


class Relu(NamedTuple):
    """A ReLU of a model: where it hangs, and what it is cut at.

    Args:
        owner: a layer or an operation.
        name: of the attribute that is exchanged: "activation" or "call".
        high: the largest value, or None.
    """

    owner: Any
    name: str
    high: float | None


class Found(NamedTuple):
    """What a model has in the way of activations.

    Args:
        relus: that can be exchanged.
        others: other activations.
        closed: what may hold some and cannot be looked into.
    """

    relus: list[Relu]
    others: list[str]
    closed: list[str]


def look(model: Any) -> Found:
    """Go through every layer and operation of a model, also those inside others."""
    found, seen = Found([], [], []), set()
    for owner, args in _operations(model):
        if id(owner) not in seen:
            seen.add(id(owner))
            _sort(owner, args, found)
    for each in [model, *model._flatten_layers()]:
        found.others.extend(_written_out(each))
    return Found(found.relus, sorted(set(found.others)), sorted(set(found.closed)))


def _operations(model: Any) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Yield layers and operations, and what they are called with where that is written down."""
    graph = graph_of(model)
    if graph is None:
        yield model, ()
    for step in steps(graph, "") if graph is not None else ():
        if graph_of(step.layer) is None:
            yield step.layer, (*step.args, *step.kwargs.values())
        else:
            yield from _operations(step.layer)
    for each in getattr(model, "layers", ()):
        for inner in each._flatten_layers():
            if graph_of(inner) is None:
                yield inner, ()
            else:
                yield from _operations(inner)


def _written_out(model: Any) -> list[str]:
    """Name the activations that the calls of a model's graph write out; those inside inner models count as calls."""
    graph, names = graph_of(model), []

    def visit(step: Step, held: Held) -> list[Reach]:
        name = _called(step.layer)
        sides = [held[id(each)] for each in flat([step.args, step.kwargs]) if id(each) in held]
        names.append(written(sides) if name in PRODUCTS else None)
        return [{**reached(name, sides), id(each): ""} for each in step.outputs]

    if graph is not None:
        walk(graph, [{id(each): ""} for each in graph.inputs], visit)
    return [each for each in names if each]


def _called(layer: Any) -> str:
    """Name what a layer or operation does to numbers, small and without lines."""
    name = kind(layer).partition(".")[2]
    if name == "Activation":
        name = getattr(layer.activation, "__name__", "")
    if name == "ReLU" and layer.max_value is not None:
        name = "relu6"
    return name.replace("_", "").lower()


def _sort(owner: Any, args: tuple[Any, ...], found: Found) -> None:
    what = kind(owner)
    if type(owner).__name__ == "InputLayer":
        return
    if not what or what in CLOSED or what.startswith("models."):
        found.closed.append(f"what cannot be looked into ({type(owner).__name__})")
        return
    name = what.partition(".")[2].lower()
    if name in ("relu", "relu6"):
        _rectifier(owner, name, found)
    elif name == "clip" and all(type(each) in (int, float) for each in (owner.x_min, owner.x_max)):
        if owner.x_min == 0:
            found.relus.append(Relu(owner, "call", float(owner.x_max)))
    elif name == "maximum" and any(type(each) in (int, float) and each == 0 for each in args):
        found.relus.append(Relu(owner, "call", None))
    elif name in OTHERS:
        found.others.append(OTHERS[name])
    elif not isinstance(getattr(type(owner), "activation", None), property) and callable(_own(owner)):
        # a recurrent layer only passes on that of its cell, which comes by itself
        _function(owner, found)


def _own(owner: Any) -> Any:
    return getattr(owner, "activation", None)


def _rectifier(owner: Any, name: str, found: Found) -> None:
    """Take a layer or an operation that is a ReLU by name; one with a slope is none."""
    high = 6.0 if name == "relu6" else getattr(owner, "max_value", None)
    if any(float(getattr(owner, each, None) or 0) for each in ("negative_slope", "threshold")):
        found.others.append("leaky ReLU")
    else:
        found.relus.append(Relu(owner, "call", None if high is None else float(high)))


def _function(owner: Any, found: Found) -> None:
    """Take a layer's own activation: a function of the libraries', or a layer."""
    function = owner.activation
    name = getattr(function, "__name__", "")
    if kind(function):
        _sort(function, (), found)
    elif library_of(function) not in FRAMEWORKS or not name:
        found.closed.append(f"what cannot be looked into ({name or type(function).__name__})")
    elif name in ("relu", "relu6"):
        found.relus.append(Relu(owner, "activation", 6.0 if name == "relu6" else None))
    elif name.replace("_", "") in OTHERS:
        found.others.append(OTHERS[name.replace("_", "")])
    elif name not in PLAIN:
        found.closed.append(f"what cannot be looked into ({name})")


def library_of(function: Any) -> str:
    """Name the package that a function is of."""
    return str(getattr(function, "__module__", "")).partition(".")[0]
