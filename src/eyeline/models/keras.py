"""Keras 3 models on TensorFlow, JAX or torch, and tf_keras models. The network is left as it was found."""

import importlib
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from eyeline._typing import Images, Scores, Weigh
from eyeline.attribution import Unit
from eyeline.errors import InputError, UnsupportedError
from eyeline.models import keras_files, keras_input, keras_rules
from eyeline.models.base import Options, check_classes, running
from eyeline.models.keras_eager import Eager, activations, check_axes, fingerprint, running_on, setup, share
from eyeline.models.keras_layers import LAYERS, Back, Listed, Opened, listed
from eyeline.models.keras_passes import BACKENDS, Passes, pulled
from eyeline.models.layered import Layer, Rule, Values, choose

if TYPE_CHECKING:
    from eyeline.incremental.graph import Graph
    from eyeline.models.keras_graph import Orders


@final
class KerasModel:
    """A Keras model that maps one input of images to scores; always runs with `training=False`.

    Its weights, seeds, optimizer, modes and `trainable` flags are as before after every call, also after one that
    failed. TensorFlow and JAX compile the network on its first call: layers exchanged later are not noticed.
    The cpu is what the tests run on; cuda and mps go the same way but were not tested.

    Args:
        model: the network.
        options: what `load` was told; a device needs a model that was opened from a file.
        note: how the backend was chosen, where nobody had set it.
    """

    def __init__(self, model: Any, options: Options, note: str = "") -> None:
        self._model, self._options, self._note = model, options, note
        self._library, self._backend = running_on(model, BACKENDS)
        self._input = keras_input.read(model, options)
        self._output = options.scaled()
        self._passes = BACKENDS[self._backend](model, self._input.feed, options.head)
        self._eager = Eager(model, self._library, self._backend, self._device)
        self._ruled: dict[Rule, Passes] = {}
        self._seen: dict[tuple[int, ...], Listed] = {}
        self._opened: dict[Layer, Back] = {}
        self.input_size, self.axes, self.channels = self._input.size, self._input.axes, self._input.channels
        self.fit = options.fit
        self.classes = options.classes

    @property
    def unit(self) -> Unit | None:
        """Unit of the scores."""
        return self._output.unit

    def scores(self, images: Images) -> Scores:
        """Return one row of scores per image."""
        inputs = self._inputs(images)
        with running(self._options, images.shape), self._device():
            raw = self._passes.forward(inputs)
        check_classes(self.classes, raw.shape[1])
        return self._output.convert(raw)

    def gradient(self, images: Images, weigh: Weigh) -> tuple[Scores, Images]:
        """Return the scores and the gradient in image space, from one pass forward and one back.

        Raises:
            UnsupportedError: no gradient reaches the images: the network takes integers, or the head compares.
        """
        return self._pixels(self._passes, images, weigh)

    def ruled(self, images: Images, weigh: Weigh, rule: Rule) -> tuple[Scores, Images]:
        """Return what `gradient` returns, with `rule` at every ReLU, or raise what `keras_rules.passes` does."""
        if rule not in self._ruled:
            feed, name = self._input.feed, self._options.name
            self._ruled[rule] = keras_rules.passes(self._model, self._backend, feed, self._options.head, rule, name)
        return self._pixels(self._ruled[rule], images, weigh)

    def layers(self, shape: tuple[int, ...]) -> tuple[Layer, ...]:
        """List the layers that run for an image of (*space, channels), in the order in which they run."""
        return tuple(layer for layer, _ in self._listed(shape).values())

    def layer(self, images: Images, weigh: Weigh, name: str) -> tuple[Scores, Values, Values]:
        """Return the scores, what a layer gives, and the derivatives with respect to that; channels last.

        Raises:
            UnsupportedError: no derivative comes back to the layer.
        """
        chosen = choose(self.layers(images.shape[1:]), name, self._options.name)
        _, first = self._listed(images.shape[1:])[chosen.name]
        if chosen not in self._opened:
            self._opened[chosen] = LAYERS[self._backend](Opened(self._eager, self._options.head, chosen, first))
        scores, found = pulled(self._opened[chosen], self._inputs(images), weigh, self._output, self._options)
        values, derivatives = np.moveaxis(found, 2, -1) if first else found
        return scores, values, derivatives

    def graph(self, shape: tuple[int, ...]) -> "Graph":
        """Return the network on one image of (rows, columns, channels), from image space to raw outputs.

        Raises:
            UnsupportedError: it cannot be read: see `keras_graph.capture`; PyTorch, on which the engine computes, is
                not installed.
        """
        graph, _ = self._captured(shape)
        return graph

    def setup(self, shape: tuple[int, ...]) -> float:
        """Foresee the seconds that reading the network and laying out its weights take.

        Raises:
            UnsupportedError: it is plain that there is no graph.
        """
        check_axes(shape)
        return setup(self._model)

    def share(self, ground: Images, covered: Images) -> float:
        """Count which share of the multiply-adds a change of the first image reaches; reading the graph is cheap.

        Raises:
            UnsupportedError: it cannot be read.
        """
        return share(self.graph(ground.shape[1:]), ground, covered)

    def convert(self, raw: Scores) -> Scores:
        """Turn raw outputs into scores."""
        return self._output.convert(raw)

    def fingerprint(self) -> str:
        """Say what `graph` was read from: another text whenever a weight or a layer's setting has changed since."""
        return fingerprint(self._eager)

    def activations(self, images: Images, names: Collection[str]) -> dict[str, np.ndarray]:
        """Return what named layers make of whole images: (n, rows, columns, channels), or (n, features).

        Layers that run more than once, hold others, or give anything else are left out.

        Raises:
            UnsupportedError: the graph cannot be read.
        """
        _, orders = self._captured(images.shape[1:])
        with running(self._options, images.shape):
            found = activations(self._eager, self._inputs(images), names)
        return {
            name: np.transpose(each, [order.index(axis) for axis in range(4)]) if order else each
            for name, each in found.items()
            if each.ndim == (4 if (order := orders[name]) else 2)
        }

    def _pixels(self, passes: Passes, images: Images, weigh: Weigh) -> tuple[Scores, Images]:
        if "int" in self._input.dtype:
            raise UnsupportedError(
                f"{self._options.name} must take floats for gradients, but its input is {self._input.dtype}. "
                "Use occlusion, which needs scores alone, or the network behind its integer input."
            )
        inputs = self._inputs(images)
        with self._device():
            scores, gradients = pulled(passes.gradient, inputs, weigh, self._output, self._options)
        return scores, self._options.preprocess.pull(self._input.restore(gradients))

    def _listed(self, shape: tuple[int, ...]) -> Listed:
        """Read the layers for a size of image, once."""
        if shape not in self._seen:
            black = self._inputs(np.zeros((1, *shape), dtype=np.float32))
            self._built(black)
            with running(self._options, (1, *shape)):
                first = self._input.layout == "first"
                self._seen[shape] = listed(self._eager, black, self.axes, first, self._options.name)
        return self._seen[shape]

    def _built(self, inputs: np.ndarray) -> None:
        """Make the weights of a network that was never called."""
        if not self._model.built:
            with running(self._options, inputs.shape), self._device():
                self._passes.forward(inputs)

    def _captured(self, shape: tuple[int, ...]) -> "tuple[Graph, Orders]":
        check_axes(shape)
        try:
            from eyeline.models.keras_graph import Source, capture
        except ImportError as error:
            raise UnsupportedError(
                "PyTorch must be installed for the incremental engine, but it was not found. "
                "pip install 'eyeline[torch]', or use engine='full'."
            ) from error
        self._built(self._inputs(np.zeros((1, *shape), dtype=np.float32)))
        return capture(self._eager, Source(shape, self._input.layout, self._options.preprocess, self._options.head))

    def _inputs(self, images: Images) -> np.ndarray:
        return self._input.arrange(self._options.preprocess(images))

    def _device(self) -> AbstractContextManager[Any]:
        """Keras puts tensors on its own default device; the model's may be another."""
        place = self._options.device
        if self._backend == "torch" and self._model.variables:
            place = str(self._model.variables[0].value.device)
        if place is None:
            return nullcontext()
        library = importlib.import_module("tensorflow" if self._library == "tf_keras" else "keras")
        scope: AbstractContextManager[Any] = library.device(place)
        return scope

    def describe(self) -> dict[str, str]:
        """Say what was assumed."""
        versions = f"{self._library} {version(self._library)} on {self._backend} {version(self._backend)}"
        weighted = [each for each in keras_input.layers(self._model) if each.weights] or [self._model]
        policies = {each.dtype_policy.name for each in weighted if hasattr(each, "dtype_policy")}
        layout = {"last": "channels last", "first": "channels first", "none": "no channel axis"}[self._input.layout]
        return {
            "framework": f"{versions}; {self._note}" if self._note else versions,
            "name": self._options.name,
            "device": self._options.device or "the model's",
            "dtype": ", ".join(sorted(policies)),
            "layout": layout,
            "preprocess": self._options.preprocess.describe(),
            "output": self._output.describe(),
        }


def wrap_keras(model: Any, options: Options) -> KerasModel:
    """Take a live Keras 3 or tf_keras model.

    Raises:
        UnsupportedError: several inputs, no image input, or an unknown backend.
        InputError: `options.input_size` is not the model's, or a device: a live model stays where it is.
    """
    if options.device is not None:
        raise InputError(
            f"device must be left out for a live Keras model, but got {options.device!r} ({options.name}). "
            "It runs where its weights are: build or load it under keras.device(...)."
        )
    return KerasModel(model, options)


def open_keras(path: Path, options: Options) -> KerasModel:
    """Open a `.keras`, `.h5` or `.hdf5` file, also one that Keras 2 wrote.

    Raises:
        ModelError: not such a file, or one that would run code or read other files and `trust` is not set.
        MissingDependencyError: Keras or every backend is missing.
    """
    model, note = keras_files.open_file(path, options)
    return KerasModel(model, options, note)
