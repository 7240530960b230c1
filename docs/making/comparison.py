"""Write the comparison with other tools as markdown, from docs/peers.toml.

    python docs/making/comparison.py

Replaces what stands between `<!-- peers -->` (or `all_peers`, `missing`, `versions`) and `<!-- end -->` in README.md
and docs/peers.md.
"""

import dataclasses
import importlib
import inspect
import re
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/peers.md")
YES, PARTLY, NO = "yes", "partly", "–"


def data() -> dict[str, Any]:
    """Read what is known of the peers."""
    return tomllib.loads((ROOT / "docs" / "peers.toml").read_text(encoding="utf-8"))


def texts(known: dict[str, Any]) -> dict[str, str]:
    """Return the tables by the name of the marker that they stand under."""
    own = [row for row in known["row"] if row.get("proof")]
    every = list(known["versions"])
    return {
        "peers": table([row for row in own if row.get("readme")], known["readme"]["columns"], True),
        "all_peers": table(own, every, True),
        "missing": table([row for row in known["row"] if not row.get("proof")], every, False),
        "versions": ", ".join(f"{name} {number}".strip() for name, number in known["versions"].items()) + ".\n",
    }


def table(rows: list[dict[str, Any]], peers: list[str], is_own: bool) -> str:
    """Return one line per row, one column per peer, eyeline first where it has the rows."""
    head = ["", *(["eyeline"] if is_own else []), *peers]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for row in rows:
        own = [f"**{row.get('own', YES)}**"] if is_own else []
        cells = [row["what"], *own, *(answer(row, peer) for peer in peers)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def answer(row: dict[str, Any], peer: str) -> str:
    """Say whether a peer has what the row is about."""
    return YES if peer in row.get("has", ()) else PARTLY if peer in row.get("partly", ()) else NO


def filled(page: str, made: dict[str, str]) -> str:
    """Return a page with every table between its marker and the end."""
    for name, text in made.items():
        between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        page = between.sub(lambda found, text=text: found[1] + text + found[2], page)
    return page


def holds(proof: str) -> bool:
    """Tell whether eyeline has what a row rests on: a method, a setting, a module, a command, a keyword or a name."""
    kind, _, rest = proof.partition(":")
    if kind in ("method", "setting"):
        from eyeline.methods import METHODS

        method, _, field = rest.partition(".")
        return method in METHODS and (not field or field in {each.name for each in dataclasses.fields(METHODS[method])})
    if kind == "module":
        return find_spec(rest) is not None
    if kind == "command":
        from eyeline.cli import app

        return rest in {each.callback.__name__ for each in app.registered_commands if each.callback}
    if kind == "keyword":
        module, _, name = rest.partition(":")
        function, _, keyword = name.partition(".")
        return keyword in inspect.signature(getattr(importlib.import_module(module), function)).parameters
    return hasattr(importlib.import_module(kind), rest)


def main() -> None:
    """Fill the pages."""
    made = texts(data())
    for page in PAGES:
        path = ROOT / page
        path.write_text(filled(path.read_text(encoding="utf-8"), made), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
