"""How each Keras backend runs a network: one pair of functions each, and no state of theirs left behind.

Importing this file imports no framework: Keras takes its backend once, when it is first imported.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from eyeline._typing import Scores, Weigh
from eyeline.errors import Error, UnsupportedError
from eyeline.models.base import Options, check_classes, running, single
from eyeline.models.output import Output

Pull = Callable[[np.ndarray], np.ndarray]
"""Raw outputs -> weights over them; called once, between the pass forward and the pass back."""

Feed = Callable[[Any], Any]
"""One tensor of images -> the structure that the network takes."""

Head = Callable[[Any], Any] | None

Call = Callable[[Any], Any] | None
"""What runs in the place of the model: the structure that it takes -> raw outputs."""


class Passes(NamedTuple):
    """images -> raw outputs, float64; images and pull -> gradients, float32. Both in the network's own layout."""

    forward: Callable[[np.ndarray], np.ndarray]
    gradient: Callable[[np.ndarray, Pull], np.ndarray]


def pulled(
    run: Callable[[np.ndarray, Pull], np.ndarray],
    inputs: np.ndarray,
    weigh: Weigh,
    output: Output,
    options: Options,
) -> tuple[Scores, np.ndarray]:
    """Run a gradient with `weigh` inside; what `weigh` raises comes out as it is, not as the framework words it."""
    scores: list[Scores] = []
    failed: list[Exception] = []

    def pull(raw: np.ndarray) -> np.ndarray:
        try:
            check_classes(options.classes, raw.shape[1])
            found, weights = output.pull(raw, weigh)
        except Exception as error:
            failed.append(error)
            raise
        scores.append(found)
        return weights

    try:
        with running(options, inputs.shape):
            gradients = run(inputs, pull)
    except Error:
        if failed:
            raise failed[0] from None
        raise
    return scores[0], gradients


def graph_passes(network: Callable[[Any], Any], head: Head, *, eager: bool = False) -> Passes:
    """Compile a TensorFlow network: one graph per image size, for any number of images.

    The pass back is in the same graph as the pass forward, with `pull` called from inside it: TensorFlow then
    leaves out the gradients of the weights, which costs half of what two graphs do.
    """
    import tensorflow as tf

    pulls: dict[int, Pull] = {}
    keys = itertools.count()

    def forward(images: Any) -> Any:
        return tf.cast(rows(network(images), head, images.shape[0]), tf.float64)

    def gradient(images: Any, key: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            raw = rows(network(images), head, images.shape[0])
        weights = tf.numpy_function(lambda key, raw: pulls[int(key)](raw), [key, tf.cast(raw, tf.float64)], tf.float64)
        gradients = tape.gradient(raw, images, tf.cast(weights, raw.dtype)) if raw.dtype.is_floating else None
        return reached(gradients, gradients is not None)

    @cache
    def compiled(function: Callable[..., Any], space: tuple[int, ...]) -> Any:
        signature = [tf.TensorSpec((None, *space), tf.float32), *[tf.TensorSpec((), tf.int64)] * (function is gradient)]
        return function if eager else tf.function(function, input_signature=signature, autograph=False)

    def run_forward(images: np.ndarray) -> np.ndarray:
        return np.asarray(compiled(forward, images.shape[1:])(tf.constant(images)))

    def run_gradient(images: np.ndarray, pull: Pull) -> np.ndarray:
        key = next(keys)
        pulls[key] = pull
        try:
            gradients = compiled(gradient, images.shape[1:])(tf.constant(images), tf.constant(key, tf.int64))
        finally:
            del pulls[key]
        return np.asarray(gradients, dtype=np.float32)

    return Passes(run_forward, run_gradient)


def tensorflow_passes(model: Any, feed: Feed, head: Head, call: Call = None) -> Passes:
    """Run a Keras or tf_keras model on TensorFlow, as one graph per image size."""
    called = call or partial(model, training=False)

    def network(images: Any) -> Any:
        return called(feed(images))

    passes = graph_passes(network, head, eager=bool(model.run_eagerly))

    def forward(images: np.ndarray) -> np.ndarray:
        build(model, feed, images)
        return passes.forward(images)

    def gradient(images: np.ndarray, pull: Pull) -> np.ndarray:
        build(model, feed, images)
        return passes.gradient(images, pull)

    return Passes(forward, gradient)


def jax_passes(model: Any, feed: Feed, head: Head, call: Call = None) -> Passes:
    """Run a Keras model on JAX: compiled for batches of 1, 2, 4, 8, ... images, so that few shapes compile."""
    import jax
    import keras

    called = call or partial(model, training=False)

    def network(state: list[Any], images: Any) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(model.variables, state, strict=True))):
            return rows(called(feed(images)), head, images.shape[0])

    def prepared(images: np.ndarray) -> tuple[list[Any], np.ndarray]:
        build(model, feed, images)
        return [each.value for each in model.variables], padded(images)

    ahead = jax.jit(network)
    both = jax.jit(lambda state, images: jax.vjp(partial(network, state), images))
    back = jax.jit(lambda pullback, weights: pullback(weights)[0])

    def forward(images: np.ndarray) -> np.ndarray:
        return np.asarray(ahead(*prepared(images)))[: len(images)].astype(np.float64)

    def gradient(images: np.ndarray, pull: Pull) -> np.ndarray:
        raw, pullback = both(*prepared(images))
        reached(raw, jax.numpy.issubdtype(raw.dtype, jax.numpy.floating))
        weights = np.zeros(raw.shape)
        weights[: len(images)] = pull(np.asarray(raw)[: len(images)].astype(np.float64))
        return np.asarray(back(pullback, weights.astype(raw.dtype)))[: len(images)]

    return Passes(forward, gradient)


