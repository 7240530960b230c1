"""Model randomisation: whether the map changes when what the network has learnt is taken from it."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from eyeline.attribution import Attribution
from eyeline.errors import InputError
from eyeline.methods.base import Method
from eyeline.methods.checks import at_least
from eyeline.methods.progress import progress
from eyeline.metrics.again import again, check_method, method_of
from eyeline.metrics.base import Direction, Measured, enter, measured
from eyeline.metrics.similarity import rank_correlation, structural_similarity
from eyeline.models.base import Model
from eyeline.models.randomised import Draw, randomised, weighted

Order = Literal["cascading", "independent"]
"""cascading: from the last layer down, what was drawn anew stays so. independent: some layers at a time, alone."""


@dataclass(frozen=True)
class Randomisation:
    """Draw weights anew on a copy of the network, from the last layer down, and compare its maps: the mean similarity.

    The similarity is Spearman's rank correlation of the map with that of the copy, for the same class; the value is its
    mean over the stages. Near 0: the map comes from what was learnt. Near 1: the picture alone, or the network's build,
    makes it. `parts["rank"]` has it stage by stage, `parts["similarity"]` the structural similarity (SSIM): maps that
    are 0 almost everywhere have a high one whatever they show, so the value goes by ranks. A constant map shares no
    order: 0, and `notes` say at which stages. A map that comes back with its sign turned is another one; with
    magnitude=True it is the same. The model itself is not touched.

    Args:
        order: "cascading" or "independent".
        stages: groups of layers: the last layer first, alone, then groups of equal number. None means every layer.
        draw: "shuffle": a tensor's values change places; "initial": as the layers start before training.
        magnitude: compare the magnitudes of the maps' numbers.
        method: what made the maps. None means what the result says.
        seed: of the draws (PCG64; torch's own for "initial").

    Raises:
        UnsupportedError: the network cannot be copied: functions, SavedModels.
        InputError: stages below 1, a method that cannot be read from the result.
        Error: what the method raises on the copy.

    References:
        Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim: Sanity Checks for Saliency Maps, NeurIPS 2018, section 3.
    """

    UNIT: ClassVar[str] = "rank correlation"
    DIRECTION: ClassVar[Direction] = "lower"
    DEFINITION: ClassVar[str] = "mean rank correlation of the map with those of the network with weights drawn anew"
    PAPER: ClassVar[str] = "Adebayo et al. 2018"

    order: Order = "cascading"
    stages: int | None = 8
    draw: Draw = "shuffle"
    magnitude: bool = False
    method: Method | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, stages=1 if self.stages is None else self.stages)
        at_least(0, seed=self.seed)
        check_method(self.method)
        for name, words in (("order", ("cascading", "independent")), ("draw", ("shuffle", "initial"))):
            if getattr(self, name) not in words:
                raise InputError(f"{name} must be {' or '.join(words)}, but got {getattr(self, name)!r}.")

    def __call__(self, model: Model, attribution: Attribution) -> Measured:
        enter(model, attribution)
        method = method_of(self.method, attribution)
        groups = grouped(weighted(model, attribution.images[:1]), self.stages)
        maps = self._seen(attribution.maps.astype(np.float64))
        ranks, similar = np.zeros((2, len(maps), len(groups)))
        even: dict[str, list[str]] = {}
        names, drawn = list[str](), list[str]()
        with progress(len(groups), "randomisation") as advance:
            for stage, group in enumerate(groups):
                drawn = drawn + group if self.order == "cascading" else group
                copy = randomised(model, drawn, self.seed, self.draw)
                others = self._seen(again(method, copy, attribution))
                for image, (one, other) in enumerate(zip(maps, others, strict=True)):
                    ranks[image, stage] = rank_correlation(one, other)
                    similar[image, stage] = structural_similarity(one, other)
                names.append(group[-1])
                for image in np.flatnonzero(np.ptp(others.reshape(len(others), -1), axis=1) == 0).tolist():
                    even.setdefault(attribution.names[image], []).append(names[-1])
                advance(1)
        return measured(
            self,
            attribution,
            ranks.mean(axis=1),
            parts={"rank": ranks, "similarity": similar},
            stages=tuple(names),
            notes=tuple(f"{name!r} has a constant map at {', '.join(stages)}" for name, stages in even.items()),
        )

    def _seen(self, maps: np.ndarray) -> np.ndarray:
        return np.abs(maps) if self.magnitude else maps


def grouped(layers: tuple[str, ...], stages: int | None) -> list[list[str]]:
    """Return the layers from the last to the first: the last one alone, then groups of about equal number."""
    order = list(reversed(layers))
    if stages is None or stages >= len(order):
        return [[each] for each in order]
    if stages == 1:
        return [order]
    return [order[:1], *(list(map(str, each)) for each in np.array_split(order[1:], stages - 1))]
