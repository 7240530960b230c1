"""The check of a map: a few metrics, their limits, and a verdict with its reason in words."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from eyeline.attribution import Attribution
from eyeline.errors import InputError, UnsupportedError
from eyeline.methods.base import Method
from eyeline.methods.checks import at_least
from eyeline.methods.progress import progress
from eyeline.metrics.again import method_of
from eyeline.metrics.agreement import SeedAgreement
from eyeline.metrics.base import Measured, enter
from eyeline.metrics.chance import ShiftTest
from eyeline.metrics.completeness import Completeness
from eyeline.metrics.limits import Limits
from eyeline.metrics.randomisation import Randomisation
from eyeline.metrics.sensitivity import MaxSensitivity
from eyeline.models.base import Model

Verdict = Literal["passed", "doubtful", "failed"]
ORDER: tuple[Verdict, ...] = ("passed", "doubtful", "failed")
LIMITS = Limits()

REASONS: dict[str, tuple[str, str, str]] = {
    "random": (
        "the map changes when the weights are randomised",
        "the map keeps part of its order when the weights are randomised",
        "the map hardly changes when the weights are randomised",
    ),
    "shift": (
        "removing what it marks costs more than removing other places",
        "removing what it marks costs little more than removing other places",
        "removing what it marks costs no more than removing other places",
    ),
    "nudge": (
        "the map holds when the image is nudged",
        "a nudge that cannot be seen changes the map by as much as it holds",
        "a nudge that cannot be seen makes an unrelated map",
    ),
    "seed": (
        "another seed gives the same map",
        "another seed gives a map that differs",
        "another seed gives another map: what is seen is mostly noise",
    ),
    "sum": (
        "its numbers add up to the change that they share out",
        "its numbers do not quite add up to the change that they share out",
        "its numbers do not add up to the change that they share out",
    ),
}
"""Test -> what is said where it is passed, doubtful, failed."""


@dataclass(frozen=True, eq=False)
class Judged:
    """One test of every map.

    Args:
        name: of the test, as in `Limits`.
        measured: what its metric found.
        verdicts: one for each image.
        reasons: in words, with the number, one for each image.
    """

    name: str
    measured: Measured
    verdicts: tuple[Verdict, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Checked:
    """The verdicts of a check, one for each image, and every test behind them.

    Args:
        verdicts: the worst of the tests.
        tests: those that ran.
        left_out: tests that could not run -> why.
        method: name of the method that made the maps.
        names: of the images.
        limits: that were applied.
    """

    verdicts: tuple[Verdict, ...]
    tests: tuple[Judged, ...]
    left_out: dict[str, str]
    method: str
    names: tuple[str, ...]
    limits: Limits = field(default_factory=Limits)

    def reasons(self, index: int = 0) -> list[str]:
        """Return why: what the tests say that are as bad as the verdict; of a map that passed, all of them."""
        return [each.reasons[index] for each in self.tests if each.verdicts[index] == self.verdicts[index]]

    def line(self, index: int = 0) -> str:
        """Say the verdict and its reasons in one line."""
        said = f"{self.method}: {self.verdicts[index]}: {'; '.join(self.reasons(index))}"
        return said + (f" (not tested: {', '.join(self.left_out)})" if self.left_out else "")

    def record(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return {
            "method": self.method,
            "images": [
                {
                    "name": name,
                    "verdict": self.verdicts[index],
                    "reasons": self.reasons(index),
                    "tests": {
                        each.name: {
                            "verdict": each.verdicts[index],
                            "value": _plain(each.measured.values[index]),
                            "unit": each.measured.unit,
                            "better": each.measured.direction,
                            "limits": list(self.limits.pair(each.name)),
                            "metric": each.measured.metric,
                            "reason": each.reasons[index],
                        }
                        for each in self.tests
                    },
                }
                for index, name in enumerate(self.names)
            ],
            "left_out": self.left_out,
        }

    def __repr__(self) -> str:
        return f"<Checked {'; '.join(self.line(index) for index in range(len(self.names)))}>"


@dataclass(frozen=True)
class Check:
    """Judge maps: randomised networks, moved copies, nudged images, other seeds, and whether their numbers add up.

    Tests that a model or a method does not allow are left out, and said to be: without gradients or copies of the
    network a map may pass that the others would fail. A verdict says what speaks against a map. It cannot say that a
    map is right.

    Args:
        stages: groups of layers that are randomised one after the other, from the last to the first.
        shifts: moved copies of the map.
        points: of each copy's deletion curve.
        nudges: nudged images.
        seeds: other seeds.
        trial_seed: of all draws.
        limits: between passed, doubtful and failed.
        method: what made the maps. None means what the result says.

    Raises:
        InputError: a setting below its least value, fewer shifts than the limit needs, a method that cannot be read
            from the result.
        Error: what the method raises on a copy of the network or a nudged image.
    """

    stages: int = 6
    shifts: int = 19
    points: int = 10
    nudges: int = 3
    seeds: int = 1
    trial_seed: int = 0
    limits: Limits = LIMITS
    method: Method | None = None

    def __post_init__(self) -> None:
        at_least(1, stages=self.stages, shifts=self.shifts, points=self.points, nudges=self.nudges, seeds=self.seeds)
        at_least(0, trial_seed=self.trial_seed)
        if 1 / (1 + self.shifts) > self.limits.shift_doubtful:
            least, limit = 1 / (1 + self.shifts), self.limits.shift_doubtful
            raise InputError(
                f"shifts must be enough for shift_doubtful={limit:g}, but {self.shifts} moved copies cannot say less "
                f"than {least:.3g}, so no map could pass. Take more, or move the limit."
            )

    def __call__(self, model: Model, attribution: Attribution) -> Checked:
        enter(model, attribution)
        method = method_of(self.method, attribution)
        tests, left_out, metrics = [], {}, self._metrics(method)
        with progress(len(metrics), "check") as advance:
            for name, make in metrics.items():
                try:
                    tests.append(_judge(name, make()(model, attribution), self.limits))
                except UnsupportedError as error:
                    left_out[name] = str(error)
                advance(1)
        worst = tuple(
            ORDER[max((ORDER.index(each.verdicts[index]) for each in tests), default=1)]
            for index in range(len(attribution.names))
        )
        method_name = str(attribution.method.get("name", "unknown"))
        return Checked(worst, tuple(tests), left_out, method_name, attribution.names, self.limits)

    def _metrics(self, method: Method) -> dict[str, Callable[[], Any]]:
        seed = self.trial_seed
        others = tuple(range(1000 + seed, 1000 + seed + self.seeds))
        return {
            "random": lambda: Randomisation(stages=self.stages, method=method, seed=seed),
            "shift": lambda: ShiftTest(self.shifts, self.points, seed=seed),
            "nudge": lambda: MaxSensitivity(samples=self.nudges, method=method, seed=seed),
            "seed": lambda: SeedAgreement(others, method),
            "sum": lambda: Completeness(),
        }


def check(model: Model, attribution: Attribution, **settings: Any) -> Checked:
    """Judge maps; a thin layer over `Check`.

    Args:
        model: that the maps are of, as `load` returned it.
        attribution: what `explain` returned.
        settings: fields of `Check`, for example stages=10.

    Returns:
        One verdict for each image, "passed", "doubtful" or "failed", with reasons in words.

    Examples:
        >>> import numpy as np, torch, eyeline
        >>> model = eyeline.load(torch.nn.Conv2d(1, 2, 8), input_size=8, head=lambda output: output.flatten(1))
        >>> image = np.random.default_rng(0).random((8, 8, 1), dtype=np.float32)
        >>> found = eyeline.check(model, eyeline.explain(model, image, window=2, stride=2))
        >>> found.verdicts[0] in ("passed", "doubtful", "failed")
        True
    """
    return Check(**settings)(model, attribution)


def _judge(name: str, found: Measured, limits: Limits) -> Judged:
    doubtful, failed = limits.pair(name)
    verdicts: list[Verdict] = []
    reasons = []
    for value in found.values:
        if found.direction == "lower":
            grade = 2 if value >= failed else 1 if value > doubtful else 0
        else:
            grade = 2 if value <= failed else 1 if value < doubtful else 0
        if np.isnan(value):
            grade = 1
        verdicts.append(ORDER[grade])
        reasons.append(f"{REASONS[name][grade]} ({found.unit} {value:.2g})")
    return Judged(name, found, tuple(verdicts), tuple(reasons))


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