def torch_passes(model: Any, feed: Feed, head: Head, prepare: Callable[[Any], None] | None = None) -> Passes:
    """Run a Keras model on torch, on the device of the weights; `prepare` gets raw outputs before the pass back."""
    import torch

    def network(pixels: Any) -> Any:
        return rows(model(feed(pixels), training=False), head, len(pixels))

    def place(images: np.ndarray) -> Any:
        return torch.tensor(images, device=model.variables[0].value.device if model.variables else None)

    def forward(images: np.ndarray) -> np.ndarray:
        # not inference_mode: a layer that builds or keeps a tensor here could never be trained again
        with torch.no_grad(), modes(model):
            return numbers(network(place(images)))

    def gradient(images: np.ndarray, pull: Pull) -> np.ndarray:
        with torch.enable_grad(), modes(model):
            pixels = place(images).requires_grad_()
            raw = network(pixels)
            reached(raw, raw.requires_grad)
            if prepare is not None:
                prepare(raw)
            weights = torch.as_tensor(pull(numbers(raw)), dtype=raw.dtype, device=raw.device)
            (gradients,) = torch.autograd.grad(raw, pixels, weights, allow_unused=True)
        return numbers(reached(gradients, gradients is not None)).astype(np.float32)

    return Passes(forward, gradient)


def rows(output: Any, head: Head, count: int | None) -> Any:
    """Return one row of raw outputs an image."""
    found = single(head(output) if head else output, count)
    if isinstance(found, np.ndarray):
        raise UnsupportedError(
            "head= must return a tensor of the backend, but got numpy.ndarray. Use keras.ops in it, which has what "
            "NumPy has."
        )
    return found[:, None] if len(found.shape) == 1 else found


def reached(tensor: Any, is_reached: bool) -> Any:
    """Return a derivative, or say that there is none."""
    if not is_reached:
        raise UnsupportedError(
            "the model must be differentiable in its images, but no gradient reaches them: a layer or the head rounds "
            "or compares. Use occlusion, which needs scores alone."
        )
    return tensor


def build(model: Any, feed: Feed, images: np.ndarray) -> None:
    """Make the weights of a network that was never called; a graph must not make them."""
    if not model.built:
        model(feed(images[:1]), training=False)


def padded(images: np.ndarray) -> np.ndarray:
    """Repeat the last image up to the next power of two."""
    missing = (1 << (len(images) - 1).bit_length()) - len(images)
    return np.concatenate([images, np.repeat(images[-1:], missing, axis=0)]) if missing else images


def numbers(tensor: Any) -> np.ndarray:
    """Return a tensor of torch as an array, float64."""
    found: np.ndarray = tensor.detach().double().cpu().numpy()
    return found


@contextmanager
def modes(model: Any) -> Iterator[None]:
    """Torch modules inside a Keras model (TorchModuleWrapper) are switched to evaluation by the call: switch back."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


BACKENDS = {"tensorflow": tensorflow_passes, "jax": jax_passes, "torch": torch_passes}
