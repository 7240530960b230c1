"""Infidelity: whether the map foretells what the scalar does when parts of the image are replaced."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float

from eyeline.attribution import Attribution
from eyeline.baseline import Baseline
from eyeline.errors import InputError
from eyeline.methods.batches import Batches
from eyeline.methods.checks import BLACK, at_least, baseline_of
from eyeline.metrics.base import Direction, Measured, Scalar, enter, has_channels, measured
from eyeline.models.base import Model
from eyeline.window import Box, Size, Span, default_window, per_axis

Kind = Literal["auto", "derivative", "share"]
"""What a number of the map is: the change of s for a change of the pixel by 1, or the pixel's share of a change."""


@dataclass(frozen=True)
class Infidelity:
    """Replace random windows, and square what the map foretells wrongly: `E[(I . a - (s(x) - s(x - I)))^2]`.

    x - I is the image with one window replaced by the baseline. I . a is what the map a foretells: for derivatives the
    sum over the window of the pixel's change times its number, for shares the sum of its numbers. A derivative with one
    number per pixel counts for the mean change of its channels. `parts["scaled"]` is the same with the factor before
    the map that makes it least, as the paper allows; `parts["change"]` is `E[(s(x) - s(x - I))^2]`, which a map of
    zeros has: scaled / change is 0 where the map is proportional to what happens, 1 where it says nothing. Lower is
    better.

    Args:
        window: pixels, one int or one per spatial axis. None means round(shorter side / 4).
        samples: windows, at random places.
        baseline: what replaces them.
        kind: "derivative", "share", or "auto": what the result says of its numbers.
        seed: of the places (PCG64), the same for every image.
        batch: images a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        InputError: a window larger than the image, samples below 1, a baseline that does not fit.
        ModelError: scores that are not finite.

    References:
        Yeh, Hsieh, Suggala, Inouye, Ravikumar: On the (In)fidelity and Sensitivity of Explanations, NeurIPS 2019,
        definition 2.1; section 2.2 for windows ("square removal").
    """

    UNIT: ClassVar[str] = "that of the scores, squared"
    DIRECTION: ClassVar[Direction] = "lower"
    DEFINITION: ClassVar[str] = "mean square of what the map foretells wrongly when a window is replaced"
    PAPER: ClassVar[str] = "Yeh et al. 2019"

    window: Size | None = None
    samples: int = 100
    baseline: Baseline = BLACK
    kind: Kind = "auto"
    seed: int = 0
    batch: int | None = None
    memory: int = 1024

    def __post_init__(self) -> None:
        at_least(1, samples=self.samples)
        at_least(0, seed=self.seed)
        if self.kind not in ("auto", "derivative", "share"):
            raise InputError(f"kind must be auto, derivative or share, but got {self.kind!r}. Leave it out.")

    def __call__(self, model: Model, attribution: Attribution) -> Measured:
        enter(model, attribution)
        images = attribution.images
        covered = baseline_of(self.baseline, images)
        boxes = self.boxes(images.shape[1:-1])
        n, count = len(images), len(boxes)

        def changed(k: int) -> tuple[int, np.ndarray]:
            owner, place = divmod(k, count)
            image = images[owner].copy()
            image[boxes[place].slices] = covered[owner][boxes[place].slices]
            return owner, image

        scalar = Scalar(model, attribution, Batches(self.batch, self.memory))
        changes = scalar.clean()[:, None] - scalar(changed, n * count, "window").reshape(n, count)
        foretold = self.foretold(attribution, images.astype(np.float64) - covered, boxes)
        squares = np.square(foretold).sum(axis=1)
        factor = np.divide((foretold * changes).sum(axis=1), squares, out=np.zeros(n), where=squares > 0)
        return measured(
            self,
            attribution,
            np.square(foretold - changes).mean(axis=1),
            unit=f"{attribution.unit}, squared",
            parts={
                "scaled": np.square(factor[:, None] * foretold - changes).mean(axis=1),
                "change": np.square(changes).mean(axis=1),
                "factor": factor,
            },
        )

    def boxes(self, size: tuple[int, ...]) -> list[Box]:
        """Return the windows, each wholly inside the image.

        Raises:
            InputError: a window larger than the image.
        """
        window = default_window(size) if self.window is None else per_axis(self.window, len(size), "window")
        if any(wide > side for wide, side in zip(window, size, strict=True)):
            raise InputError(f"window must be at most the image's size {size}, but got {window}. Leave it out.")
        generator = np.random.default_rng(self.seed)
        free = np.array([side - wide + 1 for side, wide in zip(size, window, strict=True)])
        starts = generator.integers(0, free, size=(self.samples, len(size)))
        return [
            Box(tuple(Span(int(start), int(start) + wide) for start, wide in zip(row, window, strict=True)))
            for row in starts
        ]

    def foretold(
        self, attribution: Attribution, moves: Float[np.ndarray, "n *space channels"], boxes: list[Box]
    ) -> Float[np.ndarray, "n windows"]:
        """Return what the maps say of each window: I . a."""
        kind = self.kind
        if kind == "auto":
            kind = "derivative" if "/ d pixel value" in attribution.quantity else "share"
        numbers = attribution.maps.astype(np.float64)
        if kind == "derivative":
            numbers = numbers * (moves if has_channels(attribution) else moves.mean(axis=-1))
        found = [numbers[(slice(None), *box.slices)].reshape(len(numbers), -1).sum(axis=1) for box in boxes]
        return np.stack(found, axis=1)
