"""What smoothing methods share: any method is run on noisy copies of the images, with the clean images' weights."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from eyeline._typing import Images, Scores
from eyeline.attribution import Attribution
from eyeline.errors import InputError
from eyeline.image import Batch
from eyeline.methods.base import Method, enter, result, weigh
from eyeline.methods.channels import WORDS, Channels, reduce
from eyeline.methods.checks import at_least, within
from eyeline.methods.derivatives import run_scores, sized
from eyeline.methods.inner import with_grey
from eyeline.methods.progress import progress
from eyeline.models.base import Model
from eyeline.target import Classes

BLOCK = 2**26
"""Bytes of noisy images that the inner method is given at a time."""

Values = Float[np.ndarray, "*shape"]


@dataclass(frozen=True, eq=False)
class Held:
    """A target whose weights were taken before, from the clean images."""

    rows: Scores

    def __call__(self, scores: Scores, classes: Classes = None) -> Scores:
        return self.rows


@dataclass
class Moments:
    """Mean and variance of an image's maps, sample by sample (Welford): exact where all are the same."""

    count: int = 0
    mean: Values = dataclasses.field(default_factory=lambda: np.zeros(()))
    spread: Values = dataclasses.field(default_factory=lambda: np.zeros(()))

    def add(self, found: np.ndarray) -> None:
        """Take another sample in."""
        self.count += 1
        off = found - self.mean
        self.mean = self.mean + off / self.count
        self.spread = self.spread + off * (found - self.mean)

    @property
    def variance(self) -> Values:
        """E[a^2] - E[a]^2."""
        return self.spread / self.count

    @property
    def square(self) -> Values:
        """E[a^2]."""
        return np.asarray(self.variance + np.square(self.mean))

    @property
    def error(self) -> float | None:
        """Standard error of the mean as a share of the mean, both as root mean squares; None where there is none."""
        size = float(np.square(self.mean).mean())
        return float((self.variance.mean() / (self.count - 1) / size) ** 0.5) if self.count > 1 and size else None


def check(method: Any, least: int = 1) -> None:
    """Check the settings that smoothing methods share.

    Raises:
        InputError: the sentence names the setting.
    """
    if isinstance(method.inner, type) or not callable(method.inner):
        raise InputError(
            f"inner must be a method, but got {method.inner!r}. Pass for example eyeline.Gradient(channels='sum')."
        )
    at_least(least, samples=method.samples)
    within("noise", method.noise)
    at_least(0, seed=method.seed)


def smoothed(
    method: Any, model: Model, images: object, target: object, pick: Callable[[Moments], Values], words: str
) -> Attribution:
    """Run the inner method on noisy copies, and make a map of what is picked from its maps' moments."""
    began = time.perf_counter()
    given = enter(method, model, images)
    inner, channels = per_channel(with_grey(method.inner, given.images))
    batches = sized(getattr(inner, "batch", None), getattr(inner, "memory", 1024), given.images, len(given.images))
    scores = run_scores(model, batches, given.images, lambda row: f"the clean image {given.names[row]!r}")
    weights = weigh(target, len(scores), model)(scores, 0)
    moments, magnitude = [Moments() for _ in scores], getattr(method, "magnitude", False)
    with progress(len(scores) * method.samples, type(method).__name__.lower()) as advance:
        for owners, copies in blocks(method, given):
            found = inner(model, copies, Held(weights[owners]))
            for owner, values in zip(owners, found.maps, strict=True):
                moments[owner].add(np.abs(values) if magnitude else values)
            advance(len(owners))
    what = found.quantity.removesuffix(f", {WORDS[None]}")
    reduced = f", {WORDS[channels]}" if what != found.quantity else ""
    words += " of magnitudes" if magnitude else ""
    return result(
        method,
        model,
        given,
        scores=scores,
        weights=weights,
        maps=reduce(np.stack([pick(each) for each in moments]), channels),
        quantity=lambda unit: f"{what}, {words} over {method.samples} noisy copies{reduced}",
        ran={key: found.provenance[key] for key in ("engine", "batch") if key in found.provenance}
        | {"standard_error": [each.error for each in moments]},
        began=began,
    )


def per_channel(inner: Any) -> tuple[Method, Channels | None]:
    """Return the method with its channels left apart, and how it would have reduced them; None where it does not."""
    fields = {field.name for field in dataclasses.fields(inner)} if dataclasses.is_dataclass(inner) else set()
    if "channels" in fields:
        return dataclasses.replace(inner, channels=None), inner.channels
    if "inner" in fields:
        deep, channels = per_channel(inner.inner)
        return dataclasses.replace(inner, inner=deep), channels
    return inner, None


def blocks(method: Any, given: Batch) -> Iterator[tuple[np.ndarray, Batch]]:
    """Yield noisy copies, sample by sample, and whose they are. One field of noise goes over all images.

    Raises:
        InputError: relative noise, and an image that has one value only.
    """
    images, n = given.images, len(given.images)
    size = np.full(n, method.noise)
    if method.relative:
        flat = images.reshape(n, -1)
        size = method.noise * (flat.max(axis=1) - flat.min(axis=1)).astype(np.float64)
        if not size.all():
            raise InputError(
                f"an image must have more than one value for relative noise, but {given.names[int(size.argmin())]!r} "
                "has not. Pass relative=False, with noise= in pixel values."
            )
    at_once = max(1, BLOCK // images[0].nbytes)
    for start in range(0, n * method.samples, at_once):
        samples, owners = np.divmod(np.arange(start, min(start + at_once, n * method.samples)), n)
        fields = {sample: field(method.seed, int(sample), images.shape[1:]) for sample in np.unique(samples)}
        yield (
            owners,
            Batch(
                np.stack([images[i] + size[i] * fields[k] for i, k in zip(owners, samples, strict=True)]).astype(
                    np.float32
                ),
                tuple(f"{given.names[i]}, sample {k + 1}" for i, k in zip(owners, samples, strict=True)),
                tuple(given.fits[i] for i in owners),
            ),
        )


def field(seed: int, sample: int, shape: tuple[int, ...]) -> Images:
    """Return standard normal noise for one sample."""
    return np.random.default_rng((seed, sample)).standard_normal(shape, dtype=np.float32)
