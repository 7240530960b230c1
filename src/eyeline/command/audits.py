"""What `eyeline audit` says: shortcuts of each class, evidence outside a region, images right for the wrong reason."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from eyeline import dataset
from eyeline._files import writing
from eyeline.audit import Audit, Finding, audit
from eyeline.command.data_settings import Auditing
from eyeline.command.regions import region
from eyeline.dataset.store import Store
from eyeline.models.base import Model

Say = Callable[[str], None]


def run(path: str, model: Model, auditing: Auditing, say: Say) -> int:
    """Audit a store, say what was found, and return the exit code: 1 where there is a shortcut, else 0.

    Raises:
        InputError: no store, no labels, images that are gone, a region that cannot be.
    """
    store = dataset.open_store(path)
    within = region(auditing.region, store.manifest.image[:-1])
    found = audit(store, model, region=within, images=auditing.images, seed=auditing.seed, baseline=auditing.baseline)
    say(f"{found.accuracy:.1%} of the labelled images are right; {len(found.shortcuts)} shortcuts")
    for finding in found.findings:
        if finding.is_shortcut or finding is found.findings[0]:
            say(str(finding))
            say(f"  {_names(store, finding.rows, auditing.limit)}")
    if found.outside is not None:
        share = float(np.nanmean(found.outside))
        say(f"{share:.1%} of the evidence lies outside the region, mean over images; most, of those that are right:")
        for row in found.wrong_reason[: auditing.limit]:
            say(f"  {store.items[row].name}: {found.outside[row]:.1%}")
    if found.skipped:
        say(f"too few images to compare: {', '.join(found.skipped)}")
    if auditing.out is not None:
        with writing(auditing.out) as file:
            file.write(json.dumps(_plain(found, store), indent=1).encode())
        say(f"-> {auditing.out}")
    return 1 if found.shortcuts else 0


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
