"""Vanilla saliency, the derivative of the explained scalar with respect to every pixel, and that times the pixel."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from eyeline._typing import Images, Scores, Weigh
from eyeline.attribution import Attribution
from eyeline.baseline import Baseline
from eyeline.image import Batch
from eyeline.methods.base import enter, finite, weigh
from eyeline.methods.channels import Channels
from eyeline.methods.checks import BLACK, baseline_of, checked, needs_gradient
from eyeline.methods.derivatives import Explained, prepare, sized
from eyeline.methods.progress import progress
from eyeline.models.base import Model

Run = Callable[[Images, Weigh], tuple[Scores, np.ndarray]]
"""Images and a function scores -> weights -> the scores, and an array with one entry an image."""


@dataclass(frozen=True)
class Gradient:
    """Differentiate the explained scalar s with respect to every pixel, in image space: `ds/dx`.

    One forward and one backward pass. In image space means before scaling and normalisation: a number is the
    change of s per unit of pixel value, where files have values in 0..1.

    Args:
        channels: "max_abs": the largest magnitude over channels; "signed": the derivative of largest magnitude
            with its sign; "sum": the signed sum; "mean": the signed mean; "mean_abs": the mean magnitude; "sum_abs":
            the sum of magnitudes; "l2": the Euclidean norm; "abs": the magnitude of each channel, one map for each;
            None: one map per channel.
        batch: images a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        UnsupportedError: the model gives scores only.
        ModelError: scores or derivatives that are not finite.

    References:
        Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks, ICLR workshop 2014, section 3.1.

    Examples:
        >>> import numpy as np, torch, eyeline
        >>> model = eyeline.load(torch.nn.Flatten(), input_size=(1, 2))  # score k is pixel k
        >>> image = np.float32([[[0.5], [1.0]]])
        >>> eyeline.Gradient()(model, image, target=1).maps.tolist()
        [[[0.0, 1.0]]]
    """

    channels: Channels | None = "max_abs"
    batch: int | None = None
    memory: int = 1024

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        began = time.perf_counter()
        clean, gradient = at_the_image(self, model, enter(self, model, images), target)
        return clean.result(self, gradient, lambda unit: f"d {unit} / d pixel value", began)


@dataclass(frozen=True)
class GradientInput:
    """Multiply the derivative with the pixel: `(x - baseline) * ds/dx`.

    The change of s from the baseline to the image if s were linear; for a linear s it is exact. One forward and one
    backward pass. Positive where the pixel, as it is, supports the target more than the baseline would.

    Args:
        channels: "sum": the signed sum over channels; "max_abs": the largest magnitude; "signed": the number of
            largest magnitude with its sign; "mean": the signed mean; "mean_abs": the mean magnitude; "sum_abs": the
            sum of magnitudes; "l2": the Euclidean norm; "abs": the magnitude of each channel, one map for each;
            None: one map per channel.
        baseline: what pixels are compared with, in image space; 0, black where images lie in 0..1, is the field's
            gradient x input.
        batch: images a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        UnsupportedError: the model gives scores only.
        InputError: a baseline that does not fit the images.
        ModelError: scores or derivatives that are not finite.

    References:
        Shrikumar, Greenside, Shcherbina, Kundaje: Not Just a Black Box, arXiv:1605.01713, 2016, section 2.

    Examples:
        >>> import numpy as np, torch, eyeline
        >>> model = eyeline.load(torch.nn.Flatten(), input_size=(1, 2))  # score k is pixel k
        >>> image = np.float32([[[0.5], [1.0]]])
        >>> eyeline.GradientInput()(model, image, target=0).maps.tolist()
        [[[0.5, 0.0]]]
    """

    channels: Channels | None = "sum"
    baseline: Baseline = BLACK
    batch: int | None = None
    memory: int = 1024

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        began = time.perf_counter()
        clean, gradient = at_the_image(self, model, enter(self, model, images), target)
        pixels = clean.given.images
        products = (pixels.astype(np.float64) - baseline_of(self.baseline, pixels)) * gradient
        return clean.result(
            self, products, lambda unit: f"linear share of the change in {unit} from the baseline", began
        )


def at_the_image(
    method: Any, model: Model, given: Batch, target: object, run: Run | None = None
) -> tuple[Explained, np.ndarray]:
    """Return what is explained, and ds/dx at the clean images, or what `run` makes instead, from one pass each."""
    name = type(method).__name__.lower()
    differentiable = needs_gradient(model, name)
    pixels, names = given.images, given.names
    weights_of = weigh(target, len(pixels), model)
    prepare(model, len(pixels))
    batches = sized(method.batch, method.memory, pixels, len(pixels))

    def call(start: int, stop: int) -> tuple[Scores, Scores, np.ndarray]:
        used: list[Scores] = []

        def keep(scores: Scores) -> Scores:
            finite(scores, lambda row: f"the clean image {names[start + row]!r}")
            used.append(weights_of(scores, start))
            return used[0]

        scores, gradient = (run or differentiable.gradient)(pixels[start:stop], keep)
        return scores, used[0], checked(gradient, lambda row: repr(names[start + row]))

    parts = []
    with progress(len(pixels), name) as advance:
        for start, stop, part in batches.run(len(pixels), call):
            parts.append(part)
            advance(stop - start)
    scores, weights, gradient = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Explained(differentiable, given, scores, weights, batches), gradient
