"""Another way back through every ReLU of a Keras model: its functions exchanged while the model runs, and put back.

On torch the recorded graph is used instead (`torch_rules`). Importing this file imports no framework.
"""

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from eyeline.models.keras_passes import Feed, Head, Passes, jax_passes, tensorflow_passes, torch_passes
from eyeline.models.keras_relus import Relu, look
from eyeline.models.keras_walk import library
from eyeline.models.layered import Rule, without_relus


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
