"""Another way back through every ReLU, by the graph that PyTorch records: whoever called it, and in whatever way."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.autograd.graph import Node

from eyeline.models.layered import Rule, without_relus

OTHERS = {
    "Celu": "CELU",
    "Elu": "ELU or SELU",
    "Erf": "GELU",
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


def _walk(root: Node, deep: float = math.inf) -> Iterator[Node]:
    """Yield every node once, `deep` steps back; they are held meanwhile, so that none takes another's memory."""
    seen, waiting = {root}, [(root, 0)]
    while waiting:
        node, steps = waiting.pop()
        yield node
        for each, _ in node.next_functions if steps < deep else ():
            if each is not None and each not in seen:
                seen.add(each)
                waiting.append((each, steps + 1))


def _other(node: Node) -> str | None:
    """Name what stands where a ReLU would, or what cannot be looked into."""
    if isinstance(node, torch.autograd.function.BackwardCFunction) or "Graph" in node.name():
        return f"an operation with a backward pass of its own ({node.name().removesuffix('Backward')})"
    name = node.name().partition("Backward")[0]
    if name == "Hardtanh" and not _rectifies(node):
        return "hardtanh"
    if name == "Mul" and _swish(node):
        return "SiLU"
    if name == "Tanh" and any(each.name() == "PowBackward0" and each._saved_exponent == 3 for each in _walk(node, 4)):
        return "GELU"
    return OTHERS.get(name)


def _swish(node: Node) -> bool:
    """Say whether a product is x * sigmoid(x), or x * sigmoid(factor * x): a SiLU written out, as in ONNX files."""
    sides = node.next_functions
    for source, (gate, _) in (sides, sides[::-1]) if len(sides) == 2 else ():
        if gate is not None and gate.name() == "SigmoidBackward0":
            (inner,) = gate.next_functions
            scaled = inner[0] is not None and inner[0].name() == "MulBackward0"
            if source in (inner, *(inner[0].next_functions if scaled else ())):
                return True
    return False


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
