"""Turns an ONNX graph into the engine's, one operation at a time.

Whatever does not depend on the image is computed here: constants once, sizes for each number of images. Layouts are
followed, not executed: a transposed map is the same map. What is not known is carried as a model of that one node,
which onnxruntime runs on whole tensors; where it does not have the images in front, with all that follows. Where
autograd follows, PyTorch runs it.
"""

from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any, Literal, NamedTuple

import numpy as np
import onnx
import torch
from onnx import TensorProto, numpy_helper
from torch import Tensor

from eyeline.errors import Error, UnsupportedError, first_line
from eyeline.incremental.graph import Affine, Graph, Input, Node, Operation, Unknown, prune
from eyeline.models.base import single
from eyeline.models.onnx_operations import recognise
from eyeline.models.onnx_patterns import fused
from eyeline.models.onnx_pieces import Arrays, Names, Piece, alone, in_batches, sample
from eyeline.models.onnx_shapes import LAST, Sizes, size, target, theirs
from eyeline.models.onnx_torch import TorchPiece, headed
from eyeline.models.output import by_name
from eyeline.models.torch_values import FIRST, Value, refused

COUNTS = (1, 2, 3, 8)
"""Numbers of images for which sizes are computed, where the graph takes any."""


class Source(NamedTuple):
    """What is known of the images that a graph takes.

    Args:
        shape: (*space, channels).
        layout: where the graph has the channels.
        batch: number of images that is written into the graph, if one is.
        entry: a factor and a summand per channel, which turn image space into the graph's input.
        head: what follows the graph, given arrays.
    """

    shape: tuple[int, ...]
    layout: Literal["first", "last"]
    batch: int | None
    entry: tuple[tuple[float, ...], tuple[float, ...]]
    head: Callable[[Any], Any] | None = None


