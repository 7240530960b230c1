"""What a CI job asks of a model: what changed since another checkpoint, and whether its maps keep to limits.

Names are imported when they are first used: the command reads the limits' flags without the rest.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eyeline.gate.difference import Difference as Difference
    from eyeline.gate.difference import diff as diff
    from eyeline.gate.holding import gate as gate
    from eyeline.gate.kept import Gated as Gated
    from eyeline.gate.kept import Kept as Kept
    from eyeline.gate.limits import GateLimits as GateLimits
    from eyeline.gate.models import twice as twice

_HOMES = {
    "Difference": "difference", "diff": "difference", "gate": "holding", "Gated": "kept", "Kept": "kept",
    "GateLimits": "limits", "twice": "models",
}  # fmt: skip

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'eyeline.gate' has no attribute {name!r}")
    return getattr(importlib.import_module(f"eyeline.gate.{_HOMES[name]}"), name)
