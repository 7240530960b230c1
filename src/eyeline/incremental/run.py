"""Runs a graph once on the clean image, and then, for every covered window, only what can differ from that.

Positions go through in chunks whose windows stay in cache. Where the network stops being local (a global mean, a
flattened map, an unknown operation) values of several chunks are collected, so that large layers read their weights
once for many positions.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from eyeline._typing import Boxes, Images, Scores
from eyeline.incremental import dense
from eyeline.incremental.blocks import Blocks, reused
from eyeline.incremental.convolution import Layer, check_finite, prepare, uneven
from eyeline.incremental.graph import Conv, Flatten, GlobalMean, Graph, Linear, Node
from eyeline.incremental.kernels import kernels as choose
from eyeline.incremental.plan import Plan, around, local_nodes, plan
from eyeline.incremental.simplify import simplify
from eyeline.incremental.sizes import HEAVY, KEPT, sizes, threads
from eyeline.incremental.threads import in_order
from eyeline.incremental.windows import Clean, Cover, Frame, Patch, Windows, covered, follow, of_image


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
        self._blocks = Blocks(memory // KEPT)
        self._planned: tuple[Boxes, Plan] | None = None
        self._local = local_nodes(self.graph)
        nodes = self.graph.nodes
        self._layers: dict[int, Layer] = {
            place: prepare(node, nodes[node.inputs[0]].shape[2], kernels)
            for place, node in enumerate(nodes)
            if self._local[place] and isinstance(node.operation, Conv)
        }
        self._tiled = {place: nodes[place].inputs[0] for place, each in self._layers.items() if each.even}
        self._linear = {
            place: kernels.pack(node.operation.weight.T[None], node.operation.bias)
            for place, node in enumerate(nodes)
            if isinstance(node.operation, Linear)
        }
        self.bytes = sum(each.values.nbytes for each in self._linear.values())
        self.bytes += sum(layer.bytes for layer in self._layers.values())
        self._heavy = any(each.values.nbytes > HEAVY for each in self._linear.values())
        self._last = {each: place for place, node in enumerate(nodes) for each in node.inputs}
        # dense nodes that windows lead into: pooled or flattened chunk by chunk, or needing whole maps
        fed = [any(self._local[each] for each in node.inputs) for node in nodes]
        into = [place for place in range(len(nodes)) if fed[place] and not self._local[place]]
        self._pooled = {place for place in into if isinstance(nodes[place].operation, GlobalMean | Flatten)}
        self._whole = {
            each for place in into if place not in self._pooled for each in nodes[place].inputs if self._local[each]
        }
        sizes = [4 * math.prod(nodes[each].shape) for each in (*self._pooled, *self._whole)]
        rest = [4 * math.prod(node.shape) for node, local in zip(nodes, self._local, strict=True) if not local]
        self._each = sum(sizes) + 3 * max(rest)  # what a position's collected values and whole maps take

    @property
    def kernels(self) -> str:
        """Name of what computes on windows."""
        return str(self._kernels.NAME)

    def plan(self, boxes: Boxes) -> Plan:
        """Return what a sweep over these boxes will do."""
        if self._planned is None or not np.array_equal(self._planned[0], boxes):
            self._planned = boxes.copy(), plan(self.graph, around(boxes))  # many images are swept alike
        return self._planned[1]

    @torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is untyped here
    def whole(self, images: Images) -> Scores:
        """Run the graph on whole images, (n, rows, columns, channels): raw outputs, (n, classes)."""
        given = torch.from_numpy(np.ascontiguousarray(images))

        def visit(place: int, _: Node, inputs: list[Tensor]) -> Tensor:
            return self._dense(place, inputs, len(images)) if place else given

        output: Tensor = self.graph.walk(visit)
        return np.asarray(output.reshape(len(images), -1).double().numpy())

    def parts(self, ground: np.ndarray, patch: np.ndarray, box: np.ndarray, tolerance: float) -> str:
        """Name the first layer whose windows differ from the whole covered image's, or "".

        Args:
            ground: the image, (rows, columns, channels).
            patch: what covers it, of the same shape.
            box: (2, 2), or (k, 2, 2).
            tolerance: as a share of a layer's largest number.
        """
        boxes = box[None]
        clean, plan = self.clean(torch.from_numpy(np.ascontiguousarray(ground))), self.plan(boxes)
        found: dict[int, Windows] = {}
        with torch.inference_mode():
            self._local_part(clean, torch.from_numpy(np.ascontiguousarray(patch)), plan, boxes, (0, 1), found)
            whole = self.clean(found[0].whole(self._kernels)[0]).maps
            for place, windows in found.items():
                error = (windows.whole(self._kernels)[0] - whole[place]).abs().max()
                if not error <= tolerance * whole[place].abs().max():
                    return self.graph.nodes[place].name
        return ""

    def run(self, ground: Images, patch: Cover, boxes: Boxes, most: int = 2**30) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (first row, raw outputs) of every image with each box showing `patch`, in order, `most` at a time."""
        for image, below in enumerate(ground):
            clean = self.clean(torch.from_numpy(np.ascontiguousarray(below)))
            for start, _, raw in self.sweep(clean, of_image(patch, image), boxes, most):
                yield image * len(boxes) + start, raw.double().numpy()

    @torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is untyped here
    def clean(self, image: Tensor) -> Clean:
        """Run the network on one image, (rows, columns, channels).

        Raises:
            UnsupportedError: a layer gives numbers that are not finite: what replaces them could not be told.
        """
        maps: dict[int, Tensor] = {}

        def visit(place: int, node: Node, inputs: list[Tensor]) -> Tensor:
            found = self._dense(place, inputs, 1) if place else image[None].contiguous()
            if self._local[place]:
                check_finite(found, node.name)
                maps[place] = found[0]
            return found

        output = self.graph.walk(visit)
        direct = frozenset(place for place, source in self._tiled.items() if uneven(maps[source], maps[source]))
        return Clean(maps, output.reshape(-1), direct)

    def sweep(self, clean: Clean, patch: Patch, boxes: Boxes, most: int = 2**30) -> Iterator[tuple[int, int, Tensor]]:
        """Yield (start, stop, raw outputs) for the clean image with each box replaced by `patch`, in order.

        Args:
            clean: of the image that is covered.
            patch: (rows, columns, channels), what covers it, or a function that makes what a position's box shows.
            boxes: (n, 2, 2), in pixels, or (n, k, 2, 2): k boxes that are covered together.
            most: positions that are yielded at once; fewer where more do not pay.

        Raises:
            OutOfMemoryError: the memory does not hold the weights, the clean maps and one position.
        """
        plan = self.plan(boxes)
        count = threads(plan)
        chunk, group = sizes(plan, self._memory, self.bytes, self._chunk, self._each, self._heavy, count)
        group = min(group, most)
        if self._tiled and isinstance(patch, Tensor) and uneven(patch, clean.maps[0]):
            clean = replace(clean, direct=frozenset(self._tiled))

        @torch.inference_mode()  # type: ignore[untyped-decorator]  # torch is untyped here
        def call(start: int) -> tuple[int, int, Tensor]:
            stop = min(start + group, len(boxes))
            collected: dict[int, Tensor] = {}
            for low in range(start, stop, chunk):
                high = min(low + chunk, stop)
                with reused(self._blocks):
                    found = self._local_part(clean, patch, plan, boxes, (low, high))
                for place, values in found.items():
                    if place not in collected:
                        collected[place] = values.new_empty(stop - start, *values.shape[1:])
                    collected[place][low - start : high - start] = values
            return start, stop, self._dense_part(collected, stop - start)

        yield from in_order(call, range(0, len(boxes), group), count)

    def _dense(self, place: int, inputs: list[Tensor], images: int) -> Tensor:
        node = self.graph.nodes[place]
        if place in self._linear and isinstance(node.operation, Linear):
            out: Tensor = self._kernels.product(inputs[0][None], self._linear[place], node.operation.activation)[0]
            return out
        return dense.apply(node.operation, inputs, node.shape, images)

    def _local_part(
        self,
        clean: Clean,
        patch: Patch,
        plan: Plan,
        boxes: np.ndarray,
        span: tuple[int, int],
        kept: dict[int, Windows] | None = None,
    ) -> dict[int, Tensor]:
        """Follow the windows of one chunk; return what the dense part needs of them; `kept` takes them all."""
        windows: dict[int, Windows] = {}
        found: dict[int, Tensor] = {}
        for place, node in enumerate(self.graph.nodes):
            if self._local[place]:
                frame = Frame(*plan.rows(place, *span), clean.maps[place])
                if node.inputs:
                    data = self._compute(place, windows, frame, kept is None, place in clean.direct)
                else:
                    data = covered(self._kernels, frame, patch, boxes, span)
                windows[place] = Windows(data, *frame)
                if place in self._whole:
                    found[place] = windows[place].whole(self._kernels)
            elif place in self._pooled:
                found[place] = self._pool(node, windows[node.inputs[0]])
            if kept is not None:
                kept.update(windows)
            for each in node.inputs:
                if self._last[each] == place:
                    windows.pop(each, None)
        return found

    def _compute(self, place: int, windows: dict[int, Windows], frame: Frame, reuse: bool, direct: bool) -> Tensor:
        node = self.graph.nodes[place]
        inputs = [windows[each] for each in node.inputs]
        if place in self._layers:
            layer = self._layers[place]
            return (layer.even() if direct and layer.even else layer).run(inputs[0], frame)
        free = [reuse and self._last[each] == place and node.inputs.count(each) == 1 for each in node.inputs]
        return follow(self._kernels, node.operation, inputs, free, frame)

    def _pool(self, node: Node, source: Windows) -> Tensor:
        """Turn windows into one vector a position."""
        if isinstance(node.operation, Flatten):
            return dense.apply(node.operation, [source.whole(self._kernels)], node.shape, len(source.box))
        size = source.clean.shape[0] * source.clean.shape[1]
        # float64: what a huge value leaves behind when it goes would drown the others
        mean = source.clean.double().mean((0, 1)) + self._kernels.global_sum_change(source) / size
        return mean.float().reshape(-1, *node.shape)

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
