"""Docstrings as they are written here -> reStructuredText: outside of code a star is a star, as in (n, *space)."""

import re
from typing import Any

from sphinx.application import Sphinx

CODE = re.compile(r"(`+[^`]+`+)")
MARKS = re.compile(r"([*|\\]|(?<=\w)_(?!\w))")


def escaped(lines: list[str]) -> list[str]:
    """Escape what reStructuredText would read as markup, except in `code` and in examples."""
    made, example = [], False
    for line in lines:
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        parts = CODE.split(line)
        made.append(
            line if example else "".join(each if i % 2 else MARKS.sub(r"\\\1", each) for i, each in enumerate(parts))
        )
    return made


def read(app: Sphinx, what: str, name: str, thing: object, options: Any, lines: list[str]) -> None:
    """Escape in place, before napoleon reads the sections."""
    text = "\n".join(lines)
    text = re.sub(r"`[^`]*`", lambda found: found[0].replace("\n", " "), text)  # code that goes over two lines
    lines[:] = escaped(text.split("\n"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect before napoleon, which comes at 500."""
    app.connect("autodoc-process-docstring", read, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
