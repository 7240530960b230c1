"""Integrated gradients: the derivative along the straight line from a baseline to the image."""

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64

from eyeline.attribution import Attribution
from eyeline.baseline import Baseline
from eyeline.methods.channels import Channels
from eyeline.methods.checks import BLACK, at_least, baseline_of
from eyeline.methods.derivatives import explained
from eyeline.models.base import Model

Rule = Literal["gauss-legendre", "midpoint", "trapezoid", "even", "right"]
"""Where on the line the derivative is taken, and with which share."""


@dataclass(frozen=True)
class IntegratedGradients:
    """Integrate the derivative along the straight line from the baseline x' to the image x.

    `(x - x') * integral over a in 0..1 of ds/dx at x' + a (x - x')`: how the change s(x) - s(x') is shared among the
    pixels. Summed over a whole map it is that change (completeness) but for the error of finitely many steps, which
    the result's `provenance["completeness"]` holds for each image. One forward and one backward pass a step.
    A pixel that equals the baseline has 0, whatever it means.

    Args:
        steps: points on the line.
        baseline: where the line starts, in image space: 0, black where images lie in 0..1, as in the paper. Where
            black means something, take another one: a blur, grey, or a picture.
        rule: "gauss-legendre": the nodes of that quadrature, dense near both ends, where scores often change
            fast; "midpoint": the middle of each of `steps` equal parts; "trapezoid": evenly spaced, both ends
            included, which count half; "even": the same points, which all count alike; "right": the end of each of
            `steps` equal parts.
        multiply: with x - x'. Otherwise the map is the mean derivative on the line, in scores per pixel value, and has
            no completeness.
        channels: "sum": the signed sum over channels; "max_abs": the largest magnitude; "signed": the number of
            largest magnitude with its sign; "mean": the signed mean; "mean_abs": the mean magnitude; "sum_abs": the
            sum of magnitudes; "l2": the Euclidean norm; "abs": the magnitude of each channel, one map for each;
            None: one map per channel.
        batch: points a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        UnsupportedError: the model gives scores only.
        InputError: steps below 1, or 2 where both ends are points, a baseline that does not fit the images.
        ModelError: scores or derivatives that are not finite; the sentence names image and step.

    References:
        Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks, ICML 2017, equations 1 and 3.

    Examples:
        >>> import numpy as np, torch, eyeline
        >>> model = eyeline.load(torch.nn.Flatten(), input_size=(1, 2))  # score k is pixel k
        >>> image = np.float32([[[0.5], [1.0]]])
        >>> attribution = eyeline.IntegratedGradients(steps=4)(model, image, target=0)  # s(x) - s(black) is 0.5
        >>> attribution.maps.round(5).tolist()
        [[[0.5, 0.0]]]
    """

    steps: int = 50
    baseline: Baseline = BLACK
    rule: Rule = "gauss-legendre"
    multiply: bool = True
    channels: Channels | None = "sum"
    batch: int | None = None
    memory: int = 1024

    def __post_init__(self) -> None:
        at_least(2 if self.rule in ("trapezoid", "even") else 1, steps=self.steps)

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        began = time.perf_counter()
        clean = explained(self, model, images, target, self.steps)
        pixels = clean.given.images
        start = baseline_of(self.baseline, pixels)
        way = pixels.astype(np.float64) - start
        nodes, shares = quadrature(self.rule, self.steps)
        total = clean.walk(
            self.steps,
            lambda image, step: (start[image] + nodes[step] * way[image], shares[step]),
            "integratedgradients",
        )
        if not self.multiply:
            return clean.result(self, total, lambda unit: f"mean d {unit} / d pixel value from the baseline", began)
        total *= way
        completeness = clean.completeness(total, clean.values(start, "the baseline"))
        return clean.result(
            self,
            total,
            lambda unit: f"share of the change in {unit} from the baseline",
            began,
            completeness=completeness,
        )


def quadrature(rule: Rule, steps: int) -> tuple[Float64[np.ndarray, "steps"], Float64[np.ndarray, "steps"]]:
    """Return nodes in 0..1 and shares that sum to 1."""
    if rule in ("midpoint", "right"):
        return (np.arange(steps) + (0.5 if rule == "midpoint" else 1)) / steps, np.full(steps, 1 / steps)
    if rule in ("trapezoid", "even"):
        shares = np.ones(steps)
        shares[[0, -1]] = 0.5 if rule == "trapezoid" else 1
        return np.linspace(0, 1, steps), shares / shares.sum()
    nodes, shares = np.polynomial.legendre.leggauss(steps)
    return (nodes + 1) / 2, shares / 2
