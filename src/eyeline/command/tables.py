"""What `eyeline models`, `eyeline methods` and `eyeline layers` print."""

import dataclasses
import inspect
import shutil
import textwrap
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, get_type_hints

from eyeline.command import flags
from eyeline.errors import InputError, UnsupportedError
from eyeline.methods import METHODS, known
from eyeline.methods.counts import positions
from eyeline.models.base import Model
from eyeline.models.layered import Layer, Layered, choose
from eyeline.models.openers import OPENERS, Opener

Say = Callable[[str], None]

PHOTOGRAPH = (224, 224)
"""Pixels of an image that every method's own settings suit."""


def models(say: Say) -> None:
    """Print one line per kind of model that `load` opens."""
    rows = [("model", "given as", "gives", "installed")]
    for opener in OPENERS:
        missing = [package for package in _packages(opener) if find_spec(package) is None]
        here = f"no: pip install 'eyeline[{opener.extra}]'" if missing else "yes"
        rows.append((opener.what, _given_as(opener), opener.gives, here))
    _aligned(rows, say)
    say("")
    covering = [name for name, method in METHODS.items() if positions(method(), PHOTOGRAPH)]
    say(f"Scores are enough for {', '.join(covering)}.")
    say("The other methods need gradients, or a layer: class activation maps, guided backpropagation and deconvnet")
    say("look inside networks of PyTorch, Keras and ONNX.")


def layers(model: Model, say: Say) -> None:
    """Print one line per layer, in the order in which they end, and which one maps are made of where none is named.

    Raises:
        UnsupportedError: a model without layers that can be seen into.
        InputError: one that does not say its size.
    """
    name = model.describe().get("name", "the model")
    if not isinstance(model, Layered):
        raise UnsupportedError(
            f"MODEL must have layers that can be seen into, but {name!r} is one whole. Load the network in its own "
            "framework (PyTorch, Keras)."
        )
    if model.input_size is None:
        raise InputError(f"the size of an image must be known to run {name!r}. Pass --input-size.")
    found = model.layers((*model.input_size, model.channels or 3))
    rows = [("layer", "kind", "output", "map")]
    rows += [(each.name, each.kind, " x ".join(map(str, each.shape or ())) or "-", _map(each)) for each in found]
    _aligned(rows, say)
    say("")
    try:
        say(f"Where --layer is left out: {choose(found, None, name).name}")
    except InputError as error:
        say(str(error))


def _map(layer: Layer) -> str:
    if layer.mapped:
        return "yes"
    return f"no: runs {layer.runs} times" if layer.space else "no: no spatial axes"


def _aligned(rows: list[tuple[str, str, str, str]], say: Say) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for row in rows:
        say("  ".join([*(each.ljust(width) for each, width in zip(row[:3], widths, strict=True)), row[3]]))


def _packages(opener: Opener) -> tuple[str, ...]:
    return opener.needs or ((opener.extra,) if opener.extra in ("keras", "tensorflow") else ())


def _given_as(opener: Opener) -> str:
    if opener.opens.startswith("bundled"):
        return "bundled"
    if opener.suffixes:
        return " ".join("folder" if suffix.startswith("/") else suffix for suffix in opener.suffixes)
    return "package.module:name"


def methods(names: Sequence[str], say: Say) -> None:
    """Print a sentence for each method; of those that are named, the flags that their fields make too.

    Raises:
        InputError: no such method; the nearest name is offered.
    """
    for name in names:
        known(name, ())
    width = min(110, shutil.get_terminal_size().columns)
    for name in names or METHODS:
        paragraph(say, f"{name}: ", _sentence(METHODS[name]), width)
        if names:
            _settings(name, width, say)
    say("")
    say("Targets, the model and what is written: eyeline explain --help.")
    if not names:
        say("The settings of one method: eyeline methods NAME.")


def _sentence(kind: type[Any]) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0]


def _settings(name: str, width: int, say: Say) -> None:
    kind = METHODS[name]
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        shown = flags.metavar(hints[field.name])
        if hints[field.name] is bool:
            shown = f"/ --no-{flags.option(field.name)[2:]}"
        if shown is not None:
            flag = f"  {flags.option(field.name)} {shown}"
            paragraph(say, f"{flag}: ", flags.explained({name: kind}, field.name), width)


def paragraph(say: Say, head: str, text: str, width: int) -> None:
    """Print text, later lines indented."""
    for line in textwrap.wrap(head + text, width, subsequent_indent="      "):
        say(line)
