"""Several runs of one method as one: window sizes, or baselines; the map is the mean of theirs."""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eyeline._numbers import whole
from eyeline.attribution import Attribution
from eyeline.baseline import Baseline, Blur, Constant, Mean
from eyeline.errors import InputError
from eyeline.methods.base import Method, enter, result
from eyeline.methods.checks import at_least
from eyeline.methods.inner import having, replaced
from eyeline.methods.occlusion import Occlusion
from eyeline.models.base import Model
from eyeline.region import Together
from eyeline.sweep import Sweep
from eyeline.window import per_axis

PLAIN = Occlusion()
THREE = (Blur(), Constant(), Mean())
"""A blurred image, mid grey, which demands images within 0..1, and the image's mean."""


@dataclass(frozen=True)
class MultiScale:
    """Average occlusion over window sizes: `A(p) = mean over sizes k of A_k(p)`, A_k the map of that size alone.

    Every size counts alike, however many windows it has: small ones say where, large ones whether covering a little
    was not enough. `further["deviation"]` is the standard deviation over the sizes, in the unit of the scores,
    `further["agreement"]` the share of the sizes whose map has the sign of the mean. The cost is that of all runs.

    Args:
        inner: a method with windows, and its settings; in the command as occlusion:measure=drop. Its stride is that of
            every size; left out, a quarter of each.
        windows: sizes in pixels, the same on every axis. None means an eighth, a quarter and a half of the shorter
            side.

    Raises:
        InputError: no size; a stride above one of them; an inner method without windows; what the inner method refuses.

    References:
        Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014, section 4.2, for one size.

    Examples:
        >>> import numpy as np, eyeline
        >>> model = eyeline.load(lambda images: images.sum(axis=(1, 2)), input_size=(2, 2))
        >>> method = eyeline.MultiScale(eyeline.Occlusion(baseline=eyeline.Constant(0)), windows=(1, 2))
        >>> method(model, np.ones((2, 2, 1), dtype=np.float32)).maps.tolist()  # the mean of 1 and 4
        [[[2.5, 2.5], [2.5, 2.5]]]
    """

    inner: Method = PLAIN
    windows: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.windows is not None:
            given = self.windows if isinstance(self.windows, Sequence | np.ndarray) else (self.windows,)
            object.__setattr__(self, "windows", tuple(int(each) if whole(each) else each for each in given))
            if not self.windows:
                raise InputError("windows must hold at least one size, but got none. Leave it out for the default.")
            for each in self.windows:
                at_least(1, windows=each)
        _check(self.inner, "window")

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        given = enter(self, model, images)
        size = given.images.shape[1:-1]
        self._check_stride(size)
        stored = dataclasses.replace(self, windows=self.sizes(size))
        return together(stored, self.inners(size), model, given, target, "window sizes")

    def sizes(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Return the windows for an image of so many pixels per axis."""
        return self.windows or tuple(max(1, round(min(size) / part)) for part in (8, 4, 2))

    def _check_stride(self, size: tuple[int, ...]) -> None:
        """Look at every size before the first one runs."""
        stride, sizes = getattr(having(self.inner, "stride"), "stride", None), self.sizes(size)
        step = 0 if stride is None else max(per_axis(stride, len(size), "stride"))
        if step > min(sizes):
            raise InputError(
                f"the stride of every window size must be at most that size, so that every pixel is covered, but got "
                f"stride {step} with windows={sizes}, of which {min(sizes)} is smaller. Pass {min(sizes)} or less, or "
                "leave it out for a quarter of each size."
            )

    def inners(self, size: tuple[int, ...]) -> list[Method]:
        """Return the inner method with each of them."""
        return [replaced(self.inner, "window", each) for each in self.sizes(size)]


@dataclass(frozen=True)
class BaselineAgreement:
    """Run a method with several baselines: `A(p) = mean over baselines b of A_b(p)`, and say how far they agree.

    What covering shows depends on what is put in its place: a grey square is an object of its own, a blurred one may
    hide too little. `further["deviation"]` is the standard deviation over the baselines, in the unit of the scores,
    `further["agreement"]` the share of them, 0 to 1, whose map has the sign of the mean: where it is not 1 the sign
    rests on the choice of the baseline. The cost is that of all runs.

    Args:
        inner: a method that covers, and its settings; in the command as superpixels:segments=40.
        baselines: in image space; two or more.

    Raises:
        InputError: fewer than two baselines; an inner method that covers nothing; what the inner method refuses.

    References:
        Sturmfels, Lundberg, Lee: Visualizing the Impact of Feature Attribution Baselines, Distill, 2020.

    Examples:
        >>> import numpy as np, eyeline
        >>> model = eyeline.load(lambda images: images.sum(axis=(1, 2)), input_size=(2, 2))
        >>> found = eyeline.BaselineAgreement(baselines=(eyeline.Constant(0), eyeline.Constant(1)))(
        ...     model, np.full((2, 2, 1), 0.25, dtype=np.float32))
        >>> float(found.maps[0, 0, 0]), float(found.further["agreement"][0, 0, 0])  # the mean of 0.25 and -0.75
        (-0.25, 0.5)
    """

    inner: Method = PLAIN
    baselines: tuple[Baseline, ...] = THREE

    def __post_init__(self) -> None:
        given = self.baselines
        object.__setattr__(self, "baselines", tuple(given) if isinstance(given, list | tuple) else (given,))
        if len(self.baselines) < 2:
            raise InputError(
                f"baselines must be two or more, so that they can be compared, but got {len(self.baselines)}. "
                "Pass for example (eyeline.Blur(), eyeline.Constant(0.5))."
            )
        _check(self.inner, "baseline")

    def __call__(self, model: Model, images: object, target: object = None) -> Attribution:
        given = enter(self, model, images)
        inners = [replaced(self.inner, "baseline", each) for each in self.baselines]
        return together(self, inners, model, given, target, "baselines")


def _check(method: Any, name: str) -> None:
    """Check that the method, or one that it wraps, has a setting of this name."""
    if not dataclasses.is_dataclass(method) or having(method, name) is None:
        raise InputError(
            f"inner must be a method that covers and has a {name}, but got {method!r}. Pass for example Occlusion()."
        )


def together(method: Any, inners: list[Method], model: Model, given: Any, target: object, what: str) -> Attribution:
    """Run the methods one after the other, and make one result of their sweeps.

    Raises:
        InputError: one of them keeps no sweep.
    """
    began = time.perf_counter()
    found = [inner(model, given, target) for inner in inners]
    sweeps = [each.sweep for each in found if each.sweep is not None]
    if len(sweeps) < len(found):
        raise InputError(f"inner must be a method that covers, but got {inners[0]!r}. Pass for example Occlusion().")
    first, (clean, weights) = sweeps[0], (found[0].scores, found[0].weights)
    regions = Together(tuple(each.regions for each in sweeps))
    scores = np.concatenate([each.scores for each in sweeps], axis=1)
    sweep = Sweep(regions, scores, _reference(sweeps), first.measure, first.overlap, first.keep)
    told = [each.provenance for each in found]
    return result(
        method,
        model,
        given,
        scores=clean,
        weights=weights,
        maps=sweep.maps(weights, given.images.shape[1:-1]),
        quantity=lambda unit: f"{found[0].quantity}, mean over {len(found)} {what}",
        ran={
            "engine": ", ".join(dict.fromkeys(each["engine"] for each in told)),
            f"{regions.word}s": len(regions),
            "runs": [round(each["seconds"], 3) for each in told],
        },
        began=began,
        sweep=sweep,
    )


def _reference(sweeps: list[Sweep]) -> np.ndarray:
    """Return one reference for all regions where the sweeps share it, else one for each region."""
    references = [each.reference for each in sweeps]
    if all(each.ndim == 2 and np.array_equal(each, references[0]) for each in references):
        return references[0]
    rows = [each if each.ndim == 3 else each[:, None] for each in references]
    shapes = [each.scores.shape for each in sweeps]
    return np.concatenate([np.broadcast_to(row, shape) for row, shape in zip(rows, shapes, strict=True)], axis=1)
