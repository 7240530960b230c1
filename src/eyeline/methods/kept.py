"""What is remembered of a model between sweeps: its engine, what each path has cost, and what could not be done.

One entry a live model, for the last shape of images; it goes with the model. What was made is taken again only while
the model's fingerprint is the same.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import numpy as np

from eyeline._typing import Boxes, Images, Scores
from eyeline.errors import UnsupportedError, require
from eyeline.methods.covered import Covered
from eyeline.methods.paths import Path
from eyeline.models.base import Model, Traceable

if TYPE_CHECKING:
    from eyeline.incremental.graph import Graph
    from eyeline.incremental.plan import Plan
    from eyeline.incremental.run import Engine

SETUP, SHARE = 2.0, 0.9
"""Seconds for an engine, and the share of the work that it leaves, where the model cannot foresee its own."""


@runtime_checkable
class Foreseeing(Protocol):
    """A traceable model that can say beforehand what an engine would cost and bring."""

    def setup(self, shape: tuple[int, ...]) -> float:
        """Foresee the seconds that reading the network and laying out its weights take.

        Raises:
            UnsupportedError: it is plain that there is no graph.
        """
        ...

    def share(self, ground: Images, covered: Images) -> float:
        """Estimate which share of the multiply-adds a change of the image reaches."""
        ...


@dataclass(eq=False)
class Kept:
    """What is remembered of one model and shape.

    Args:
        shape: (rows, columns, channels) of an image.
        memory: bytes that the engine may use.
        fingerprint: of the model that the rest was made of.
        took: seconds that graph and engine took.
        spent: seconds that full sweeps have taken since the last graph was read.
        rates: seconds a position by path; for the engine, seconds a position if all multiply-adds were left.
        settled: positions and boxes of a sweep for which the full path was the soonest; why; when to ask again.
    """

    shape: tuple[int, ...]
    memory: int
    fingerprint: str = ""
    graph: "Graph | None" = None
    engine: "Engine | None" = None
    compiled: Callable[[Images], Scores] | None = None
    refused: str = ""
    took: float | None = None
    spent: float = 0.0
    rates: dict[Path, float] = field(default_factory=dict)
    settled: tuple[int, np.ndarray, str, float] | None = None
    _share: tuple[np.ndarray, float] | None = None

    def read(self, model: Traceable) -> "Graph":
        """Return the model's graph, simplified.

        Raises:
            UnsupportedError: it has none.
        """
        if self.graph is None:
            began = time.perf_counter()
            self._mark(model)
            graph = model.graph(self.shape)
            from eyeline.incremental.simplify import simplify

            self.graph = simplify(graph)
            self.took, self.spent = time.perf_counter() - began, 0.0
        return self.graph

    def make(self, model: Traceable) -> "Engine":
        """Return the engine, made where there is none.

        Raises:
            UnsupportedError: the network has no graph.
            OutOfMemoryError: the engine needs more than the memory.
        """
        if self.engine is None:
            graph = self.read(model)
            began = time.perf_counter()
            from eyeline.incremental.run import Engine

            self.engine = Engine(graph, memory=self.memory)
            self.took = (self.took or 0.0) + time.perf_counter() - began
        return self.engine

    def compile(self, model: Traceable) -> Callable[[Images], Scores]:
        """Return what OpenVINO makes of the network: images to raw outputs.

        Raises:
            UnsupportedError: the network has no graph, or one that OpenVINO cannot run.
            MissingDependencyError: OpenVINO is not installed.
        """
        if self.compiled is None:
            require("openvino", "openvino")  # reading the graph takes seconds
            graph = self.read(model)
            from eyeline.models.openvino import compiled_graph

            self.compiled = compiled_graph(graph)
        return self.compiled

    def plan(self, model: Traceable, boxes: Boxes) -> "Plan":
        """Return what a sweep over these boxes will do.

        Raises:
            UnsupportedError: the network has no graph.
        """
        graph = self.read(model)
        from eyeline.incremental.plan import around, plan

        return plan(graph, around(boxes))

    def refuse(self, model: Model, why: str) -> None:
        """Remember that no engine serves the network as it is."""
        self.forget()
        self._mark(model)
        self.refused = why

    def why_full(self, covered: Covered) -> str:
        """Return why sweeps like this one are known to end soonest on the full path, or ""."""
        total, boxes, why, until = self.settled or (0, covered.boxes, "", 0.0)
        alike = total == covered.total and np.array_equal(boxes, covered.boxes)
        return why if alike and self.spent <= until else ""

    def settle(self, covered: Covered, why: str, seconds: float) -> None:
        """Remember that a sweep of so many seconds is soonest on the full path, until twice as many are spent."""
        self.settled = covered.total, covered.boxes, why, 2 * (self.spent + seconds)

    def check(self, model: Traceable) -> "Kept":
        """Forget what was made if the model has changed since."""
        if self.fingerprint and model.fingerprint() != self.fingerprint:
            self.forget()
        return self

    def forget(self) -> None:
        """Let go what was made of a model that has changed."""
        self.fingerprint, self.graph, self.engine, self.compiled, self.refused = "", None, None, None, ""

    def _mark(self, model: Model) -> None:
        if isinstance(model, Traceable) and not self.fingerprint:
            self.fingerprint = model.fingerprint()

    def setup(self, model: Model) -> float:
        """Foresee the seconds that making an engine takes: those of the last time, or what the model says.

        Raises:
            UnsupportedError: it is plain that there is no graph.
        """
        if self.took is not None:
            return self.took
        return model.setup(self.shape) if isinstance(model, Foreseeing) else SETUP

    def share(self, model: Model, covered: Covered) -> float:
        """Estimate the share of the work that the engine would leave, from a window in the middle."""
        if not isinstance(model, Foreseeing):
            return SHARE
        if self._share is None or not np.array_equal(self._share[0], covered.boxes):
            middle = covered.of(0, np.array([len(covered.boxes) // 2]))
            self._share = covered.boxes, model.share(middle.ground, middle.images(np.array([0])))
        return self._share[1]


_KEPT: "WeakKeyDictionary[Any, Kept]" = WeakKeyDictionary()


def kept(model: Model, shape: tuple[int, ...], memory: int) -> Kept:
    """Return what is remembered of a model; see `Kept.check` before it is used."""
    found = _KEPT.get(model)
    if found is None or (found.shape, found.memory) != (shape, memory):
        found = _KEPT[model] = Kept(shape, memory)
    return found


def work(plan: "Plan") -> dict[str, Any]:
    """Word a plan for the provenance: where whole maps begin, the multiply-adds that are left, what has no count."""
    found = {"dense_from": plan.dense_from, "multiply_adds": round(plan.done / max(plan.full, 1), 4)}
    return {**found, "uncounted": ", ".join(plan.uncounted)} if plan.uncounted else found


def graphless(model: Model, engine: Path) -> UnsupportedError:
    """Word why only the full path serves a model."""
    what = model.describe().get("framework", type(model).__name__)
    return UnsupportedError(
        f"engine={engine!r} must have a model whose graph can be read, but got {what}. Use engine='full'."
    )
