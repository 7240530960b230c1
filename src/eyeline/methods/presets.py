"""Presets: a method with the settings that another tool's has; see the table in `peers`."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from eyeline.errors import InputError, nearest
from eyeline.methods.peers import PRESETS, Row

EXAMPLES = {"window": "window=16", "references": "references=(eyeline.Constant(0), eyeline.Constant(1))"}
"""How a setting that must be given is spelled."""


def preset_settings(preset: str, method: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the preset's settings of a method, with the given ones in their place.

    Raises:
        InputError: an unknown preset, one without the method, a setting that the tool has no default for.
    """
    row = preset_row(preset, method)
    for name in row.needs:
        if given.get(name) is None:
            raise InputError(
                f"{name} must be given with preset {preset!r} and method {method!r}, as {row.peer} has no default "
                f"for it, but it was left out. Pass {EXAMPLES[name]}."
            )
    tied = {name: given[other] for name, other in row.follows.items() if other in given}
    return {**row.settings, **tied, **given}


def preset_row(preset: str, method: str) -> Row:
    """Return what the preset's tool means by the method.

    Raises:
        InputError: what there is stands in the sentence.
    """
    if preset not in PRESETS:
        raise InputError(f"preset must be one of {', '.join(PRESETS)}, but got {preset!r}. {nearest(preset, PRESETS)}")
    rows = PRESETS[preset]
    if method not in rows:
        others = [name for name, theirs in PRESETS.items() if method in theirs]
        also = f", or preset {' or '.join(others)}" if others else ""
        raise InputError(
            f"preset {preset!r} must have the method, one of {', '.join(rows)}, but got {method!r}. "
            f"Choose one of these{also}."
        )
    return rows[method]


def differences(kind: type[Any], row: Row) -> dict[str, Any]:
    """Return the settings in which a row differs from eyeline's own defaults."""
    own = {each.name: each.default for each in dataclasses.fields(kind)}
    return {name: value for name, value in row.settings.items() if own[name] != value}
