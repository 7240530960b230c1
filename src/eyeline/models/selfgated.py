"""Activations that are written out: a number times a gate of that same number, x * sigmoid(x). Found by structure.

A gate of other numbers, of pooled features or of another half of the channels, is none: what gates x must be made of x
alone, number by number. Adapters say what their operations do; this file knows no framework.
"""

from collections.abc import Hashable, Mapping, Sequence
from itertools import permutations

Reach = Mapping[Hashable, str]
"""The tensors of which each number is made by itself, with the activation whose gate lies on the way; "" where none
does: so far it is a sum, a multiple or a power."""

GATES = {
    "clamp": "hard swish",
    "clip": "hard swish",
    "erf": "GELU",
    "exp": "SiLU",
    "hardsigmoid": "hard swish",
    "hardtanh": "hard swish",
    "relu6": "hard swish",
    "sigmoid": "SiLU",
    "tanh": "GELU",
}
"""Gates by their names, small and without lines, and what x times such a gate of x is."""

PLAIN = {
    "add", "batchnormalization", "clone", "div", "divide", "dropout", "identity", "linear", "mul", "multiply",
    "nativebatchnorm", "neg", "negative", "pow", "power", "reciprocal", "rescaling", "rsub", "square", "sub",
    "subtract", "tocopy", "truedivide",
}  # fmt: skip
"""What makes each number from numbers at its place, and is no gate."""

KNOWN = PLAIN | GATES.keys()
"""What makes each number from numbers at its place."""

PRODUCTS = {"div", "divide", "mul", "multiply", "truedivide"}
"""Where a number and its gate meet: x / (1 + exp(-x)) is a product too."""


def reached(name: str, sides: Sequence[Reach]) -> Reach:
    """Return what an operation's result is made of, given what the tensors that enter it are made of."""
    if not sides or name not in KNOWN:
        return {}
    shared = set(sides[0]).intersection(*sides[1:])
    return {each: GATES.get(name) or max(side[each] for side in sides) for each in shared}


def written(sides: Sequence[Reach]) -> str | None:
    """Name the activation that a product of tensors completes, or None."""
    pairs = permutations(sides, 2)
    return next((two[each] for one, two in pairs for each in one if not one[each] and two.get(each)), None)
