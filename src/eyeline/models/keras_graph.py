"""Reads the layer graph of a Keras model for the incremental engine, whatever backend the model runs on.

Weights are read once, as arrays; the engine computes with torch. Layouts are followed, not executed: a permuted map
is the same map. What is not known is carried as a call of that layer, which sees whole tensors.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from eyeline.errors import Error, first_line
from eyeline.incremental.graph import Activation, Affine, Graph, Input, Node, Operation, Unknown, prune
from eyeline.models import keras_input, keras_operations
from eyeline.models.base import single
from eyeline.models.keras_eager import Eager
from eyeline.models.keras_readings import BARE, ENTRY, LAST, theirs
from eyeline.models.keras_walk import Held, Step, dtype, filled, flat, readable, refused, walk
from eyeline.models.torch_values import FIRST, Value
from eyeline.preprocess import Preprocess

TRIED = 2
"""Images on which a layer that is carried is tried."""

Orders = dict[str, tuple[int, ...] | None]
"""Layers by name: which of the engine's axes each axis of a map is; None for what is no map."""


class Source(NamedTuple):
    """What is known of the images that a model takes, and of what follows it.

    Args:
        shape: (rows, columns, channels).
        layout: where the model has the channels.
        preprocess: image space -> the model's input.
        head: what follows the model, given the backend's tensors.
    """

    shape: tuple[int, ...]
    layout: keras_input.Layout
    preprocess: Preprocess
    head: Callable[[Any], Any] | None = None


def capture(eager: Eager, source: Source) -> tuple[Graph, Orders]:
    """Return the graph from image space to one row of scores an image, and how its layers lay out what they give.

    Raises:
        UnsupportedError: see `keras_walk.readable`; a layer whose outputs depend on the images beside it, or an output
            that is no row of scores.
    """
    importer = _Importer(eager, readable(eager.model), source)
    return importer.graph(), importer.orders


