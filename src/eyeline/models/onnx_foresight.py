"""What an engine for an ONNX graph would cost, foreseen from the graph alone."""

import math
import sys
from typing import TYPE_CHECKING

import numpy as np
import onnx

from eyeline.errors import UnsupportedError

if TYPE_CHECKING:
    from eyeline.incremental.graph import Graph

LOADING, NODE, WEIGHT = 2.0, 1e-3, 2e-8
"""Seconds: PyTorch's own imports, once a process; each node that is read; each number that is laid out."""


def setup(model: onnx.ModelProto) -> float:
    """Foresee the seconds that reading the graph and laying out its weights take."""
    numbers: int = sum(math.prod(each.dims) for each in model.graph.initializer)
    return LOADING * ("torch" not in sys.modules) + NODE * len(model.graph.node) + WEIGHT * numbers


def share(graph: "Graph", image: np.ndarray, changed: np.ndarray) -> float:
    """Return the share of the multiply-adds that a change of an image, (rows, columns, channels), reaches."""
    from eyeline.incremental.plan import reached

    return reached(graph, image, changed)


def check_axes(shape: tuple[int, ...]) -> None:
    """Raise an UnsupportedError where an image, (*space, channels), has another number of axes than two."""
    if len(shape) != 3:
        raise UnsupportedError(
            f"images must have two spatial axes for the incremental engine, but got {len(shape) - 1}. "
            "Use engine='full'."
        )
