"""Occlusion: cover a window with a baseline, measure what that does to the classification."""

import dataclasses
from dataclasses import dataclass

from eyeline._numbers import plain
from eyeline.attribution import Attribution
from eyeline.baseline import Baseline, Blur
from eyeline.mask import Mask, weights
from eyeline.methods.covers import Covers
from eyeline.methods.covers import quantity as quantity
from eyeline.methods.paths import Path
from eyeline.models.base import Model
from eyeline.region import SoftWindows, Windows
from eyeline.sweep import Measure
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
        mask: soft edges: how much of each pixel of a window is covered, m in 0..1; a pixel p then shows
            (1 - m) * image + m * baseline, and the mean over windows is weighted by their m at p. None means
            all of the window.
        measure: what one window contributes: "drop" is s(x) - s(covered), "score" is s(covered),
            "complement" is 1 - s(covered).
        overlap: "mean" or "sum" over the windows on a pixel.
        edge: "cut" cuts the last window at the border; "inside" uses whole windows only, pixels that none
            covers are 0; "shift" moves the last window back to the border, whole.
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
    mask: Mask | None = None
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
        run = Covers(self, model, images, target)
        window, stride = self.sizes(run.size)
        return run(
            self.regions(run.size),
            measure=self.measure,
            overlap=self.overlap,
            keep=self.keep,
            settings=dataclasses.replace(self, window=window, stride=stride),
        )

    def regions(self, size: tuple[int, ...]) -> Windows | SoftWindows:
        """Return the windows on an image of so many pixels per axis.

        Raises:
            InputError: a window, stride or mask that does not fit.
        """
        window, stride = self.sizes(size)
        boxes = grid(size, window, stride, self.edge)
        return Windows(boxes) if self.mask is None else SoftWindows(boxes, *weights(self.mask, window))

    def sizes(self, size: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return window and stride in pixels per axis, for an image of so many.

        Raises:
            InputError: not one for each axis.
        """
        window = default_window(size) if self.window is None else per_axis(self.window, len(size), "window")
        return window, default_stride(window) if self.stride is None else per_axis(self.stride, len(size), "stride")