class Importer:
    """Turns an ONNX graph into nodes, one operation at a time."""

    def __init__(self, model: onnx.ModelProto, version: int, names: dict[str, str], source: Source) -> None:
        self._model, self._version, self._names, self._source = model, version, names, source
        self._counts = COUNTS if source.batch is None else (source.batch,)
        self._held: dict[str, Any] = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
        self._kinds: dict[int, np.dtype] = {}  # of values that are not float32
        self.nodes: list[Node] = []
        self.layers: Names = {}

    def graph(self) -> Graph:
        """Return the graph, without what the output does not need."""
        self._bind_input()
        outputs = [each.name for each in self._model.graph.output]
        try:
            self._import(outputs)
        except UnsupportedError as error:
            for output in outputs:
                if output not in self._held:
                    self._held[output] = self._unknown(output, error)
        found = [self._held[name] for name in outputs]
        if not all(isinstance(each, Value) for each in found):
            raise refused("depend on the image", f"a constant among its outputs, {', '.join(outputs)}")
        return prune(self.nodes, self._row(outputs, found).place)

    def add(
        self, operation: Operation, inputs: Iterable[Value], shape: tuple[int, ...], order: tuple[int, ...] | None
    ) -> Value:
        """Append a node."""
        self.nodes.append(Node(operation, tuple(each.place for each in inputs), shape, self._name))
        return Value(len(self.nodes) - 1, shape, order)

    def _bind_input(self) -> None:
        (given,) = (each for each in self._model.graph.input if each.name not in self._held)
        if given.type.tensor_type.elem_type != TensorProto.FLOAT:
            raise refused("take float32 numbers", TensorProto.DataType.Name(given.type.tensor_type.elem_type).lower())
        self._name = "image"
        shape, first = self._source.shape, self._source.layout == "first"
        order = (FIRST if first else LAST) if len(shape) == 3 else None
        image = self.add(Input(), (), shape, order)
        scale, shift = self._source.entry
        image = self.add(Affine(torch.tensor(scale), torch.tensor(shift)), (image,), *image[1:])
        if order is None and first:
            turn = Unknown("Transpose", lambda images, data: data.movedim(-1, 1).contiguous())
            image = self.add(turn, (image,), (shape[-1], *shape[:-1]), None)
        self._held[given.name] = image

    def _row(self, names: list[str], values: list[Value]) -> Value:
        """Return the one row of scores an image, as `single` finds it in what the session gives."""
        if self._source.head is None:
            fitting = values if len(values) == 1 else [each for each in values if len(each.shape) == 1]
            if len(fitting) != 1 or len(fitting[0].shape) > 1:
                raise refused("return one row of scores an image", f"the outputs {', '.join(names)}")
            return fitting[0]
        head = self._source.head

        def run(arrays: Arrays) -> Arrays:
            given = [each.copy() for each in arrays]  # a head may write into what it gets
            raw = single(head(by_name(names, given)), len(arrays[0]))
            return [np.asarray(raw, dtype=np.float64).reshape(len(arrays[0]), -1)]

        def follow(tensors: list[Tensor]) -> Tensor:
            return headed(head, by_name(names, tensors))

        self._name = "head"
        return self._carried("head", run, follow, values)

    def _import(self, outputs: list[str]) -> None:
        """Read every node that the outputs need."""
        nodes, needed = fused(self._model.graph), set(outputs)
        for node in reversed(nodes):
            if needed.intersection(node.output):
                needed.update(filter(None, node.input))
        for node in nodes:
            for output in node.output:
                if output in needed:
                    self._name = self._names[output]
                    found = self._held[output] = self._read(node, output)
                    if isinstance(found, Value) and found.channel is not None:
                        self.layers[self._name] = (output, found.order)

    def _read(self, node: onnx.NodeProto, output: str) -> Any:
        """Return what an output of a node stands for."""
        given = [self._held[name] if name else None for name in node.input]
        values = [each for each in given if isinstance(each, Value)]
        if not values:
            return self._folded(node, output)
        if node.op_type == "Shape":
            return self._sizes(lambda images: size(node, values[0], images))
        found = None
        if output == node.output[0] and not any(each.place in self._kinds for each in values):
            found = recognise(self, node, given, self._version)
        return found or self._unknown(output)

    def _folded(self, node: onnx.NodeProto, output: str) -> Any:
        """Compute what does not depend on the image."""
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            return numpy_helper.to_array(node.attribute[0].t)
        piece = Piece([node], output, self._model, {}, threads=1)
        given = {name: self._held[name] for name in node.input if name}
        if any(isinstance(each, Sizes) for each in given.values()):
            return self._sizes(lambda images: piece(_counted(given, images)))
        return self._ran(lambda: piece(given))

    def _sizes(self, of: Callable[[int], np.ndarray]) -> Any:
        """Return sizes, as an array where they do not depend on the number of images."""
        found = [self._ran(partial(of, count)) for count in self._counts]
        same = all(np.array_equal(each, found[0]) for each in found)
        return found[0] if same else Sizes(cache(of))

    def _unknown(self, output: str, failed: UnsupportedError | None = None) -> Value:
        """Carry what lies between the names that are known and an output, most often one node, as a model of its own.

        Raises:
            UnsupportedError: it does not treat every image alone; `failed` where that is given.
        """
        nodes: list[onnx.NodeProto] = []
        wanted = {output}
        for node in reversed(self._model.graph.node):
            if wanted.intersection(node.output):
                nodes.insert(0, node)
                wanted.update(name for name in node.input if name and name not in self._held)
        inside = {name for node in nodes for name in node.output}
        held = {name: self._held[name] for node in nodes for name in node.input if name and name not in inside}
        constants = {name: each for name, each in held.items() if isinstance(each, np.ndarray)}
        sizes = {name: each for name, each in held.items() if isinstance(each, Sizes)}
        sources = {name: each for name, each in held.items() if isinstance(each, Value)}
        piece = Piece(nodes, output, self._model, constants, torch.get_num_threads())
        twin = TorchPiece(nodes, output, self._model, self._version)

        def run(arrays: Arrays) -> Arrays:
            return [piece({**dict(zip(sources, arrays, strict=True)), **_counted(sizes, len(arrays[0]))})]

        def follow(tensors: list[Tensor]) -> Tensor:
            counted = _counted(sizes, len(tensors[0]))
            return twin({**constants, **counted, **dict(zip(sources, tensors, strict=True))})

        try:
            return self._carried(nodes[0].op_type, run, follow, list(sources.values()))
        except UnsupportedError as error:
            raise failed or error from None

    def _carried(
        self, what: str, run: Callable[[Arrays], Arrays], follow: Callable[[list[Tensor]], Tensor], sources: list[Value]
    ) -> Value:
        """Add a function of arrays, which is tried first: what it gives for an image must be that image's alone.

        `follow` is the same on tensors, for derivatives.
        """
        batch = self._source.batch
        kinds = [self._kinds.get(each.place, np.dtype(np.float32)) for each in sources]
        some = [sample(theirs(each), kind) for each, kind in zip(sources, kinds, strict=True)]
        found = self._ran(lambda: torch.from_numpy(alone(run, some, batch)).numpy())
        shape = found.shape[1:]
        order = None
        if len(shape) == 3:
            order = next((each.order for each in sources if each.order), FIRST)
            shape = tuple(found.shape[order.index(axis)] for axis in (1, 2, 3))

        def call(images: int, *tensors: Tensor) -> Tensor:
            pairs = zip(sources, tensors, strict=True)
            given = [tensor.permute(each.order) if each.order else tensor for each, tensor in pairs]
            if any(each.requires_grad for each in given):
                output = follow(given)
            else:
                output = torch.from_numpy(in_batches(run, [each.numpy() for each in given], batch)[0])
            return output.permute([order.index(axis) for axis in range(4)]).contiguous() if order else output

        value = self.add(Unknown(what, call), sources, shape, order)
        if found.dtype != np.float32:
            self._kinds[value.place] = found.dtype
        return value

    def _ran(self, run: Callable[[], np.ndarray]) -> np.ndarray:
        try:
            return run()
        except Error:
            raise
        except Exception as error:
            raise refused("run node by node, each image alone", f"{self._name!r}: {first_line(error)}") from error

    # what the readers ask

    def value(self, node: object) -> Any:
        """Return what a name stands for: a Value, an array, or Sizes."""
        return self._held[str(node)]

    def shape(self, node: onnx.NodeProto) -> tuple[int, ...] | None:
        """Return the shape that a `Reshape` makes, without the images; None if they are not in front."""
        zeros = any(each.name == "allowzero" and each.i for each in node.attribute)
        return target(self._held[node.input[0]], self._held[node.input[1]], self._counts, zeros)


def _counted(given: dict[str, Any], images: int) -> dict[str, np.ndarray]:
    """Fill sizes in."""
    return {name: each.of(images) if isinstance(each, Sizes) else each for name, each in given.items()}
