"""What every metric shares: its result, its door, and the explained scalar of changed images in bounded batches."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from eyeline._typing import Images
from eyeline.attribution import Attribution
from eyeline.errors import InputError, UnsupportedError
from eyeline.methods.base import finite, settings
from eyeline.methods.batches import Batches
from eyeline.methods.progress import progress
from eyeline.models.base import Model

Direction = Literal["higher", "lower"]
"""Which values are better."""

Values = Float[np.ndarray, "n"]
Curves = Float[np.ndarray, "n points"]
Flat = Float[np.ndarray, "n pixels"]


@dataclass(frozen=True, eq=False)
class Measured:
    """What a metric found: one value for each image.

    Args:
        values: one for each image, float64; NaN where the metric says nothing of an image, `notes` say why.
        unit: of the values.
        direction: "higher" or "lower": which values are better.
        definition: of the metric, in words.
        paper: where it comes from.
        metric: its name and settings.
        method: name of the method that made the maps.
        names: of the images.
        fractions: where curves have their points, as a share of the pixels; empty where there are no curves.
        curves: the explained scalar of each image at those points; empty where there are none.
        curve_unit: of the curves.
        parts: other numbers that the values are made of, one array by name, the first axis over images.
        stages: names of what stands on the second axis of parts, such as layers; empty where there are none.
        notes: what the reader must know of these values.
    """

    values: Values
    unit: str
    direction: Direction
    definition: str
    paper: str
    metric: dict[str, Any]
    method: str
    names: tuple[str, ...]
    fractions: Float[np.ndarray, "points"] = field(default_factory=lambda: np.zeros(0))
    curves: Curves = field(default_factory=lambda: np.zeros((0, 0)))
    curve_unit: str = ""
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)
    stages: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        said = ", ".join(f"{value:.4g}" for value in self.values)
        return f"<{self.metric['name']} of {self.method}: {said} ({self.unit}; {self.direction} is better)>"


@runtime_checkable
class Metric(Protocol):
    """Settings that, called, measure maps. Every metric is a frozen dataclass with this call and these words."""

    UNIT: ClassVar[str]
    DIRECTION: ClassVar[Direction]
    DEFINITION: ClassVar[str]
    PAPER: ClassVar[str]

    def __call__(self, model: Model, attribution: Attribution) -> Measured:
        """Measure the map of each image."""
        ...


def enter(model: object, attribution: object) -> None:
    """Check what a metric is called with.

    Raises:
        UnsupportedError: not a model that `load` returned.
        InputError: not what a method returned, or maps that are not finite.
    """
    if not isinstance(model, Model):
        raise UnsupportedError(
            f"model must be one that eyeline.load returned, but got {type(model).__name__}. Pass eyeline.load(model)."
        )
    if not isinstance(attribution, Attribution):
        raise InputError(
            f"attribution must be what eyeline.explain returned, but got {type(attribution).__name__}. "
            "Pass eyeline.explain(model, images)."
        )
    if not np.isfinite(attribution.maps).all():
        raise InputError("maps must be finite, but these hold NaN or infinite numbers. Make them again.")


def measured(
    metric: Any, attribution: Attribution, values: Values, *, unit: str | None = None, **more: Any
) -> Measured:
    """Put values together with what says what they mean."""
    return Measured(
        values=np.asarray(values, dtype=np.float64),
        unit=metric.UNIT if unit is None else unit,
        direction=metric.DIRECTION,
        definition=metric.DEFINITION,
        paper=metric.PAPER,
        metric=settings(metric),
        method=str(attribution.method.get("name", "unknown")),
        names=attribution.names,
        **more,
    )


def flat(attribution: Attribution) -> Flat:
    """Return one number per pixel for each image: channels, where the maps have them, are summed."""
    maps = attribution.maps.astype(np.float64)
    if has_channels(attribution):
        maps = maps.sum(axis=-1)
    return maps.reshape(len(maps), -1)


def has_channels(attribution: Attribution) -> bool:
    """Say whether the maps have one number per channel."""
    return attribution.maps.ndim == attribution.images.ndim


@dataclass(frozen=True, eq=False)
class Scalar:
    """The explained scalar s of changed images, with the weights of the clean ones.

    Args:
        model: as `load` returned it.
        attribution: whose weights are held.
        batches: bound every pass.
    """

    model: Model
    attribution: Attribution
    batches: Batches

    def __call__(self, changed: Callable[[int], tuple[int, Images]], count: int, what: str) -> Values:
        """Return s of `count` images; `changed(k)` gives whose the k-th is, and the image without a leading n."""
        return self.best(changed, count, what)[0]

    def best(self, changed: Callable[[int], tuple[int, Images]], count: int, what: str) -> tuple[Values, Values]:
        """Return s of the images, and 1 where the class of highest score is still the clean image's, else 0."""
        found, kept = np.zeros(count), np.zeros(count)
        with progress(count, "changed images") as advance:
            for start, stop, (owners, scores) in self.batches.run(count, lambda a, b: self._run(changed, a, b, what)):
                found[start:stop] = np.einsum("nc,nc->n", scores, self.attribution.weights[owners], dtype=np.float64)
                kept[start:stop] = scores.argmax(axis=1) == self.attribution.scores[owners].argmax(axis=1)
                advance(stop - start)
        return found, kept

    def clean(self) -> Values:
        """Return s of the clean images, as the model gives it now."""
        images = self.attribution.images
        return self(lambda k: (k, images[k]), len(images), "clean")

    def _run(
        self, changed: Callable[[int], tuple[int, Images]], start: int, stop: int, what: str
    ) -> tuple[np.ndarray, np.ndarray]:
        owners, images = zip(*(changed(k) for k in range(start, stop)), strict=True)
        names = self.attribution.names
        scores = finite(
            self.model.scores(np.stack(images).astype(np.float32, copy=False)),
            lambda row: f"{names[owners[row]]!r}, {what} {start + row}",
        )
        return np.array(owners), scores


def stated(metric: Any) -> dict[str, str]:
    """Return a metric's definition, unit, direction and paper, for tables."""
    return {
        "definition": metric.DEFINITION,
        "unit": metric.UNIT,
        "direction": metric.DIRECTION,
        "paper": metric.PAPER,
    }


def fields(metric: Any) -> list[str]:
    """Return the names of a metric's settings."""
    return [each.name for each in dataclasses.fields(metric)]
