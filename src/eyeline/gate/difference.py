"""What changed between two checkpoints of a model, image by image: two stores of the same images, compared."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from eyeline import target as targets
from eyeline.audit.evidence import outside
from eyeline.dataset.rows import Table, at_once, over_channels
from eyeline.dataset.store import Store
from eyeline.errors import InputError
from eyeline.gate.labels import columns
from eyeline.gate.pairs import paired
from eyeline.metrics.similarity import distance, moved, rank_correlation

WORDS = ("image", "label", "predicted_a", "predicted_b", "prediction", "target")
NUMBERS = ("row", "value_a", "value_b", "change", "distance", "moved", "rank")


@dataclass(frozen=True, eq=False)
class Difference:
    """Two stores, image by image.

    Args:
        table: columns of one length. row, image, label: of the first store. predicted_a, predicted_b: best class of
            each model. prediction: "kept"; "lost", right before and wrong now; "won", wrong before and right now;
            "other", a change between classes of which none is known to be right. target: the class that both maps
            explain, in words. value_a, value_b: its score; change: the second minus the first. distance: of the maps,
            0 to 1, and rank: their rank correlation; moved: share of the positive evidence that lies elsewhere, 0 to 1
            (see `metrics.similarity`). outside_a, outside_b: share of the positive evidence outside the region, where
            one was given. NaN where a map has nothing to compare.
        accuracy: share of the labelled images whose best class is their label, of each model; NaN without labels.
        labelled: images that the accuracy is of.
        left_out: images that were not compared -> why.
        unit: of value_a, value_b and change.
    """

    table: Table
    accuracy: tuple[float, float]
    labelled: int
    left_out: dict[str, str]
    unit: str

    def __len__(self) -> int:
        return len(self.table["row"])

    def count(self, *predictions: str) -> int:
        """Return how many images have one of these in the column `prediction`."""
        return int(np.isin(self.table["prediction"].astype(str), predictions).sum())

    @property
    def changed(self) -> int:
        """Return how many images have another best class."""
        return len(self) - self.count("kept")

    def lines(self) -> list[str]:
        """Say it in a few lines."""
        said = [f"{len(self)} images compared"]
        said[0] += f", {len(self.left_out)} left out" if self.left_out else ""
        if self.labelled:
            said.append(
                f"accuracy {self.accuracy[0]:.1%} -> {self.accuracy[1]:.1%}, of {self.labelled} labelled images"
            )
        parts = ((self.count("lost"), "right before and wrong now"), (self.count("won"), "wrong before and right now"))
        told = ", ".join(f"{number} {words}" for number, words in parts) if self.labelled else "no labels"
        said.append(f"{self.changed} predictions changed ({self.changed / len(self):.1%}): {told}")
        for name, words in (
            ("distance", "distance of the maps, 0 the same to 1"),
            ("moved", "share of the positive evidence that moved"),
            ("outside_a", "evidence outside the region before"),
            ("outside_b", "evidence outside the region now"),
        ):
            if name in self.table:
                said.append(_summary(self.table[name], words))
        return said


def diff(a: Store, b: Store, *, region: object = None) -> Difference:
    """Compare the maps and the predictions of two checkpoints over the same images.

    Both stores explain the same class of each image, as `twice` makes them, or runs with `target="label"`. Maps are
    read some at a time, so that stores of any size can be compared.

    Args:
        a: an open store of the first model.
        b: one of the second, by the same method.
        region: where evidence belongs, as for `eyeline.audit.outside`; None leaves that out.

    Returns:
        One row for each image that both have, in the order of the first store.

    Raises:
        InputError: stores of other methods, image sizes or classes; another class explained; no image in common; a
            region that does not fit.

    Examples:
        >>> import numpy as np, tempfile, eyeline
        >>> from eyeline.gate import diff, twice
        >>> images, half = np.ones((3, 4, 4, 1), dtype=np.float32), lambda images: images[:, :2].sum(axis=(1, 2))
        >>> method = eyeline.Occlusion(window=2, stride=2, baseline=eyeline.Constant(0))
        >>> settings = {"method": method, "input_size": 4}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     stores = twice(half, lambda images: half(images[:, ::-1]), images, folder, **settings)
        ...     diff(*stores).table["moved"].tolist()
        [1.0, 1.0, 1.0]
    """
    found = paired(a, b)
    known = columns(a)
    pieces = [_block(a, b, np.array(rows), known) for rows in _parts(a, found.rows)]
    table: Table = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    rows = np.array(found.rows)
    if region is not None:
        of_b = np.asarray(region)
        if of_b.ndim == len(b.manifest.image):  # one region a row of the first store
            of_b = np.zeros((len(b.items), *of_b.shape[1:]), dtype=bool)
            of_b[rows[:, 1]] = np.asarray(region)[rows[:, 0]]
        table["outside_a"] = outside(a, region)[rows[:, 0]]
        table["outside_b"] = outside(b, of_b if of_b.ndim else region)[rows[:, 1]]
    labelled = known[rows[:, 0]] >= 0
    right = [table.pop(name)[labelled] for name in ("right_a", "right_b")]
    accuracy = tuple(float(each.mean()) if labelled.any() else float("nan") for each in right)
    return Difference(table, (accuracy[0], accuracy[1]), int(labelled.sum()), found.left_out, a.manifest.unit)


def _parts(a: Store, rows: tuple[tuple[int, int], ...]) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield some rows at a time, whose maps take little memory."""
    step = at_once(a)
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def _block(a: Store, b: Store, rows: np.ndarray, known: np.ndarray) -> Table:
    places = rows[:, 0], rows[:, 1]
    read = {
        name: [np.asarray(store[name].oindex[row]) for store, row in zip((a, b), places, strict=True)]
        for name in ("maps", "scores", "weights")
    }
    classes = a.manifest.classes or b.manifest.classes
    items = [a.items[row] for row in places[0]]
    _check_targets(read["weights"], [item.name for item in items], classes)
    best = [scores.argmax(axis=1) for scores in read["scores"]]
    values = [np.einsum("nc,nc->n", scores, read["weights"][0], dtype=np.float64) for scores in read["scores"]]
    maps = [over_channels(a, each) for each in read["maps"]]
    own = known[places[0]]
    named = [[targets.name(int(each), classes) for each in column] for column in best]
    prediction = [_prediction(*each) for each in zip(best[0], best[1], own, strict=True)]
    words = (
        [item.name for item in items], [item.label for item in items], *named, prediction,
        targets.describe(read["weights"][0], classes),
    )  # fmt: skip
    alike = [[measure(*pair) for pair in zip(*maps, strict=True)] for measure in (distance, moved, _rank)]
    numbers = (places[0], *values, values[1] - values[0], *alike)
    table: dict[str, Any] = {name: np.array(each, dtype=object) for name, each in zip(WORDS, words, strict=True)}
    table |= {name: np.asarray(each) for name, each in zip(NUMBERS, numbers, strict=True)}
    return {**table, "right_a": best[0] == own, "right_b": best[1] == own}


def _rank(one: np.ndarray, other: np.ndarray) -> float:
    """Return the rank correlation, NaN where a map is constant."""
    return rank_correlation(one, other) if np.ptp(one) and np.ptp(other) else float("nan")


def _prediction(before: int, now: int, label: int) -> str:
    if before == now:
        return "kept"
    return "lost" if before == label else "won" if now == label else "other"


def _check_targets(weights: list[np.ndarray], names: list[str], classes: tuple[str, ...] | None) -> None:
    other = np.flatnonzero((weights[0] != weights[1]).any(axis=1))
    if len(other):
        said = [targets.describe(each[other[:1]], classes)[0] for each in weights]
        raise InputError(
            f"both stores must explain the same class of each image, but of {names[other[0]]!r} the first explains "
            f"{said[0]!r} and the second {said[1]!r}. Run both with --target label, or pass the models."
        )


def _summary(values: np.ndarray, words: str) -> str:
    there = values[np.isfinite(values)]
    if not len(there):
        return f"{words}: no image says"
    blank = f"; {len(values) - len(there)} images do not say" if len(there) < len(values) else ""
    return f"{words}: mean {there.mean():.3g}, median {np.median(there):.3g}, largest {there.max():.3g}{blank}"
