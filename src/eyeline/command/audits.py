"""What `eyeline audit` says: shortcuts of each class, evidence outside a region, images right for the wrong reason."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from eyeline import dataset
from eyeline._files import writing
from eyeline.audit import Audit, Finding, audit
from eyeline.audit.pages import page
from eyeline.command.data_settings import Auditing
from eyeline.command.regions import region
from eyeline.dataset.store import Store
from eyeline.errors import InputError
from eyeline.models.base import Model

Say = Callable[[str], None]

STABLE = 0.8
"""Stability from which on the clusters of a class are told: they come back, so they are worth a look."""


def run(path: str, model: Model, auditing: Auditing, say: Say) -> int:
    """Audit a store, say what was found, and return the exit code: 1 where there is a shortcut, else 0.

    Raises:
        InputError: no store, no labels, images that are gone, a region that cannot be, a file that cannot be written.
    """
    store, out = dataset.open_store(path), auditing.out
    if out is not None and out.suffix.lower() not in (".json", ".html", ".htm"):
        raise InputError(f"--out must end in .html or .json, but got {out.name!r}. Choose one.")
    within = region(auditing.region, store.manifest.image[:-1])
    # The file is opened first: minutes of work are not lost to a folder that cannot be written.
    with nullcontext() if out is None else writing(out) as file:
        found = audit(
            store, model, region=within, images=auditing.images, seed=auditing.seed, baseline=auditing.baseline
        )
        _tell(found, store, auditing.limit, say)
        if file is not None and out is not None:
            text = (
                json.dumps(_plain(found, store), indent=1)
                if out.suffix.lower() == ".json"
                else page(found, store, model, images=auditing.images)
            )
            file.write(text.encode())
    if out is not None:
        say(f"-> {out}")
    return 1 if found.shortcuts else 0


def _tell(found: Audit, store: Store, limit: int, say: Say) -> None:
    """Say what was found, worst first."""
    say(f"{found.accuracy:.1%} of the labelled images are right; {len(found.shortcuts)} shortcuts")
    for finding in found.findings:
        if finding.is_shortcut or finding is found.findings[0]:
            say(str(finding))
            say(f"  {_names(store, finding.rows, limit)}")
    for each in found.clusters:
        if each.count > 1 and each.stability >= STABLE:
            say(f"{each.label}: maps in {each.count} clusters, stability {each.stability:.2f}")
    if found.outside is not None:
        share = float(np.nanmean(found.outside))
        say(f"{share:.1%} of the evidence lies outside the region, mean over images; most, of those that are right:")
        for row in found.wrong_reason[:limit]:
            say(f"  {store.items[row].name}: {found.outside[row]:.1%}")
    if found.skipped:
        say(f"too few images to compare: {', '.join(found.skipped)}")


def _names(store: Store, rows: tuple[int, ...], limit: int) -> str:
    names = ", ".join(store.items[row].name for row in rows[:limit])
    return names + (f" and {len(rows) - limit} more" if len(rows) > limit else "")


def _plain(found: Audit, store: Store) -> dict[str, Any]:
    """Write an audit as JSON can hold it."""
    return {
        "accuracy": found.accuracy,
        "findings": [
            {
                "class": each.label, "shortcut": each.is_shortcut,
                "images": [store.items[row].name for row in each.rows],
                "share_of_class": each.share, "separation": each.separation, "found_by": each.found_by,
                "stability": each.stability, "turned": each.turned, "turned_by_opposite": each.opposite,
                "right": list(each.kept), "right_covered": _covered(each),
                "pixels": np.argwhere(each.region).tolist(),
            }
            for each in found.findings
        ],
        "outside": None if found.outside is None else [None if np.isnan(v) else float(v) for v in found.outside],
        "right_for_the_wrong_reason": [store.items[row].name for row in found.wrong_reason],
        "clusters": [
            {
                "class": each.label, "images": [len(each.of(which)) for which in range(each.count)],
                "eigengap": each.eigengap, "stability": None if np.isnan(each.stability) else each.stability,
            }
            for each in found.clusters
        ],
        "too_few_images": list(found.skipped),
    }  # fmt: skip


def _covered(finding: Finding) -> dict[str, Any] | None:
    """Write which share is right before and after covering, of the class and of the group."""
    if finding.covered is None:
        return None
    parts = {"class": finding.covered, "group": finding.covered.among(finding.rows)}
    return {name: {"images": len(each.rows), "right": list(each.shares)} for name, each in parts.items()}
