"""A network as the engine sees it: immutable nodes in the order they run, and one walk for every visitor.

A map is (rows, columns, channels), a vector (features,); any other shape is carried as its framework has it. No
shape counts the images: every operation treats them one by one.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

from eyeline.incremental.geometry import Geometry

T = TypeVar("T")
Pair = tuple[int, int]
Geometries = tuple[Geometry, Geometry]


@dataclass(frozen=True, eq=False)
class Activation:
    """Acts on each number alone.

    Args:
        name: "clamp" cuts at low and high; others are known to the kernels by name, or only by `call`.
        call: new tensor from tensor.
    """

    name: str
    low: float = -math.inf
    high: float = math.inf
    call: Callable[[Tensor], Tensor] = field(default=torch.clone, repr=False)

    @classmethod
    def clamp(cls, low: float = 0.0, high: float = math.inf) -> "Activation":
        """ReLU, ReLU6 and hardtanh."""
        return cls("clamp", low, high, lambda data: data.clamp(low, None if high == math.inf else high))


@dataclass(frozen=True, eq=False)
class Input:
    """The image in model space."""


@dataclass(frozen=True, eq=False)
class Conv:
    """Convolution, `weight` (outputs, inputs / groups, rows, columns); padding is 0."""

    weight: Tensor
    bias: Tensor | None
    geometries: Geometries
    groups: int = 1
    activation: Activation | None = None

    @property
    def kernel(self) -> Pair:
        """Taps per axis."""
        return (int(self.weight.shape[2]), int(self.weight.shape[3]))


@dataclass(frozen=True, eq=False)
class Affine:
    """One factor and one summand per channel: batch normalisation, constants, scales."""

    scale: Tensor
    shift: Tensor
    activation: Activation | None = None


@dataclass(frozen=True, eq=False)
class MaxPool:
    """Maximum; padding is below every number."""

    geometries: Geometries


@dataclass(frozen=True, eq=False)
class AveragePool:
    """Mean over the taps: all of them, those inside the map, or `divisor` in their place."""

    geometries: Geometries
    count_padding: bool = True
    divisor: int | None = None


@dataclass(frozen=True, eq=False)
class GlobalMean:
    """Mean over rows and columns: a vector, or with `keep` a map of one pixel."""

    keep: bool = False


@dataclass(frozen=True, eq=False)
class Add:
    """Sum of maps or vectors of one shape, or of one pixel each."""

    activation: Activation | None = None


@dataclass(frozen=True, eq=False)
class Mul:
    """Product of maps or vectors of one shape, or of one pixel each."""

    activation: Activation | None = None


@dataclass(frozen=True, eq=False)
class Concat:
    """Maps side by side along the channels."""


@dataclass(frozen=True, eq=False)
class LayerNorm:
    """Normalisation of each pixel, or vector, over its channels."""

    weight: Tensor | None
    bias: Tensor | None
    epsilon: float


@dataclass(frozen=True, eq=False)
class Pad:
    """A border of `value`; the geometries have one tap."""

    geometries: Geometries
    value: float = 0.0


@dataclass(frozen=True, eq=False)
class Flatten:
    """Map to vector: channels vary slowest, or with `raster` pixels do, as a map lies in memory."""

    raster: bool = False


@dataclass(frozen=True, eq=False)
class Linear:
    """Vector to vector, `weight` (outputs, inputs)."""

    weight: Tensor
    bias: Tensor | None
    activation: Activation | None = None


@dataclass(frozen=True, eq=False)
class Unknown:
    """Anything else: `call` maps n and whole tensors (n, *shape) to one; it may see all of an image."""

    name: str
    call: Callable[..., Tensor]


Operation = (
    Input | Conv | Affine | Activation | MaxPool | AveragePool | GlobalMean | Add | Mul | Concat | LayerNorm | Pad
    | Flatten | Linear | Unknown
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Node:
    """One operation on earlier nodes.

    Args:
        inputs: their places in the graph.
        shape: of the output, without the images.
        name: of the layer, for messages.
    """

    operation: Operation
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    name: str = ""

    @property
    def is_map(self) -> bool:
        """Whether the output has rows, columns and channels."""
        return len(self.shape) == 3


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes after their inputs; the first is the Input, the last the output."""

    nodes: tuple[Node, ...]

    def walk(self, visit: Callable[[int, Node, list[T]], T]) -> T:
        """Visit every node with what the visits of its inputs returned; return the last visit."""
        left = self.uses()
        found: dict[int, T] = {}
        for index, node in enumerate(self.nodes):
            found[index] = visit(index, node, [found[each] for each in node.inputs])
            for each in node.inputs:
                left[each] -= 1
                if not left[each]:
                    found.pop(each, None)
        return found[len(self.nodes) - 1]

    def uses(self) -> list[int]:
        """Count how often each node is an input."""
        counts = [0] * len(self.nodes)
        for node in self.nodes:
            for each in node.inputs:
                counts[each] += 1
        return counts


def prune(nodes: Sequence[Node], last: int) -> Graph:
    """Return the graph of the nodes that `last` needs."""
    needed = {0, last}
    for index in range(last, -1, -1):
        if index in needed:
            needed.update(nodes[index].inputs)
    places = {old: new for new, old in enumerate(sorted(needed))}
    kept = (nodes[old] for old in places)
    return Graph(
        tuple(Node(each.operation, tuple(places[old] for old in each.inputs), each.shape, each.name) for each in kept)
    )
