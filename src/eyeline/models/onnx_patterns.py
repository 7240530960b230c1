"""Operations that exporters write as several, because their version of ONNX did not have them: found again."""

import math

import numpy as np
import onnx
from onnx import helper, numpy_helper

DOMAIN = "eyeline"
"""Marks what was put together here; written as the newest version that this onnx knows."""


def fused(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes, the last of each pattern replaced by the one operation; the others may be needed by nobody."""
    parts = _Parts(graph)
    return [_layer_norm(parts, node) or _gelu(parts, node) or _swish(parts, node) or node for node in graph.node]


class _Parts:
    """What computes each name."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._nodes = {output: node for node in graph.node for output in node.output}
        self._weights = {each.name: each for each in graph.initializer}

    def node(self, name: str, *kinds: str) -> onnx.NodeProto:
        """Return the node that computes a name, or an empty one if it is of another kind."""
        found = self._nodes.get(name)
        return found if found is not None and found.op_type in kinds else onnx.NodeProto(input=("", ""), output=("?",))

    def numbers(self, name: str) -> list[float]:
        """Return a small constant; empty for anything else."""
        found = self._nodes.get(name)
        if found is not None and found.op_type == "Constant" and found.attribute[0].name == "value":
            held = found.attribute[0].t
        else:
            held = self._weights.get(name)
        small = held is not None and len(held.dims) < 2 and math.prod(held.dims) == 1
        return numpy_helper.to_array(held).reshape(-1).tolist() if small else []

    def is_number(self, name: str, number: float) -> bool:
        """Say whether a name is a constant of that value."""
        return bool(np.allclose(self.numbers(name) or math.nan, number, rtol=1e-6))


def _attributes(node: onnx.NodeProto) -> dict[str, object]:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def _made(kind: str, source: str, node: onnx.NodeProto, **attributes: float) -> onnx.NodeProto:
    return helper.make_node(kind, [source], list(node.output), name=node.name, domain=DOMAIN, **attributes)


def _layer_norm(parts: _Parts, node: onnx.NodeProto) -> onnx.NodeProto | None:
    """`(x - mean) / sqrt(mean((x - mean)**2) + epsilon)`, means over the last axis."""
    if node.op_type != "Div":
        return None
    centred = parts.node(node.input[0], "Sub")
    summed = parts.node(parts.node(node.input[1], "Sqrt").input[0], "Add")
    mean, variance = parts.node(centred.input[1], "ReduceMean"), parts.node(summed.input[0], "ReduceMean")
    square = parts.node(variance.input[0], "Pow", "Mul")
    squares = square.input[1] == square.input[0] if square.op_type == "Mul" else parts.is_number(square.input[1], 2)
    epsilon = parts.numbers(summed.input[1])
    axes = [_attributes(each).get("axes") or parts.numbers([*each.input, ""][1]) for each in (mean, variance)]
    kept = all(_attributes(each).get("keepdims", 1) for each in (mean, variance))
    known = squares and kept and epsilon and axes == [[-1], [-1]]
    if not known or mean.input[0] != centred.input[0] or square.input[0] != node.input[0]:
        return None
    return _made("LayerNormalization", mean.input[0], node, epsilon=epsilon[0])


def _gelu(parts: _Parts, node: onnx.NodeProto) -> onnx.NodeProto | None:
    """`x * (1 + erf(x / sqrt(2))) * 0.5`, in the order in which PyTorch writes it."""
    if node.op_type != "Mul" or not parts.is_number(node.input[1], 0.5):
        return None
    product = parts.node(node.input[0], "Mul")
    shifted = parts.node(product.input[1], "Add")
    scaled = parts.node(parts.node(shifted.input[0], "Erf").input[0], "Div")
    known = parts.is_number(shifted.input[1], 1) and parts.is_number(scaled.input[1], math.sqrt(2))
    return _made("Gelu", scaled.input[0], node) if known and scaled.input[0] == product.input[0] else None


def _swish(parts: _Parts, node: onnx.NodeProto) -> onnx.NodeProto | None:
    """`x * sigmoid(x)`."""
    if node.op_type != "Mul" or not onnx.defs.has("Swish"):
        return None
    for source, gate in (node.input, reversed(node.input)):
        if parts.node(gate, "Sigmoid").input[0] == source:
            return _made("Swish", source, node)
    return None
