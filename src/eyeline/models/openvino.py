"""The full path by OpenVINO on the CPU: a graph of the incremental engine, written in OpenVINO's operations.

The numbers are the framework's own up to float32 rounding. Two things are held off: OpenVINO computes in bfloat16 where
the processor can, unless told not to; and importing it reports that to its makers, unless the package that does so is
missing. One difference stays: its ReLU, clamp and maximum turn NaN into a number, so a network whose sums overflow
float32 looks sound.
"""

import math
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eyeline._typing import Images, Scores
from eyeline.errors import UnsupportedError, first_line, require
from eyeline.incremental.dense import divisors
from eyeline.incremental.graph import (
    Activation,
    Add,
    Affine,
    AveragePool,
    Concat,
    Conv,
    Flatten,
    Geometries,
    GlobalMean,
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
from eyeline.models.base import Model, Options, Traceable, running
from eyeline.models.openvino_activations import written

SETTINGS = {
    "INFERENCE_PRECISION_HINT": "f32",
    "EXECUTION_MODE_HINT": "ACCURACY",
    "PERFORMANCE_HINT": "LATENCY",
    "ENABLE_CPU_PINNING": False,  # processes side by side would all be pinned to the first cores
}

TO_FIRST, TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
"""Axes of channels last -> channels first, and back."""


def compiled(model: Model, shape: tuple[int, ...]) -> Callable[[Images], Scores]:
    """Return a function from images to raw outputs: what the adapter computes before `convert`, (n, classes) float64.

    It takes any number of images of `shape`, (rows, columns, channels), one call at a time, and has as many threads
    as torch has now.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
        UnsupportedError: the network cannot be read, or holds an operation that cannot be written.
    """
    if not isinstance(model, Traceable) or len(shape) != 3:
        raise UnsupportedError(
            "OpenVINO must be given a model whose graph can be read, on images of two axes, but got "
            f"{type(model).__name__} and {len(shape) - 1}. Run it by its own framework."
        )
    _openvino()  # reading the graph takes seconds
    return compiled_graph(model.graph(shape))


def compiled_graph(graph: Graph) -> Callable[[Images], Scores]:
    """Do what `compiled` does, for a graph that was read already.

    Raises:
        MissingDependencyError, UnsupportedError: as there.
    """
    openvino, graph = _openvino(), simplify(graph)
    batch = 1 if _alone(graph) else -1
    try:
        writer = _Writer(openvino, graph, batch)
        network = openvino.Model([graph.walk(writer.write)], [writer.images])
        settings = {**SETTINGS, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        request = openvino.Core().compile_model(network, "CPU", settings).create_infer_request()
    except RuntimeError as error:
        raise UnsupportedError(
            f"the network must be one that OpenVINO {openvino.__version__.partition('-')[0]} compiles, but it said: "
            f"{first_line(error)}. Run it by its own framework."
        ) from error

    def run(images: Images) -> Scores:
        given = np.ascontiguousarray(images, dtype=np.float32)
        step = len(given) if batch < 0 else batch
        with running(Options(name="OpenVINO"), images.shape):
            pieces = [
                request.infer([given[start : start + step]], share_inputs=True)[0]
                for start in range(0, len(given), step)
            ]
        return np.concatenate(pieces).reshape(len(given), -1).astype(np.float64)

    return run


def _openvino() -> ModuleType:
    """Import OpenVINO as if its package for telemetry were missing, for which it has a stand-in."""
    name = "openvino_telemetry"
    found = {name: sys.modules[name]} if name in sys.modules else {}
    sys.modules[name] = None  # type: ignore[assignment]  # so that importing it fails
    try:
        return require("openvino", "openvino")
    finally:
        del sys.modules[name]
        sys.modules.update(found)


def _alone(graph: Graph) -> bool:
    """Say whether one image at a time is quickest: where maps, read for each image, outweigh weights, read for all."""
    layers = [node.operation for node in graph.nodes if isinstance(node.operation, Conv | Linear)]
    weights = sum(int(each.weight.numel()) for each in layers)
    return sum(math.prod(node.shape) for node in graph.nodes) > weights


class _Writer:
    """Writes one node after another; maps are (n, channels, rows, columns), as OpenVINO has them."""

    def __init__(self, openvino: ModuleType, graph: Graph, batch: int) -> None:
        self._ops, self._nodes = openvino.opset14, graph.nodes
        shape = openvino.PartialShape([batch, *graph.nodes[0].shape])
        self.images = self._ops.parameter(shape, openvino.Type.f32)

    def write(self, place: int, node: Node, inputs: list[Any]) -> Any:
        """Return the node's output.

        Raises:
            UnsupportedError: an operation that is not known.
        """
        ops, operation, axes = self._ops, node.operation, len(node.shape) + 1
        match operation:
            case Conv():
                found = self._convolved(operation, inputs[0])
            case Linear():
                product = ops.matmul(inputs[0], self._constant(operation.weight), False, True)
                found = self._plus(product, operation.bias, axes)
            case Affine():
                product = ops.multiply(inputs[0], self._per_channel(operation.scale, axes))
                found = self._plus(product, operation.shift, axes)
            case Add():
                found = ops.add(*inputs)
            case Mul():
                found = ops.multiply(*inputs)
            case Activation():
                return self._activated(inputs[0], operation, node)
            case MaxPool() | AveragePool():
                return self._pooled(operation, inputs[0], self._nodes[node.inputs[0]].shape, node.shape)
            case _:
                return self._rest(node, inputs)
        return found if operation.activation is None else self._activated(found, operation.activation, node)

    def _rest(self, node: Node, inputs: list[Any]) -> Any:
        """Write what has neither an activation nor a geometry."""
        ops, operation, axes = self._ops, node.operation, len(node.shape) + 1
        match operation:
            case Input():
                return ops.transpose(self.images, TO_FIRST)
            case Concat():
                return ops.concat(inputs, 1)
            case GlobalMean():
                return ops.reduce_mean(inputs[0], (2, 3), operation.keep)
            case LayerNorm():
                found = ops.mvn(inputs[0], (1,), True, operation.epsilon, "inside_sqrt")
                if operation.weight is not None:
                    found = ops.multiply(found, self._per_channel(operation.weight, axes))
                return self._plus(found, operation.bias, axes)
            case Pad():
                before, after = ((0, 0, *sides) for sides in _sides(operation.geometries))
                return ops.pad(inputs[0], before, after, "constant", np.float32(operation.value))
            case Flatten():
                data = ops.transpose(inputs[0], TO_LAST) if operation.raster else inputs[0]
                return ops.reshape(data, (0, -1), True)
            case Unknown():
                raise _refused(operation.name, node)
        raise AssertionError(operation)

    def _convolved(self, conv: Conv, data: Any) -> Any:
        before, after = _sides(conv.geometries)
        stride, dilation = _steps(conv.geometries)
        if conv.groups == 1:
            weight = self._constant(conv.weight)
            found = self._ops.convolution(data, weight, stride, before, after, dilation)
        else:
            weight = self._constant(conv.weight.reshape(conv.groups, -1, *conv.weight.shape[1:]))
            found = self._ops.group_convolution(data, weight, stride, before, after, dilation)
        return self._plus(found, conv.bias, 4)

    def _pooled(self, pool: MaxPool | AveragePool, data: Any, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Any:
        kernel = [each.kernel for each in pool.geometries]
        before, _ = _sides(pool.geometries)
        stride, dilation = _steps(pool.geometries)
        after = [  # just enough for the last output, which may stick out
            max(0, (count - 1) * each.stride + each.extent - size - each.before)
            for each, size, count in zip(pool.geometries, inputs[:2], outputs[:2], strict=True)
        ]
        if isinstance(pool, MaxPool):
            return self._ops.max_pool(data, stride, dilation, before, after, kernel).output(0)
        mean = self._ops.avg_pool(data, stride, before, after, kernel, exclude_pad=False)
        factor = math.prod(kernel) / divisors(pool, inputs[:2], outputs)[None, None]
        return mean if (factor == 1).all() else self._ops.multiply(mean, self._constant(factor))

    def _plus(self, data: Any, summand: Tensor | None, axes: int) -> Any:
        return data if summand is None else self._ops.add(data, self._per_channel(summand, axes))

    def _constant(self, tensor: Tensor) -> Any:
        """Copy numbers into the network; OpenVINO's own way from arrays to nodes goes through lists."""
        return self._ops.constant(np.ascontiguousarray(tensor.detach().numpy(), dtype=np.float32))

    def _per_channel(self, vector: Tensor, axes: int) -> Any:
        return self._constant(vector.reshape(1, -1, *[1] * (axes - 2)))

    def _activated(self, data: Any, activation: Activation, node: Node) -> Any:
        found = written(activation)
        if found is None:
            raise _refused(activation.name, node)
        return found.write(self._ops, data)


def _sides(geometries: Geometries) -> tuple[list[int], list[int]]:
    """Return the padding before and after, per axis."""
    return [each.before for each in geometries], [each.after for each in geometries]


def _steps(geometries: Geometries) -> tuple[list[int], list[int]]:
    """Return stride and dilation, per axis."""
    return [each.stride for each in geometries], [each.dilation for each in geometries]


def _refused(name: str, node: Node) -> UnsupportedError:
    return UnsupportedError(
        f"the network must be made of operations that eyeline writes for OpenVINO, but got {name} "
        f"({node.name or 'no layer of its own'}). Run it by its own framework."
    )
