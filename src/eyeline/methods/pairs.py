"""Pairs of windows: what two parts of the image do together beyond the sum of what each does alone."""

from dataclasses import dataclass, replace

import numpy as np

from eyeline._numbers import plain, whole
from eyeline.attribution import Attribution
from eyeline.baseline import Baseline, Blur
from eyeline.errors import InputError
from eyeline.methods.checks import at_least
from eyeline.methods.covers import Covers
from eyeline.methods.paths import Path
from eyeline.models.base import Model
from eyeline.pairs import PairWindows
from eyeline.window import Size, default_window, grid, per_axis


@dataclass(frozen=True)
class Pairs:
    """Cover every two windows of a grid together, and each alone; map the interaction with one of them.

    `I(a, b) = drop(a and b) - drop(a) - drop(b)`, drop the explained scalar of the image minus that of the covered
    image. 0 where the two add up; above 0 where either is enough; below 0 where both are needed. Windows lie side by
    side, so that no pixel is in both. The map shows I(a, b) on every window b for one window a; every pair stands in
    `eyeline.interactions(attribution)`, the drop of each window alone in `further["alone"]`. With w windows
    w (w + 1) / 2 forward passes.

    Args:
        window: pixels, one int or one per spatial axis, also the stride. None means round(shorter side / 4).
        chosen: the window a, counted from 0 in raster order. None means the one that alone does most, image by image.
        limit: covered images of one image at most.
        baseline: what replaces the covered pixels.
        batch: images a forward pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.
        engine: "full", "incremental", "folded", "openvino" or "auto", the soonest: as for occlusion. A pair changes
            what the box around both can change.
        verify: covered images that are run in full as well, where another path runs.

    Raises:
        InputError: more pairs than the limit, a window that does not fit or that is not there.
        ModelError: scores that are not finite; the sentence names the pair.

    References:
        Grabisch, Roubens: An axiomatic approach to the concept of interaction among players in cooperative games, 1999,
        of which this is the interaction in the presence of all other players.

    Examples:
        >>> import numpy as np, eyeline
        >>> model = eyeline.load(lambda images: images.prod(axis=(1, 2)), input_size=(1, 2))  # both pixels are needed
        >>> image = np.ones((1, 2, 1), dtype=np.float32)
        >>> eyeline.Pairs(window=1, baseline=eyeline.Constant(0))(model, image).maps.tolist()
        [[[0.0, -1.0]]]
    """

    window: Size | None = None
    chosen: int | None = None
    limit: int = 3000
    baseline: Baseline = Blur()
    batch: int | None = None
    memory: int = 1024
    engine: Path = "auto"
    verify: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "window", plain(self.window))
        at_least(1, limit=self.limit)

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        run = Covers(self, model, images, target)
        window = default_window(run.size) if self.window is None else per_axis(self.window, len(run.size), "window")
        boxes = grid(run.size, window, window)
        regions = PairWindows(boxes, np.array(self._chosen(len(boxes))))
        if len(regions) > self.limit:
            raise InputError(
                f"{len(boxes)} windows make {len(regions)} covered images, and these must be at most {self.limit} "
                f"(limit). Pass a larger window than {window}, or limit={len(regions)}."
            )
        return run(
            regions,
            settings=replace(self, window=window),
            words=lambda unit: f"change of the drop in {unit} when {self._words()} is covered too",
        )

    def _words(self) -> str:
        return "the window that alone does most" if self.chosen is None else f"window {self.chosen}"

    def _chosen(self, count: int) -> int:
        if self.chosen is None:
            return -1
        if not whole(self.chosen) or not 0 <= self.chosen < count:
            raise InputError(
                f"chosen must be a window, 0 to {count - 1}, but got {self.chosen!r}. Leave it out for the one that "
                "alone does most."
            )
        return int(self.chosen)
