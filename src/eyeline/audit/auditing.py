"""An audit: evidence outside a region, images that are right for the wrong reason, and shortcuts of each class."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from eyeline._typing import Images
from eyeline.audit.evidence import outside
from eyeline.audit.shortcuts import Finding, Trial, largest
from eyeline.audit.suspects import FEWEST, suspects
from eyeline.dataset.items import Source, source
from eyeline.dataset.running import Ordered
from eyeline.dataset.store import DONE, Store
from eyeline.dataset.work import named, opened
from eyeline.errors import Error, InputError
from eyeline.methods.progress import progress
from eyeline.models.base import Model
from eyeline.target import index

MOST, OTHERS, TESTED = 400, 200, 4
"""Images of a class that are compared; images of other classes that a pattern is pasted on; suspects of a class."""

SIDE = 32
"""Pixels of a side to which images and maps are pooled before they are compared."""


@dataclass(frozen=True, eq=False)
class Audit:
    """What an audit found.

    Args:
        findings: tested suspects, shortcuts first, by the share of other images that pasting turns.
        outside: share of the evidence outside the region for each row of the store; None where no region was given.
        wrong_reason: rows whose image is right, the largest share of evidence outside first.
        accuracy: share of labelled images whose best class is their label.
        skipped: classes with too few images to be compared.
    """

    findings: tuple[Finding, ...]
    outside: Float[np.ndarray, "rows"] | None
    wrong_reason: tuple[int, ...]
    accuracy: float
    skipped: tuple[str, ...]

    @property
    def shortcuts(self) -> tuple[Finding, ...]:
        """Return the findings that are called shortcuts."""
        return tuple(each for each in self.findings if each.is_shortcut)


def audit(store: Store, model: Model, *, region: object = None, images: object = None, seed: int = 0) -> Audit:
    """Look for shortcuts in a run whose images have labels.

    Within each class, images are grouped by their maps and by what they show; a group that a pattern sets apart sharply
    is a suspect. The pattern is then pasted on images of other classes and taken off the group's own: see `shortcuts`.
    The maps should explain each image's label (`target="label"`), so that positive numbers speak for its class.

    Args:
        store: of `run`, with labels.
        model: the one that made it.
        region: where evidence belongs: a mask, one a row, or a share of the middle, as 0.5. None leaves that out.
        images: where the images are, if not where they were.
        seed: of the images that are drawn where a class has many.

    Returns:
        Findings, worst first.

    Raises:
        InputError: no labels, images that are no longer there, a region of another shape.
        MissingDependencyError: scikit-learn is not installed.
    """
    given = _source(store, images)
    labels = np.array([item.label or "" for item in store.items], dtype=object)
    done = (store.status == DONE) & (labels != "")
    if not done.any():
        raise InputError("an audit must have labels, but no image of the store has one. Run it on class folders.")
    chance, findings, skipped = np.random.default_rng(seed), [], []
    classes = sorted(set(labels[done]))
    with progress(len(classes), "audit") as advance:
        for label in classes:
            rows = np.flatnonzero(done & (labels == label))
            if len(rows) < 2 * FEWEST:
                skipped.append(str(label))
            else:
                rest = chance.permutation(np.flatnonzero(done & (labels != label)))[:OTHERS]
                rows = np.sort(chance.permutation(rows)[:MOST])
                findings += _class(store, model, given, str(label), rows, rest)
            advance(1)
    columns = np.array([_column(label, model) if known else -1 for label, known in zip(labels, done, strict=True)])
    right = done & (np.asarray(store["scores"][: len(labels)]).argmax(axis=1) == columns)
    lost = None if region is None else outside(store, region)
    wrong = [] if lost is None else [row for row in np.argsort(-np.nan_to_num(lost)) if right[row] and lost[row] > 0]
    findings = largest(findings)
    findings.sort(key=lambda each: (not each.is_shortcut, each.opposite - each.turned))
    return Audit(
        tuple(findings), lost, tuple(int(row) for row in wrong), float(right.sum() / done.sum()), tuple(skipped)
    )


def _class(store: Store, model: Model, given: Source, label: str, rows: np.ndarray, rest: np.ndarray) -> list[Finding]:
    own, others = _images(model, given, rows), _images(model, given, rest)
    maps = np.asarray(store["maps"].oindex[rows])
    maps = maps.sum(axis=-1) if maps.ndim > len(store.manifest.image) else maps
    limits = float(min(own.min(), others.min())), float(max(own.max(), others.max()))
    trial = Trial(model, label, _column(label, model), tuple(int(row) for row in rows), own, others, limits)
    return [trial(suspect) for suspect in suspects(pooled(maps[..., None])[..., 0], pooled(own))[:TESTED]]


def pooled(images: Float[np.ndarray, "n rows columns channels"]) -> Float[np.ndarray, "n rows columns channels"]:
    """Return means over equal blocks, so that no side has more than SIDE pixels; a rest at the end is left out."""
    rows, columns = images.shape[1:3]
    high, wide = -(-rows // SIDE), -(-columns // SIDE)
    cut = images[:, : rows // high * high, : columns // wide * wide]
    blocks = cut.reshape(len(images), rows // high, high, columns // wide, wide, images.shape[-1])
    return np.asarray(blocks.mean(axis=(2, 4)))


def _images(model: Model, given: Source, rows: np.ndarray) -> Images:
    try:
        return np.concatenate([opened(model, given.read(int(row))[0]).images for row in rows])
    except Error as error:
        raise InputError(f"an audit must see the images again, but one is refused: {error} Pass images=.") from error


def _source(store: Store, images: object) -> Source:
    if images is None and not store.origin:
        raise InputError("an audit must see the images again, but the store is of an array in memory. Pass images=.")
    found = source(store.origin if images is None else images)
    places = {item.name: place for place, item in enumerate(found.items)}
    gone = [item.name for item in store.items if item.name not in places]
    if gone:
        raise InputError(f"an audit must see the images again, but {gone[0]!r} is not there. Pass images=.")
    return Ordered(found, tuple(places[item.name] for item in store.items), store.items)


def _column(label: Any, model: Model) -> int:
    which = named(str(label), model.classes)
    return which if isinstance(which, int) else index(which, len(model.classes or ()), model.classes)
