"""What `eyeline gate` says: every limit beside what was measured; its limits may stand in a file."""

import dataclasses
import json
import math
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from eyeline import dataset, gate
from eyeline._files import writing
from eyeline.command import flags as making
from eyeline.command.data_settings import Gating
from eyeline.command.regions import region
from eyeline.errors import InputError, first_line, nearest
from eyeline.metrics.check import Check
from eyeline.models.base import Model

Say = Callable[[str], None]

TABLE = ("tool", "eyeline", "gate")
"""Where limits stand in a pyproject.toml."""


def run(store: str, limits: gate.GateLimits, gating: Gating, model: Model | None, check: Check, say: Say) -> int:
    """Hold a store to limits, say what was measured, and return the exit code: 1 where a limit is not kept, else 0.

    Raises:
        InputError: no store, or a limit that cannot be measured.
    """
    held = dataset.open_store(store)
    found = gate.gate(
        held,
        limits,
        region=region(gating.region, held.manifest.image[:-1]),
        model=model,
        against=None if gating.against is None else dataset.open_store(gating.against),
        images=gating.images,
        sample=gating.sample,
        seed=gating.seed,
        check=check,
    )
    for each in found.kept:
        say(each.line(gating.names))
    failed = sum(not each.passed for each in found.kept)
    say(f"{'passed' if found.passed else 'failed'}: {failed} of {len(found.kept)} limits not kept ({store})")
    if gating.json is not None:
        record = {"store": store, "passed": found.passed, "limits": [_plain(each) for each in found.kept]}
        with writing(gating.json) as file:
            file.write(json.dumps(record, indent=1).encode())
        say(f"-> {gating.json}")
    return 0 if found.passed else 1


def read(path: Path, owners: Mapping[str, type[Any]]) -> dict[str, dict[str, Any]]:
    """Read settings from a TOML file, by their owner: its own keys, or those under [tool.eyeline.gate].

    Raises:
        InputError: no such file, no TOML, an unknown key, a value that its setting cannot be.
    """
    known = {name: owner for owner, kind in owners.items() for name in _settable(kind)}
    found: dict[str, dict[str, Any]] = {owner: {} for owner in owners}
    for key, value in _table(path).items():
        name = key.replace("-", "_")
        if name not in known:
            spelled = [each.replace("_", "-") for each in known]
            raise InputError(f"{path} must name settings of eyeline gate, but got {key!r}. {nearest(key, spelled)}")
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise InputError(f"{key} must be a number or text, but got {value!r} ({path}). Write one value.")
        try:
            found[known[name]] |= making.settings(owners, known[name], {name: str(value)})
        except InputError as error:
            raise InputError(f"{error} ({path})") from error
    return found


def _settable(kind: type[Any]) -> list[str]:
    return [each.name for each in dataclasses.fields(kind) if making.holders({"": kind}, each.name)]


def _table(path: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            f"--limits must be a TOML file that can be read, but {str(path)!r} is not ({first_line(error)}). "
            "Write for example most-outside = 0.3 into it."
        ) from error
    if TABLE[0] not in found:
        return found
    for name in TABLE:
        found = found.get(name, {})
        if not isinstance(found, dict) or not found:
            raise InputError(f"{path} must have settings under [{'.'.join(TABLE)}], but has none. Write them there.")
    return found


def _plain(kept: gate.Kept) -> dict[str, Any]:
    record = dataclasses.asdict(kept)
    return {**record, "measured": kept.measured if math.isfinite(kept.measured) else None}
