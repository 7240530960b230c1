"""Methods that wrap others: which of them has a setting, and the same with another value, or with grey as a number."""

import dataclasses
from typing import Any

from eyeline._typing import Images
from eyeline.baseline import Constant
from eyeline.methods.base import Method

HOLDERS = {"baseline", "baselines", "references", "inner"}
"""Settings that may be, or hold, a baseline."""


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


def with_grey(given: Any, images: Images) -> Any:
    """Return a setting with the grey of `Constant()` as a number: changed copies of images may leave 0..1.

    Raises:
        InputError: the images themselves are of another scale.
    """
    if isinstance(given, Constant) and given.value is None:
        given(images)
        return Constant(0.5)
    if isinstance(given, tuple):
        return tuple(with_grey(each, images) for each in given)
    if not dataclasses.is_dataclass(given) or isinstance(given, type):
        return given
    own = {each.name: getattr(given, each.name) for each in dataclasses.fields(given) if each.name in HOLDERS}
    changed = {name: new for name, old in own.items() if (new := with_grey(old, images)) is not old}
    return dataclasses.replace(given, **changed) if changed else given
