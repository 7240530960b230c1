"""Compares a graph with its network, layer by layer on whole images: a difference is an error of the importer."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from eyeline._typing import Images
from eyeline.incremental import dense
from eyeline.incremental.graph import Graph, Node


@torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is untyped here
def first_apart(graph: Graph, images: Images, given: Mapping[str, np.ndarray], tolerance: float) -> str:
    """Name the first layer that computes something else than it does in the network, or "".

    Args:
        graph: as an importer read it; where several nodes have a layer's name, the last one holds what it gives.
        images: (n, rows, columns, channels).
        given: what layers of the network give for these images, maps channels last; those of other shapes are passed.
        tolerance: as a share of a layer's largest number.
    """
    last = {node.name: place for place, node in enumerate(graph.nodes)}
    apart: list[str] = []

    def visit(place: int, node: Node, inputs: list[Tensor]) -> Tensor:
        first = torch.from_numpy(np.ascontiguousarray(images))
        found = dense.apply(node.operation, inputs, node.shape, len(images)) if place else first
        theirs = given.get(node.name) if last[node.name] == place else None
        if theirs is not None and theirs.shape == tuple(found.shape) and not _alike(found.numpy(), theirs, tolerance):
            apart.append(node.name)
        return found

    graph.walk(visit)
    return apart[0] if apart else ""


def _alike(found: np.ndarray, theirs: np.ndarray, tolerance: float) -> bool:
    return bool(np.abs(found - theirs).max() <= tolerance * np.abs(theirs).max())
