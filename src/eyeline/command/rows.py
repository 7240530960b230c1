"""A map as rows for a spreadsheet or a data frame.

Methods that cover windows or regions give one row for each, with the box around it, the others one row per pixel (and
channel). Rows of several
files can be put below each other: each says its image, its target and its unit.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from eyeline._files import cell, writing
from eyeline.attribution import Attribution
from eyeline.sweep import Sweep
from eyeline.window import AXES


def save(attribution: Attribution, path: Path) -> Path:
    """Write the table of every image; numbers with all digits of their type.

    Raises:
        InputError: the folder cannot be written.
    """
    names = AXES[attribution.images.ndim - 2]
    if attribution.sweep is not None and attribution.sweep.regions.boxes_of(0) is not None:
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
    """Yield the box of each window or region, the scalar of reference and covered image, and the contribution."""
    values = sweep.values(attribution.weights)
    perturbed = np.einsum("nwc,nc->nw", sweep.scores, attribution.weights, dtype=np.float64)
    reference = np.broadcast_to(sweep.base(attribution.weights), values.shape)
    for i in range(len(values)):
        boxes = sweep.regions.boxes_of(i)
        assert boxes is not None
        for w in np.flatnonzero((boxes[..., 0] < boxes[..., 1]).all(axis=1)):
            numbers = (reference[i, w], perturbed[i, w], values[i, w])
            yield i, [*boxes[w].ravel().tolist(), *map(float, numbers)]


def _pixels(attribution: Attribution) -> Iterator[tuple[int, list[object]]]:
    for index, value in np.ndenumerate(attribution.maps):
        yield index[0], [*index[1:], value]
