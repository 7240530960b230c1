"""What the importer knows of one operation of a PyTorch graph while it reads it."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from torch import fx

from eyeline.errors import UnsupportedError
from eyeline.incremental.graph import Operation

CHANNEL = 3  # of the engine's axes: images, rows, columns, channels
FIRST = (0, CHANNEL, 1, 2)


class Value(NamedTuple):
    """A node's output under a name of the framework.

    Args:
        place: of the node in the graph.
        shape: the engine's: (rows, columns, channels), (features,), or any other that is not followed.
        order: which of the engine's axes each axis of the framework's map is; None for what is no map.
    """

    place: int
    shape: tuple[int, ...]
    order: tuple[int, ...] | None

    @property
    def channel(self) -> int | None:
        """The framework's axis that holds the channels."""
        return self.order.index(CHANNEL) if self.order else 1 if len(self.shape) == 1 else None


class Building(Protocol):
    """What is needed of the importer."""

    def value(self, node: object) -> Any: ...
    def shape(self, node: fx.Node) -> tuple[int, ...] | None: ...
    def add(
        self, operation: Operation, inputs: Iterable[Value], shape: tuple[int, ...], order: tuple[int, ...] | None
    ) -> Value: ...


class Call(NamedTuple):
    """One operation of the exported graph: its arguments by name, traced ones as Value, constants as tensors."""

    building: Building
    node: fx.Node
    given: dict[str, Any]

    @property
    def source(self) -> Value:
        """The first argument."""
        found: Value = next(iter(self.given.values()))
        return found

    def same(self, operation: Operation, *sources: Value) -> Value:
        """Add an operation whose output has its first input's shape and order."""
        first, *_ = sources = sources or (self.source,)
        return self.building.add(operation, sources, first.shape, first.order)

    def slid(self, operation: Operation, outputs: int | None = None) -> Value | None:
        """Add an operation that slides over rows and columns."""
        shape = self.building.shape(self.node)
        if self.source.order != FIRST or shape is None:
            return None
        return self.building.add(operation, (self.source,), (*shape[1:], shape[0]), FIRST)


def pair(value: Any) -> tuple[int, int]:
    """Read one number for both axes, or one per axis."""
    values = list(value) if isinstance(value, list | tuple) else [value]
    return (int(values[0]), int(values[-1]))


def refused(rule: str, got: str) -> UnsupportedError:
    """Word why a network has no graph."""
    return UnsupportedError(f"the network must {rule} for the incremental engine, but got {got}. Use engine='full'.")
