"""The limits between passed, doubtful and failed, each with where it comes from.

They were set from the definitions and the literature before any method was judged by them.
"""

from dataclasses import dataclass, fields

from eyeline.errors import InputError
from eyeline.methods.checks import within


@dataclass(frozen=True)
class Limits:
    """At which value of a metric a map becomes doubtful, and at which it fails.

    Args:
        random_doubtful: mean rank correlation with the maps of randomised networks above which a map is doubtful;
            Cohen (Statistical Power Analysis, 1988, section 3.2) calls 0.3 a medium correlation.
        random_failed: from which on it fails; Cohen calls 0.5 a large one.
        shift_doubtful: probability of the shift test above which a map is doubtful; the customary level of a test, and
            what 19 moved copies can say.
        shift_failed: from which on it fails: half of the moved copies do as well, so the place says nothing.
        nudge_doubtful: max-sensitivity above which a map is doubtful: it changes by as much as it holds.
        nudge_failed: from which on it fails: two unrelated maps of one size differ by the root of 2.
        seed_doubtful: rank correlation with another seed's map below which a map is doubtful: Cohen's large.
        seed_failed: down from which it fails, Cohen's medium: chance has more to say than the network.
        sum_doubtful: share of the change that a map's sum may be off before it is doubtful; Sundararajan et al. (2017,
            section 5) ask for as many steps as bring it within 5 %.
        sum_failed: from which on it fails: the error is as large as what is shared out.

    Raises:
        InputError: a limit that is no number, or a pair in the wrong order.
    """

    random_doubtful: float = 0.3
    random_failed: float = 0.5
    shift_doubtful: float = 0.05
    shift_failed: float = 0.5
    nudge_doubtful: float = 1.0
    nudge_failed: float = 1.414
    seed_doubtful: float = 0.5
    seed_failed: float = 0.3
    sum_doubtful: float = 0.05
    sum_failed: float = 1.0

    def __post_init__(self) -> None:
        for field in fields(self):
            within(field.name, getattr(self, field.name), closed=True)
        for name in ("random", "shift", "nudge", "seed", "sum"):
            doubtful, failed = self.pair(name)
            if (doubtful > failed) != (name == "seed") and doubtful != failed:
                raise InputError(
                    f"{name}_failed must lie beyond {name}_doubtful, but got {failed:g} and {doubtful:g}. "
                    "Leave one of them out."
                )

    def pair(self, name: str) -> tuple[float, float]:
        """Return the limits of one test: doubtful, failed."""
        return getattr(self, f"{name}_doubtful"), getattr(self, f"{name}_failed")
