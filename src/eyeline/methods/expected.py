"""Expected gradients: integrated gradients with many baselines, one random point for each."""

import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float64, Int

from eyeline.attribution import Attribution
from eyeline.baseline import Baseline, Constant
from eyeline.errors import InputError
from eyeline.methods.channels import Channels
from eyeline.methods.checks import at_least, baseline_of
from eyeline.methods.derivatives import explained
from eyeline.models.base import Model

GREYS = (Constant(0), Constant(), Constant(1))
"""Black, mid grey, which demands images within 0..1, and white."""


@dataclass(frozen=True)
class ExpectedGradients:
    """Average integrated gradients over references, also called gradient SHAP.

    `E[(x - x') * ds/dx at x' + a (x - x')]`: x' is drawn from the references, a from 0..1, anew for each sample; no
    single baseline decides which pixels get 0. Draws are balanced, which keeps the expectation and lowers the
    noise: each reference comes up as often as any other, and each of `samples` equal parts of 0..1 holds one a.
    Every image gets the same draws. Summed over a whole map it is s(x) minus the mean of s over the references
    drawn, but for the error of finitely many samples, which the result's `provenance["completeness"]` holds for
    each image. One forward and one backward pass a sample.

    Args:
        references: baselines to draw from, in image space: black, grey and white where images lie in 0..1. The
            paper draws pictures that the model was trained on: an eyeline.Image of each.
        samples: draws.
        seed: of the draws (PCG64).
        channels: "sum": the signed sum over channels; "max_abs": the largest magnitude; "signed": the number of
            largest magnitude with its sign; "mean": the signed mean; "mean_abs": the mean magnitude; "sum_abs": the
            sum of magnitudes; "l2": the Euclidean norm; "abs": the magnitude of each channel, one map for each;
            None: one map per channel.
        batch: points a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        UnsupportedError: the model gives scores only.
        InputError: no reference, or one that does not fit the images; samples below 1.
        ModelError: scores or derivatives that are not finite; the sentence names image and step.

    References:
        Erion, Janizek, Sturmfels, Lundberg, Lee: Improving performance of deep learning models with axiomatic
        attribution priors and expected gradients, Nature Machine Intelligence 3, 2021, equation 3.

    Examples:
        >>> import numpy as np, torch, eyeline
        >>> model = eyeline.load(torch.nn.Flatten(), input_size=(1, 2))  # score k is pixel k
        >>> image = np.float32([[[0.5], [1.0]]])
        >>> method = eyeline.ExpectedGradients((eyeline.Constant(0), eyeline.Constant(1)), samples=4)
        >>> method(model, image, target=0).maps.round(5).tolist()  # s(x) minus the mean of s: 0.5 - 0.5
        [[[0.0, 0.0]]]
    """

    references: tuple[Baseline, ...] = GREYS
    samples: int = 50
    seed: int = 0
    channels: Channels | None = "sum"
    batch: int | None = None
    memory: int = 1024

    def __post_init__(self) -> None:
        given = self.references
        object.__setattr__(self, "references", tuple(given) if isinstance(given, list | tuple) else (given,))
        if not self.references:
            raise InputError("references must hold at least one baseline, but got none. Leave it out for the default.")
        at_least(1, samples=self.samples)
        at_least(0, seed=self.seed)

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        began = time.perf_counter()
        clean = explained(self, model, images, target, self.samples)
        pixels = clean.given.images
        which, along = draws(len(self.references), self.samples, self.seed)

        @lru_cache(maxsize=8)
        def start(image: int, reference: int) -> np.ndarray:
            return np.asarray(baseline_of(self.references[reference], pixels[image : image + 1])[0])

        def walk(image: int, sample: int) -> tuple[np.ndarray, np.ndarray]:
            reference = start(image, int(which[sample]))
            way = pixels[image].astype(np.float64) - reference
            return reference + along[sample] * way, way / self.samples

        total = clean.walk(self.samples, walk, "expectedgradients")
        drawn, counts = np.unique(which, return_counts=True)
        values = [clean.values(baseline_of(self.references[i], pixels), f"reference {i}") for i in drawn]
        completeness = clean.completeness(total, np.average(values, axis=0, weights=counts))
        return clean.result(
            self,
            total,
            lambda unit: f"share of the change in {unit} from the references",
            began,
            completeness=completeness,
        )


def draws(references: int, samples: int, seed: int) -> tuple[Int[np.ndarray, "n"], Float64[np.ndarray, "n"]]:
    """Return which reference each sample starts from, and which part of the way it goes."""
    generator = np.random.default_rng(seed)
    rounds = -(-samples // references)
    which = np.concatenate([generator.permutation(references) for _ in range(rounds)])[:samples]
    return which, (generator.permutation(samples) + generator.random(samples)) / samples
