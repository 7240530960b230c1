"""What a gate measures, limit by limit."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from eyeline.audit import audit, outside
from eyeline.audit.changed import check_scores
from eyeline.dataset.order import again
from eyeline.dataset.rows import best_classes
from eyeline.dataset.store import DONE, Store
from eyeline.errors import InputError
from eyeline.gate.difference import Difference
from eyeline.gate.kept import Kept, at_most
from eyeline.gate.labels import columns
from eyeline.gate.limits import GateLimits
from eyeline.gate.shown import SEEN, attribution
from eyeline.methods.progress import progress
from eyeline.metrics.check import Check
from eyeline.models.base import Model


@dataclass(frozen=True, eq=False)
class Measuring:
    """What a gate measures on.

    Args:
        store: whose maps are held to the limits.
        limits: that were given.
        region: where evidence belongs.
        model: that made the store.
        difference: from the other store.
        images: where the images are, if not where they were.
        sample: images that are drawn for the check.
        seed: of the draw, and of the audit.
        check: how the drawn maps are judged.
    """

    store: Store
    limits: GateLimits
    region: object
    model: Model | None
    difference: Difference | None
    images: object
    sample: int
    seed: int
    check: Check

    def __call__(self) -> Iterator[Kept]:
        """Measure every limit."""
        given = self.limits.given()
        yield self._refused()
        if {"most_outside", "most_mean_outside"} & given.keys():
            yield from self._outside(given)
        if "least_accuracy" in given:
            yield self._accuracy(given["least_accuracy"])
        if self.difference is not None:
            yield from self._difference(self.difference, given)
        if {"most_failed", "most_doubtful"} & given.keys():
            yield from self._checked(given)
        if "most_shortcuts" in given:
            assert self.model is not None
            found = audit(self.store, self.model, images=self.images, seed=self.seed).shortcuts
            named = tuple(f"{each.label} ({len(each.rows)} images)" for each in found)
            yield at_most(
                "most_shortcuts", "shortcuts that the audit found", len(found), given["most_shortcuts"], named
            )

    def _refused(self) -> Kept:
        said = self.store.sentences()
        count, names = len(self.store.items), tuple(self.store.items[row].name for row in said)
        limit = self.limits.most_refused or 0.0
        return at_most("most_refused", f"share of {count} images that were refused", len(said) / count, limit, names)

    def _outside(self, given: dict[str, float]) -> Iterator[Kept]:
        rows = np.flatnonzero(self.store.status == DONE)
        shares = np.nan_to_num(outside(self.store, self.region)[rows], nan=1.0)
        order = np.argsort(-shares, kind="stable")
        named = [f"{self.store.items[rows[place]].name} ({shares[place]:.2f})" for place in order]
        if "most_outside" in given:
            limit, over = given["most_outside"], int((shares > given["most_outside"]).sum())
            what = f"share of {len(rows)} images with more than {limit:g} of their evidence outside the region"
            yield at_most("most_outside", what, over / len(rows), self.limits.most_share or 0.0, tuple(named[:over]))
        if "most_mean_outside" in given:
            what = f"share of the evidence outside the region, mean over {len(rows)} images"
            limit, over = given["most_mean_outside"], int((shares > given["most_mean_outside"]).sum())
            yield at_most("most_mean_outside", what, float(shares.mean()), limit, tuple(named[:over]))

    def _accuracy(self, limit: float) -> Kept:
        rows = np.flatnonzero(self.store.status == DONE)
        known = columns(self.store)[rows]
        rows, known = rows[known >= 0], known[known >= 0]
        if not len(rows):
            raise InputError("least_accuracy must have labels, but no image of the store has one. Leave it out.")
        right = best_classes(self.store)[rows] == known
        wrong = tuple(self.store.items[row].name for row in rows[~right])
        share = float(right.mean())
        what = f"share of {len(rows)} labelled images that are right"
        return Kept("least_accuracy", what, share, limit, share >= limit, wrong)

    def _difference(self, found: Difference, given: dict[str, float]) -> Iterator[Kept]:
        table, count = found.table, len(found)
        names, words = table["image"], table["prediction"].astype(str)
        both, left_out = count + len(found.left_out), tuple(f"{k} ({why})" for k, why in found.left_out.items())
        what = f"share of {both} images that cannot be compared"
        yield at_most("most_left_out", what, len(left_out) / both, self.limits.most_left_out or 0.0, left_out)
        if "most_changed" in given:
            what = f"share of {count} images whose best class changed"
            named = tuple(names[words != "kept"])
            yield at_most("most_changed", what, found.changed / count, given["most_changed"], named)
        if {"most_lost", "most_accuracy_lost"} & given.keys() and not found.labelled:
            raise InputError("most_lost and most_accuracy_lost must have labels, but no image has one. Leave them out.")
        lost = tuple(names[words == "lost"])
        if "most_lost" in given:
            what = f"share of {found.labelled} labelled images that were right and are wrong"
            yield at_most("most_lost", what, len(lost) / found.labelled, given["most_lost"], lost)
        if "most_accuracy_lost" in given:
            what = f"accuracy lost, over {found.labelled} labelled images"
            fallen = found.accuracy[0] - found.accuracy[1]
            yield at_most("most_accuracy_lost", what, fallen, given["most_accuracy_lost"], lost)
        if "most_moved" in given:
            what, limit = f"share of the evidence that moved, mean over {count} images", given["most_moved"]
            shares = np.nan_to_num(table["moved"], nan=1.0)
            order = [place for place in np.argsort(-shares, kind="stable") if shares[place] > limit]
            named = tuple(f"{names[place]} ({shares[place]:.2f})" for place in order)
            yield at_most("most_moved", what, float(shares.mean()), limit, named)

    def _checked(self, given: dict[str, float]) -> Iterator[Kept]:
        assert self.model is not None
        rows = np.flatnonzero(self.store.status == DONE)
        drawn = np.sort(np.random.default_rng(self.seed).permutation(rows)[: self.sample])
        source, _ = again(self.store, self.images, SEEN)
        verdicts: dict[str, str] = {}
        with progress(len(drawn), "gate") as advance:
            for row in drawn:
                found = attribution(self.store, [int(row)], source)
                check_scores(self.model, found.images, found.scores, found.names[0])
                checked = self.check(self.model, found)
                verdicts[f"{found.names[0]} ({'; '.join(checked.reasons())})"] = checked.verdicts[0]
                advance(1)
        for name, words in (("most_failed", ("failed",)), ("most_doubtful", ("failed", "doubtful"))):
            if name in given:
                named = tuple(said for said, verdict in verdicts.items() if verdict in words)
                what = f"share of {len(drawn)} drawn images whose map {'is ' if len(words) > 1 else ''}"
                what += "doubtful or failed" if len(words) > 1 else "failed"
                yield at_most(name, what, len(named) / len(drawn), given[name], named)
