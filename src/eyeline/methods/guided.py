"""Guided integrated gradients: a path that moves first the pixels that the scores do not yet depend on."""

import time
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from eyeline.attribution import Attribution
from eyeline.baseline import Baseline
from eyeline.methods.channels import Channels
from eyeline.methods.checks import BLACK, at_least, baseline_of, within
from eyeline.methods.derivatives import Explained, explained, prepare
from eyeline.methods.progress import progress
from eyeline.models.base import Model

NEAR = 1e-9
"""What is left to go counts as gone below this share of the whole way: rounding."""

Pixels = Float64[np.ndarray, "*space channels"]


@dataclass(frozen=True)
class GuidedIG:
    """Integrate the derivative along a path on which the pixels of smallest derivative move first.

    `sum over the steps of ds/dx * move`, from the baseline to the image. Each step goes the same L1 distance, by
    moving the `fraction` of the values with the smallest |ds/dx| until it is gone; none may be more than `distance`
    of its way ahead of the straight line or behind it. So the path keeps away from steep places beside the way,
    which integrated gradients collects as noise. The sum over a map is s(x) - s(baseline) but for the error of
    finitely many steps, which the result's `provenance["completeness"]` holds for each image. One forward and one
    backward pass a step; steps follow each other, so only images share a batch.

    Args:
        steps: parts of the path.
        baseline: where the path starts, in image space: 0, black where images lie in 0..1, as in the paper.
        fraction: share of the values that move at a time, above 0 and at most 1.
        distance: how far a value may be from the straight line, as a share of its way: 0 is the straight line, 1 lets
            the path go anywhere between baseline and image.
        channels: "sum": the signed sum over channels; "max_abs": the largest magnitude; "signed": the number of
            largest magnitude with its sign; "mean": the signed mean; "mean_abs": the mean magnitude; "sum_abs": the
            sum of magnitudes; "l2": the Euclidean norm; "abs": the magnitude of each channel, one map for each;
            None: one map per channel.
        batch: images a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        UnsupportedError: the model gives scores only.
        InputError: steps, fraction or distance out of their range, a baseline that does not fit the images.
        ModelError: scores or derivatives that are not finite; the sentence names image and step.

    References:
        Kapishnikov, Venugopalan, Avci, Wedin, Terry, Bolukbasi: Guided Integrated Gradients, CVPR 2021, sections 3, 4.

    Examples:
        >>> import numpy as np, torch, eyeline
        >>> model = eyeline.load(torch.nn.Flatten(), input_size=(1, 2))  # score k is pixel k
        >>> image = np.float32([[[0.5], [1.0]]])
        >>> eyeline.GuidedIG(steps=4)(model, image, target=0).maps.round(5).tolist()
        [[[0.5, 0.0]]]
    """

    steps: int = 200
    baseline: Baseline = BLACK
    fraction: float = 0.25
    distance: float = 0.02
    channels: Channels | None = "sum"
    batch: int | None = None
    memory: int = 1024

    def __post_init__(self) -> None:
        at_least(1, steps=self.steps)
        within("fraction", self.fraction, high=1)
        within("distance", self.distance, high=1, closed=True)

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        began = time.perf_counter()
        clean = explained(self, model, images, target, 1)
        prepare(model, len(clean.scores) * self.steps)
        start = baseline_of(self.baseline, clean.given.images)
        total = self._total(clean, start.astype(np.float64))
        completeness = clean.completeness(total, clean.values(start, "the baseline"))
        return clean.result(
            self,
            total,
            lambda unit: f"share of the change in {unit} from the baseline",
            began,
            completeness=completeness,
        )

    def _total(self, clean: Explained, start: Float64[np.ndarray, "n *space channels"]) -> np.ndarray:
        """Walk all images at once, step by step; `gone` is the share of its way that each value has gone."""
        names, way = clean.given.names, clean.given.images - start
        gone, total = np.zeros(way.shape), np.zeros(way.shape)
        with progress(len(names) * self.steps, "guidedig") as advance:
            for step in range(self.steps):

                def call(first: int, stop: int, step: int = step) -> np.ndarray:
                    points = (start[first:stop] + gone[first:stop] * way[first:stop]).astype(np.float32)
                    return clean.gradients(
                        points,
                        np.arange(first, stop),
                        lambda row: f"{names[first + row]!r}, step {step + 1} of {self.steps}",
                    )

                for first, stop, gradients in clean.batches.run(len(names), call):
                    for image, gradient in zip(range(first, stop), gradients, strict=True):
                        moved = self._moved(gone[image], np.abs(way[image]), np.abs(gradient), (step + 1) / self.steps)
                        total[image] += (moved - gone[image]) * way[image] * gradient
                        gone[image] = moved
                    advance(stop - first)
        return total

    def _moved(self, gone: Pixels, way: Pixels, slope: np.ndarray, goal: float) -> Pixels:
        """Move values of small slope until the share `goal` of the whole way is gone."""
        low, high = max(goal - self.distance, 0.0), min(goal + self.distance, 1.0)
        place = int(self.fraction * (slope.size - 1))
        gone = np.maximum(gone, low)
        while (left := float((way * (goal - gone)).sum())) > NEAR * way.sum():
            waiting = (gone < high) & (way > 0)
            ranked = np.where(waiting, slope, np.inf)
            chosen = waiting & (ranked <= np.partition(ranked, place, axis=None)[place])
            reach = float((way * (high - gone))[chosen].sum())
            if reach > left:
                return np.where(chosen, gone + left / reach * (high - gone), gone)
            gone = np.where(chosen, high, gone)
        return gone
