"""One chunk of a run: read, explain, answer. What an image's numbers are does not depend on its neighbours.

A chunk has the same number of images whenever it is computed: where some are refused or there already, the last one
fills their places. So every pass of the network has the shape that it had before, on any machine and after any kill.
"""

import dataclasses
import os
import sys
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from eyeline.attribution import Attribution
from eyeline.dataset.items import Item, Source
from eyeline.dataset.store import DONE, REFUSED, Block
from eyeline.errors import Error, InputError, MissingDependencyError, UnsupportedError
from eyeline.image import Batch, collect
from eyeline.models.base import Model
from eyeline.region import Windows
from eyeline.target import Class, as_target

LABEL = "label"
"""The target that explains each image's own label."""


@dataclass(frozen=True)
class Work:
    """What is done with every chunk.

    Args:
        method: with nothing left to be measured.
        target: as for `explain`, or "label".
        chunk: images in each.
        sweep: whether the windows' scores are kept.
        image: shape that every image must have, (*space, channels).
    """

    method: Any
    target: object
    chunk: int
    sweep: bool
    image: tuple[int, ...]

    def __call__(self, model: Model, source: Source, rows: tuple[int, ...]) -> Block:
        """Explain the images of some rows, at most a chunk.

        Raises:
            UnsupportedError: the model cannot do what the method asks.
        """
        digests, found, said = np.zeros((len(rows), 32), dtype=np.uint8), {}, [""] * len(rows)
        stamps = np.array([source.stamp(row) for row in rows], dtype=np.int64).reshape(len(rows), 2)
        for place, row in enumerate(rows):
            try:
                given, digest = source.read(row)
                digests[place] = np.frombuffer(digest, dtype=np.uint8)
                found[place] = self._shaped(opened(model, given))
            except Error as error:
                said[place] = str(error)
        items = [source.items[row] for row in rows]
        made, fell_back = self._explained(model, found, items, said)
        arrays: dict[str, np.ndarray] = {}
        for place, (attribution, row) in made.items():
            for name, values in numbers(attribution, self.sweep).items():
                arrays.setdefault(name, np.zeros((len(rows), *values.shape[1:]), dtype=np.float32))
                arrays[name][place] = values[row]
        status = np.array([DONE if place in made else REFUSED for place in range(len(rows))], dtype=np.uint8)
        return Block(rows, status, digests, stamps, arrays, tuple(said), fell_back)

    def _shaped(self, batch: Batch) -> Batch:
        """Return an image of the run's shape.

        Raises:
            InputError: it has another.
        """
        if batch.images.shape[1:] != self.image:
            raise InputError(
                f"images of one run must share one shape, {self.image}, but {batch.names[0]!r} has "
                f"{batch.images.shape[1:]}. Pass input_size= when loading the model."
            )
        return batch

    def _explained(
        self, model: Model, found: dict[int, Batch], items: list[Item], said: list[str]
    ) -> tuple[dict[int, tuple[Attribution, int]], int]:
        """Explain the images together; where one is refused, each with copies of itself in the others' places."""
        if not found:
            return {}, 0
        made: dict[int, tuple[Attribution, int]] = {}
        groups = [list(found)]
        fell_back = 0
        while groups:
            group = groups.pop()
            filled = [*group, *[group[-1]] * (self.chunk - len(group))]
            try:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    batch = joined([found[place] for place in filled])
                    attribution = self.method(model, batch, aim(self.target, model, [items[each] for each in filled]))
            except (UnsupportedError, MissingDependencyError):
                raise
            except Error as error:
                if len(group) == 1:
                    said[group[0]] = str(error)
                groups += [[place] for place in group] if len(group) > 1 else []
                continue
            fell_back += sum("must agree with the full path" in str(each.message) for each in caught)
            made |= {place: (attribution, row) for row, place in enumerate(group)}
        return made, fell_back


def opened(model: Model, given: object) -> Batch:
    """Turn one item into a batch of one."""
    return collect(given, input_size=model.input_size, axes=model.axes, channels=model.channels, fit=model.fit)


def joined(batches: list[Batch]) -> Batch:
    """Put images below each other.

    Raises:
        InputError: they differ in shape.
    """
    shapes = {batch.images.shape[1:] for batch in batches}
    if len(shapes) > 1:
        raise InputError(
            f"images of one run must share one shape, but got {sorted(shapes)}. "
            "Pass input_size= when loading the model."
        )
    return Batch(
        np.concatenate([batch.images for batch in batches]),
        tuple(name for batch in batches for name in batch.names),
        tuple(fit for batch in batches for fit in batch.fits),
    )


def aim(target: object, model: Model, items: list[Item]) -> object:
    """Return the target of some images; "label" becomes the class of each one's label.

    Raises:
        InputError: an item without a label, or a label that is no class.
    """
    if target != LABEL:
        return as_target(target)
    missing = next((item.name for item in items if item.label is None), None)
    if missing is not None:
        raise InputError(
            f"target 'label' must have a label for each image, but {missing!r} has none. "
            "Put images into class folders, or add a column 'label' to the table."
        )
    return Class(tuple(named(item.label, model.classes) for item in items))


def named(label: str | None, classes: tuple[str, ...] | None) -> int | str:
    """Return a label as a class: its name where the model has it, its number where it is one."""
    text = label or ""
    return int(text) if text.isdecimal() and text not in (classes or ()) else text


def numbers(attribution: Attribution, sweep: bool) -> dict[str, np.ndarray]:
    """Return what a store keeps of an attribution."""
    kept = {"maps": attribution.maps, "scores": attribution.scores, "weights": attribution.weights}
    if sweep and attribution.sweep is not None and isinstance(attribution.sweep.regions, Windows):
        kept["windows"] = attribution.sweep.scores
    return {name: np.asarray(values, dtype=np.float32) for name, values in kept.items()}


def limit_threads(count: int) -> None:
    """Tell this process's frameworks how many threads to use; those that are loaded later read the environment."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[name] = str(count)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(count)


def threads() -> int:
    """Return how many threads this process computes with."""
    torch, told = sys.modules.get("torch"), os.environ.get("OMP_NUM_THREADS", "")
    if torch is not None:
        return int(torch.get_num_threads())
    return int(told) if told.isdecimal() else os.cpu_count() or 1


def fixed(method: Any, engine: str, batch: int) -> Any:
    """Return a method with nothing left to be measured: its path and its batches, inner methods' too."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(method):
        value = getattr(method, field.name)
        if dataclasses.is_dataclass(value) and any(each.name == "batch" for each in dataclasses.fields(value)):
            changes[field.name] = fixed(value, "full", batch)
        elif field.name == "engine" and value == "auto":
            changes["engine"] = engine
        elif field.name == "batch" and value is None:
            changes["batch"] = batch
    return dataclasses.replace(method, **changes)
