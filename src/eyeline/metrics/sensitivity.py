"""Max-sensitivity: how far the map moves when the image hardly does."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from eyeline.attribution import Attribution
from eyeline.methods.base import Method
from eyeline.methods.checks import at_least, within
from eyeline.methods.progress import progress
from eyeline.metrics.again import again, check_method, method_of
from eyeline.metrics.base import Direction, Measured, enter, measured
from eyeline.models.base import Model


@dataclass(frozen=True)
class MaxSensitivity:
    """Nudge every pixel at random and make the map again: `max over nudges e of |a(x + e) - a(x)| / |a(x)|`.

    |.| is the Euclidean norm over the map; each pixel's nudge is uniform within the radius. 0: the map stays. 1: it
    changes by as much as it holds. The root of 2: the new map is as large and has nothing to do with the old one. The
    target's weights are held. A map that is 0 everywhere and stays so has 0; one that does not has infinity.

    Args:
        radius: largest nudge of a pixel, as a share of the image's largest value minus its smallest.
        samples: nudged copies, each as costly as the map.
        method: what made the maps. None means what the result says.
        seed: of the nudges (PCG64), the same for every image.

    Raises:
        InputError: a radius that is not positive, samples below 1, a method that cannot be read from the result.
        Error: what the method raises.

    References:
        Yeh, Hsieh, Suggala, Inouye, Ravikumar: On the (In)fidelity and Sensitivity of Explanations, NeurIPS 2019,
        definition 3.1, divided by the map's norm as in Captum and Quantus.
    """

    UNIT: ClassVar[str] = "share of the map's norm"
    DIRECTION: ClassVar[Direction] = "lower"
    DEFINITION: ClassVar[str] = "largest change of the map over small random changes of the image"
    PAPER: ClassVar[str] = "Yeh et al. 2019"

    radius: float = 0.02
    samples: int = 10
    method: Method | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        within("radius", self.radius)
        at_least(1, samples=self.samples)
        at_least(0, seed=self.seed)
        check_method(self.method)

    def __call__(self, model: Model, attribution: Attribution) -> Measured:
        enter(model, attribution)
        method, images = method_of(self.method, attribution), attribution.images
        n = len(images)
        rows = images.reshape(n, -1)
        size = self.radius * (rows.max(axis=1) - rows.min(axis=1)).astype(np.float64)
        maps = attribution.maps.astype(np.float64)
        norms = np.linalg.norm(maps.reshape(n, -1), axis=1)
        found = np.zeros((n, self.samples))
        with progress(self.samples, "maxsensitivity") as advance:
            for sample in range(self.samples):
                nudge = np.random.default_rng((self.seed, sample)).uniform(-1, 1, images.shape[1:])
                nudged = (images + size.reshape(-1, *[1] * (images.ndim - 1)) * nudge).astype(np.float32)
                off = np.linalg.norm((again(method, model, attribution, nudged) - maps).reshape(n, -1), axis=1)
                ratio = np.divide(off, norms, out=np.where(off > 0, np.inf, 0.0), where=norms > 0)
                found[:, sample] = ratio
                advance(1)
        return measured(self, attribution, found.max(axis=1), parts={"samples": found})
