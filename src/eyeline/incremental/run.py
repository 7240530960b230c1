"""Runs a graph once on the clean image, and then, for every covered window, only what can differ from that.

Positions go through in chunks whose windows stay in cache. Where the network stops being local (a global mean, a
flattened map, an unknown operation) values of several chunks are collected, so that large layers read their weights
once for many positions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from eyeline._typing import Boxes, Images
from eyeline.incremental import dense
from eyeline.incremental.convolution import Layer, prepare
from eyeline.incremental.graph import Conv, Flatten, GlobalMean, Graph, Linear, Node
from eyeline.incremental.kernels import kernels as choose
from eyeline.incremental.plan import Plan, local_nodes, plan
from eyeline.incremental.simplify import simplify
from eyeline.incremental.windows import Frame, Windows, follow

WORKING, CHUNK, LIVE = 2**25, (8, 64), 4
"""Bytes that a chunk's largest layer may take, the fewest and most positions for that, and layers alive at a time."""


@dataclass(frozen=True, eq=False)
class Clean:
    """What the network makes of the image itself.

    Args:
        maps: per node that windows follow, (rows, columns, channels).
        output: (classes,), raw.
    """

    maps: dict[int, Tensor]
    output: Tensor


class Engine:
    """A network made ready: weights are laid out once, for any number of images and sweeps.

    Args:
        graph: what an importer read.
        kernels: the module that computes on windows; None means the best for the device.
        memory: bytes that a sweep may use beside the clean maps.
        chunk: positions at a time; None means as many as pay.
    """

    def __init__(
        self, graph: Graph, *, kernels: ModuleType | None = None, memory: int = 2**30, chunk: int | None = None
    ) -> None:
        kernels = kernels or choose()
        self.graph = simplify(graph)
        self._kernels, self._memory, self._chunk = kernels, memory, chunk
        self._local = local_nodes(self.graph)
        nodes = self.graph.nodes
        self._layers: dict[int, Layer] = {
            place: prepare(node.operation, nodes[node.inputs[0]].shape[2], kernels)
            for place, node in enumerate(nodes)
            if self._local[place] and isinstance(node.operation, Conv)
        }
        self._linear = {
            place: kernels.pack(node.operation.weight.T[None], node.operation.bias)
            for place, node in enumerate(nodes)
            if isinstance(node.operation, Linear)
        }
        self._last = {each: place for place, node in enumerate(nodes) for each in node.inputs}
        # dense nodes that windows lead into: pooled or flattened chunk by chunk, or needing whole maps
        into = [place for place, node in enumerate(nodes) if not self._local[place] and self._fed(node)]
        self._pooled = {place for place in into if isinstance(nodes[place].operation, GlobalMean | Flatten)}
        self._whole = {
            each for place in into if place not in self._pooled for each in nodes[place].inputs if self._local[each]
        }

    @property
    def kernels(self) -> str:
        """Name of what computes on windows."""
        return str(self._kernels.NAME)

    def plan(self, boxes: Boxes) -> Plan:
        """Return what a sweep over these boxes will do."""
        return plan(self.graph, boxes)

    def run(self, ground: Images, patch: Images, boxes: Boxes) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (first row, raw outputs) of every image of `ground` with each box showing `patch`, in order."""
        for image, (below, above) in enumerate(zip(ground, patch, strict=True)):
            clean = self.clean(torch.from_numpy(np.ascontiguousarray(below)))
            for start, _, raw in self.sweep(clean, torch.from_numpy(np.ascontiguousarray(above)), boxes):
                yield image * len(boxes) + start, raw.double().numpy()

    @torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is untyped here
    def clean(self, image: Tensor) -> Clean:
        """Run the network on one image, (rows, columns, channels)."""
        maps: dict[int, Tensor] = {}

        def visit(place: int, node: Node, inputs: list[Tensor]) -> Tensor:
            found = self._dense(place, inputs, 1) if place else image[None].contiguous()
            if self._local[place]:
                maps[place] = found[0]
            return found

        output = self.graph.walk(visit)
        return Clean(maps, output.reshape(-1))

    def sweep(self, clean: Clean, patch: Tensor, boxes: Boxes) -> Iterator[tuple[int, int, Tensor]]:
        """Yield (start, stop, raw outputs) for the clean image with each box replaced by `patch`, in order.

        Args:
            clean: of the image that is covered.
            patch: (rows, columns, channels), what covers it.
            boxes: (n, 2, 2), in pixels.
        """
        plan = self.plan(boxes)
        chunk = self._chunk or _fitting(plan, self._memory)
        group = self._group(chunk)
        for start in range(0, len(boxes), group):
            stop = min(start + group, len(boxes))
            with torch.inference_mode():
                collected: dict[int, Tensor] = {}
                for low in range(start, stop, chunk):
                    high = min(low + chunk, stop)
                    for place, values in self._local_part(clean, patch, plan, low, high).items():
                        if place not in collected:
                            collected[place] = values.new_empty(stop - start, *values.shape[1:])
                        collected[place][low - start : high - start] = values
                raw = self._dense_part(collected, stop - start)
            yield start, stop, raw

    def _dense(self, place: int, inputs: list[Tensor], images: int) -> Tensor:
        node = self.graph.nodes[place]
        if place in self._linear and isinstance(node.operation, Linear):
            out: Tensor = self._kernels.product(inputs[0][None], self._linear[place], node.operation.activation)[0]
            return out
        return dense.apply(node.operation, inputs, node.shape, images)

    def _fed(self, node: Node) -> bool:
        return any(self._local[each] for each in node.inputs)

    def _group(self, chunk: int) -> int:
        """Count the positions whose collected values and dense maps fit the memory."""
        nodes = self.graph.nodes
        sizes = [4 * int(np.prod(nodes[each].shape)) for each in (*self._pooled, *self._whole)]
        rest = [4 * int(np.prod(node.shape)) for node, local in zip(nodes, self._local, strict=True) if not local]
        each = sum(sizes) + 3 * max(rest)
        return int(np.clip(min(self._memory // 2, 2**27) // each // chunk * chunk, 1, 1024))

    def _local_part(self, clean: Clean, patch: Tensor, plan: Plan, start: int, stop: int) -> dict[int, Tensor]:
        """Follow the windows of one chunk; return what the dense part needs of them."""
        windows: dict[int, Windows] = {}
        found: dict[int, Tensor] = {}
        for place, node in enumerate(self.graph.nodes):
            if self._local[place]:
                frame = _frame(plan, place, start, stop, clean.maps[place])
                windows[place] = Windows(self._compute(place, windows, frame, patch), *frame)
                if place in self._whole:
                    found[place] = windows[place].whole()
            elif place in self._pooled:
                found[place] = self._pool(node, windows[node.inputs[0]])
            for each in node.inputs:
                if self._last[each] == place:
                    windows.pop(each, None)
        return found

    def _compute(self, place: int, windows: dict[int, Windows], frame: Frame, patch: Tensor) -> Tensor:
        node = self.graph.nodes[place]
        if not node.inputs:
            return Windows.unchanged(patch, len(frame.box)).at(self._kernels, frame)
        inputs = [windows[each] for each in node.inputs]
        if place in self._layers:
            return self._layers[place](inputs[0], frame)
        free = [self._last[each] == place and node.inputs.count(each) == 1 for each in node.inputs]
        return follow(self._kernels, node.operation, inputs, free, frame)

    def _pool(self, node: Node, source: Windows) -> Tensor:
        """Turn windows into one vector a position."""
        if isinstance(node.operation, Flatten):
            return dense.apply(node.operation, [source.whole()], node.shape, len(source.box))
        size = source.clean.shape[0] * source.clean.shape[1]
        mean = source.clean.mean((0, 1)) + self._kernels.global_sum_change(source).float() / size
        return mean.reshape(-1, *node.shape)

    def _dense_part(self, found: dict[int, Tensor], images: int) -> Tensor:
        """Run everything behind the windows on whole tensors."""
        for place, node in enumerate(self.graph.nodes):
            if self._local[place]:
                continue
            if place not in found:
                found[place] = self._dense(place, [found[each] for each in node.inputs], images)
            for each in node.inputs:
                if self._last[each] == place:
                    found.pop(each, None)
        return found[len(self.graph.nodes) - 1].reshape(images, -1)


def _frame(plan: Plan, place: int, start: int, stop: int, clean: Tensor) -> Frame:
    boxes, offsets = plan.boxes[place], plan.offsets[place]
    assert boxes is not None
    assert offsets is not None
    return Frame(boxes[start:stop].reshape(stop - start, 4), offsets[start : stop + 1] - offsets[start], clean)


def _fitting(plan: Plan, memory: int) -> int:
    """Count the positions of a chunk: enough that matrices are read for many, within the memory."""
    each = max(plan.position_bytes, 1)
    return int(np.clip(memory // (LIVE * each), 1, np.clip(WORKING // each, *CHUNK)))
