"""Methods that wrap others: which of them has a setting, and the same with another value."""

import dataclasses
from typing import Any

from eyeline.methods.base import Method


def having(method: Any, name: str) -> Method | None:
    """Return the method, or the one that it wraps, that has a setting of this name; None where none has."""
    if name in {field.name for field in dataclasses.fields(method)}:
        found: Method = method
        return found
    inner = getattr(method, "inner", None)
    return having(inner, name) if dataclasses.is_dataclass(inner) else None


def replaced(method: Any, name: str, value: object) -> Method:
    """Return a copy of the method with another value of a setting, which may be that of the method it wraps."""
    if name in {field.name for field in dataclasses.fields(method)}:
        changed: Method = dataclasses.replace(method, **{name: value})
        return changed
    return dataclasses.replace(method, inner=replaced(method.inner, name, value))  # type: ignore[no-any-return]
