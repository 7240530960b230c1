"""A gate: a store, maybe its model and an earlier store, held to limits; every limit with what was measured."""

from eyeline.dataset.store import DONE, MISSING, Store
from eyeline.errors import InputError
from eyeline.gate.difference import diff
from eyeline.gate.kept import Gated
from eyeline.gate.limits import GateLimits
from eyeline.gate.measuring import Measuring
from eyeline.methods.checks import at_least
from eyeline.metrics.check import Check
from eyeline.models.base import Model

CHECK = Check()
"""The check with its defaults."""


def gate(
    store: Store,
    limits: GateLimits,
    *,
    region: object = None,
    model: Model | None = None,
    against: Store | None = None,
    images: object = None,
    sample: int = 8,
    seed: int = 0,
    check: Check = CHECK,
) -> Gated:
    """Hold a run to limits, for a job that stops when a model starts to look elsewhere.

    Images that were refused fail it too, unless `most_refused` says how many may be. An image without positive evidence
    counts as one whose evidence lies wholly outside.

    Args:
        store: an open one, that has ended.
        limits: at least one.
        region: where evidence belongs, as for `eyeline.audit.outside`.
        model: that made the store, for the check and the audit.
        against: an earlier store of the same images, whose changes are measured.
        images: where the images are, if not where they were.
        sample: images that are drawn for the check.
        seed: of the draw, and of the audit.
        check: how the drawn maps are judged.

    Returns:
        One entry for each limit; `passed` says whether all were kept.

    Raises:
        InputError: a limit that cannot be measured, a store that has not ended or has no map, another model.

    Examples:
        >>> import numpy as np, tempfile, eyeline
        >>> from eyeline.gate import GateLimits, gate
        >>> images, method = np.ones((3, 4, 4, 1), dtype=np.float32), eyeline.Gradient()
        >>> import torch
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = eyeline.run(torch.nn.Flatten(), images, f"{folder}/maps", method, 0, input_size=4)
        ...     gate(store, GateLimits(most_outside=0.3), region=0.5).passed  # class 0 is the corner pixel
        False
    """
    at_least(1, sample=sample)
    at_least(0, seed=seed)
    limits.check({"region": region is not None, "model": model is not None, "against": against is not None})
    missing, done = int((store.status == MISSING).sum()), int((store.status == DONE).sum())
    if missing or not done:
        what = f"{missing} of its {len(store.items)} images have no map yet" if missing else "it has no map"
        raise InputError(
            f"a gate must have a store that has ended, but {what} ({str(store.path)!r}). Start the run again."
        )
    difference = None if against is None else diff(against, store)
    return Gated(tuple(Measuring(store, limits, region, model, difference, images, sample, seed, check)()))
