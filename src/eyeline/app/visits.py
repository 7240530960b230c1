"""Visits: what one visitor sees and has running. Nobody gets at a visit without its secret."""

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eyeline import baseline
from eyeline._typing import Images, Scores
from eyeline.app import answers, form, masks
from eyeline.app.answers import Answer
from eyeline.app.runs import Run
from eyeline.app.turns import Turns
from eyeline.attribution import Attribution
from eyeline.errors import InputError
from eyeline.filling import Filling
from eyeline.image import Batch
from eyeline.methods import Method
from eyeline.methods.counts import positions
from eyeline.methods.covering import Covering, Mask
from eyeline.models.base import Model

MOST, RUNS = 60, 40
"""Visits, and runs that are not over, at a time. One to the bundled network holds 30 MB."""

WINDOWS = 10_000
"""Windows of one map: the scores of every class for every window are kept, 40 MB for a thousand classes."""

PATCHES = 8
"""Covered pictures that a visit keeps."""


class StaleError(Exception):
    """A newer place of the mask has come: nobody needs the answer for this one."""


@dataclass(eq=False)
class Visit:
    """One visitor's picture and runs.

    Args:
        model: as `load` returned it.
        turns: at the model.
        busy: says how many runs of all visitors are not over.
    """

    model: Model
    turns: Turns
    busy: Callable[[], int]
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    runs: dict[int, Run] = field(default_factory=dict)
    is_closed: bool = False
    _batch: Batch | None = None
    _covering: Covering | None = None
    _patches: dict[str, Images] = field(default_factory=dict)
    _latest: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, batch: Batch) -> Answer:
        """Show another picture; what runs on the one before is stopped.

        Raises:
            ModelError: the network gives no usable scores for it.
        """
        for run in self.runs.values():
            run.stop()
        with self.turns.turn(short=True):
            covering = Covering(self.model, batch.images)
        with self._lock:
            self.runs, self._patches = {}, {}
            self._batch, self._covering = (None, None) if self.is_closed else (batch, covering)
        address, notes = answers.picture(batch.images)
        fit = batch.fits[0]
        return {
            "name": batch.names[0],
            "picture": address,
            "rows": batch.images.shape[1],
            "columns": batch.images.shape[2],
            "notes": [*notes, *(fit.notes if fit else ())],
            "predictions": self._predictions(covering.clean, covering.clean),
        }

    def probe(self, wanted: dict[str, Any]) -> Answer:
        """Return the predictions with the picture covered as asked; old questions give way to newer ones.

        Raises:
            StaleError: a newer one has come.
            InputError: no picture yet, or a mask that cannot be.
        """
        with self._lock:
            self._latest += 1
            mine = self._latest
        batch, covering = self._held()
        mask = masks.mask(wanted, *batch.images.shape[1:3])
        patch = self._patch(str(wanted.get("baseline"))[:60], batch, mask)
        with self.turns.turn(short=True):
            if mine != self._latest or self.is_closed:
                raise StaleError
            scores = covering(mask, patch)
        return {"predictions": self._predictions(scores, covering.clean), "covered": int(mask.sum())}

    def patch(self, wanted: dict[str, Any]) -> Answer:
        """Return the picture wholly covered, as the network sees it under a mask; "" where that depends on the mask.

        Raises:
            InputError: no picture yet, or no baseline.
        """
        (batch, _), name = self._held(), str(wanted.get("baseline"))[:60]
        if isinstance(baseline.parse(name), Filling):
            return {"picture": ""}
        return {"picture": answers.picture(self._patch(name, batch, None))[0]}

    def start(self, panel: int, wanted: dict[str, Any]) -> Answer:
        """Start a map; one that runs in the same panel is stopped.

        Args:
            panel: 0 or 1.
            wanted: method, settings, and the question: view, first, second.

        Raises:
            InputError: no picture yet, a setting or class that cannot be, or too many runs.
        """
        batch, covering = self._held()
        _, method = form.chosen(wanted.get("method"), wanted.get("settings"))
        _bounded(method, batch)
        if self.busy() >= RUNS:
            raise InputError(f"at most {RUNS} maps are made at a time, and as many are being made. Try again soon.")
        aim = answers.target(wanted, self.model.classes, covering.clean.shape[1])
        with self._lock:
            if panel in self.runs:
                self.runs[panel].stop()
            self.runs[panel] = Run(self.model, method, batch, aim, covering.clean, self.turns)
        return answers.state(self.runs[panel])

    def results(self) -> dict[int, Attribution]:
        """Return the maps that are done, by panel."""
        found = {panel: run.attribution() for panel, run in sorted(self.runs.items()) if run.state == "done"}
        return {panel: each for panel, each in found.items() if each is not None}

    def close(self) -> None:
        """End what runs, and forget the picture."""
        with self._lock:
            self.is_closed = True
            for run in self.runs.values():
                run.stop()
            self.runs, self._patches, self._batch, self._covering = {}, {}, None, None

    def _held(self) -> tuple[Batch, Covering]:
        with self._lock:
            if self._batch is None or self._covering is None:
                raise InputError("there must be a picture first, but there is none. Choose an example or a file.")
            return self._batch, self._covering

    def _predictions(self, scores: Scores, clean: Scores) -> list[Answer]:
        unit = self.model.unit
        assert unit is not None, "decided on the first scores"
        return answers.predictions(scores, clean, unit, self.model.classes)

    def _patch(self, name: str, batch: Batch, mask: Mask | None) -> Images:
        """Return what shows under the mask; kept where every mask has the same, as blurring takes a while."""
        patch = self._patches.get(name)
        if patch is not None:
            return patch
        chosen = baseline.parse(name)
        if isinstance(chosen, Filling) and mask is not None:
            return chosen.fill(batch.images[0], mask.astype(np.float64))[None]
        if len(self._patches) >= PATCHES:
            self._patches = {}
        self._patches[name] = patch = chosen(batch.images)
        return patch


class Visits:
    """All visits to one model."""

    def __init__(self, model: Model) -> None:
        self._model, self.turns = model, Turns()
        self._all: dict[str, Visit] = {}

    def open(self) -> Visit:
        """Begin a visit.

        Raises:
            InputError: there are too many.
        """
        if len(self._all) >= MOST:
            raise InputError(f"at most {MOST} visitors are served at a time, and as many are here. Try again soon.")
        visit = Visit(self._model, self.turns, self.busy)
        self._all[visit.token] = visit
        return visit

    def get(self, token: str) -> Visit | None:
        """Return the visit of a secret."""
        return self._all.get(token)

    def close(self, visit: Visit) -> None:
        """End a visit."""
        self._all.pop(visit.token, None)
        visit.close()

    def busy(self) -> int:
        """Count the runs that are not over."""
        return sum(not run.is_over for visit in list(self._all.values()) for run in list(visit.runs.values()))

    def __len__(self) -> int:
        return len(self._all)


def _bounded(method: Method, batch: Batch) -> None:
    """Refuse a map whose scores would fill the memory.

    Raises:
        InputError: more windows than WINDOWS.
    """
    count = positions(method, batch.images.shape[1:-1])
    if count > WINDOWS:
        raise InputError(
            f"a map must have at most {WINDOWS:,} windows here, but this one has {count:,}. "
            "Choose a larger stride, or use the command eyeline explain."
        )
