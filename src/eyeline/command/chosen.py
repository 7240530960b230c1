"""Which methods a run makes: `--method a,b:setting=value`, flags for all of them, and a preset."""

import re
from collections.abc import Iterable, Mapping

from eyeline.command.flags import holders, option, parted, settings
from eyeline.errors import InputError
from eyeline.methods import METHODS, Method, build, inside, known


def chosen(text: str, flags: Mapping[str, str | bool | None], preset: str | None = None) -> dict[str, Method]:
    """Read `--method`: names joined by commas, each with settings of its own behind a colon.

    A flag goes to every method that has it; what stands behind a method's name counts before it.

    Args:
        text: for example "gradient,occlusion:window=56,stride=14".
        flags: the settings that were given as flags, None where one was left out.
        preset: of all methods.

    Returns:
        The methods by name, in their order; one that comes again has a number behind its name.

    Raises:
        InputError: an unknown method, setting or preset; a flag that none of the methods has.
    """
    parts = [parted(part) for part in split(text, METHODS)]
    for name, own in parts:
        known(name, own)
    given = {name: value for name, value in flags.items() if value is not None}
    for name in given:
        having = holders(METHODS, name)
        if not any(method in having for method, _ in parts):
            names = " and ".join(repr(method) for method, _ in parts)
            way = inside(parts[0][0], name) or f"Use --method {' or '.join(having)}, or leave it out."
            raise InputError(
                f"{option(name)} must belong to the method, but {names} {'has' if len(parts) == 1 else 'have'} no such "
                f"setting. {way}"
            )
    made: dict[str, Method] = {}
    for name, own in parts:
        shared = {flag: value for flag, value in given.items() if name in holders(METHODS, flag)}
        label, number = name, 1
        while label in made:
            number += 1
            label = f"{name}-{number}"
        made[label] = build(name, settings(METHODS, name, {**shared, **own}), preset)
    return made


def split(text: str, known: Iterable[str]) -> list[str]:
    """Cut at the commas that a known name follows; other commas belong to settings."""
    names = "|".join(sorted(known, key=len, reverse=True))
    if ":" not in text:
        return text.split(",")
    return re.split(rf",(?=(?:{names})(?:[:,]|$))", text)
