"""One map that is being made: a thread that takes turns at the model, shown while it fills in, stopped when asked."""

import dataclasses
import threading
import time
from typing import Literal

import numpy as np

from eyeline._typing import Scores
from eyeline.app.turns import Turns
from eyeline.attribution import Attribution
from eyeline.errors import Error, first_line
from eyeline.image import Batch
from eyeline.methods import Method, Occlusion
from eyeline.methods.base import settings, weigh
from eyeline.methods.covered import Covered
from eyeline.methods.occlusion import quantity
from eyeline.methods.watch import watched
from eyeline.models.base import Model
from eyeline.sweep import Sweep
from eyeline.target import describe

State = Literal["waiting", "running", "done", "stopped", "failed"]


class StoppedError(Exception):
    """The run was asked to end."""


class Run:
    """Makes one map; also who watches that.

    Args:
        model: as `load` returned it.
        method: ready to be called.
        batch: the one image.
        target: as for `explain`.
        clean: scores of the image itself.
        turns: at the model.
    """

    def __init__(self, model: Model, method: Method, batch: Batch, target: object, clean: Scores, turns: Turns) -> None:
        self._model, self._method, self._batch, self._target = model, method, batch, target
        self._clean, self._turns = clean, turns
        self.state: State = "waiting"
        self.words = ""
        """What went wrong, for the reader."""
        self.done, self.total, self.began = 0, 0, 0.0
        self._stop = threading.Event()
        self._rows: list[Scores] = []
        self._sweep: tuple[Covered, Scores] | None = None
        self._whole: Attribution | None = None
        self._thread = threading.Thread(target=self._run, name="eyeline run", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ("done", "stopped", "failed")

    @property
    def left(self) -> float | None:
        """Seconds that are left, by the speed so far; None before there is one."""
        done, total = self.done, self.total
        if self.is_over or not done or not total:
            return None
        return (time.perf_counter() - self.began) / done * (total - done)

    def stop(self) -> None:
        """Ask it to end: before its next part."""
        self._stop.set()

    def join(self, seconds: float) -> bool:
        """Wait for its end, and say whether it came."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def advanced(self, what: str, done: int, total: int) -> None:
        """Take note of how far the run is; hand the turn over, or end."""
        self.done, self.total = done, total
        if self._stop.is_set():
            raise StoppedError
        self._turns.hand_over()

    def found(self, covered: Covered, reference: Scores, start: int, scores: Scores) -> None:
        """Keep the scores that have come."""
        rows = [] if start == 0 else self._rows
        self._rows = [*rows, np.array(scores)]
        self._sweep = covered, reference

    def attribution(self) -> Attribution | None:
        """Return the result; while a sweep runs, what it would be with the windows so far; None before that."""
        rows, sweep = self._rows, self._sweep
        if self._whole is not None or sweep is None or not rows or not isinstance(self._method, Occlusion):
            return self._whole
        _, reference = sweep
        scores, method = np.concatenate(rows)[None], self._method
        regions = method.regions(self._batch.images.shape[1:-1])
        regions = dataclasses.replace(regions, boxes=regions.boxes[: scores.shape[1]])
        part = Sweep(regions, scores, reference, method.measure, method.overlap, method.keep)
        unit = self._model.unit
        assert unit is not None, "decided on the first scores"
        weights = weigh(self._target, 1, self._model)(self._clean, 0)
        return Attribution(
            maps=part.maps(weights, self._batch.images.shape[1:-1]),
            scores=self._clean,
            weights=weights,
            unit=unit,
            quantity=quantity(method.measure, method.keep, unit),
            method=settings(method),
            targets=describe(weights, self._model.classes),
            images=self._batch.images,
            names=self._batch.names,
            fits=self._batch.fits,
            classes=self._model.classes,
            sweep=part,
        )

    def _run(self) -> None:
        try:
            with self._turns.turn():
                if self._stop.is_set():
                    raise StoppedError
                self.state, self.began = "running", time.perf_counter()
                with watched(self):
                    self._whole = self._method(self._model, dataclasses.replace(self._batch), self._target)
            self._rows, self._sweep = [], None
            self.state = "done"
        except StoppedError:
            self.state = "stopped"
        except Error as error:
            self.words, self.state = str(error), "failed"
        except Exception as error:
            self.words = f"the run broke off ({type(error).__name__}: {first_line(error)})."
            self.state = "failed"
