"""The layers of a Keras model as they run: listed, or one of them opened between the pass forward and the pass back.

Importing this file imports no framework.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from eyeline.errors import UnsupportedError
from eyeline.models.keras_eager import Eager
from eyeline.models.keras_passes import Head, Pull, numbers, padded, reached, rows
from eyeline.models.keras_walk import Held, Step, dtype, filled, graph_of, walk
from eyeline.models.layered import Layer

Listed = dict[str, tuple[Layer, bool]]
"""Layers by their names, in the order in which they run, and whether their channels stand first."""

Ran = dict[str, tuple[Any, tuple[int, ...] | None, int]]
"""Layers, what they give for one image where that is one array of numbers, and how often they run."""

Back = Callable[[np.ndarray, Pull], np.ndarray]
"""Images in the network's own layout, and pull -> what the layer gives and the derivatives of that, stacked."""


class Opened(NamedTuple):
    """A model and the layer of it that is opened.

    Args:
        eager: runs its layers.
        head: of the raw outputs.
        layer: that is opened.
        first: whether its channels stand first.
    """

    eager: Eager
    head: Head
    layer: Layer
    first: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """What the layer gives for one image, as its framework lays it out."""
        *space, features = self.layer.shape or ()
        return (features, *space) if self.first else (*space, features)

    def run(self, images: Any, open_: Callable[[Any], Any]) -> Any:
        """Run the network on a tensor of images, with what `open_` makes of the layer's output; return raw outputs."""
        graph = graph_of(self.eager.model)
        assert graph is not None
        given = [self.eager.tensor(each, dtype(own)) for each, own in zip([images], graph.inputs, strict=True)]

        def visit(step: Step, held: Held) -> list[Any]:
            found = self.eager.call(step, held)
            return [open_(found[0])] if step.name == self.layer.name else found

        held = walk(graph, given, visit)
        outputs = getattr(graph, "_outputs_struct", getattr(graph, "_nested_outputs", None))
        return rows(filled(outputs, held), self.head, len(images))


def listed(eager: Eager, image: np.ndarray, axes: int, first: bool, model: str) -> Listed:
    """Return the layers that run for an image, given in the network's own layout.

    Their shapes are those that Keras foresees; where it leaves a size open, the network is run. Where a layer does not
    say where its channels stand, another that gives the same shape does, or the network's input.

    Raises:
        UnsupportedError: a model with a `call` of its own.
    """
    graph = graph_of(eager.model)
    if graph is None:
        raise UnsupportedError(
            f"the layers of a Keras model must be those of a functional or sequential one, but {model} has a call of "
            "its own. Pass keras.Model(inputs, outputs) over its layers."
        )
    ran = _foreseen(graph)
    if any(size is None for _, shape, _ in ran.values() for size in shape or ()):
        ran = _run(graph, eager, image)
    formats = [(shape, getattr(layer, "data_format", None)) for layer, shape, _ in ran.values()]
    ahead = {shape for shape, each in formats if each == "channels_first"}
    behind = {shape for shape, each in formats if each == "channels_last"}
    return {
        name: _row(name, *each, axes, each[1] in ahead if each[1] in ahead | behind else first)
        for name, each in ran.items()
    }


def _foreseen(graph: Any) -> Ran:
    ran: Ran = {}

    def visit(step: Step, _: Held) -> list[Any]:
        return _note(ran, step, step.outputs)

    walk(graph, list(graph.inputs), visit)
    return ran


def _run(graph: Any, eager: Eager, image: np.ndarray) -> Ran:
    ran: Ran = {}

    def visit(step: Step, held: Held) -> list[Any]:
        return _note(ran, step, eager.call(step, held))

    with eager.scope():
        walk(graph, [eager.tensor(image, dtype(graph.inputs[0]))], visit)
    return ran


def _note(ran: Ran, step: Step, outputs: list[Any]) -> list[Any]:
    """Take down what a layer gives for one image; one that runs again moves to the end."""
    plain = len(outputs) == 1 and "float" in str(outputs[0].dtype) and len(outputs[0].shape) > 1
    runs = ran.pop(step.name, (None, None, 0))[2] + 1
    ran[step.name] = step.layer, tuple(outputs[0].shape[1:]) if plain else None, runs
    return outputs


def _row(name: str, layer: Any, shape: tuple[int, ...] | None, runs: int, axes: int, first: bool) -> tuple[Layer, bool]:
    space = shape is not None and len(shape) == axes + 1
    standing = (*shape[1:], shape[0]) if shape and space and first else shape
    return Layer(name, type(layer).__name__, standing, space, runs), first


def tensorflow_layer(opened: Opened) -> Back:
    """Open a layer on TensorFlow."""
    import tensorflow as tf

    def back(images: np.ndarray, pull: Pull) -> np.ndarray:
        seen: list[Any] = []
        with opened.eager.scope():
            with tf.GradientTape(watch_accessed_variables=False) as tape:

                def watch(values: Any) -> Any:
                    tape.watch(values)
                    seen.append(values)
                    return values

                raw = opened.run(images, watch)
            weights = tf.constant(pull(tf.cast(raw, tf.float64).numpy()), raw.dtype)
            found = tape.gradient(raw, seen[0], weights)
        return np.stack([seen[0].numpy(), reached(found, found is not None).numpy()]).astype(np.float32)

    return back


def jax_layer(opened: Opened) -> Back:
    """Open a layer on JAX: what is added to its output has the derivative of that output."""
    import jax
    import keras

    variables = opened.eager.model.variables

    def network(state: list[Any], images: Any, added: Any) -> tuple[Any, Any]:
        seen: list[Any] = []

        def add(values: Any) -> Any:
            seen.append(values)
            return values + added.astype(values.dtype)

        with keras.StatelessScope(state_mapping=list(zip(variables, state, strict=True))):
            raw = opened.run(images, add)
        return raw, seen[0]

    both = jax.jit(lambda state, images, added: jax.vjp(partial(network, state, images), added, has_aux=True))
    down = jax.jit(lambda pullback, weights: pullback(weights)[0])

    def back(images: np.ndarray, pull: Pull) -> np.ndarray:
        many = padded(images)
        added = np.zeros((len(many), *opened.shape), np.float32)
        with opened.eager.device():
            raw, pullback, values = both([each.value for each in variables], many, added)
            weights = np.zeros(raw.shape)
            weights[: len(images)] = pull(np.asarray(raw)[: len(images)].astype(np.float64))
            found = down(pullback, weights.astype(raw.dtype))
        return np.stack([np.asarray(each)[: len(images)].astype(np.float32) for each in (values, found)])

    return back


def torch_layer(opened: Opened) -> Back:
    """Open a layer on torch: nothing before it is recorded."""
    import torch

    def back(images: np.ndarray, pull: Pull) -> np.ndarray:
        seen: list[Any] = []

        def cut(values: Any) -> Any:
            torch.set_grad_enabled(True)  # until the scope ends
            seen.append(values.detach().clone().requires_grad_())
            return seen[0].clone()

        with opened.eager.scope():
            raw = opened.run(images, cut)
            reached(raw, raw.requires_grad)
            weights = torch.as_tensor(pull(numbers(raw)), dtype=raw.dtype, device=raw.device)
            (found,) = torch.autograd.grad(raw, seen[0], weights, allow_unused=True)
        return np.stack([numbers(each) for each in (seen[0], reached(found, found is not None))]).astype(np.float32)

    return back


LAYERS: dict[str, Callable[[Opened], Back]] = {
    "tensorflow": tensorflow_layer,
    "jax": jax_layer,
    "torch": torch_layer,
}
