"""Flags of the command, made from the fields of settings dataclasses: a new field is a new flag.

The type of a field says how its text is read, the docstring's Args say what it means. Every flag reaches the
command as text (or None, where it was left out) and is read by the type that the chosen method gives it.
"""

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from rich.markup import escape

from eyeline.command.named import KINDS, READERS, WORDS
from eyeline.errors import InputError, nearest
from eyeline.methods import METHODS, Method, build, known

_HINTS: dict[type[Any], dict[str, Any]] = {}
"""Types of the fields of each settings dataclass; they are asked for at every field of every other."""

Owners = Mapping[str, type[Any]]
"""Settings dataclasses by name; the flags of all of them stand side by side."""


def extended(parameters: list[inspect.Parameter]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Put the parameters in the place of a function's `**` parameter, where typer looks for them."""

    def extend(function: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(function, eval_str=True)
        fixed = [each for each in own.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]

        @functools.wraps(function)
        def command(**given: Any) -> None:
            function(**given)

        command.__signature__ = own.replace(parameters=[*fixed, *parameters])  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in (*fixed, *parameters)}
        return command

    return extend


def parameters(owners: Owners, panel: str) -> list[inspect.Parameter]:
    """Return one keyword per field that text can set; None is its value where the flag is left out.

    `{owners}` in the title of the help's panel becomes the names of those that have the field, where they are few.
    """
    made: dict[str, inspect.Parameter] = {}
    for kind in owners.values():
        for field in dataclasses.fields(kind):
            if field.name not in made and holders(owners, field.name):
                made[field.name] = _parameter(owners, field.name, panel)
    return list(made.values())


def settings(owners: Owners, chosen: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Read the flags that were given for the owner `chosen`.

    Raises:
        InputError: a text that its type cannot read; a flag that only other owners have (they are named).
    """
    hints, values = known_hints(owners[chosen]), {}
    for name, text in given.items():
        if text is None:
            continue
        having = holders(owners, name)
        if chosen not in having:
            raise InputError(
                f"{option(name)} must belong to the method, but {chosen!r} has no such setting. "
                f"Use --method {' or '.join(having)}, or leave it out."
            )
        values[name] = text if isinstance(text, bool) else read(hints[name], text, option(name))
    return values


def holders(owners: Owners, name: str) -> list[str]:
    """Name the owners that have a field which text can set."""
    hints = {owner: known_hints(kind).get(name) for owner, kind in owners.items()}
    return [owner for owner, hint in hints.items() if hint is not None and (metavar(hint) or hint is bool)]


def known_hints(kind: type[Any]) -> dict[str, Any]:
    """Return the types of a dataclass's fields, read once."""
    if kind not in _HINTS:
        _HINTS[kind] = get_type_hints(kind)
    return _HINTS[kind]


def option(name: str) -> str:
    """Return the spelling of a field on the command line."""
    return "--" + name.replace("_", "-")


def read(hint: Any, text: str, flag: str) -> Any:
    """Turn the text of a flag into a value of the field's type.

    Raises:
        InputError: the type cannot read it; the sentence names the flag.
    """
    words, parts = _words(hint), _parts(hint)
    if hint is bool:
        return _word(["yes", "no"], text, flag) == "yes"
    if text == "none" and NoneType in parts:
        return None
    if _is_list(hint):
        return tuple(_word(words, each.strip(), flag) for each in text.split(","))
    if words:
        return _word(words, text, flag)
    for kind, (_, rule, reader) in _READERS.items():
        if kind in parts:
            try:
                return reader(text)
            except InputError:
                raise
            except ValueError as error:
                raise InputError(f"{flag} must be {rule}, but got {text!r}.") from error
    raise TypeError(f"no flag can be made from {hint!r}")


def documented(kind: type[Any]) -> dict[str, str]:
    """Return what the Args of a docstring say of each name, on one line each."""
    _, _, section = (inspect.getdoc(kind) or "").partition("\nArgs:\n")
    section = re.split(r"\n(?=\S)", section, maxsplit=1)[0]
    entries = re.findall(r"^    (\w+): ((?:.*(?:\n {8,}.*)*))", section, flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def metavar(hint: Any) -> str | None:
    """Return what a value of this type looks like, or None where text cannot set it."""
    if _words(hint):
        return "WORD,WORD" if _is_list(hint) else "WORD"
    return next((shown for kind, (shown, _, _) in _READERS.items() if kind in _parts(hint)), None)


def explained(owners: Owners, name: str) -> str:
    """Return the help of a flag: what the docstring says in the command's spelling, the words it takes, its default."""
    kinds = [owners[holder] for holder in holders(owners, name)]
    hints = [known_hints(kind)[name] for kind in kinds]
    default = getattr(kinds[0], name, None)
    text = next((text for kind in kinds if (text := documented(kind).get(name))), "")
    for python, command in _SPELLINGS.items():
        text = text.replace(python, command)
    text = text.replace("None means", "Left out:") if default is None else text.replace("None:", "none:")
    words = list(dict.fromkeys(word for hint in hints for word in _words(hint)))
    if words and default is not None and any(NoneType in _parts(hint) for hint in hints):
        words.append("none")
    held = {part for hint in hints for part in (*_parts(hint), *get_args(hint))}
    named = [
        f"{', '.join(known)}; a number may follow, as {shown}" for kind, (known, shown) in WORDS.items() if kind in held
    ]
    marks = [
        *(named or [", ".join(words)]),
        _defaults(owners, name),
    ]
    said = "; ".join(mark for mark in marks if mark)
    if not text.startswith(tuple(words)):
        text = text[:1].upper() + text[1:]
    return text + (f" ({said})" if said else "")


def spelled(value: object) -> str:
    """Write a default as the command line takes it; nothing for None, whose meaning the help says."""
    if isinstance(value, tuple):
        return ",".join(map(spelled, value))
    kind: Any = type(value)
    words = {**KINDS, **{each: word for word, each in METHODS.items()}}
    if kind is bool:
        return "yes" if value else "no"
    if kind not in words:
        return "" if value in (None, dataclasses.MISSING) else str(value)
    given = [spelled(own) for each in dataclasses.fields(kind) if (own := getattr(value, each.name)) != each.default]
    return ":".join([words[kind], *given])


def parted(text: str) -> tuple[str, dict[str, str]]:
    """Part a method's name from its settings: "integratedgradients:steps=20,baseline=blur:12"."""
    name, _, rest = text.partition(":")
    return name, dict(each.partition("=")[::2] for each in re.split(r",(?=\w+=)", rest) if each)


def _method(text: str) -> Method:
    name, given = parted(text)
    known(name, given)
    for key in given:
        if metavar(known_hints(METHODS[name])[key]) == "PATH":  # text from anywhere, so it opens no file
            raise InputError(f"{key} is a file, to be given in Python, but got it inside another method: {text!r}.")
    return build(name, settings(METHODS, name, given))


_SPELLINGS = {
    '"': "",
    "`": "",
    "one int or one per spatial axis": "one number or one per axis, as 8 or 8,16",
    "window // 4": "a quarter of the window",
}
"""What docstrings say in Python's words -> what the command's help says; None is left out there, or the word none."""

_READERS = {Method: ("METHOD[:SETTINGS]", "a method, for example gradient:channels=sum", _method), **READERS}


def _parts(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _is_list(hint: Any) -> bool:
    return get_origin(hint) is tuple and get_origin(get_args(hint)[0]) is Literal


def _words(hint: Any) -> list[str]:
    parts = get_args(hint)[:1] if _is_list(hint) else _parts(hint)
    return [word for part in parts if get_origin(part) is Literal for word in get_args(part)]


def _word(words: list[str], text: str, flag: str) -> str:
    if text in words:
        return text
    raise InputError(f"{flag} must be one of {', '.join(words)}, but got {text!r}. {nearest(text, words)}")


def _defaults(owners: Owners, name: str) -> str:
    """Word the default of the first holder, and which holders have another."""
    said = {holder: spelled(getattr(owners[holder], name, None)) for holder in holders(owners, name)}
    first, *others = dict.fromkeys(said.values())
    rest = [f"{each} for {', '.join(holder for holder in said if said[holder] == each)}" for each in others]
    return "; ".join([f"default {first}"] * bool(first) + rest)


def _parameter(owners: Owners, name: str, panel: str) -> inspect.Parameter:
    having = holders(owners, name)
    hint = known_hints(owners[having[0]])[name]
    is_switch = hint is bool
    info = typer.Option(
        f"{option(name)}/--no-{option(name)[2:]}" if is_switch else option(name),
        metavar=" " if is_switch else escape(metavar(hint) or ""),
        help=escape(explained(owners, name)),
        show_default=False,
        rich_help_panel=panel.format(owners=" and ".join(having) if len(having) < 3 else "several methods"),
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[(bool if is_switch else str) | None, info],
    )
