"""Single layers of a Keras model, run on arrays as the whole model runs them, and what the model is made of."""

import hashlib
import importlib
import itertools
import math
import sys
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from eyeline._typing import Images
from eyeline.errors import UnsupportedError
from eyeline.models import keras_input
from eyeline.models.keras_walk import Held, Step, dtype, filled, flat, graph_of, readable, walk

if TYPE_CHECKING:
    from eyeline.incremental.graph import Graph

LOADING, LAYER, WEIGHT = 2.0, 1e-3, 2e-8
"""Seconds: PyTorch's own imports, once a process; each layer that is read; each number that is laid out."""

PLAIN = {bool, int, float, str, type(None)}


class Eager(NamedTuple):
    """Runs layers outside of any compiled graph, in inference; weights, seeds and modes are as before.

    Args:
        model: whose layers they are.
        library: "keras" or "tf_keras".
        backend: "tensorflow", "jax" or "torch".
        device: a scope in which tensors lie where the model's do.
    """

    model: Any
    library: str
    backend: str
    device: Callable[[], AbstractContextManager[Any]]

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Compute where the model does, with nothing recorded, changed or switched."""
        with ExitStack() as stack:
            stack.enter_context(self.device())
            if self.library == "keras":
                import keras

                stack.enter_context(keras.StatelessScope())
                if self.backend == "torch":
                    import torch

                    # not inference_mode: a layer that keeps a tensor here could never be trained again
                    stack.enter_context(torch.inference_mode(False))
                    stack.enter_context(torch.no_grad())
            yield

    def tensor(self, array: Any, kind: str) -> Any:
        """Return a tensor of the backend, perhaps in the array's own memory."""
        if self.library == "tf_keras":
            return importlib.import_module("tensorflow").cast(array, kind)
        import keras

        return keras.ops.cast(keras.ops.convert_to_tensor(array), kind)

    def array(self, tensor: Any) -> np.ndarray:
        """Return a tensor's or a variable's numbers, perhaps in its own memory."""
        if self.library == "tf_keras":
            return np.asarray(tensor)
        import keras

        return np.asarray(keras.ops.convert_to_numpy(tensor))

    def call(self, step: Step, held: Held) -> list[Any]:
        """Call a layer once more, on tensors of the backend, inside `scope`."""
        kwargs = filled(step.kwargs, held)
        if hasattr(step.layer, "_call_has_training_arg"):
            kwargs["training"] = False  # Keras 3 lets the model's word count
        elif getattr(getattr(step.layer, "_call_spec", None), "expects_training_arg", False):
            kwargs.setdefault("training", False)  # tf_keras the layer's
        with ExitStack() as stack:
            if self.backend == "torch" and hasattr(step.layer, "_flatten_layers"):
                from eyeline.models.torch_mode import evaluating

                for each in step.layer._flatten_layers():  # modules of torch inside are switched by the call
                    stack.enter_context(evaluating(each))
            return flat(step.layer(*filled(step.args, held), **kwargs))


def activations(eager: Eager, inputs: np.ndarray, names: Collection[str]) -> dict[str, np.ndarray]:
    """Return what named layers make of a batch in the model's own layout; one that runs twice is left out."""
    graph = graph_of(eager.model)
    assert graph is not None
    outputs: dict[str, list[np.ndarray]] = {}

    def visit(step: Step, held: Held) -> list[Any]:
        found = eager.call(step, held)
        if step.name in names:
            outputs.setdefault(step.name, []).extend(eager.array(each).astype(np.float32) for each in found)
        return found

    with eager.scope():
        walk(graph, [eager.tensor(inputs, dtype(graph.inputs[0]))], visit)
    return {name: found[0] for name, found in outputs.items() if len(found) == 1}


def setup(model: Any) -> float:
    """Foresee the seconds that reading a model and laying out its weights take.

    Raises:
        UnsupportedError: it is plain that there is no graph: see `keras_walk.readable`.
    """
    readable(model)
    count = len(list(keras_input.layers(model)))
    numbers: int = sum(math.prod(each.shape) for each in model.weights)
    return LOADING * ("torch" not in sys.modules) + LAYER * count + WEIGHT * numbers


def share(graph: "Graph", ground: Images, covered: Images) -> float:
    """Count which share of a graph's multiply-adds a change of the first image reaches."""
    from eyeline.incremental.plan import reached

    return reached(graph, ground[0], covered[0])


def running_on(model: Any, names: Collection[str]) -> tuple[str, str]:
    """Name the library and its backend: a tf_keras model brings TensorFlow, whatever Keras 3 runs on."""
    if any(base.__module__.partition(".")[0] == "tf_keras" for base in type(model).__mro__):
        return "tf_keras", "tensorflow"
    import keras

    backend: str = keras.backend.backend()
    if backend not in names:
        raise UnsupportedError(
            f"Keras must run on one of {', '.join(names)}, but it runs on {backend}. Set KERAS_BACKEND before it "
            "is imported."
        )
    return "keras", backend


def check_axes(shape: tuple[int, ...]) -> None:
    """Check that an image has two spatial axes.

    Raises:
        UnsupportedError: it has others.
    """
    if len(shape) != 3:
        raise UnsupportedError(
            f"images must have two spatial axes for the incremental engine, but got {len(shape) - 1}. "
            "Use engine='full'."
        )


def fingerprint(eager: Eager) -> str:
    """Say what a model is: its layers with their settings, how they hang together, and the bits of its weights.

    Reading the bits takes about as long as copying them: 30 ms for 100 MB.
    """
    digest, numbers = hashlib.blake2b(digest_size=16), itertools.count()

    def visit(step: Step, held: Held) -> list[Any]:
        settings = {key: repr(each) for key, each in vars(step.layer).items() if key != "training" and _plain(each)}
        wiring = (filled(step.args, held), filled(step.kwargs, held))
        digest.update(f"{step.name}\0{type(step.layer)}\0{sorted(settings.items())}\0{wiring}\0".encode())
        return [next(numbers) for _ in step.outputs]

    graph = graph_of(eager.model)
    if graph is not None:
        walk(graph, [next(numbers) for _ in graph.inputs], visit)
    for each in eager.model.weights:
        array = eager.array(each)
        digest.update(f"{array.dtype}\0{array.shape}\0{zlib.crc32(np.ascontiguousarray(array).data)}\0".encode())
    return digest.hexdigest()


def _plain(setting: Any) -> bool:
    several = setting if type(setting) in (tuple, list) else [setting]
    return callable(setting) or all(type(each) in PLAIN for each in several)
