"""The controls of the page, made from settings dataclasses: a new field is a new control, with its definition."""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any, get_type_hints

from eyeline import baseline
from eyeline.app.masks import Cover
from eyeline.command import flags
from eyeline.errors import InputError
from eyeline.methods import METHODS, Method, build
from eyeline.methods.base import choices

HIDDEN = ("batch", "memory", "engine", "verify", "labels")
"""What the server decides: how a map is computed, which changes none of its numbers. `labels` would open its files."""

FIRST = 3
"""Settings of a method that stand open; the others unfold."""

BASELINES = ("blur:12", "constant:0.5", "constant:0", *baseline.BASELINES)
"""Suggestions where a baseline is asked for."""

Control = dict[str, Any]


def methods() -> list[dict[str, Any]]:
    """Return every method with its definition and its controls."""
    return [
        {
            "name": name,
            "definition": _definition(kind),
            "controls": controls({name: kind})[:FIRST],
            "more": controls({name: kind})[FIRST:],
        }
        for name, kind in METHODS.items()
    ]


def cover() -> dict[str, Control]:
    """Return the controls of the mask that is dragged, by name."""
    return {each["name"]: each for each in controls({"cover": Cover})}


def controls(owners: flags.Owners) -> list[Control]:
    """Return one control for each field of the one owner that text can set."""
    (kind,) = owners.values()
    hints, defaults = get_type_hints(kind), {each.name: each.default for each in dataclasses.fields(kind)}
    made = []
    for name in (each.name for each in flags.parameters(owners, "") if each.name not in HIDDEN):
        words = [word or "none" for word in choices(kind, name)]
        control: Control = {
            "name": name,
            "label": name.replace("_", " "),
            "definition": flags.explained(owners, name),
            "value": flags.spelled(defaults[name]),
            "placeholder": (flags.metavar(hints[name]) or "").lower(),
            "kind": "text",
            "suggestions": list(BASELINES) if name == "baseline" else [],
        }
        if hints[name] is bool:
            control |= {"kind": "choice", "value": "yes" if defaults[name] else "no", "choices": ["no", "yes"]}
        elif words:
            control |= {"kind": "choice", "choices": words}
        made.append(control)
    return made


def chosen(method: object, given: object) -> tuple[str, Method]:
    """Return a method's name and its settings as a visitor gave them; what is empty is left out.

    Raises:
        InputError: no such method or setting, or a text that its type cannot read.
    """
    if not isinstance(method, str) or method not in METHODS or not isinstance(given, Mapping):
        raise InputError(
            f"method must be one of {', '.join(METHODS)} with its settings, but got {str(method)[:60]!r}. Choose one."
        )
    kind = METHODS[method]
    known = {each["name"] for each in controls({method: kind})}
    texts: dict[str, Any] = {}
    for key, value in given.items():
        if key not in known:
            raise InputError(
                f"a setting must be one of {', '.join(sorted(known))} (method {method!r}), but got {str(key)[:60]!r}."
            )
        text = str(value).strip()[:200]
        if text:
            texts[key] = text == "yes" if get_type_hints(kind)[key] is bool else text
    return method, build(method, flags.settings(METHODS, method, texts))


def _definition(kind: type[Any]) -> str:
    """Return what a method's docstring says before its Args."""
    text = (inspect.getdoc(kind) or "").partition("\n\nArgs:")[0]
    return " ".join(text.replace("`", "").split())
