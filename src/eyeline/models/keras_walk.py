"""A Keras model as the calls of its layers, in order: functional and sequential models, also those inside others.

Read off the symbolic tensors that Keras 3 and tf_keras keep of a model's building; no framework is imported.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from eyeline.errors import UnsupportedError
from eyeline.models import keras_input

LIBRARIES = ("keras", "tf_keras")

OPERATORS = {
    "__operators__.add": "ops.Add",
    "math.add": "ops.Add",
    "math.divide": "ops.TrueDivide",
    "math.multiply": "ops.Multiply",
    "math.subtract": "ops.Subtract",
    "math.truediv": "ops.TrueDivide",
    "nn.relu": "ops.Relu",
    "nn.relu6": "ops.Relu6",
}
"""What tf_keras makes of operators and functions of TensorFlow on its symbolic tensors, as Keras 3 names them."""


class Step(NamedTuple):
    """One call of a layer, or of an operation of `keras.ops`, while the model was built.

    Args:
        name: the layer's; "outer/inner" for a layer of a model inside another.
        layer: what was called.
        args, kwargs: what with: symbolic tensors, constants, and lists and dicts of both.
        outputs: symbolic tensors, flat.
    """

    name: str
    layer: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: list[Any]


Held = dict[int, Any]
"""What symbolic tensors stand for, by their id."""

Visit = Callable[[Step, Held], list[Any]]
"""Returns what each output of a step stands for."""


def walk(model: Any, given: list[Any], visit: Visit, prefix: str = "") -> Held:
    """Visit every call in order, those inside an inner model as well, and return what all outputs stand for.

    `model` is a graph, as `graph_of` gives it; `given` is what its inputs stand for.
    """
    held = dict(zip(map(id, model.inputs), given, strict=True))
    for step in steps(model, prefix):
        inner = graph_of(step.layer)
        if inner is not None and _fits(step, inner):
            entered = [held[id(each)] for each in flat(step.args)]
            found = walk(inner, entered, visit, f"{step.name}/")
            outputs = [found[id(each)] for each in inner.outputs]
        else:
            outputs = visit(step, held)
        held |= zip(map(id, step.outputs), outputs, strict=True)
    return held


def refused(rule: str, got: str) -> UnsupportedError:
    """Word why the incremental engine does not go."""
    return UnsupportedError(f"the network must {rule} for the incremental engine, but got {got}. Use engine='full'.")


def readable(model: Any) -> Any:
    """Return the graph of a model whose layers the engine may read.

    Raises:
        UnsupportedError: a model with a `call` of its own, numbers other than float32, or another device.
    """
    graph = graph_of(model)
    if graph is None:
        raise refused("be a functional or sequential Keras model", f"{type(model).__name__} with a call of its own")
    for each in keras_input.layers(model):
        policy = getattr(getattr(each, "dtype_policy", None), "name", "float32")
        if type(each).__name__ != "InputLayer" and policy != "float32":
            raise refused("be of float32 numbers", f"{each.name!r} of {policy}")
    for each in model.weights[:1]:
        device = str(getattr(each.value, "device", getattr(each, "device", "cpu")))
        if "cpu" not in device.lower():
            raise refused("lie on the CPU", device)
    return graph


def graph_of(model: Any) -> Any | None:
    """Return the graph of a model that is nothing but one, or None: a layer, or a model with a `call` of its own."""
    for base in type(model).__mro__:
        if base.__name__ in ("Sequential", "Functional") and base.__module__.partition(".")[0] in LIBRARIES:
            own = "call" in vars(model) or type(model).call is not vars(base)["call"]
            graph = getattr(model, "_functional", model)
            return None if own or getattr(graph, "_nodes_by_depth", None) is None else graph
    return None


def kind(layer: Any) -> str:
    """Name a layer or operation of the libraries' own: "layers.Add", "ops.Add"; "" for anybody else's."""
    path, name = type(layer).__module__.split("."), type(layer).__name__
    if library(layer) == "tf_keras" and name == "TFOpLambda":
        return OPERATORS.get(layer.symbol, "")
    if library(layer) not in LIBRARIES or len(path) < 3 or "call" in vars(layer):
        return ""
    return f"{path[2]}.{name}"


def library(layer: Any) -> str:
    """Name the package that a layer is of."""
    return type(layer).__module__.partition(".")[0]


def flat(nested: Any) -> list[Any]:
    """Return what lists, tuples and dicts hold, as Keras orders it."""
    if isinstance(nested, dict):
        return [leaf for key in sorted(nested) for leaf in flat(nested[key])]
    return [leaf for each in nested for leaf in flat(each)] if isinstance(nested, list | tuple) else [nested]


def filled(nested: Any, held: Held) -> Any:
    """Put what symbolic tensors stand for in their places."""
    if isinstance(nested, dict):
        return {key: filled(each, held) for key, each in nested.items()}
    if isinstance(nested, list | tuple):
        found = [filled(each, held) for each in nested]
        return tuple(found) if isinstance(nested, tuple) else found
    return held.get(id(nested), nested)


def dtype(tensor: Any) -> str:
    """Name a symbolic tensor's numbers."""
    return str(getattr(tensor.dtype, "name", tensor.dtype))


def steps(model: Any, prefix: str) -> Iterator[Step]:
    """Yield the calls of a graph, in the order in which they run; those inside an inner model are one."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.is_input:
                continue
            if hasattr(node, "operation"):
                layer, args, kwargs = node.operation, node.arguments.args, node.arguments.kwargs
            else:  # tf_keras
                layer, args, kwargs = node.layer, node.call_args, node.call_kwargs
            yield Step(f"{prefix}{layer.name}", layer, tuple(args), dict(kwargs), flat(node.outputs))


def _fits(step: Step, inner: Any) -> bool:
    """Say whether an inner model gets its inputs as they are: in its own order, shape and kind of numbers."""
    entered = flat(step.args)
    if len(step.args) != 1 or isinstance(step.args[0], dict) or any(each is not None for each in step.kwargs.values()):
        return False
    if len(entered) != len(inner.inputs) or not all(hasattr(each, "dtype") for each in entered):
        return False
    pairs = zip(entered, inner.inputs, strict=True)
    return all(dtype(one) == dtype(two) and len(one.shape) == len(two.shape) for one, two in pairs)
