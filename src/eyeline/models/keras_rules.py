"""Another way back through every ReLU of a Keras model: its functions exchanged while the model runs, and put back.

On torch the recorded graph is used instead (`torch_rules`). Importing this file imports no framework.
"""

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

from eyeline.models.keras_passes import Feed, Head, Passes, jax_passes, tensorflow_passes, torch_passes
from eyeline.models.keras_walk import LIBRARIES, graph_of, kind, library, steps
from eyeline.models.layered import Rule, without_relus

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


def passes(model: Any, backend: str, feed: Feed, head: Head, rule: Rule, name: str) -> Passes:
    """Return how a backend runs the network with a rule at every ReLU.

    Raises:
        UnsupportedError: no ReLU, another activation, or a layer that cannot be looked into.
    """
    found = look(model)
    if backend == "torch" and not found.others:
        from eyeline.models.torch_rules import exchange

        return torch_passes(model, feed, head, partial(exchange, rule=rule, model=name))
    if found.others or found.closed or not found.relus:
        raise without_relus(name, rule, [*found.others, *found.closed])

    def call(inputs: Any) -> Any:
        with _exchanged(found.relus, rule, model):
            return model(inputs, training=False)

    return (jax_passes if backend == "jax" else tensorflow_passes)(model, feed, head, call)


def look(model: Any) -> Found:
    """Go through every layer and operation of a model, also those inside others."""
    found, seen = Found([], [], []), set()
    for owner, args in _operations(model):
        if id(owner) not in seen:
            seen.add(id(owner))
            _sort(owner, args, found)
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


@contextmanager
def _exchanged(relus: list[Relu], rule: Rule, model: Any) -> Iterator[None]:
    """Put functions with another way back in the place of every ReLU, and back, whatever happens."""
    framework = _framework(model)
    # TensorFlow and JAX trace this once for each size; eagerly it happens at every call.
    with ExitStack() as stack:
        for each in relus:
            own = vars(each.owner).get(each.name, MISSING)
            stack.callback(_restore, each, own)
            setattr(each.owner, each.name, _function_of(framework, rule, each.high))
        yield


MISSING = object()


def _restore(relu: Relu, own: Any) -> None:
    if own is MISSING:
        delattr(relu.owner, relu.name)
    else:
        setattr(relu.owner, relu.name, own)


def _framework(model: Any) -> tuple[Callable[..., Any], Any]:
    """Return the framework's decorator for a backward pass of one's own, and its functions on arrays."""
    if library(model) == "tf_keras" or importlib.import_module("keras").backend.backend() == "tensorflow":
        tensorflow = importlib.import_module("tensorflow")
        return tensorflow.custom_gradient, tensorflow
    jax = importlib.import_module("jax")
    return jax.custom_gradient, jax.numpy


def _function_of(framework: tuple[Callable[..., Any], Any], rule: Rule, high: float | None) -> Callable[..., Any]:
    custom, numpy = framework

    @custom
    def relu(values: Any) -> Any:
        found = numpy.maximum(values, numpy.zeros_like(values))
        opened = values > 0
        if high is not None:
            found, opened = numpy.minimum(found, numpy.ones_like(values) * high), opened & (values < high)

        def back(gradient: Any) -> tuple[Any]:
            positive = numpy.maximum(gradient, numpy.zeros_like(gradient))
            return (numpy.where(opened, positive, numpy.zeros_like(gradient)) if rule == "guided" else positive,)

        return found, back

    def call(*args: Any, **kwargs: Any) -> Any:
        """Stand in for any ReLU: of what it is called with, the tensor counts."""
        (values,) = (each for each in (*args, *kwargs.values()) if hasattr(each, "shape") and hasattr(each, "dtype"))
        return relu(values)

    return call
