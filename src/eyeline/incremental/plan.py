"""What a sweep will do, before it runs: every layer's boxes, where it turns dense, multiply-adds and bytes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from eyeline._typing import Boxes
from eyeline.incremental.geometry import areas, clip, offsets, spread, union
from eyeline.incremental.graph import (
    Activation,
    Add,
    Affine,
    AveragePool,
    Concat,
    Conv,
    Graph,
    Input,
    LayerNorm,
    Linear,
    MaxPool,
    Mul,
    Node,
    Pad,
    Unknown,
)
from eyeline.incremental.simplify import simplify

LOCAL = (Conv, MaxPool, AveragePool, Pad, Affine, Activation, Add, Mul, Concat, LayerNorm)
BYTES = 4
Offsets = Int[np.ndarray, "n_plus_1"]


@dataclass(frozen=True, eq=False)
class Plan:
    """Boxes of n positions at every node of a graph.

    Args:
        boxes: per node, the outputs that may differ from the clean ones; None where the whole output is computed.
        offsets: per node, where each position's pixels begin when they lie behind one another.
    """

    graph: Graph
    boxes: tuple[Boxes | None, ...]
    offsets: tuple[Offsets | None, ...]

    @property
    def positions(self) -> int:
        """How many."""
        return len(self._known()[0][1])

    @property
    def full(self) -> int:
        """Multiply-adds of the network run on every position."""
        return self.positions * sum(multiply_adds(self.graph, each) for each in self.graph.nodes)

    @property
    def done(self) -> int:
        """Multiply-adds of direct convolutions on these boxes, the least that an exact sweep can do."""
        return sum(
            multiply_adds(self.graph, node) * self.positions
            if boxes is None
            else multiply_adds(self.graph, node) // max(_pixels(node), 1) * int(areas(boxes).sum())
            for node, boxes in zip(self.graph.nodes, self.boxes, strict=True)
        )

    @property
    def dense_from(self) -> str:
        """Name of the first layer that sees whole maps, or ""."""
        return next((node.name for node, boxes in zip(self.graph.nodes, self.boxes, strict=True) if boxes is None), "")

    @property
    def uncounted(self) -> tuple[str, ...]:
        """Names of the operations whose multiply-adds nobody knows; they are counted as none."""
        found = (node.operation.name for node in self.graph.nodes if isinstance(node.operation, Unknown))
        return tuple(dict.fromkeys(found))

    @property
    def clean_bytes(self) -> int:
        """Bytes of the clean maps."""
        return sum(BYTES * int(np.prod(node.shape)) for node, _ in self._known())

    @property
    def position_bytes(self) -> int:
        """Bytes of the largest layer's inputs and outputs, for a mean position."""
        sizes = [BYTES * node.shape[-1] * float(areas(boxes).mean()) for node, boxes in self._known()]
        return int(max(a + b for a, b in zip(sizes, sizes[1:] or [0.0], strict=False)))

    def rows(self, place: int, start: int, stop: int) -> tuple[np.ndarray, Offsets]:
        """Return the boxes of some positions at a node, (n, 4), and where each one's pixels begin among theirs."""
        boxes, offsets = self.boxes[place], self.offsets[place]
        assert boxes is not None
        assert offsets is not None
        return boxes[start:stop].reshape(stop - start, 4), offsets[start : stop + 1] - offsets[start]

    def _known(self) -> list[tuple[Node, Boxes]]:
        pairs = zip(self.graph.nodes, self.boxes, strict=True)
        return [(node, boxes) for node, boxes in pairs if boxes is not None]


def plan(graph: Graph, boxes: Boxes) -> Plan:
    """Follow boxes of covered pixels, (n, axes, 2), through a graph."""
    found: list[Boxes | None] = []
    for local, node in zip(local_nodes(graph), graph.nodes, strict=True):
        inputs = [found[each] for each in node.inputs]
        found.append(_spread(node, boxes, [each for each in inputs if each is not None]) if local else None)
    return Plan(graph, tuple(found), tuple(None if each is None else offsets(each) for each in found))


def reached(graph: Graph, image: np.ndarray, changed: np.ndarray) -> float:
    """Return the share of the multiply-adds that a change of an image, (rows, columns, channels), reaches."""
    places = np.argwhere((image != changed).any(axis=-1))
    if not len(places):
        return 0.0
    found = plan(simplify(graph), np.stack([places.min(axis=0), places.max(axis=0) + 1], axis=-1)[None])
    return found.done / max(found.full, 1)


def around(boxes: Int[np.ndarray, "n *k axes 2"]) -> Boxes:
    """Return one box a position: the smallest that holds all that are covered together."""
    return boxes if boxes.ndim == 3 else union([np.ascontiguousarray(each) for each in boxes.swapaxes(0, 1)])


def local_nodes(graph: Graph) -> tuple[bool, ...]:
    """Say for each node whether a change of its input stays local, so that windows can follow it."""
    found: list[bool] = []
    for node in graph.nodes:
        inputs = [graph.nodes[each].shape for each in node.inputs]
        alike = not isinstance(node.operation, Add | Mul) or len(set(inputs)) == 1
        known = isinstance(node.operation, LOCAL) and node.is_map and alike
        found.append(isinstance(node.operation, Input) or (known and all(found[each] for each in node.inputs)))
    return tuple(found)


def multiply_adds(graph: Graph, node: Node) -> int:
    """Count those of convolutions and linear layers on one whole image."""
    match node.operation:
        case Conv(weight=weight):
            return int(weight.numel()) * _pixels(node)
        case Linear(weight=weight):
            return int(weight.numel())
    return 0


def _pixels(node: Node) -> int:
    return int(np.prod(node.shape[:2])) if node.is_map else 1


def _spread(node: Node, covered: Boxes, inputs: Sequence[Boxes]) -> Boxes:
    match node.operation:
        case Input():
            return covered
        case Conv() | MaxPool() | AveragePool():
            return spread(inputs[0], node.operation.geometries, node.shape[:2])
        case Pad():
            rows, columns = node.operation.geometries
            return clip(inputs[0], (rows.before, columns.before), node.shape[:2])
        case _:
            return inputs[0] if len(inputs) == 1 else union(list(inputs))
