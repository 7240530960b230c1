"""An audit: evidence outside a region, images that are right for the wrong reason, and shortcuts of each class."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from eyeline._typing import Images
from eyeline.audit.changed import check_scores
from eyeline.audit.clusters import Clusters, clustered, returning
from eyeline.audit.evidence import outside, within
from eyeline.audit.labelled import Labelled, labelled
from eyeline.audit.shortcuts import Finding, Trial, largest
from eyeline.audit.suspects import FEWEST, suspects
from eyeline.baseline import Baseline
from eyeline.dataset.items import Source
from eyeline.dataset.order import Ordered, again
from eyeline.dataset.rows import over_channels
from eyeline.dataset.store import Store
from eyeline.dataset.work import opened
from eyeline.errors import Error, InputError
from eyeline.methods.progress import progress
from eyeline.models.base import Model

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
        clusters: of the maps of every class that was compared.
        region: where evidence belongs, (*space) or (rows, *space); None where none was given.
    """

    findings: tuple[Finding, ...]
    outside: Float[np.ndarray, "rows"] | None
    wrong_reason: tuple[int, ...]
    accuracy: float
    skipped: tuple[str, ...]
    clusters: tuple[Clusters, ...] = ()
    region: Bool[np.ndarray, "*shape"] | None = None

    @property
    def shortcuts(self) -> tuple[Finding, ...]:
        """Return the findings that are called shortcuts."""
        return tuple(each for each in self.findings if each.is_shortcut)


def audit(
    store: Store,
    model: Model,
    *,
    region: object = None,
    images: object = None,
    seed: int = 0,
    baseline: Baseline | None = None,
) -> Audit:
    """Look for shortcuts in a run whose images have labels.

    Within each class, images are grouped by their maps and by what they show; a group that a pattern sets apart sharply
    is a suspect. The pattern is then pasted on images of other classes, taken off the group's own, and covered in all
    images of the class: see `shortcuts`. The maps should explain each image's label (`target="label"`), so that
    positive numbers speak for its class.

    Args:
        store: of `run`, with labels.
        model: the one that made it.
        region: where evidence belongs: a mask, one a row, or a share of the middle, as 0.5. None leaves that out.
        images: where the images are, if not where they were.
        seed: of the images that are drawn where a class has many.
        baseline: what covers a pattern; None means what the class's images without it show there, on the mean.

    Returns:
        Findings, worst first.

    Raises:
        InputError: no labels, one class only, images that are no longer there, a region of another shape, a model that
            gives other scores than those in the store.
        MissingDependencyError: scikit-learn is not installed.
    """
    given, known = source_of(store, images), labelled(store)
    classes = known.classes
    if len(classes) < 2:
        raise InputError(
            f"an audit must have images of two classes or more, but all are {str(classes[0])!r}. "
            "Run it on more classes."
        )
    inside = None if region is None else within(store, region)
    _check(store, model, given, known)
    chance, findings, skipped, clusters = np.random.default_rng(seed), [], [], []
    with progress(len(classes), "audit") as advance:
        for label in classes:
            rows = known.rows(label)
            if len(rows) < 2 * FEWEST:
                skipped.append(str(label))
            else:
                rest = chance.permutation(np.flatnonzero(known.done & (known.labels != label)))[:OTHERS]
                rows = np.sort(chance.permutation(rows)[:MOST])
                tested, grouped = _class(store, model, given, known, rows, rest, baseline)
                findings += tested
                clusters.append(grouped)
            advance(1)
    lost = None if inside is None else outside(store, inside)
    wrong = (
        [] if lost is None else [row for row in np.argsort(-np.nan_to_num(lost)) if known.right[row] and lost[row] > 0]
    )
    findings = largest(findings)
    findings.sort(key=lambda each: (not each.is_shortcut, each.opposite - each.turned))
    return Audit(
        tuple(findings),
        lost,
        tuple(int(row) for row in wrong),
        float(known.right.sum() / known.done.sum()),
        tuple(skipped),
        tuple(clusters),
        inside,
    )


def _class(
    store: Store,
    model: Model,
    given: Source,
    known: Labelled,
    rows: np.ndarray,
    rest: np.ndarray,
    baseline: Baseline | None,
) -> tuple[list[Finding], Clusters]:
    label, listed = str(known.labels[rows[0]]), tuple(int(row) for row in rows)
    own, others = _images(model, given, rows), _images(model, given, rest)
    maps = pooled(over_channels(store, np.asarray(store["maps"].oindex[rows]))[..., None])[..., 0]
    small = pooled(own)
    found = suspects(maps, small)[:TESTED]
    trial = Trial(
        model=model,
        label=label,
        column=int(known.columns[rows[0]]),
        rows=listed,
        images=own,
        best=known.best[rows],
        other_rows=tuple(int(row) for row in rest),
        others=others,
        other_best=known.best[rest],
        limits=(float(min(own.min(), others.min())), float(max(own.max(), others.max()))),
        baseline=baseline,
    )
    findings = [trial(*each) for each in zip(found, returning(found, maps, small), strict=True)]
    return findings, clustered(label, listed, maps)


def pooled(images: Float[np.ndarray, "n rows columns channels"]) -> Float[np.ndarray, "n rows columns channels"]:
    """Return means over equal blocks, so that no side has more than SIDE pixels; a rest at the end is left out."""
    rows, columns = images.shape[1:3]
    high, wide = -(-rows // SIDE), -(-columns // SIDE)
    cut = images[:, : rows // high * high, : columns // wide * wide]
    blocks = cut.reshape(len(images), rows // high, high, columns // wide, wide, images.shape[-1])
    return np.asarray(blocks.mean(axis=(2, 4)))


def _images(model: Model, given: Source, rows: np.ndarray) -> Images:
    return np.concatenate([image_of(model, given, int(row)) for row in rows])


def image_of(model: Model, given: Source, row: int) -> Images:
    """Return one image of the store with a leading 1, as the model sees it.

    Raises:
        InputError: it cannot be read any more.
    """
    try:
        return opened(model, given.read(row)[0]).images
    except Error as error:
        raise InputError(f"an audit must see the images again, but one is refused: {error} Pass images=.") from error


def source_of(store: Store, images: object) -> Source:
    """Return the images of a store in the order of its rows.

    Raises:
        InputError: they are not there any more.
    """
    found, places = again(store, images, "an audit must see the images again")
    gone = [item.name for item in store.items if item.name not in places]
    if gone:
        raise InputError(f"an audit must see the images again, but {gone[0]!r} is not there. Pass images=.")
    return Ordered(found, tuple(places[item.name] for item in store.items), store.items)


def _check(store: Store, model: Model, given: Source, known: Labelled) -> None:
    """Compare the model's scores of one image with those of the store.

    Raises:
        InputError: they differ by more than rounding.
    """
    row = int(np.flatnonzero(known.done)[0])
    image, kept = image_of(model, given, row), np.asarray(store["scores"][row])
    if image.shape[1:] != store.manifest.image:
        raise InputError(
            f"the model must see images as the store has them, {store.manifest.image}, but sees {image.shape[1:]}. "
            "Load it with the input_size= and fit= of the run."
        )
    check_scores(model, image, kept[None], store.items[row].name)
