"""RISE: random masks over the whole image, and the mean score of those that show a pixel."""

from dataclasses import dataclass
from typing import Literal

from eyeline._numbers import plain
from eyeline.attribution import Attribution
from eyeline.baseline import Baseline, Constant
from eyeline.cells import draw
from eyeline.errors import InputError
from eyeline.filling import Filling
from eyeline.methods.checks import at_least, within
from eyeline.methods.covers import Covers
from eyeline.methods.paths import Path
from eyeline.models.base import Model
from eyeline.window import Size, per_axis

GREY = Constant()

RiseMeasure = Literal["gain", "score"]
"""What a pixel gets: the mean score of the masks that show it, or how far that is above the mean of all masks."""


@dataclass(frozen=True)
class Rise:
    """Show the image through random masks; a pixel gets the mean score of the masks, weighted by what they show of it.

    `S(p) = sum over masks m of m(p) s(x m + baseline (1 - m)) / sum over m of m(p)` is the paper's map, in the unit of
    the scores; `A(p) = S(p) - mean over m of s(x m + baseline (1 - m))`: above 0 where seeing the pixel helps.
    Each mask has `cells` cells an axis, each shown with `probability`, upsampled linearly to (cells + 1) * c pixels,
    c = ceil(size / cells), and cut at a random place. Masks are divided by their own sum at the pixel, not by its
    expectation. One forward pass a mask; the same masks for every image. The result's `further["standard_error"]` is
    the standard error of S(p); a map whose differences are not several times as large needs more masks. Every class's
    scores are kept in `sweep`.

    Args:
        masks: how many; 2 or more.
        cells: per axis, one int or one per spatial axis; at most the image's size.
        probability: that a cell is shown; above 0 and below 1.
        seed: of the masks (PCG64).
        measure: "gain" is A, "score" the paper's S.
        baseline: what is seen where a mask hides; mid grey is what black is behind the usual preprocessing.
        batch: images a forward pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.
        engine: "full", "folded", "openvino", or "auto", the soonest: as for occlusion. Masks reach everywhere, so
            the incremental engine has nothing to leave out.
        verify: masked images that are run in full as well, where another path runs.

    Raises:
        InputError: masks below 2, more cells than pixels, a probability outside 0..1, a baseline that looks at what is
            covered.
        ModelError: scores that are not finite; the sentence names the mask.

    References:
        Petsiuk, Das, Saenko: RISE: Randomized Input Sampling for Explanation of Black-box Models, BMVC 2018,
        section 3.2.

    Examples:
        >>> import numpy as np, eyeline
        >>> model = eyeline.load(lambda images: images[:, 0, :1, 0], input_size=(1, 2))  # the score is the first pixel
        >>> image = np.ones((1, 2, 1), dtype=np.float32)
        >>> found = eyeline.Rise(500, (1, 2), measure="score", baseline=eyeline.Constant(0))(model, image)
        >>> [round(float(each), 1) for each in found.maps[0, 0]]  # the second shares half of its mask with the first
        [1.0, 0.7]
    """

    masks: int = 4000
    cells: Size = 7
    probability: float = 0.5
    seed: int = 0
    measure: RiseMeasure = "gain"
    baseline: Baseline = GREY
    batch: int | None = None
    memory: int = 1024
    engine: Path = "auto"
    verify: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", plain(self.cells))
        at_least(2, masks=self.masks)
        at_least(0, seed=self.seed)
        within("probability", self.probability, 0, 1)
        if self.probability == 1:
            raise InputError(
                "probability must be below 1, so that something is hidden, but got 1. Leave it out for 0.5."
            )

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        if isinstance(self.baseline, Filling):
            raise InputError(
                f"baseline must not look at what is covered, as masks reach everywhere, but got {self.baseline!r}. "
                "Pass for example eyeline.Constant(0.5) or eyeline.Blur(12)."
            )
        run = Covers(self, model, images, target)
        cells = per_axis(self.cells, len(run.size), "cells")
        for axis, (count, length) in enumerate(zip(cells, run.size, strict=True)):
            if count > length:
                raise InputError(
                    f"cells must be at most the image's size, but got {count} on an axis of {length} pixels "
                    f"(axis {axis}). Pass cells={min(run.size)} or less."
                )
        regions = draw(self.masks, cells, run.size, self.probability, self.seed)
        centred = self.measure == "gain"
        return run(
            regions,
            measure="drop" if centred else "score",
            keep=True,
            centred=centred,
            words=lambda unit: f"{'gain in' if centred else 'mean'} {unit} of masks that show the pixel",
        )
