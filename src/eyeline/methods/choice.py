"""Which path a sweep takes where nobody said: the one that is expected to end first, whatever it has to prepare.

The full path starts at once and in order, so what it costs is measured, not guessed, and a sweep that it ends has the
numbers of one that it ran alone. An engine is made only where what it saves, foreseen with a margin, is more than what
it costs: in this sweep, or, many short sweeps of one model considered, in the sweeps so far.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from eyeline.errors import MissingDependencyError, OutOfMemoryError, UnsupportedError
from eyeline.methods import trials
from eyeline.methods.covered import Covered
from eyeline.methods.kept import Kept, work
from eyeline.methods.paths import Full, Path
from eyeline.methods.trials import TRIED
from eyeline.models.base import Traceable

BRIEF = 0.25
"""Seconds of a sweep under which nothing is weighed: even that would cost a share of it."""

COMPILE, SAVED = 1.0, 0.15
"""Seconds that OpenVINO takes to compile a network, and the share of the full path's time that it saves at least."""

MARGIN = 1.3
"""What is foreseen must pay this many times over: a forecast errs."""

HARMLESS = 0.025
"""Share of the full path's time that reading the network may cost whatever is found, and timing other paths again."""

PILOT, FIRST = 0.2, 256
"""Seconds of the full path, and the most positions, from which its speed is read."""

LITTLE, MUCH = 0.3, 0.95
"""Shares of the full multiply-adds: under the first the engine is taken untried, over the other it is not."""

SHORT, SOONER = 50, 0.95
"""Of so many positions one may be a trial; the share of the full path's time that another path must beat."""


@dataclass
class Choice:
    """Chooses for one sweep.

    Args:
        model: whose graph can be read.
        kept: what is remembered of it.
        covered: the sweep.
        full: its full path, of which some positions may be done.
        clean_seconds: of one image with nothing covered.
        verify: positions that are run in full whatever the path.
        ran: takes what is found, for the provenance.
    """

    model: Traceable
    kept: Kept
    covered: Covered
    full: Full
    clean_seconds: float
    verify: int
    ran: dict[str, Any]

    def __call__(self) -> Path:
        """Return the path, with an engine in `kept` where it is needed, and the reason in `ran`."""
        if self.kept.refused:
            return self._full(self.kept.refused)
        try:
            doubt = self._doubt() if self.kept.graph is None else ""
            return self._full(doubt) if doubt else self._soonest()
        except (UnsupportedError, MissingDependencyError, OutOfMemoryError) as error:
            self.kept.refuse(self.model, str(error))
            return self._full(str(error))

    def _full(self, why: str) -> Path:
        self.ran["why"] = why
        return "full"

    def _doubt(self) -> str:
        """Return why no engine should be made, or ""; runs a few positions in full where that is in question."""
        spent = self.kept.spent
        if max(self.clean_seconds * self.covered.total, spent) < BRIEF:
            return "a short sweep"
        setup = self.kept.setup(self.model)
        short = f"a short sweep, and an engine takes about {setup:.1f} s to make"
        if max(self.clean_seconds * self.covered.total, spent) < setup:
            return short
        self._pilot()
        positions = int(np.count_nonzero(~self.full.done))
        left = self.full.rate * positions
        if setup <= HARMLESS * left:
            return ""
        worth = max(left / MARGIN, spent)
        if worth < setup or (positions < SHORT and spent < setup):  # to estimate the share takes two to three positions
            return short
        share = self.kept.share(self.model, self.covered)
        if (1 - share) * worth > setup or self._compiles(worth - setup / SAVED):
            return ""
        return f"about {share:.0%} of the multiply-adds would remain"

    def _compiles(self, worth: float) -> bool:
        """Say whether what OpenVINO saves of so many seconds is more than what compiling takes, where it is there."""
        return SAVED * worth > COMPILE and bool(find_spec("openvino"))

    def _pilot(self) -> None:
        """Run the first positions, in order, as the full path would, until its speed is known."""
        for _ in self.full.run(np.arange(min(self.covered.total, FIRST))):
            if self.full.seconds > PILOT:
                break

    def _soonest(self) -> Path:
        """Compare what the paths would take, and time them where the numbers of operations do not tell."""
        self.ran |= work(self.kept.plan(self.model, self.covered.boxes))
        share: float = self.ran["multiply_adds"]
        rate = min(self.full.rate, self.kept.rates.get("full", self.clean_seconds))
        left = int(np.count_nonzero(~self.full.done))
        once = len(self.covered.ground) * self.clean_seconds  # the engine, too, runs each image itself
        once += self.verify * rate
        rates: dict[Path, float] = {"full": rate}
        if share <= MUCH:
            known = self.kept.rates.get("incremental")
            if known is None and (share > LITTLE or "uncounted" in self.ran) and left >= SHORT:
                known = trials.windows(self.model, self.kept, self.covered, min(left // SHORT, TRIED)) / share
            known = rate if known is None else known
            rates["incremental"] = known * share + once / self.covered.total
        if share > LITTLE:
            rates |= self._whole(rate, left)
        best = min(rates, key=lambda path: rates[path])
        said = ", ".join(f"{name} {1000 * each:.3g}" for name, each in rates.items())
        if best == "full" or rates[best] * self.covered.total > SOONER * rate * left:
            why = f"{share:.0%} of the multiply-adds would remain; milliseconds a position: {said}"
            self.kept.settle(self.covered, why, rate * left)
            return self._full(why)
        if best in ("incremental", "folded"):
            self.kept.make(self.model)
        self.ran["why"] = f"milliseconds a position, foreseen: {said}"
        return best

    def _whole(self, rate: float, left: int) -> dict[Path, float]:
        """Return the seconds a position of other ways to run the whole network, as far as trying them is harmless."""
        ways: tuple[Path, ...] = ("folded", "openvino")
        found = {path: self.kept.rates[path] for path in ways if path in self.kept.rates}
        count = min(left // (2 * SHORT), TRIED)
        room = HARMLESS * max(rate * left, self.kept.spent) - 2 * (1 + count) * rate if count else 0.0
        try:
            if "folded" not in found and room > 0:
                engine = self.kept.make(self.model)
                found["folded"] = trials.passes(self.model, engine.whole, self.covered, count)
            worth = max(rate * left / MARGIN, self.kept.spent) if count else 0.0
            if "openvino" not in found and self._compiles(worth):
                run = self.kept.compile(self.model)
                found["openvino"] = trials.passes(self.model, run, self.covered, count)
        except (UnsupportedError, OutOfMemoryError) as error:
            self.ran["untried"] = str(error)
        self.kept.rates |= found
        return found
