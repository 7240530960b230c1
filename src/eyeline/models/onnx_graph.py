"""Reads an ONNX graph for the incremental engine: what can be read at all, and what its layers are called."""

import onnx
from onnx import AttributeProto, TensorProto

from eyeline.incremental.graph import Graph
from eyeline.models.onnx_importer import Importer, Source
from eyeline.models.onnx_pieces import Names
from eyeline.models.torch_values import refused

OTHER = {TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}
RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
OLDEST = 7
"""Version of ONNX from which on both sides of a sum are broadcast as in NumPy."""


def capture(model: onnx.ModelProto, source: Source) -> tuple[Graph, Names]:
    """Return the graph from image space to one row of scores an image, and what its layers are in the file.

    Raises:
        UnsupportedError: numbers other than float32, control flow, chance, images that are not treated each alone, or
            an output that is no row of scores.
    """
    graph = model.graph
    version = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)
    if version < OLDEST:
        raise refused(f"be of opset {OLDEST} or newer", f"opset {version}")
    if any(each.data_type in OTHER and len(each.dims) > 1 for each in graph.initializer):
        raise refused("be of float32 numbers", "weights of another precision")
    if graph.sparse_initializer:
        raise refused("hold its weights densely", "sparse ones")
    names = _names(graph)
    for node in graph.node:
        what = f"{node.op_type} {names[node.output[0]]!r}"
        if any(each.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for each in node.attribute):
            raise refused("be one straight graph", f"{what}, which holds graphs of its own")
        if node.op_type in RANDOM:
            raise refused("give the same scores every time", what)
    importer = Importer(model, version, names, source)
    return importer.graph(), importer.layers


def _names(graph: onnx.GraphProto) -> dict[str, str]:
    """Return the name of what computes each output: the node's, unless it has none or it is another output's."""
    outputs = {each for node in graph.node for each in node.output}
    found = {}
    for node in graph.node:
        for place, output in enumerate(node.output):
            own = node.name and not place and node.name not in outputs - {output}
            found[output] = node.name if own else output
    return found
