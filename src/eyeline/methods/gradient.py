"""Vanilla saliency: the derivative of the explained scalar with respect to every pixel."""

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eyeline._typing import Images, Maps, Scores
from eyeline.attribution import Attribution, Unit
from eyeline.errors import ModelError, UnsupportedError
from eyeline.methods.base import enter, finite, result, weigh
from eyeline.methods.batches import Batches
from eyeline.methods.progress import progress
from eyeline.models.base import Differentiable, Model

Channels = Literal["max_abs", "signed", "sum", "mean_abs", "l2"]
"""How the derivatives of a pixel's channels become one number; None keeps every channel."""


@dataclass(frozen=True)
class Gradient:
    """Differentiate the explained scalar s with respect to every pixel, in image space: `ds/dx`.

    One forward and one backward pass. In image space means before scaling and normalisation: a number is the
    change of s per unit of pixel value, where files have values in 0..1.

    Args:
        channels: "max_abs": the largest magnitude over channels; "signed": the derivative of largest magnitude
            with its sign; "sum": the signed sum; "mean_abs": the mean magnitude; "l2": the Euclidean norm;
            None: one map per channel.
        batch: images a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        UnsupportedError: the model gives scores only.
        ModelError: scores or derivatives that are not finite.

    References:
        Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks, ICLR workshop 2014, section 3.1.
    """

    channels: Channels | None = "max_abs"
    batch: int | None = None
    memory: int = 1024

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        began = time.perf_counter()
        given = enter(self, model, images)
        differentiable = needs_gradient(model, "gradient")
        pixels, names = given.images, given.names
        weights_of = weigh(target, len(pixels), model)
        batches = Batches(self.batch, self.memory)

        def call(start: int, stop: int) -> tuple[Scores, Scores, Images]:
            used: list[Scores] = []

            def keep(scores: Scores) -> Scores:
                finite(scores, lambda row: f"the clean image {names[start + row]!r}")
                used.append(weights_of(scores, start))
                return used[0]

            scores, gradient = differentiable.gradient(pixels[start:stop], keep)
            for row in np.flatnonzero(~np.isfinite(gradient).reshape(len(gradient), -1).all(axis=1)):
                raise ModelError(
                    f"derivatives must be finite, but those of {names[start + row]!r} hold NaN or infinite values. "
                    "Check for a square root, a logarithm or a division at 0 in the model."
                )
            return scores, used[0], gradient

        parts = []
        with progress(len(pixels), "gradient") as advance:
            for start, stop, part in batches.run(len(pixels), call):
                parts.append(part)
                advance(stop - start)
        scores, weights, gradient = (np.concatenate(each) for each in zip(*parts, strict=True))
        return result(
            self,
            model,
            given,
            scores=scores,
            weights=weights,
            maps=reduce(gradient, self.channels),
            quantity=lambda unit: _quantity(self.channels, unit),
            ran={"engine": "full", "batch": batches.used},
            began=began,
        )


def needs_gradient(model: Model, method: str) -> Differentiable:
    """Return the model as one with gradients.

    Raises:
        UnsupportedError: it gives scores only; the message names what works.
    """
    if isinstance(model, Differentiable):
        return model
    raise UnsupportedError(
        f"method {method!r} must have a model with gradients, but {model.describe().get('name', 'it')!r} gives "
        "scores only. Use method='occlusion', or load the network in its own framework (PyTorch, Keras, SavedModel)."
    )


def reduce(gradient: Images, channels: Channels | None) -> Maps:
    """Reduce the channel axis as `Gradient.channels` says."""
    if channels is None:
        return gradient
    if channels == "max_abs":
        return np.asarray(np.abs(gradient).max(axis=-1))
    if channels == "signed":
        strongest = np.abs(gradient).argmax(axis=-1, keepdims=True)
        return np.take_along_axis(gradient, strongest, axis=-1)[..., 0]
    wide = gradient.astype(np.float64)
    reduced = {
        "sum": lambda: wide.sum(axis=-1),
        "mean_abs": lambda: np.abs(wide).mean(axis=-1),
        "l2": lambda: np.sqrt(np.square(wide).sum(axis=-1)),
    }[channels]()
    return np.asarray(reduced, dtype=np.float32)


def _quantity(channels: Channels | None, unit: Unit) -> str:
    words = {
        None: "per channel",
        "max_abs": "largest magnitude over channels",
        "signed": "of largest magnitude over channels",
        "sum": "summed over channels",
        "mean_abs": "mean magnitude over channels",
        "l2": "Euclidean norm over channels",
    }
    return f"d {unit} / d pixel value, {words[channels]}"
