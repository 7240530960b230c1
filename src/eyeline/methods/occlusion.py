"""Occlusion: cover a window with a baseline, measure what that does to the classification."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eyeline._numbers import plain
from eyeline._typing import Images
from eyeline.attribution import Attribution, Measure, Sweep, Unit
from eyeline.baseline import Baseline, Blur
from eyeline.errors import InputError
from eyeline.methods.base import enter, finite, result, weigh
from eyeline.methods.batches import Batches
from eyeline.methods.covered import Covered
from eyeline.methods.paths import Path
from eyeline.methods.sweeps import Sweeper
from eyeline.models.base import Model
from eyeline.window import Edge, Overlap, Size, default_stride, default_window, grid, per_axis


@dataclass(frozen=True)
class Occlusion:
    """Slide a window over the image, cover it, and measure the effect on the explained scalar s.

    `A(p) = mean over the windows W that cover pixel p of s(x) - s(x with W := baseline)`: positive where the
    pixels support the target. One forward pass per window; all channels of a pixel are covered together; the
    scores of every class are kept in the result's `sweep`.

    Args:
        window: pixels, one int or one per spatial axis. None means round(shorter side / 4).
        stride: pixels between windows, at most `window`. None means window // 4.
        baseline: what replaces the covered pixels.
        measure: what one window contributes: "drop" is s(x) - s(covered), "score" is s(covered),
            "complement" is 1 - s(covered).
        overlap: "mean" or "sum" over the windows on a pixel.
        edge: "cut" cuts the last window at the border; "inside" uses whole windows only, pixels that none
            covers are 0.
        keep: cover everything but the window; a drop is then s(only W kept) - s(all covered).
        batch: images a forward pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs, as Linux measures it. On
            other systems, which do not say, a measured batch has at most 16 images. An engine's weights, maps and
            windows count; where they do not fit the full path runs.
        engine: "full" runs the whole network on every covered image, "incremental" only what a window can
            change: the same scores, many times sooner where the network is local. "folded" and "openvino" run the
            whole network too, simplified or by OpenVINO. "auto" takes the soonest.
        verify: covered images that are run in full as well, at random, where another path runs: 1 or more. Where
            one differs, the full path runs, and a warning names the layer at which the two part.

    Raises:
        UnsupportedError: an engine is asked for and the model's graph cannot be read.
        MissingDependencyError: engine="openvino" and it is not installed.
        InputError: window or stride that do not fit the image, a baseline that does not fit it.
        ModelError: scores that are not finite; the sentence names the window.

    References:
        Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014, section 4.2.

    Examples:
        >>> import numpy as np, eyeline
        >>> model = eyeline.load(lambda images: images.sum(axis=(1, 2)), input_size=(4, 4))
        >>> image = np.ones((4, 4, 1), dtype=np.float32)
        >>> method = eyeline.Occlusion(window=2, stride=2, baseline=eyeline.Constant(0))
        >>> float(method(model, image).maps[0, 0, 0])
        4.0
    """

    window: Size | None = None
    stride: Size | None = None
    baseline: Baseline = Blur()
    measure: Measure = "drop"
    overlap: Overlap = "mean"
    edge: Edge = "cut"
    keep: bool = False
    batch: int | None = None
    memory: int = 1024
    engine: Path = "auto"
    verify: int = 1

    def __post_init__(self) -> None:
        for name in ("window", "stride"):
            object.__setattr__(self, name, plain(getattr(self, name)))

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        began = time.perf_counter()
        given = enter(self, model, images)
        pixels, size = given.images, given.images.shape[1:-1]
        window, stride = self.sizes(size)
        boxes = grid(size, window, stride, self.edge)
        covered = self.covered(pixels)
        batches = Batches(self.batch, self.memory)

        started = time.perf_counter()
        clean = _scores(model, batches, pixels, lambda row: f"the clean image {given.names[row]!r}")
        seconds = time.perf_counter() - started
        weights = weigh(target, len(pixels), model)(clean, 0)
        reference = clean
        if self.keep:
            reference = _scores(model, batches, covered, lambda row: f"{given.names[row]!r}, all covered")
        sweeper = Sweeper(model, batches, self.engine, seconds / len(pixels), self.verify)
        ground, patch = (covered, pixels) if self.keep else (pixels, covered)
        swept = sweeper(Covered(ground, patch, boxes, given.names), reference)

        sweep = Sweep(boxes, swept, reference, self.measure, self.overlap, self.keep)
        return result(
            dataclasses.replace(self, window=window, stride=stride),
            model,
            given,
            scores=clean,
            weights=weights,
            maps=sweep.maps(weights, size),
            quantity=lambda unit: quantity(self.measure, self.keep, unit),
            ran={**sweeper.ran, "windows": len(boxes)},
            began=began,
            sweep=sweep,
        )

    def sizes(self, size: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return window and stride in pixels per axis, for an image of so many.

        Raises:
            InputError: not one for each axis.
        """
        window = default_window(size) if self.window is None else per_axis(self.window, len(size), "window")
        return window, default_stride(window) if self.stride is None else per_axis(self.stride, len(size), "stride")

    def covered(self, pixels: Images) -> Images:
        """Return the images wholly covered by the baseline.

        Raises:
            InputError: no baseline, or one that does not fit the images.
        """
        if isinstance(self.baseline, type) or not callable(self.baseline):
            raise InputError(
                f"baseline must be a baseline, but got {self.baseline!r}. "
                "Pass for example eyeline.Blur(12), eyeline.Constant(0.5) or eyeline.Mean()."
            )
        covered = self.baseline(pixels)
        if covered.shape != pixels.shape or not np.isfinite(covered).all():
            raise InputError(
                f"the baseline must give finite images of shape {pixels.shape}, but {self.baseline!r} gave "
                f"{covered.shape}. Return one value per pixel and channel."
            )
        return covered


def _scores(model: Model, batches: Batches, images: Images, where: Callable[[int], str]) -> np.ndarray:
    """Return the scores of whole images."""
    parts = batches.run(
        len(images),
        lambda start, stop: finite(model.scores(images[start:stop]), lambda row: where(start + row)),
    )
    return np.concatenate([scores for _, _, scores in parts])


def quantity(measure: Measure, keep: bool, unit: Unit) -> str:
    """Say in words what a number of the map is."""
    state = "alone" if keep else "covered"
    if measure == "drop":
        return f"gain in {unit} over all covered" if keep else f"drop in {unit} when covered"
    return f"{unit} when {state}" if measure == "score" else f"1 - {unit} when {state}"
