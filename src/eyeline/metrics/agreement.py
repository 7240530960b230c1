"""Agreement: whether the map holds with another seed, or another baseline."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from eyeline.attribution import Attribution
from eyeline.baseline import Baseline, Blur, Constant, Mean
from eyeline.errors import InputError, UnsupportedError
from eyeline.methods.base import Method
from eyeline.methods.checks import at_least
from eyeline.methods.inner import having, replaced
from eyeline.methods.progress import progress
from eyeline.metrics.again import again, check_method, method_of
from eyeline.metrics.base import Direction, Measured, enter, measured
from eyeline.metrics.similarity import rank_correlation
from eyeline.models.base import Model

BASELINES = (Constant(0), Mean(), Blur())


@dataclass(frozen=True)
class SeedAgreement:
    """Make the map again with other seeds: the mean rank correlation with the map as it is.

    1: chance plays no part. Near 0: what is seen is noise, and more samples are needed. Higher is better.

    Args:
        seeds: others than the map's own.
        method: what made the maps. None means what the result says.

    Raises:
        UnsupportedError: the method, and the one it wraps, has no seed.
        InputError: no seeds, or only the map's own.
        Error: what the method raises.
    """

    UNIT: ClassVar[str] = "rank correlation"
    DIRECTION: ClassVar[Direction] = "higher"
    DEFINITION: ClassVar[str] = "mean rank correlation of the map with those of other seeds"
    PAPER: ClassVar[str] = "Spearman 1904 (the correlation)"

    seeds: tuple[int, ...] = (101, 102, 103)
    method: Method | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "seeds", tuple(self.seeds))
        for each in self.seeds:
            at_least(0, seeds=each)
        check_method(self.method)

    def __call__(self, model: Model, attribution: Attribution) -> Measured:
        return _agreement(self, model, attribution, "seed", self.seeds)


@dataclass(frozen=True)
class BaselineAgreement:
    """Make the map again with other baselines: the mean rank correlation with the map as it is.

    Near 1: what the map says does not hang on what the pixels are compared with. A low value does not make the map
    wrong: it answers "compared with this baseline", and another one is another question. Higher is better.

    The method of this name, `eyeline.BaselineAgreement`, makes a map, the mean over baselines; this is a number.

    Args:
        baselines: others than the map's own, which is passed over.
        method: what made the maps. None means what the result says.

    Raises:
        UnsupportedError: the method, and the one it wraps, has no baseline.
        InputError: no other baselines.
        Error: what the method raises.

    References:
        Sturmfels, Lundberg, Lee: Visualizing the Impact of Feature Attribution Baselines, Distill 2020.
    """

    UNIT: ClassVar[str] = "rank correlation"
    DIRECTION: ClassVar[Direction] = "higher"
    DEFINITION: ClassVar[str] = "mean rank correlation of the map with those of other baselines"
    PAPER: ClassVar[str] = "Sturmfels et al. 2020"

    baselines: tuple[Baseline, ...] = BASELINES
    method: Method | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "baselines", tuple(self.baselines))
        check_method(self.method)

    def __call__(self, model: Model, attribution: Attribution) -> Measured:
        return _agreement(self, model, attribution, "baseline", self.baselines)


def _agreement(metric: Any, model: Model, attribution: Attribution, name: str, others: Sequence[object]) -> Measured:
    enter(model, attribution)
    method = method_of(metric.method, attribution)
    owner = having(method, name)
    if owner is None:
        raise UnsupportedError(
            f"the method must have a {name} to be made again with another, but {attribution.method.get('name')!r} has "
            "none. Leave this metric out."
        )
    rest = [each for each in others if each != getattr(owner, name)]
    if not rest:
        raise InputError(f"{name}s must hold another than the map's own, but got {others!r}. Leave it out.")
    found = np.zeros((len(attribution.maps), len(rest)))
    with progress(len(rest), type(metric).__name__.lower()) as advance:
        for column, each in enumerate(rest):
            maps = again(replaced(method, name, each), model, attribution)
            for row, (one, other) in enumerate(zip(attribution.maps, maps, strict=True)):
                found[row, column] = rank_correlation(one, other)
            advance(1)
    return measured(metric, attribution, found.mean(axis=1), parts={"rank": found}, stages=tuple(map(repr, rest)))
