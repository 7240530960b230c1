"""A map as rows for a spreadsheet or a data frame.

Methods that keep a sweep give one row per window, the others one row per pixel (and channel). Rows of several
files can be put below each other: each says its image, its target and its unit.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from eyeline._files import cell, writing
from eyeline.attribution import Attribution, Sweep
from eyeline.window import AXES


def save(attribution: Attribution, path: Path) -> Path:
    """Write the table of every image; numbers with all digits of their type.

    Raises:
        InputError: the folder cannot be written.
    """
    names = AXES[attribution.images.ndim - 2]
    if attribution.sweep is not None:
        spans = [f"{name}_{end}" for name in names for end in ("start", "stop")]
        header, rows = [*spans, "reference", "perturbed", "value"], _windows(attribution, attribution.sweep)
    else:
        deep = attribution.maps.ndim > attribution.images.ndim - 1
        header, rows = [*names, *(["channel"] if deep else []), "value"], _pixels(attribution)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["image", "target", "unit", *header])
    for i, row in rows:
        table.writerow([cell(attribution.names[i]), cell(attribution.targets[i]), attribution.unit, *row])
    with writing(path) as file:
        file.write(text.getvalue().encode("utf-8", "surrogateescape"))
    return path


def _windows(attribution: Attribution, sweep: Sweep) -> Iterator[tuple[int, list[object]]]:
    """Yield the box, the explained scalar of the reference and of the perturbed image, and the contribution."""
    values = sweep.values(attribution.weights)
    perturbed = np.einsum("nwc,nc->nw", sweep.scores, attribution.weights, dtype=np.float64)
    reference = np.einsum("nc,nc->n", sweep.reference, attribution.weights, dtype=np.float64)
    for i in range(len(values)):
        for w, box in enumerate(sweep.boxes):
            yield i, [*box.ravel().tolist(), float(reference[i]), float(perturbed[i, w]), float(values[i, w])]


def _pixels(attribution: Attribution) -> Iterator[tuple[int, list[object]]]:
    for index, value in np.ndenumerate(attribution.maps):
        yield index[0], [*index[1:], value]
