"""Completeness: whether a map's numbers add up to the change that they are shares of."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from eyeline.attribution import Attribution
from eyeline.baseline import Baseline
from eyeline.errors import InputError, UnsupportedError
from eyeline.methods.batches import Batches
from eyeline.methods.checks import baseline_of
from eyeline.metrics.base import Direction, Measured, Scalar, enter, flat, measured
from eyeline.models.base import Model

ADDING = (None, "sum")
"""Values of a method's `channels` that leave a map's sum as it is."""


@dataclass(frozen=True)
class Completeness:
    """Compare the map's sum with the change of s that it shares out: `|sum of a - (s(x) - s(x'))| / |s(x) - s(x')|`.

    0: nothing is lost. Only methods that promise it are measured: integrated gradients and its kin. Their own account
    is taken, made before channels are reduced; with a baseline the map is added up and s is run on it.
    `parts["error"]` is the difference with its sign, in the unit of s.

    Args:
        baseline: x'. None means what the method itself measured.
        batch: images a pass. None means measured within the memory budget.
        memory: budget in mebibytes that the process may grow by while a batch runs.

    Raises:
        UnsupportedError: the method does not promise it, and no baseline is given.
        InputError: channels were reduced otherwise than by their sum, so that the map cannot be added up.

    References:
        Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks, ICML 2017, proposition 1 and section 5.
    """

    UNIT: ClassVar[str] = "share of the change"
    DIRECTION: ClassVar[Direction] = "lower"
    DEFINITION: ClassVar[str] = "what the map's sum is off the change from the baseline, as a share of that change"
    PAPER: ClassVar[str] = "Sundararajan et al. 2017"

    baseline: Baseline | None = None
    batch: int | None = None
    memory: int = 1024

    def __call__(self, model: Model, attribution: Attribution) -> Measured:
        enter(model, attribution)
        if self.baseline is None:
            account = attribution.provenance.get("completeness")
            if account is None:
                raise UnsupportedError(
                    f"the method must promise that its maps add up, but {attribution.method.get('name')!r} does not. "
                    "Pass baseline=, or leave this metric out."
                )
            change, error = np.array(account["change"]), np.array(account["error"])
        else:
            change, error = self._account(model, attribution, self.baseline)
        values = np.divide(np.abs(error), np.abs(change), out=np.full(len(change), np.nan), where=change != 0)
        still = tuple(
            f"s of {name!r} does not change" for name, each in zip(attribution.names, change, strict=True) if not each
        )
        return measured(self, attribution, values, parts={"error": error, "change": change}, notes=still)

    def _account(self, model: Model, attribution: Attribution, baseline: Baseline) -> tuple[np.ndarray, np.ndarray]:
        channels = attribution.method.get("channels")
        if channels not in ADDING:
            raise InputError(
                f"channels must be summed for a map's sum, but these were reduced by {channels!r}. "
                "Make the map with channels='sum'."
            )
        covered = baseline_of(baseline, attribution.images)
        scalar = Scalar(model, attribution, Batches(self.batch, self.memory))
        change = scalar.clean() - scalar(lambda k: (k, covered[k]), len(covered), "baseline")
        return change, flat(attribution).sum(axis=1) - change