class _Importer:
    """Turns the calls of a model's layers into nodes, one at a time."""

    def __init__(self, eager: Eager, graph: Any, source: Source) -> None:
        self._eager, self._graph, self._source = eager, graph, source
        self.backend = eager.backend
        self.nodes: list[Node] = []
        self.orders: Orders = {}

    def graph(self) -> Graph:
        """Return the graph, without what the output does not need."""
        held = walk(self._graph, [self._entered()], self._visit)
        return prune(self.nodes, self._row(held).place)

    def _entered(self) -> Value:
        """Add the image and its way to the model's input."""
        shape, layout, preprocess, _ = self._source
        (symbolic,) = self._graph.inputs
        kind, order = dtype(symbolic), {"last": LAST, "first": FIRST, "none": BARE}[layout]
        image = Value(ENTRY, (shape[0], shape[1], shape[2]), order)
        if not _agree(theirs(image, images=1), symbolic.shape):
            raise refused(f"take images of {shape}", f"an input of {tuple(symbolic.shape)}")
        operation: Operation
        if kind == "float32":
            operation = Affine(*(torch.tensor(each) for each in preprocess.affine(shape[2])))
        elif "int" in kind:
            operation = Activation("preprocess", call=lambda data: self._whole(preprocess(data.numpy()), kind))
        else:
            raise refused("take float32 or whole numbers", kind)
        self.nodes = [Node(Input(), (), shape, "image"), Node(operation, (0,), shape, "image")]
        return image

    def _whole(self, values: np.ndarray, kind: str) -> Tensor:
        """Cut numbers as the backend does."""
        with self._eager.scope():
            return torch.from_numpy(self._eager.array(self._eager.tensor(values, kind)).astype(np.float32))

    def _visit(self, step: Step, held: Held) -> list[Any]:
        if any(getattr(each, "_keras_mask", None) is not None for each in step.outputs):
            raise refused("run without masks", f"{step.name!r}, which makes or hands on one")
        self._name, start = step.name, len(self.nodes)
        found = keras_operations.recognise(self, step, held)
        if found is None or not _agree(theirs(found, images=1), step.outputs[0].shape):
            del self.nodes[start:]
            return self._unknown(step, held)
        self.orders[step.name] = found.order
        return [found]

    def _unknown(self, step: Step, held: Held) -> list[Any]:
        """Carry a call of the model's own layer, for each of its outputs."""
        sources = {id(each): each for each in flat([step.args, step.kwargs]) if id(each) in held}

        def run(place: int, tensors: list[Any]) -> Any:
            return self._eager.call(step, dict(zip(sources, tensors, strict=True)))[place]

        inputs = [(held[key], dtype(each)) for key, each in sources.items()]
        found = [self._carried(partial(run, place), inputs) for place in range(len(step.outputs))]
        self.orders[step.name] = found[0].order
        return found

    def _row(self, held: Held) -> Value:
        """Return the one row of scores an image, as `single` finds it in what the model gives."""
        struct = getattr(self._graph, "_outputs_struct", getattr(self._graph, "_nested_outputs", None))
        struct = struct[0] if isinstance(struct, list | tuple) and len(struct) == 1 else struct
        outputs = {id(each): each for each in flat(struct)}
        values: list[Value] = [held[key] for key in outputs]
        head = self._source.head
        if head is None:
            alone = not isinstance(struct, list | tuple | dict)
            fitting = [each for each in values if len(each.shape) == 1 or (alone and not each.shape)]
            if len(fitting) != 1 or fitting[0].order is not None:
                shapes = ", ".join(str(tuple(each.shape)) for each in outputs.values())
                raise refused("return one row of scores an image", f"outputs of {shapes}")
            return fitting[0]
        self._name = "head"

        def run(tensors: list[Any]) -> Any:
            return single(head(filled(struct, dict(zip(outputs, tensors, strict=True)))), len(tensors[0]))

        return self._carried(run, [(held[key], dtype(each)) for key, each in outputs.items()])

    def _carried(self, run: Callable[[list[Any]], Any], inputs: list[tuple[Value, str]]) -> Value:
        """Add a function of the backend's tensors, which is tried first: what it gives for an image is its alone."""
        values, kinds = [value for value, _ in inputs], [kind for _, kind in inputs]
        name = self._name

        def given(arrays: list[np.ndarray], watched: bool = False) -> np.ndarray:
            with self._eager.scope():
                tensors = [self._eager.tensor(each, kind) for each, kind in zip(arrays, kinds, strict=True)]
                before = [np.array(self._eager.array(each)) for each in tensors if watched]
                found = np.array(self._eager.array(run(tensors)))
                if watched and not all(map(np.array_equal, before, map(self._eager.array, tensors))):
                    raise refused("leave what its layers are given as it is", f"{name!r}, which overwrites it")
            return found

        try:
            found = _tried(partial(given, watched=True), [theirs(each, images=TRIED) for each in values])
        except Error:
            raise
        except Exception as error:  # whatever a layer or the head raises on numbers that are no picture's
            raise refused("run layer by layer, on any number of images", f"{name!r}: {first_line(error)}") from error
        order = (FIRST if any(each.order == FIRST for each in values) else LAST) if found.ndim == 4 else None
        shape = tuple(found.shape[order.index(axis)] for axis in (1, 2, 3)) if order else found.shape[1:]

        def call(images: int, *tensors: Tensor) -> Tensor:
            arrays = [_laid_out(tensor, value.order) for tensor, value in zip(tensors, values, strict=True)]
            output = torch.from_numpy(given(arrays))
            return output.permute([order.index(axis) for axis in range(4)]).contiguous() if order else output

        return self.add(Unknown(name, call), values, shape, order)

    # what the readers ask

    def add(
        self, operation: Operation, inputs: Iterable[Value], shape: tuple[int, ...], order: tuple[int, ...] | None
    ) -> Value:
        """Append a node."""
        self.nodes.append(Node(operation, tuple(each.place for each in inputs), shape, self._name))
        return Value(len(self.nodes) - 1, shape, order)

    def numbers(self, given: Any) -> Tensor:
        """Return weights or constants in memory of their own."""
        plain = isinstance(given, np.ndarray | list | tuple)
        return torch.from_numpy(np.array(given if plain else self._eager.array(given), dtype=np.float32))


def _agree(shape: tuple[int, ...], symbolic: Any) -> bool:
    """Say whether a shape is one that Keras foresaw, the images apart."""
    pairs = zip(shape[1:], tuple(symbolic)[1:], strict=False)
    return len(shape) == len(symbolic) and all(known in (None, length) for length, known in pairs)


def _laid_out(tensor: Tensor, order: tuple[int, ...] | None) -> np.ndarray:
    """Return what the engine holds as the network has it."""
    found = tensor[..., 0] if order == BARE else tensor if order is None else tensor.permute(order)
    return np.asarray(found.numpy())


def _tried(run: Callable[[list[np.ndarray]], np.ndarray], shapes: list[tuple[int, ...]]) -> np.ndarray:
    """Return what a layer gives for a few images, having seen that each image's is the same without the others."""
    some = [np.random.default_rng(0).standard_normal(shape, dtype=np.float32) for shape in shapes]
    together = run(some)
    apart = np.concatenate([run([each[one : one + 1] for each in some]) for one in range(TRIED)])
    torch.from_numpy(together[:0])  # raises where torch has no such numbers
    reach = 1e-3 * float(np.abs(apart[np.isfinite(apart)]).max(initial=0))
    if together.shape != apart.shape or not np.allclose(together, apart, rtol=1e-3, atol=reach, equal_nan=True):
        raise refused("treat every image alone", "a layer that mixes them, changes their number, or draws numbers")
    return together
