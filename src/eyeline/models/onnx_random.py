"""ONNX files with weights drawn anew, on a copy of the graph."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from eyeline._typing import Images
from eyeline.errors import UnsupportedError
from eyeline.models.onnx import OnnxModel
from eyeline.models.onnx_files import session

WEIGHTED = {
    "BatchNormalization", "Conv", "ConvTranspose", "GRU", "Gemm", "GroupNormalization", "InstanceNormalization", "LSTM",
    "LayerNormalization", "MatMul", "PRelu", "RNN",
}  # fmt: skip
"""Operations whose constant inputs are weights; other constants belong to the arithmetic around them."""


@dataclass
class Drawn:
    """What a model reads of its file, from a graph in memory."""

    whole: onnx.ModelProto
    session: Any

    def graph(self) -> onnx.ModelProto:
        """Return the graph with its weights."""
        return self.whole


def weighted(model: OnnxModel, images: Images) -> tuple[str, ...]:
    """Name the nodes that hold weights, in the order of the graph; see `randomised`."""
    return tuple(_known(model._file.graph()))


def copied(model: OnnxModel) -> tuple[OnnxModel, dict[str, list[onnx.TensorProto]]]:
    """Return the model on a copy of its graph, and the copy's weights by node; `finish` puts them to work."""
    twin, whole = copy.copy(model), onnx.ModelProto()
    whole.CopyFrom(model._file.graph())
    twin._file = Drawn(whole, model._session)  # type: ignore[assignment]
    twin._names, twin._derivatives = None, {}
    return twin, _known(whole)


def redraw(weights: list[onnx.TensorProto], name: str, seed: int, place: int, draw: str) -> None:
    """Draw the weights of one node anew.

    Raises:
        UnsupportedError: draw="initial", which a file does not tell.
    """
    if draw == "initial":
        raise UnsupportedError(f"draw must be 'shuffle' for an ONNX file, but got 'initial' ({name}). Leave draw= out.")
    generator = np.random.default_rng((seed, place))
    for tensor in weights:
        values = numpy_helper.to_array(tensor)
        mixed = generator.permutation(values.reshape(-1)).reshape(values.shape)
        tensor.CopyFrom(numpy_helper.from_array(mixed, tensor.name))


def finish(twin: OnnxModel) -> None:
    """Open a session on the copy as it is now."""
    twin._session = session(twin._file.graph().SerializeToString())


def _known(whole: onnx.ModelProto) -> dict[str, list[onnx.TensorProto]]:
    """Return the weights of each node that has some; a tensor that several share counts for the first of them."""
    left = {each.name: each for each in whole.graph.initializer if each.data_type == onnx.TensorProto.FLOAT}
    same: dict[str, str] = {}
    found: dict[str, list[onnx.TensorProto]] = {}
    for number, node in enumerate(whole.graph.node):
        if node.op_type == "Identity":
            same[node.output[0]] = same.get(node.input[0], node.input[0])
        if node.op_type not in WEIGHTED:
            continue
        weights = [left.pop(name) for each in node.input if (name := same.get(each, each)) in left]
        if weights:
            found[node.name or f"{node.op_type} {number}"] = weights
    return found
