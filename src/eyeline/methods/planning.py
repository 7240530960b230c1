"""What a run of occlusion would do and take, before it runs: expectations, from timing a few windows of each path."""

import math
import time
from dataclasses import dataclass, replace
from importlib.util import find_spec

import numpy as np

from eyeline.errors import MissingDependencyError, OutOfMemoryError, UnsupportedError
from eyeline.methods import trials
from eyeline.methods.base import enter
from eyeline.methods.batches import Batches
from eyeline.methods.choice import LITTLE, MUCH
from eyeline.methods.covered import Covered
from eyeline.methods.kept import Kept, graphless, kept
from eyeline.methods.masking import cover
from eyeline.methods.occlusion import Occlusion
from eyeline.methods.paths import Full, Path
from eyeline.models.base import Model, Traceable
from eyeline.window import grid

SECONDS = 1.0
"""What timing a path may take, roughly."""


@dataclass(frozen=True)
class Expected:
    """What one path is expected to take, in seconds.

    Args:
        setup: before the first image, for everything that a process prepares once.
        image: for each image, beside its windows.
        window: for each window.
    """

    setup: float
    image: float
    window: float


@dataclass(frozen=True)
class Foresight:
    """What a run would do, and is expected to take.

    Args:
        method: with its window and stride written out.
        size: pixels per axis of an image.
        images: how many.
        expected: by path, of those that the method allows.
        refused: by path, why it cannot be gone.
        multiply_adds: of the whole network on every window, and of what the windows can change; None without a graph.
        uncounted: operations whose multiply-adds nobody knows.
        dense_from: first layer that sees whole maps.
        memory: mebibytes that the engine holds, and that one image's maps take.
        kernels: what computes on windows.
    """

    method: Occlusion
    size: tuple[int, ...]
    images: int
    expected: dict[Path, Expected]
    refused: dict[Path, str]
    multiply_adds: tuple[int, int] | None = None
    uncounted: tuple[str, ...] = ()
    dense_from: str = ""
    memory: tuple[int, int] | None = None
    kernels: str = ""

    def windows(self, stride: int | None = None) -> tuple[int, ...]:
        """Count the windows on each axis; None means the method's stride."""
        window, own = self.method.sizes(self.size)
        strides = own if stride is None else (stride,) * len(own)
        given = zip(self.size, window, strides, strict=True)
        return tuple(len(grid((length,), wide, step, self.method.edge)) for length, wide, step in given)

    def seconds(self, path: Path, stride: int | None = None) -> float:
        """Return what a path is expected to take."""
        found = self.expected[path]
        return found.setup + self.images * (found.image + math.prod(self.windows(stride)) * found.window)

    def soonest(self, stride: int | None = None) -> Path:
        """Return the path that is expected to end first."""
        return min(self.expected, key=lambda path: self.seconds(path, stride))

    def finest(self, budget: float) -> int | None:
        """Return the finest stride that is expected to end within `budget` seconds; None if no stride is."""
        strides = range(1, min(self.method.sizes(self.size)[0]) + 1)
        return next((each for each in strides if self.seconds(self.soonest(each), each) <= budget), None)


def foresee(model: Model, images: object, method: Occlusion) -> Foresight:
    """Say what a run would do, and is expected to take; runs a few windows of the first image by each path.

    Raises:
        UnsupportedError, MissingDependencyError, OutOfMemoryError: the path that `method` asks for cannot be gone.
        InputError: what the method would refuse.
    """
    given = enter(method, model, images)
    pixels, size = given.images[:1], given.images.shape[1:-1]
    window, stride = method.sizes(size)
    sweep = cover(method.baseline, method.keep, pixels, method.regions(size), given.names[:1])
    found = Foresight(replace(method, window=window, stride=stride), size, len(given.images), {}, {})
    clean, rate = _clean(model, pixels), _full(model, sweep, method)
    if method.engine in ("auto", "full"):
        found.expected["full"] = Expected(0.0, clean, rate)
    if method.engine == "full":
        return found
    if not isinstance(model, Traceable):
        error = graphless(model, method.engine)
        if method.engine != "auto":
            raise error
        return replace(found, refused={"incremental": str(error)})
    entry = kept(model, pixels.shape[1:], method.memory * 2**20).check(model)
    return _Quick(model, entry, sweep, found, clean + clean + method.verify * rate)()


@dataclass
class _Quick:
    """Measures the paths other than the full one; `image` is the seconds of an image beside its windows."""

    model: Traceable
    entry: Kept
    sweep: Covered
    found: Foresight
    image: float

    def __call__(self) -> Foresight:
        """Return what was found, with the paths that can be gone."""
        asked = self.found.method.engine
        try:
            engine = self.entry.make(self.model)
        except (UnsupportedError, OutOfMemoryError) as error:
            if asked != "auto":
                raise
            return replace(self.found, refused={"incremental": str(error)})
        plan = self.entry.plan(self.model, self.sweep.boxes)
        share = plan.done / max(plan.full, 1)
        for path in self._asked(share):
            try:
                self.found.expected[path] = self._measured(path)
            except (UnsupportedError, MissingDependencyError, OutOfMemoryError) as error:
                if asked != "auto":
                    raise
                self.found.refused[path] = str(error)
        return replace(
            self.found,
            multiply_adds=(plan.full * self.found.images, plan.done * self.found.images),
            uncounted=plan.uncounted,
            dense_from=plan.dense_from,
            memory=(engine.bytes // 2**20, plan.clean_bytes // 2**20),
            kernels=engine.kernels,
        )

    def _asked(self, share: float) -> list[Path]:
        """Name the paths to time: what is asked for, or what `auto` would consider."""
        asked = self.found.method.engine
        if asked != "auto":
            return [asked]
        dense: list[Path] = ["folded", *(["openvino"] if find_spec("openvino") else [])]  # type: ignore[list-item]
        return [*(["incremental"] if share <= MUCH else []), *(dense if share > LITTLE else [])]  # type: ignore[list-item]

    def _measured(self, path: Path) -> Expected:
        began = time.perf_counter()
        run = self.entry.compile(self.model) if path == "openvino" else self.entry.make(self.model).whole
        setup = (self.entry.took or 0.0) + time.perf_counter() - began
        count = int(np.clip(SECONDS / self.image, 2, trials.TRIED))
        if path == "incremental":
            return Expected(setup, self.image, trials.windows(self.model, self.entry, self.sweep, count))
        return Expected(setup, self.image, trials.passes(self.model, run, self.sweep, count))


def _clean(model: Model, pixels: np.ndarray) -> float:
    """Return the seconds of one image, the first run not counted."""
    model.scores(pixels)
    began = time.perf_counter()
    model.scores(pixels)
    return time.perf_counter() - began


def _full(model: Model, covered: Covered, method: Occlusion) -> float:
    """Return the full path's seconds a window."""
    full = Full(model, Batches(method.batch, method.memory), covered)
    for _ in full.run(np.random.default_rng(0).permutation(covered.total)):
        if full.seconds > SECONDS:
            break
    return full.rate
