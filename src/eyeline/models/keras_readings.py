"""What the importer knows of one call of a Keras layer while it reads it, and how values are laid out anew."""

import importlib
import math
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol, cast

from torch import Tensor

from eyeline.incremental.geometry import Geometry
from eyeline.incremental.graph import AveragePool, Conv, MaxPool, Node, Operation, Pad
from eyeline.models.keras_walk import library
from eyeline.models.torch_operations import TABLE as ATEN
from eyeline.models.torch_values import CHANNEL, FIRST, Building, Call, Value

LAST = (0, 1, 2, CHANNEL)
"""Which of the engine's axes each axis of a map is whose channels stand last."""

BARE = (0, 1, 2)
"""The same of a picture without an axis for its one channel."""

ENTRY = 1
"""Where the network's input stands among the graph's nodes; whole numbers are held there as float32."""

ORDERS = {"channels_last": LAST, "channels_first": FIRST}


class Adding(Protocol):
    """What is needed of the importer."""

    backend: str
    nodes: list[Node]

    def add(
        self, operation: Operation, inputs: Iterable[Value], shape: tuple[int, ...], order: tuple[int, ...] | None
    ) -> Value: ...
    def numbers(self, given: Any) -> Tensor: ...


class Reading(NamedTuple):
    """One call of a layer: traced inputs as Value, constants as Keras has them."""

    building: Adding
    layer: Any
    inputs: list[Any]

    @property
    def source(self) -> Value:
        """The first traced input."""
        found: Value = next(each for each in self.inputs if isinstance(each, Value))
        return found

    @property
    def fits(self) -> bool:
        """Whether the source is a map in the layout that the layer reads."""
        return self.source.order == ORDERS[self.layer.data_format]

    def axes(self, given: Any) -> list[int]:
        """Return axes, counted from the front."""
        several = given if isinstance(given, list | tuple) else [given]
        return [int(axis) % len(theirs(self.source, images=1)) for axis in several]

    def tensor(self, given: Any) -> Tensor | None:
        """Return weights as the engine takes them."""
        return None if given is None else self.building.numbers(given)

    def same(self, operation: Operation, *sources: Value) -> Value:
        """Add an operation whose output has its first input's shape and order."""
        first, *_ = sources = sources or (self.source,)
        return self.building.add(operation, sources, first.shape, first.order)

    def slid(
        self, operation: Conv | MaxPool | AveragePool | Pad, outputs: int, source: Value | None = None
    ) -> Value | None:
        """Add an operation that slides over rows and columns; None where nothing would be left."""
        source = source or self.source
        pairs = zip(operation.geometries, source.shape[:2], strict=True)
        rows, columns = (each.outputs(size) for each, size in pairs)
        if rows < 1 or columns < 1:
            return None
        return self.building.add(operation, (source,), (rows, columns, outputs), source.order)

    def aten(self, name: str, /, **given: Any) -> Value | None:
        """Read as the operation of PyTorch that means the same."""
        return ATEN[name](Call(cast(Building, self.building), self.layer, given))

    def on(self, source: Value) -> "Reading":
        """Read the same layer on another input."""
        return self._replace(inputs=[source])


def theirs(value: Value, images: int) -> tuple[int, ...]:
    """Return a value's shape in the network's order."""
    return tuple((images, *value.shape)[axis] for axis in value.order) if value.order else (images, *value.shape)


def setting(layer: Any, name: str) -> Any:
    """Return a setting of the library that a layer is of."""
    return getattr(importlib.import_module(f"{library(layer)}.backend"), name)()


def geometries(
    reading: Reading, kernel: Any, strides: Any, dilations: Any = (1, 1)
) -> tuple[Geometry, Geometry] | None:
    """Return how a layer slides; "same" gives ceil(size / stride) outputs, and a first one of less padding.

    None for any other padding.
    """
    sides = []
    for size, taps, stride, dilation in zip(reading.source.shape, kernel, strides, dilations, strict=False):
        one = Geometry(int(taps), int(stride), int(dilation))
        total = max((math.ceil(size / one.stride) - 1) * one.stride + one.extent - size, 0)
        if reading.layer.padding == "same":
            one = Geometry(one.kernel, one.stride, one.dilation, total // 2, total - total // 2)
        sides.append(one)
    return (sides[0], sides[1]) if reading.layer.padding in ("same", "valid") else None
