"""Derivatives of an ONNX graph: the graph of the engine run by PyTorch, checked against onnxruntime."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from eyeline._typing import Images, Scores, Weigh
from eyeline.errors import ModelError, UnsupportedError
from eyeline.incremental.differentiable import Network, See, changed
from eyeline.incremental.graph import Activation, Graph
from eyeline.incremental.simplify import simplify
from eyeline.models import torch_rules
from eyeline.models.base import Options, running
from eyeline.models.layered import Layer, Rule, Values
from eyeline.models.output import Output

ROUNDING = 1e-4
"""Largest difference from onnxruntime's outputs that is put down to rounding, as a share of the largest of them."""


class Derivative:
    """Raw outputs of images, and the derivative of a weighted sum of their scores.

    Args:
        graph: from image space to raw outputs.
        batch: number of images that is written into the graph, if one is.
        output: turns raw outputs into scores.
        options: what `load` was told.
        kinds: of the file's operations, by their names.
        first: whether the channels stand first where the graph does not follow them: off two spatial axes.
    """

    def __init__(
        self,
        graph: Graph,
        batch: int | None,
        output: Output,
        options: Options,
        kinds: Mapping[str, str],
        first: bool,
    ) -> None:
        self._parts = Network(changed(graph, _rectified))
        self._network = Network(simplify(self._parts.graph))
        self._batch, self._output, self._options, self._kinds, self._first = batch, output, options, kinds, first

    def prove(self, image: Images, own: Scores) -> None:
        """Compare the raw outputs of one image with onnxruntime's.

        Raises:
            ModelError: they differ by more than rounding.
        """
        with running(self._options, image.shape), torch.inference_mode(False), torch.enable_grad():
            leaf = torch.from_numpy(np.ascontiguousarray(image)).requires_grad_()
            found = self._raw(self._network, leaf).detach().double().numpy()
        error, allowed = float(np.abs(found - own).max(initial=0)), ROUNDING * float(np.abs(own).max(initial=0))
        if found.shape != own.shape or not (error <= allowed or not np.isfinite(own).all()):
            raise ModelError(
                "the graph that PyTorch runs for gradients must give onnxruntime's outputs, but those of "
                f"{self._options.name} differ by {error:.2g} where {allowed:.2g} is allowed. "
                "Use method='occlusion', which needs scores only."
            )

    def gradient(self, images: Images, weigh: Weigh, rule: Rule | None = None) -> tuple[Scores, Images]:
        """Return the scores and d(weigh(scores) . scores) / d(images), with a rule at every ReLU where one is given.

        Raises:
            UnsupportedError: no derivative reaches the image; a rule that does not fit the network.
        """
        with torch.inference_mode(False), torch.enable_grad():
            leaf = torch.from_numpy(np.ascontiguousarray(images)).requires_grad_()
            with running(self._options, images.shape):
                raw = self._raw(self._network, leaf)
            if rule is not None:
                torch_rules.exchange(raw, rule, self._options.name)
            scores, (found,) = self._pull(raw, [leaf], weigh, images.shape, "the image")
        return scores, found.numpy()

    def layers(self) -> tuple[Layer, ...]:
        """List the nodes that give one array of numbers for an image, in the order in which they run."""
        found: dict[str, Layer] = {}
        for node in self._parts.graph.nodes:
            if node.name in self._kinds and node.shape:
                shape = (*node.shape[1:], node.shape[0]) if self._turned(node.shape) else node.shape
                found.pop(node.name, None)
                space = len(shape) == self._axes + 1
                found[node.name] = Layer(node.name, self._kinds[node.name], shape, space)
        return tuple(found.values())

    def layer(self, images: Images, weigh: Weigh, name: str) -> tuple[Scores, Values, Values]:
        """Return the scores, what a node gives, and the derivatives with respect to that; channels last.

        Raises:
            UnsupportedError: no derivative comes back to the node.
        """
        held: list[Tensor] = []

        def open_(node: str, given: Tensor) -> Tensor:
            if node == name:
                held.append(given.detach().clone().requires_grad_())
            return held[-1] if node == name else given

        shape = images.shape
        with torch.inference_mode(False), torch.enable_grad():
            with running(self._options, shape):
                given = torch.from_numpy(np.ascontiguousarray(images))
                raw = self._raw(self._parts, given.requires_grad_(), open_)
            leaves = held[:: -(len(held) // math.ceil(shape[0] / (self._batch or shape[0])))][::-1]
            scores, found = self._pull(raw, leaves, weigh, shape, f"what layer {name!r} gives")
        both = (torch.cat(each)[: len(images)].detach() for each in (leaves, found))
        values, derivatives = (self._last(each).numpy() for each in both)
        return scores, values, derivatives

    def _pull(
        self, raw: Tensor, leaves: list[Tensor], weigh: Weigh, shape: tuple[int, ...], what: str
    ) -> tuple[Scores, list[Tensor]]:
        """Weigh the scores and go back to some leaves."""
        scores, weights = self._output.pull(raw.detach().double().numpy(), weigh)
        with running(self._options, shape):
            pulled = torch.tensor(weights, dtype=raw.dtype)
            found = torch.autograd.grad(raw, leaves, pulled, allow_unused=True) if raw.requires_grad else [None]
        if any(each is None for each in found):
            raise UnsupportedError(
                f"the scores must depend on {what} through differentiable operations, but {self._options.name} cuts "
                "the way (ArgMax, a cast to whole numbers, or a head that leaves PyTorch). Use method='occlusion', "
                "which needs scores only."
            )
        return scores, list(found)

    @property
    def _axes(self) -> int:
        return len(self._parts.graph.nodes[0].shape) - 1

    def _turned(self, shape: tuple[int, ...]) -> bool:
        """Say whether a node's channels stand first: the graph follows them on two axes only."""
        return self._first and self._axes != 2 and len(shape) == self._axes + 1

    def _last(self, values: Tensor) -> Tensor:
        return values.movedim(1, -1).contiguous() if self._turned(tuple(values.shape[1:])) else values

    def _raw(self, network: Network, leaf: Tensor, see: See | None = None) -> Tensor:
        """Run on batches of the graph's size, the last one filled up with its last image."""
        if self._batch is None:
            return network(leaf, see)
        rows = []
        for piece in leaf.split(self._batch):
            filler = piece[-1:].expand(self._batch - len(piece), *piece.shape[1:])
            rows.append(network(torch.cat([piece, filler]), see)[: len(piece)])
        return torch.cat(rows)


def _rectified(activation: Activation) -> Activation:
    """Let a clamp have the derivative of PyTorch's ReLU and ReLU6 at its bounds: 0."""
    if activation.name != "clamp" or activation.low == -math.inf:
        return activation
    low, high = activation.low, activation.high
    if high < math.inf:
        return replace(activation, call=lambda data: functional.hardtanh(data, low, high))
    return replace(activation, call=torch.relu) if low == 0 else activation
