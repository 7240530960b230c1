"""What methods that look inside a network ask of it: its layers by name, and its ReLUs with another way back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from eyeline._typing import Images, Scores, Weigh
from eyeline.errors import InputError, UnsupportedError, nearest
from eyeline.models.base import Differentiable

Values = Float32[np.ndarray, "n *positions features"]
"""What a layer gives for a batch, channels last, or one derivative for each of those numbers."""

Rule = Literal["guided", "deconvnet"]
"""What a ReLU, y = max(x, 0), makes of the derivative g that comes back to it.

Its own rule: g where x > 0. guided: max(g, 0) where x > 0. deconvnet: max(g, 0) everywhere.
"""

LISTED = "`eyeline layers MODEL` lists them."


@dataclass(frozen=True)
class Layer:
    """A layer of a network, as it ran on one image.

    Args:
        name: what its framework calls it: a module's path, a layer's name, a node's.
        kind: its type there, "Conv2d".
        shape: of what it gives for an image, channels last; None where that is not one array of numbers.
        space: whether it has the image's spatial axes.
        runs: how many times it ran for one image.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    space: bool
    runs: int = 1

    @property
    def mapped(self) -> bool:
        """Say whether a map can be made of what it gives: it has spatial axes and runs once."""
        return self.space and self.runs == 1

    @property
    def size(self) -> tuple[int, ...]:
        """Positions per spatial axis."""
        return self.shape[:-1] if self.space and self.shape else ()


@runtime_checkable
class Layered(Differentiable, Protocol):
    """Layers that can be seen into: what they give, and derivatives with respect to that."""

    def layers(self, shape: tuple[int, ...]) -> tuple[Layer, ...]:
        """List the layers that run for an image of (*space, channels), in the order in which they end.

        Raises:
            UnsupportedError: they cannot be told apart.
        """
        ...

    def layer(self, images: Images, weigh: Weigh, name: str) -> tuple[Scores, Values, Values]:
        """Return the scores, what a layer gives, A, and d(weigh(scores) . scores) / dA.

        One pass forward, and one back that ends at the layer. `weigh` is called once, with the scores; what it
        returns is held constant. `name` is one of `layers` that runs once.

        Raises:
            UnsupportedError: no derivative comes back to the layer.
        """
        ...


@runtime_checkable
class Ruled(Differentiable, Protocol):
    """ReLUs whose way back can be exchanged."""

    def ruled(self, images: Images, weigh: Weigh, rule: Rule) -> tuple[Scores, Images]:
        """Return what `gradient` returns, with `rule` at every ReLU, also one that is cut above (ReLU6).

        Raises:
            UnsupportedError: the network has no ReLU, or other activations in the place of some.
        """
        ...


def without_relus(model: str, rule: Rule, others: Sequence[str]) -> UnsupportedError:
    """Word why a network's ReLUs cannot have another way back: it has none, or other activations beside or instead."""
    if others:
        got, why = f"has {', '.join(others)}", "the rule says nothing of others"
    else:
        got, why = "has none", "elsewhere nothing would differ from the plain gradient"
    name = {"guided": "guided backpropagation", "deconvnet": "deconvnet"}[rule]
    return UnsupportedError(
        f"the activations of a network must be ReLUs for {name}, but {model} {got}: {why}. "
        "Use method='gradient', 'smoothgrad' or 'integratedgradients'."
    )


def choose(layers: Sequence[Layer], name: str | None, model: str) -> Layer:
    """Return a layer of which a map can be made.

    None is the last convolution with more than one position, or what follows it at its size: its norm, its
    activation, the sum that it is part of.

    Raises:
        InputError: no such layer (the nearest is offered), none with spatial axes, one that runs several times.
    """
    if not isinstance(name, str | None):
        raise InputError(f"layer must be a name, but got {name!r}. {LISTED}")
    if name is None:
        return _last(layers, model)
    found = next((each for each in layers if each.name == name), None)
    if found is not None and found.mapped:
        return found
    mapped = [each.name for each in layers if each.mapped]
    if found is None:
        known = nearest(name, mapped or [each.name for each in layers])
        raise InputError(f"layer must be one of the model's, but got {name!r} ({model}). {known} {LISTED}")
    if found.runs > 1:
        raise InputError(
            f"layer must run once for an image, but {name!r} runs {found.runs} times ({model}). "
            f"Name another, for example one inside it or around it. {LISTED}"
        )
    gives = f"gives {found.shape}" if found.shape else "does not give one array of numbers"
    out = f"The last that has them is {mapped[-1]!r}." if mapped else "No layer of this model has them."
    raise InputError(f"layer must have the image's spatial axes, but {name!r} {gives} ({model}). {out} {LISTED}")


def _last(layers: Sequence[Layer], model: str) -> Layer:
    places = [i for i, each in enumerate(layers) if each.mapped and "conv" in each.kind.lower() and max(each.size) > 1]
    if not places:
        raise InputError(
            f"layer must be named where the model has no convolution that runs once, but got None ({model}). {LISTED}"
        )
    size = layers[places[-1]].size
    return [each for each in layers[places[-1] :] if each.mapped and each.size == size][-1]
