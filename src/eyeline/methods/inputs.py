"""Methods on models of several inputs: all inputs moved at once, or each by itself while the others are held."""

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from eyeline._numbers import shown
from eyeline._typing import Images, Scores
from eyeline.attribution import Attribution
from eyeline.baseline import Baseline
from eyeline.errors import InputError, UnsupportedError
from eyeline.methods.base import Method, settings, weigh
from eyeline.methods.channels import WORDS, reduce
from eyeline.methods.checks import baseline_of
from eyeline.methods.expected import ExpectedGradients
from eyeline.methods.gradient import Gradient, GradientInput
from eyeline.methods.guided import GuidedIG
from eyeline.methods.integrated import IntegratedGradients
from eyeline.methods.noise import Held, per_channel
from eyeline.methods.occlusion import Occlusion
from eyeline.methods.smooth import SmoothGrad, SmoothGradSquared, VarGrad
from eyeline.models.several import Alone, Several, Shapes, starts

TOGETHER = (
    Gradient,
    GradientInput,
    IntegratedGradients,
    ExpectedGradients,
    GuidedIG,
    SmoothGrad,
    SmoothGradSquared,
    VarGrad,
)
"""Methods that know nothing of an image's axes: all inputs are explained at once."""


@dataclass(frozen=True)
class Parted:
    """A baseline of rows: of each input by itself."""

    baseline: Baseline
    shapes: Shapes
    names: tuple[str, ...]

    def __call__(self, images: Images) -> Images:
        found = []
        for name, part in zip(self.names, split(images[..., 0], self.shapes), strict=True):
            with of(name):
                found.append(baseline_of(self.baseline, part if part.ndim > 2 else part[..., None]))
        return np.concatenate([each.reshape(len(images), -1) for each in found], axis=1)[..., None]


def explain_inputs(method: Method, model: Several, given: object, target: object) -> tuple[Attribution, ...]:
    """Return one attribution for each input, in their order.

    Raises:
        InputError: an input is missing, has another name or length.
        UnsupportedError: a method for models of one input only.
    """
    _check_baseline(getattr(method, "baseline", None))
    parts = model.parts(given)
    shapes: Shapes = tuple(each.shape[1:] for each in parts)
    rows = np.concatenate([each.reshape(len(each), -1) for each in parts], axis=1)
    if isinstance(method, TOGETHER):
        found = together(method, model, rows, shapes, target)
    elif isinstance(method, Occlusion):
        found = apart(method, model, rows, shapes, target)
    else:
        raise UnsupportedError(
            f"method must be one that explains models of several inputs, but got {type(method).__name__.lower()!r}. "
            f"Use one of occlusion, {', '.join(each.__name__.lower() for each in TOGETHER)}, or explain one input of "
            "one example while the others are held: model.alone(name, inputs)."
        )
    return tuple(
        replace(each, method=settings(method), provenance={**each.provenance, "input": name})
        for name, each in zip(model.names, found, strict=True)
    )


def together(method: Any, model: Several, rows: Images, shapes: Shapes, target: object) -> list[Attribution]:
    """Explain all inputs at once, and cut the map of the rows."""
    whole, channels = per_channel(method)
    found = _parted(whole, shapes, model.names)(model.joined(shapes), rows[..., None], target)
    cut = []
    for maps, images in zip(split(found.maps[..., 0], shapes), split(rows, shapes), strict=True):
        images = images if images.ndim > 2 else images[..., None]
        maps = reduce(maps.reshape(images.shape), channels)
        quantity = found.quantity.replace(WORDS[None], WORDS[channels])
        cut.append(replace(found, maps=np.ascontiguousarray(maps), images=images, quantity=quantity))
    return cut


def apart(method: Method, model: Several, rows: Images, shapes: Shapes, target: object) -> list[Attribution]:
    """Explain one input after the other, example by example; the others are held."""
    joined, bounds = model.joined(shapes), starts(shapes)
    scores = joined.scores(rows[..., None])
    weights = weigh(target, len(rows), joined)(scores, 0)
    found = []
    for name, start, shape in zip(model.names, bounds, shapes, strict=False):
        with of(name):
            each = [
                method(Alone(joined, row, start, shape), _image(row, start, shape), _held(weights, i))
                for i, row in enumerate(rows)
            ]
        found.append(_stacked(each))
    return found


@contextmanager
def of(name: str) -> Iterator[None]:
    """Name the input that a sentence speaks of."""
    try:
        yield
    except InputError as error:
        raise InputError(f"input {name!r}: {error}") from error


def split(rows: np.ndarray, shapes: Shapes) -> list[np.ndarray]:
    """Cut rows, (n, total), into the inputs."""
    bounds = starts(shapes)
    return [
        np.ascontiguousarray(rows[:, start:stop]).reshape(len(rows), *shape)
        for (start, stop), shape in zip(pairwise(bounds), shapes, strict=True)
    ]


def _parted(method: Any, shapes: Shapes, names: tuple[str, ...]) -> Any:
    """Return the method with baselines that treat each input by itself."""
    changes: dict[str, Any] = {}
    for each in dataclasses.fields(method):
        value = getattr(method, each.name)
        if each.name == "baseline":
            changes["baseline"] = Parted(value, shapes, names)
        elif each.name == "references":
            changes["references"] = tuple(Parted(one, shapes, names) for one in value)
        elif each.name == "inner":
            if not isinstance(value, TOGETHER):
                raise InputError(
                    f"inner must be a method that explains several inputs at once, but got {value!r}. "
                    "Pass for example eyeline.Gradient()."
                )
            changes["inner"] = _parted(value, shapes, names)
    return replace(method, **changes)


def _check_baseline(given: object) -> None:
    if isinstance(given, tuple | list | Mapping):
        raise InputError(
            f"baseline must be one, which gives each input its own, but got {shown(given)}. Pass a function of one "
            "input's examples, (n, *space, channels), that tells inputs by their shape."
        )


def _image(row: np.ndarray, start: int, shape: tuple[int, ...]) -> Images:
    part = row[start : start + int(np.prod(shape))].reshape(1, *shape)
    return part if len(shape) > 1 else part[..., None]


def _held(weights: Scores, place: int) -> Held:
    return Held(weights[place : place + 1])


def _stacked(found: list[Attribution]) -> Attribution:
    """Put the attributions of single examples together."""
    first, sweep = found[0], found[0].sweep
    arrays = ("maps", "scores", "weights", "images")
    stacked: dict[str, Any] = {name: np.concatenate([getattr(each, name) for each in found]) for name in arrays}
    if sweep is not None:
        sweeps = [each.sweep for each in found]
        rows: dict[str, Any] = {
            name: np.concatenate([getattr(each, name) for each in sweeps]) for name in ("scores", "reference")
        }
        stacked["sweep"] = replace(sweep, **rows)
    stacked["targets"] = tuple(text for each in found for text in each.targets)
    stacked["names"], stacked["fits"] = tuple(f"image {i}" for i in range(len(found))), (None,) * len(found)
    return replace(first, **stacked)
