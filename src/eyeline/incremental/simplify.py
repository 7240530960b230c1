"""Merges neighbours of a graph that compute the same in one step: less to run, and nothing approximated."""

from dataclasses import replace

from torch import Tensor

from eyeline.incremental.graph import (
    Activation,
    Add,
    Affine,
    Conv,
    Flatten,
    Graph,
    Linear,
    Mul,
    Node,
    Operation,
    Pad,
    prune,
)

LARGE = 2**26
"""Bytes of a linear layer's weights above which they are not laid out anew: another copy would stay in memory."""


def simplify(graph: Graph) -> Graph:
    """Fold affine steps and padding into convolutions, activations into what they follow."""
    nodes: list[Node] = []
    places: list[int] = []
    uses = graph.uses()
    for node in graph.nodes:
        inputs = tuple(places[each] for each in node.inputs)
        merged = None
        if len(inputs) == 1 and uses[node.inputs[0]] == 1:
            before = nodes[inputs[0]]
            merged = _merge(before, node.operation)
        if merged is not None:
            node, inputs = replace(node, operation=merged), before.inputs
        elif isinstance(node.operation, Linear):
            node = _in_raster_order(node, inputs[0], nodes, uses[node.inputs[0]])
        places.append(len(nodes))
        nodes.append(replace(node, inputs=inputs))
    return prune(nodes, places[-1])


def _merge(before: Node, after: Operation) -> Operation | None:
    """Return the one operation that does both, or None."""
    match before.operation, after:
        case (Conv() | Linear() | Affine() | Add() | Mul()) as first, Activation() if first.activation is None:
            return replace(first, activation=after)
        case Conv(activation=None) | Linear(activation=None), Affine():
            return _scaled(before.operation, after)
        case Affine(activation=None), Affine():
            scale, shift = after.scale.double(), after.shift.double()
            first = before.operation
            both = (first.scale * scale, first.shift * scale + shift)
            return Affine(both[0].float(), both[1].float(), after.activation)
        case Pad(value=0.0), Conv() if _adds(before.operation):
            pairs = zip(before.operation.geometries, after.geometries, strict=True)
            rows, columns = (
                replace(conv, before=conv.before + pad.before, after=conv.after + pad.after) for pad, conv in pairs
            )
            return replace(after, geometries=(rows, columns))
    return None


def _scaled(first: Conv | Linear, affine: Affine) -> Conv | Linear:
    scale, shift = affine.scale.double(), affine.shift.double()
    weight = first.weight.double() * scale.reshape(-1, *[1] * (first.weight.ndim - 1))
    bias = shift if first.bias is None else first.bias.double() * scale + shift
    return replace(first, weight=weight.float(), bias=bias.float(), activation=affine.activation)


def _adds(pad: Pad) -> bool:
    return all(each.before >= 0 and each.after >= 0 for each in pad.geometries)


def _in_raster_order(node: Node, place: int, nodes: list[Node], uses: int) -> Node:
    """Let a linear layer read a flattened map as it lies in memory: its columns are put in that order."""
    before, operation = nodes[place], node.operation
    assert isinstance(operation, Linear)
    if uses != 1 or not isinstance(before.operation, Flatten) or before.operation.raster:
        return node
    if operation.weight.nbytes > LARGE:
        return node
    rows, columns, channels = nodes[before.inputs[0]].shape
    weight: Tensor = operation.weight.reshape(-1, channels, rows, columns).permute(0, 2, 3, 1)
    nodes[place] = replace(before, operation=Flatten(raster=True))
    return replace(node, operation=replace(operation, weight=weight.reshape(len(weight), -1).contiguous()))
