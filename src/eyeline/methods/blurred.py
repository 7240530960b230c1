"""Blur integrated gradients: the derivative along a path on which the image comes into focus."""

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from eyeline.attribution import Attribution
from eyeline.baseline import Border, blurred
from eyeline.methods.channels import Channels
from eyeline.methods.checks import at_least, within
from eyeline.methods.derivatives import explained
from eyeline.models.base import Model

Rule = Literal["midpoint", "tangent"]
"""Where in a step the derivative is taken, and what it is multiplied with."""

SLOPE = 0.01
"""Pixels of sigma over which "tangent" takes the slope of the blur."""


@dataclass(frozen=True)
class BlurIG:
    """Integrate the derivative along the path of blurred images z(sigma), from the strongest blur to z(0) = x.

    `integral over sigma from sigma_max to 0 of ds/dz * dz/dsigma`: how the change s(x) - s(z(sigma_max)) is shared
    among the pixels. There is no baseline colour, and nothing appears on the path that is not in the image. Taken
    as the sum over steps of `ds/dz * (z(sigma_k+1) - z(sigma_k))`, ds/dz in the middle of the two, sigma in equal
    steps; its difference from that change stands in the result's `provenance["completeness"]` for each image. One
    forward and one backward pass a step.

    Args:
        sigma: standard deviation of the strongest blur, in pixels.
        steps: parts of the path.
        rule: "midpoint": the derivative in the middle of a step, times what changes in the step; "tangent": the
            derivative at its sharper end, times the slope of the blur there, a difference over 0.01 pixels of sigma.
        border: what the blur sees beyond the image. "repeat": the edge pixel; "black": 0.
        channels: "sum": the signed sum over channels; "max_abs": the largest magnitude; "signed": the number of
            largest magnitude with its sign; "mean": the signed mean; "mean_abs": the mean magnitude; "sum_abs": the
            sum of magnitudes; "l2": the Euclidean norm; "abs": the magnitude of each channel, one map for each;
            None: one map per channel.
        batch: points a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        UnsupportedError: the model gives scores only.
        InputError: sigma that is not positive, steps below 1.
        ModelError: scores or derivatives that are not finite; the sentence names image and step.

    References:
        Xu, Venugopalan, Sundararajan: Attribution in Scale and Space, CVPR 2020, equation 5.

    Examples:
        >>> import numpy as np, torch, eyeline
        >>> model = eyeline.load(torch.nn.Flatten(), input_size=(1, 2))  # score k is pixel k
        >>> image = np.float32([[[0.5], [1.0]]])
        >>> attribution = eyeline.BlurIG(sigma=2, steps=8)(model, image, target=0)
        >>> abs(attribution.provenance["completeness"]["error"][0]) < 1e-5
        True
    """

    sigma: float = 50
    steps: int = 100
    rule: Rule = "midpoint"
    border: Border = "repeat"
    channels: Channels | None = "sum"
    batch: int | None = None
    memory: int = 1024

    def __post_init__(self) -> None:
        within("sigma", self.sigma)
        at_least(1, steps=self.steps)

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        began = time.perf_counter()
        clean = explained(self, model, images, target, self.steps)
        pixels = clean.given.images

        @lru_cache(maxsize=2)
        def knot(image: int, sigma: float) -> np.ndarray:
            only = pixels[image : image + 1].astype(np.float64)
            return np.asarray((blurred(only, sigma, self.border) if sigma else only)[0])

        def walk(image: int, step: int) -> tuple[np.ndarray, np.ndarray]:
            wide, sharp = (self.sigma * (1 - end / self.steps) for end in (step, step + 1))
            after = knot(image, sharp)
            if self.rule == "tangent":
                return after, (after - knot(image, sharp + SLOPE)) * ((wide - sharp) / SLOPE)
            before = knot(image, wide)
            return (before + after) / 2, after - before

        total = clean.walk(self.steps, walk, "blurig")
        start = blurred(pixels.astype(np.float64), self.sigma, self.border).astype(np.float32)
        completeness = clean.completeness(total, clean.values(start, "blurred"))
        return clean.result(
            self,
            total,
            lambda unit: f"share of the change in {unit} from the blurred image",
            began,
            completeness=completeness,
        )
