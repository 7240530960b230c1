"""Another way back through every ReLU, by the graph that PyTorch records: whoever called it, and in whatever way."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.autograd.graph import Node

from eyeline.models.layered import Rule, without_relus
from eyeline.models.selfgated import KNOWN, PRODUCTS, Reach, reached, written

OTHERS = {
    "Celu": "CELU",
    "Elu": "ELU or SELU",
    "Gelu": "GELU",
    "Hardshrink": "hardshrink",
    "Hardswish": "hard swish",
    "LeakyRelu": "leaky ReLU",
    "LogSigmoid": "log-sigmoid",
    "Mish": "Mish",
    "PreluKernel": "PReLU",
    "RreluWithNoise": "RReLU",
    "Silu": "SiLU",
    "Softplus": "softplus",
    "Softshrink": "softshrink",
}
"""Activations that stand where ReLUs would, by their names in the graph; gates and ends (sigmoid, tanh) are none."""

DEEP = 10
"""Operations that an activation is written out in, at most, from the number to the product with its gate."""

Edge = tuple[Any, int]
"""A node of the recorded graph, and which of its results."""

Grads = tuple[torch.Tensor | None, ...]


def visible() -> AbstractContextManager[None]:
    """Keep TorchScript's optimiser from hiding ReLUs in operations of its own."""
    return torch.jit.optimized_execution(False)  # type: ignore[no-any-return]


def exchange(raw: torch.Tensor, rule: Rule, model: str) -> None:
    """Put a rule at every ReLU that led to raw outputs, in the recorded graph: the network itself is not touched.

    Raises:
        UnsupportedError: no ReLU, another activation, or an operation with a way back of its own making.
    """
    nodes = list(_walk(raw.grad_fn)) if raw.grad_fn is not None else []
    others = sorted({name for each in nodes if (name := _other(each))})
    relus = [each for each in nodes if _rectifies(each)]
    if others or not relus:
        raise without_relus(model, rule, others)
    for each in relus:
        each.register_hook(_guided if rule == "guided" else _deconvnet)


def _guided(inputs: Grads, outputs: Grads) -> Grads:
    """Work in place: what a ReLU hands back is an array of its own."""
    return tuple(None if each is None else each.clamp_(min=0) for each in inputs)


def _deconvnet(inputs: Grads, outputs: Grads) -> Grads:
    (back,) = outputs
    return tuple(None if each is None or back is None else back.clamp(min=0) for each in inputs)


def _walk(root: Node) -> Iterator[Node]:
    """Yield every node once; they are held meanwhile, so that none takes another's memory."""
    seen, waiting = {root}, [root]
    while waiting:
        node = waiting.pop()
        yield node
        for each, _ in node.next_functions:
            if each is not None and each not in seen:
                seen.add(each)
                waiting.append(each)


def _other(node: Node) -> str | None:
    """Name what stands where a ReLU would, or what cannot be looked into."""
    if isinstance(node, torch.autograd.function.BackwardCFunction) or "Graph" in node.name():
        return f"an operation with a backward pass of its own ({node.name().removesuffix('Backward')})"
    name = node.name().partition("Backward")[0]
    if name == "Hardtanh" and not _rectifies(node):
        return "hardtanh"
    if name.lower() in PRODUCTS:
        return written([_reach(each, DEEP) for each in _entering(node)])
    return OTHERS.get(name)


def _reach(edge: Edge, deep: int) -> Reach:
    """Return what the numbers behind an edge are made of by themselves, looking so many operations back."""
    node = edge[0]
    name = node.name().partition("Backward")[0].lower()
    if not deep or name not in KNOWN or (name == "clamp" and node._saved_max is None):
        return {edge: ""}
    return {**reached(name, [_reach(each, deep - 1) for each in _entering(node)]), edge: ""}


def _entering(node: Node) -> list[Edge]:
    """Return what enters an operation; beside what the network computes, weights count no more than constants."""
    edges = [each for each in node.next_functions if each[0] is not None]
    return [each for each in edges if each[0].name() != "torch::autograd::AccumulateGrad"] or edges


def _rectifies(node: Node) -> bool:
    """Say whether a node is that of max(x, 0), or of that cut above."""
    test = RELUS.get(node.name())
    return test is not None and test(node)


def _zero(value: Any) -> bool:
    return value is not None and not bool(torch.as_tensor(value).any())


def _constant(node: Node) -> bool:
    """Say whether one side of a maximum is 0, and no part of the network."""
    one, other = (each for each, _ in node.next_functions)
    return (one is None and _zero(node._saved_self)) or (other is None and _zero(node._saved_other))


RELUS: dict[str, Callable[[Any], bool]] = {
    "ReluBackward0": lambda node: True,
    "HardtanhBackward0": lambda node: _zero(node._saved_min_val),
    "ClampBackward0": lambda node: _zero(node._saved_min),
    "ClampBackward1": lambda node: _zero(node._saved_min),
    "ClampMinBackward0": lambda node: _zero(node._saved_min),
    "ClampMinBackward1": lambda node: _zero(node._saved_min),
    "ThresholdBackward0": lambda node: _zero(node._saved_threshold),
    "MaximumBackward0": _constant,
}
"""Nodes of ReLUs: torch.relu; ReLU6 and hardtanh; clamp; threshold; maximum with 0."""
