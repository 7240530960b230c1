"""Mean maps of the classes of a store: where, on the whole, a class's evidence lies."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from eyeline.audit.labelled import labelled
from eyeline.dataset.rows import blocks
from eyeline.dataset.store import Store

Mean = Float[np.ndarray, "*space"]


@dataclass(frozen=True, eq=False)
class MeanMaps:
    """The mean over the maps of one class, in the maps' own unit.

    Args:
        label: the class.
        right: mean over images whose best class is their label; None where there is none.
        wrong: mean over the others; None where there is none.
        counts: images of `right` and of `wrong`.
    """

    label: str
    right: Mean | None
    wrong: Mean | None
    counts: tuple[int, int]

    @property
    def all(self) -> Mean:
        """The mean over all images of the class."""
        sums = [each * n for each, n in zip((self.right, self.wrong), self.counts, strict=True) if each is not None]
        return np.asarray(sum(sums) / sum(self.counts))


def mean_maps(store: Store) -> dict[str, MeanMaps]:
    """Return the mean maps of every class, read some rows at a time.

    `M_c(p) = mean over the images of class c of A(p)`, also over those that are right and those that are wrong. All
    maps of a store have one shape; maps over the image's channels are summed over them first. What the maps explain is
    the run's target: with `target="label"` positive numbers speak for the class.

    Args:
        store: of `run`, with labels.

    Raises:
        InputError: no image has a label, or one is no class of the model.

    Examples:
        >>> import numpy as np, tempfile, torch, eyeline
        >>> images, labels = np.random.default_rng(0).random((4, 2, 2, 1), dtype=np.float32), ["0", "1", "0", "1"]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     words = {"labels": labels, "input_size": (2, 2)}
        ...     store = eyeline.run(torch.nn.Flatten(), images, f"{folder}/m", eyeline.Gradient(), "label", **words)
        ...     mean_maps(store)["1"].all.tolist()
        [[0.0, 1.0], [0.0, 0.0]]
    """
    known = labelled(store)
    size = store.manifest.image[:-1]
    sums = {label: np.zeros((2, *size)) for label in known.classes}
    counts = {label: [0, 0] for label in known.classes}
    right = known.right
    for start, stop, maps in blocks(store):
        for label in set(known.labels[start:stop][known.done[start:stop]]):
            own = known.done[start:stop] & (known.labels[start:stop] == label)
            for which, fine in enumerate((own & right[start:stop], own & ~right[start:stop])):
                sums[label][which] += maps[fine].sum(axis=0, dtype=np.float64)
                counts[label][which] += int(fine.sum())
    return {label: _mean(label, sums[label], counts[label]) for label in known.classes}


def _mean(label: str, sums: np.ndarray, counts: list[int]) -> MeanMaps:
    right, wrong = (total / n if n else None for total, n in zip(sums, counts, strict=True))
    return MeanMaps(label, right, wrong, (counts[0], counts[1]))
