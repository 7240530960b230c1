"""The first start of a run: what is measured once, and holds for every image after it."""

import dataclasses
import time
from typing import Any

from eyeline.attribution import Attribution
from eyeline.dataset.items import Source
from eyeline.dataset.manifest import Manifest, backend
from eyeline.dataset.work import LABEL, aim, fixed, joined, opened, threads
from eyeline.errors import Error, InputError, MissingDependencyError, UnsupportedError
from eyeline.image import Batch
from eyeline.methods.base import settings
from eyeline.models.base import Model
from eyeline.region import Windows
from eyeline.target import as_target

MOST = 256
"""Images of a chunk."""

SECONDS = 2.0
"""That a chunk should take: what a kill may lose, and what the writing of its files is small beside."""

PATHS = ("incremental", "folded", "openvino")
"""Ways that are tried beside the full one."""

CLEAR = 0.5
"""Share of the full path's time under which no further path is tried: trying takes time too."""

LONG = 20.0
"""Seconds that a run must be foreseen to take before other paths than the full one are tried."""


def first(model: Model, source: Source) -> tuple[int, Batch]:
    """Return the first image that can be read, and its place; it also decides what the model's outputs are.

    Raises:
        InputError: none can.
    """
    reason: Error | None = None
    for place in range(len(source.items)):
        try:
            batch = opened(model, source.read(place)[0])
            model.scores(batch.images)
        except (UnsupportedError, MissingDependencyError):
            raise
        except Error as error:
            reason = reason or error
            continue
        return place, batch
    raise InputError(f"at least one image must be readable, but none is: {reason}")


def begin(model: Model, source: Source, method: Any, target: object, chunk: int | None, weights: str) -> Manifest:
    """Measure on the first image what is soonest, and return what fixes the run.

    Raises:
        InputError: settings, or every image, that cannot be; the target is none of the model's.
        UnsupportedError: the model cannot do what the method asks.
    """
    place, image = first(model, source)

    def call(settled: Any, count: int) -> tuple[float, Attribution]:
        batch, at = joined([image] * count), aim(target, model, [source.items[place]] * count)
        began = time.perf_counter()
        found = settled(model, batch, at)
        return (time.perf_counter() - began) / count, found

    full = fixed(method, "full", 1) if getattr(method, "engine", "") == "auto" else method
    call(full, 1)  # frameworks prepare much in their first pass
    took, _ = call(full, 1)
    path = "full"
    if getattr(method, "engine", "") == "auto" and took * len(source.items) > LONG:
        path, took = _soonest(call, method, took)
    chunk = chunk or int(min(max(SECONDS / max(took, 1e-6), 1), MOST, len(source.items)))
    if chunk < 1:
        raise InputError(f"chunk must be 1 or more, but got {chunk}. Leave it out for the default.")
    _, trial = call(_by(method, path), chunk)
    batch = int(trial.provenance.get("batch", 1)) or 1
    _, found = call(fixed(method, path, batch), chunk)
    regions = None if found.sweep is None else found.sweep.regions
    return Manifest(
        method=settings(method),
        engine=path,
        batch=batch,
        target=worded(target),
        weights=weights,
        model=model.describe(),
        classes=model.classes,
        unit=found.unit,
        quantity=found.quantity,
        image=image.images.shape[1:],
        map=found.maps.shape[1:],
        scores=found.scores.shape[1],
        windows=tuple(regions.boxes.tolist()) if isinstance(regions, Windows) else (),
        chunk=chunk,
        threads=threads(),
        backend=backend(),
        fit=str(model.fit),
    )


def worded(target: object) -> str:
    """Write a target so that equal ones have equal words."""
    return LABEL if target == LABEL else repr(as_target(target))


def _by(method: Any, path: str) -> Any:
    """Return the method with its path chosen, and its batch still to be measured."""
    return dataclasses.replace(method, engine=path) if getattr(method, "engine", "") == "auto" else method


def _soonest(call: Any, method: Any, took: float) -> tuple[str, float]:
    """Return the path that takes least for an image once it is prepared, and its seconds."""
    found = {"full": took}
    for path in PATHS:
        if min(found.values()) < CLEAR * took:
            break
        try:
            call(_by(method, path), 1)
            seconds, made = call(_by(method, path), 1)
        except (UnsupportedError, MissingDependencyError):
            continue
        if made.provenance.get("engine") == path:
            found[path] = seconds
    best = min(found, key=found.__getitem__)
    return best, found[best]
