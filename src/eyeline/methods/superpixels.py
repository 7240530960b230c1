"""Occlusion by regions that follow the picture: superpixels, or any label image."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from eyeline._numbers import number
from eyeline.attribution import Attribution
from eyeline.baseline import Baseline, Blur
from eyeline.errors import InputError, require
from eyeline.labels import LabelImage, as_labels
from eyeline.methods.checks import at_least
from eyeline.methods.covers import Covers
from eyeline.methods.paths import Path
from eyeline.models.base import Model
from eyeline.region import Labels
from eyeline.sweep import Measure


@dataclass(frozen=True)
class Superpixels:
    """Cover one region of a label image at a time, and measure the effect on the explained scalar s.

    `A(p) = s(x) - s(x with R := baseline)`, R the region that pixel p belongs to: positive where the region supports
    the target. One forward pass a region; the scores of every class are kept in the result's `sweep`. The incremental
    engine recomputes what the box around a region can change.

    Args:
        labels: a label image, an array (*space) for every image or (n, *space), or a file: whole numbers 0, 1, 2, ...
            without a hole, one for each region, in parts or in one piece. None means superpixels by SLIC
            (scikit-image), which groups near pixels of near colours; images are given to it with values from 0 to 1.
        segments: superpixels wanted, about; not used with labels.
        compactness: of superpixels: the larger, the squarer; not used with labels.
        baseline: what replaces the covered pixels.
        measure: what one region contributes: "drop" is s(x) - s(covered), "score" is s(covered), "complement" is
            1 - s(covered).
        keep: cover everything but the region; a drop is then s(only R kept) - s(all covered).
        batch: images a forward pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.
        engine: "full", "incremental", "folded", "openvino" or "auto", the soonest: as for occlusion.
        verify: covered images of each image that are run in full as well, where another path runs.

    Raises:
        InputError: a label image of another size, with a hole in its numbers or numbers that are not whole.
        MissingDependencyError: superpixels without scikit-image.
        ModelError: scores that are not finite; the sentence names the region.

    References:
        Achanta et al.: SLIC superpixels compared to state-of-the-art superpixel methods, IEEE PAMI 34, 2012.

    Examples:
        >>> import numpy as np, eyeline
        >>> model = eyeline.load(lambda images: images.sum(axis=(1, 2)), input_size=(2, 2))
        >>> image, labels = np.ones((2, 2, 1), dtype=np.float32), np.array([[0, 0], [0, 1]])
        >>> eyeline.Superpixels(labels, baseline=eyeline.Constant(0))(model, image).maps.tolist()
        [[[3.0, 3.0], [3.0, 1.0]]]
    """

    labels: LabelImage | Int[np.ndarray, "*n_space"] | str | None = None
    segments: int = 60
    compactness: float = 10.0
    baseline: Baseline = Blur()
    measure: Measure = "drop"
    keep: bool = False
    batch: int | None = None
    memory: int = 1024
    engine: Path = "auto"
    verify: int = 1

    def __post_init__(self) -> None:
        at_least(1, segments=self.segments)
        if not number(self.compactness) or not 0 < self.compactness < np.inf:
            raise InputError(
                f"compactness must be a number above 0, but got {self.compactness!r}. Leave it out for 10."
            )
        if self.labels is not None and not isinstance(self.labels, LabelImage):
            object.__setattr__(self, "labels", as_labels(self.labels))

    @property
    def count(self) -> int:
        """How many regions an image has: exactly by labels, about so many by SLIC."""
        return int(self.labels.pixels.max()) + 1 if isinstance(self.labels, LabelImage) else self.segments

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        run = Covers(self, model, images, target)
        if isinstance(self.labels, LabelImage):
            regions = Labels(self.labels.of(run.pixels))
        else:
            regions = Labels(np.stack([_slic(each, self.segments, self.compactness) for each in run.pixels]))
        return run(regions, measure=self.measure, keep=self.keep)


def _slic(image: np.ndarray, segments: int, compactness: float) -> Int[np.ndarray, "*space"]:
    """Return superpixels, numbered from 0 without a hole; images are stretched to 0..1."""
    slic = require("skimage.segmentation", "superpixels").slic
    low, high = float(image.min()), float(image.max())
    stretched = image if low >= 0 and high <= 1 else (image - low) / ((high - low) or 1)
    if stretched.ndim == 2:  # a signal: one row of an image
        stretched = stretched[None]
    found = slic(stretched, segments, compactness, start_label=0, channel_axis=-1, enforce_connectivity=True)
    return np.unique(found, return_inverse=True)[1].reshape(image.shape[:-1])
