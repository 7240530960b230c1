"""The reference, from the code: pages of the API from the public names and tables, the command from typer.

Nothing is listed by hand but the order of the pages: a new method, target or baseline stands on its page by itself.
"""

import dataclasses
import importlib
import inspect
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import typer.main
from sphinx.application import Sphinx

import eyeline
from eyeline.cli import app as command
from eyeline.methods import METHODS

METHOD = """A method is a frozen dataclass: its fields are its settings, and calling it makes the maps. `explain` takes
the name that stands in brackets."""
CODES = """Exit codes: 0 done; 1 an image was refused and the others are done, or an audit or a gate found something;
2 usage."""
MODULES = {
    "pictures": ("Pictures and figures", ("eyeline.picture", "eyeline.plot")),
    "lecture_names": ("The lecture's names", ("eyeline.lecture",)),
    "metrics": ("Metrics", ("eyeline.metrics",)),
    "dataset": ("Runs over many images", ("eyeline.dataset.running", "eyeline.dataset.store")),
    "audit": ("Audits of a run", ("eyeline.audit",)),
    "gate": ("Two checkpoints, and a gate", ("eyeline.gate",)),
    "plan": ("What a run would take", ("eyeline.methods.planning",)),
    "models": ("What a model can do", ("eyeline.models.base",)),
    "errors": ("Errors", ("eyeline.errors",)),
}
"""Page -> title, and modules whose own public names it shows."""

HOMES = {
    "calls": (
        "Open and explain",
        ("models.load", "methods", "attribution", "flip", "interaction", "page", "page.notebook"),
    ),
    "targets": ("Targets", ("target",)),
    "baselines": ("Baselines and masks", ("baseline", "filling", "mask")),
    "preprocessing": ("Preprocessing", ("preprocess",)),
}
"""Page -> title, and the modules whose names at the top of eyeline it shows."""


def heading(text: str, line: str = "=") -> list[str]:
    """Return a title with its underline."""
    return [text, line * len(text), ""]


def entry(name: str, thing: object) -> list[str]:
    """Return the directive that shows a function or a class."""
    if not inspect.isclass(thing):
        return [f".. autofunction:: {name}", ""]
    plain = dataclasses.is_dataclass(thing) or issubclass(thing, BaseException)
    members = [
        own for own, value in vars(thing).items()
        if not own.startswith("_") and inspect.getdoc(value) and _callable(value)
    ]  # fmt: skip
    shown = (
        [f"   :members: {', '.join(members)}"] if members and (plain or getattr(thing, "_is_protocol", False)) else []
    )
    return [
        f".. autoclass:: {name}",
        *shown,
        *(["   :show-inheritance:"] if issubclass(thing, BaseException) else []),
        "",
    ]


def _callable(value: object) -> bool:
    return isinstance(value, property | classmethod | staticmethod) or inspect.isfunction(value)


def own_names(module: ModuleType) -> list[str]:
    """Name what a module defines itself and shows."""
    listed = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    return [
        name for name in listed
        if (inspect.isclass(thing := getattr(module, name)) or inspect.isfunction(thing))
        and (thing.__module__ == module.__name__ or hasattr(module, "__all__")) and not name.startswith("_")
    ]  # fmt: skip


def methods() -> list[str]:
    """Return the page of the methods, in the order of their table."""
    lines = heading("Methods")
    lines += [METHOD, ""]
    for word, kind in METHODS.items():
        name = f"eyeline.{kind.__name__}"
        lines += [*heading(f"{kind.__name__} ({word})", "-"), *entry(name if hasattr(eyeline, kind.__name__) else
                  f"{kind.__module__}.{kind.__name__}", kind)]  # fmt: skip
    return lines


def home(title: str, modules: Iterable[str]) -> list[str]:
    """Return a page of names at the top of eyeline."""
    lines = heading(title)
    taken = {kind.__name__ for kind in METHODS.values()}
    for module in modules:
        for name in eyeline._HOMES.get(module, ()):
            if name not in taken:
                lines += entry(f"eyeline.{name}", getattr(eyeline, name))
    return lines


def rest() -> list[str]:
    """Return entries for the top's names that no page of `HOMES` shows, so that none is missing."""
    shown = {module for _, modules in HOMES.values() for module in modules}
    taken = {kind.__name__ for kind in METHODS.values()}
    names = [
        name for module, names in eyeline._HOMES.items() if module not in shown for name in names if name not in taken
    ]
    return [line for name in names for line in entry(f"eyeline.{name}", getattr(eyeline, name))]


def of_modules(title: str, modules: Iterable[str]) -> list[str]:
    """Return a page of modules' own names."""
    lines = heading(title)
    for name in modules:
        module = importlib.import_module(name)
        lines += [inspect.getdoc(module).partition("\n\n")[0], ""]  # type: ignore[union-attr]
        for own in own_names(module):
            lines += entry(f"{name}.{own}", getattr(module, own))
    return lines


def commands() -> list[str]:
    """Return the page of the command, as typer reads it."""
    group: Any = typer.main.get_command(command)
    lines = [*heading("The command"), _text(group.help), "", CODES, ""]
    for name, each in group.commands.items():
        context = each.context_class(each, info_name=f"eyeline {name}")
        usage = " ".join(each.collect_usage_pieces(context))
        lines += [*heading(f"eyeline {name}", "-"), "::", "", f"    eyeline {name} {usage}", "", _text(each.help), ""]
        for panel, options in _panels(each).items():
            lines += [f"**{panel}**", "", *options]
    return lines


def _panels(each: Any) -> dict[str, list[str]]:
    """Return definition lists by the panel of the help that they stand under."""
    made: dict[str, list[str]] = {}
    for record in each.params:
        if record.name == "help" or not getattr(record, "help", None):
            continue
        panel = getattr(record, "rich_help_panel", None)
        kind = "Arguments" if record.param_type_name == "argument" else panel or "Options"
        names = (
            [record.metavar or record.name.upper()] if kind == "Arguments" else [*record.opts, *record.secondary_opts]
        )
        value = "" if kind == "Arguments" or not (record.metavar or "").strip() else f" {record.metavar}"
        term = f"``{' / '.join(names)}{value}``".replace("\\[", "[")
        made.setdefault(kind, []).extend([term, f"    {_text(record.help)}", ""])
    return made


def _text(given: str | None) -> str:
    """Undo rich's escapes, and escape what reStructuredText would read."""
    from docstrings import escaped

    plain = (given or "").replace("\\[", "[").replace("\f", "")
    return "\n".join(escaped(inspect.cleandoc(plain).split("\n"))).replace("\n", " ").strip()


def write(app: Sphinx) -> None:
    """Write the pages that are not as they should be; others keep their time, so that they are not built again."""
    folder = Path(app.srcdir) / "reference"
    pages = {name: home(*each) for name, each in HOMES.items()}
    pages["calls"] += rest()
    pages |= {name: of_modules(*each) for name, each in MODULES.items()}
    pages |= {"methods": methods(), "command": commands()}
    for name, lines in pages.items():
        path, text = folder / f"{name}.rst", "\n".join(lines) + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write before Sphinx looks for pages."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
