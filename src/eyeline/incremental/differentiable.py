"""A graph as a torch module: whole images in, raw outputs out, with derivatives to the pixels and to its layers."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from eyeline.incremental import dense
from eyeline.incremental.graph import Activation, Add, Affine, Conv, Graph, Linear, Mul, Node

See = Callable[[str, Tensor], Tensor]
Change = Callable[[Activation], Activation]


class Network(torch.nn.Module):  # type: ignore[misc]  # torch is untyped here
    """Runs every node with torch operations, so that autograd follows.

    Args:
        graph: as an importer read it, or simplified, which is sooner but has fewer layers.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, images: Tensor, see: See | None = None) -> Tensor:
        """Return raw outputs, (n, classes), of images in image space, (n, *space, channels).

        `see` gets the name of each node and what it gives, and returns what the others go on with; of several nodes
        of one name the last is the layer.
        """

        def visit(place: int, node: Node, inputs: list[Tensor]) -> Tensor:
            found = dense.apply(node.operation, inputs, node.shape, len(images)) if place else images
            return found if see is None else see(node.name, found)

        return self.graph.walk(visit).reshape(len(images), -1)


def changed(graph: Graph, change: Change) -> Graph:
    """Return the graph with each activation replaced by what `change` returns for it."""

    def after(node: Node) -> Node:
        operation = node.operation
        if isinstance(operation, Activation):
            return replace(node, operation=change(operation))
        if isinstance(operation, Conv | Affine | Linear | Add | Mul) and operation.activation is not None:
            return replace(node, operation=replace(operation, activation=change(operation.activation)))
        return node

    return Graph(tuple(after(node) for node in graph.nodes))
