"""Blur integrated gradients: the derivative along a path on which the image comes into focus."""

import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from eyeline.attribution import Attribution
from eyeline.baseline import Blur
from eyeline.methods.channels import Channels
from eyeline.methods.checks import at_least, within
from eyeline.methods.derivatives import explained
from eyeline.models.base import Model


@dataclass(frozen=True)
class BlurIG:
    """Integrate the derivative along the path of blurred images z(sigma), from the strongest blur to z(0) = x.

    `integral over sigma from sigma_max to 0 of ds/dz * dz/dsigma`: how the change s(x) - s(z(sigma_max)) is shared
    among the pixels. There is no baseline colour, and nothing appears on the path that is not in the image. Taken
    as the sum over steps of `ds/dz * (z(sigma_k+1) - z(sigma_k))`, ds/dz in the middle of the two, sigma in equal
    steps; its difference from that change stands in the result's `provenance["completeness"]` for each image. One
    forward and one backward pass a step.

    Args:
        sigma: standard deviation of the strongest blur, in pixels; edge pixels are repeated.
        steps: parts of the path.
        channels: "sum": the signed sum over channels; "max_abs": the largest magnitude; "signed": the number of
            largest magnitude with its sign; "mean_abs": the mean magnitude; "l2": the Euclidean norm;
            None: one map per channel.
        batch: points a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        UnsupportedError: the model gives scores only.
        InputError: sigma that is not positive, steps below 1.
        ModelError: scores or derivatives that are not finite; the sentence names image and step.

    References:
        Xu, Venugopalan, Sundararajan: Attribution in Scale and Space, CVPR 2020, equation 5.
    """

    sigma: float = 50
    steps: int = 100
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
        def knot(image: int, step: int) -> np.ndarray:
            only = pixels[image : image + 1]
            found = only if step == self.steps else Blur(self.sigma * (1 - step / self.steps))(only)
            return np.asarray(found[0], dtype=np.float64)

        def walk(image: int, step: int) -> tuple[np.ndarray, np.ndarray]:
            before, after = knot(image, step), knot(image, step + 1)
            return (before + after) / 2, after - before

        total = clean.walk(self.steps, walk, "blurig")
        completeness = clean.completeness(total, clean.values(Blur(self.sigma)(pixels), "blurred"))
        return clean.result(
            self,
            total,
            lambda unit: f"share of the change in {unit} from the blurred image",
            began,
            completeness=completeness,
        )
