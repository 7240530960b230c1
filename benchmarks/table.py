"""Write the figures of a benchmark run as markdown: nobody copies one by hand.

    python benchmarks/table.py benchmarks/full_path.json
    python benchmarks/table.py benchmarks/full_path.json --into docs/benchmarks.md
    python benchmarks/table.py benchmarks/engine.json --into docs/benchmarks.md README.md
    python benchmarks/table.py benchmarks/engine.json --check

`--into` replaces what stands between `<!-- full_path -->` and `<!-- end -->`, for the engine between `<!-- engine -->`
or `<!-- speed -->` and `<!-- end -->`; `--check` fails where a bar is missed.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import choice_tables
import engine_bars
import engine_tables
import family_tables
import runs_tables
from family_tables import rows, spread

BARS = {"captum": 1.0, "lecture": 20.0, "gradient": 1.15, "import eyeline": 0.25, "eyeline --help": 0.5}
Parts = dict[str, Any]


def captum(parts: Parts) -> list[str]:
    head = (
        "network",
        "ms a position",
        "faster than Captum's best setting",
        "than a loop, batch 1",
        "difference / map range",
    )
    body = []
    for name, each in parts.get("captum", {}).get("found", {}).items():
        many = each["captum_perturbations_per_eval"]
        body.append(
            (
                name,
                f"{1000 * each['seconds']['eyeline']['median'] / each['positions']:.2f}",
                f"{spread(each['against_captum'])}, {many} a forward",
                spread(each["against_loop"]),
                f"{each['largest_difference'] / each['map_range']:.0e}",
            )
        )
    return rows(head, *body)


def lecture(parts: Parts) -> list[str]:
    found = {k: v for part, record in parts.items() if part.startswith("lecture") for k, v in record["found"].items()}
    head = ("Keras on", "seconds of the loop", "seconds of `occlusion_map`", "faster")
    body = [
        (
            backend,
            f"{each['seconds']['predict']['median']:.2f}",
            f"{each['seconds']['eyeline']['median']:.3f}",
            spread(each["against_predict"], 1),
        )
        for backend, each in found.items()
    ]
    return rows(head, *body)


def gradient(parts: Parts) -> list[str]:
    head = ("network", "ms a map", "times one bare forward and backward pass")
    found = parts.get("gradient", {}).get("found", {})
    body = [(name, f"{1000 * e['seconds']['eyeline']['median']:.1f}", spread(e["cost"])) for name, e in found.items()]
    return rows(head, *body)


def memory(parts: Parts) -> list[str]:
    head = ("network, budget in MiB", "process before, MiB", "grew by, MiB", "largest batch")
    found = parts.get("memory", {}).get("found", {})
    return rows(
        head,
        *((name, f"{each['before']:.0f}", f"{each['grown']:.0f}", str(each["batch"])) for name, each in found.items()),
    )


def start(parts: Parts) -> list[str]:
    above = parts.get("start", {}).get("found", {}).get("above_numpy", {})
    return rows(
        ("", "seconds above importing numpy"), *((f"`{name}`", f"{value:.2f}") for name, value in above.items())
    )


def missed(parts: Parts) -> list[str]:
    """The bars that were missed, each within the spread (the quartiles of the rounds)."""
    found = []
    for name, each in parts.get("captum", {}).get("found", {}).items():
        if each["against_captum"]["high"] < BARS["captum"]:
            found.append(f"{name}: {spread(each['against_captum'])} x Captum, the bar is {BARS['captum']}")
    for part, record in parts.items():
        for backend, each in record["found"].items() if part.startswith("lecture") else ():
            if each["against_predict"]["high"] < BARS["lecture"]:
                found.append(f"Keras on {backend}: {spread(each['against_predict'])}, the bar is {BARS['lecture']}")
    for name, each in parts.get("gradient", {}).get("found", {}).items():
        if each["cost"]["low"] > BARS["gradient"]:
            found.append(f"{name}: a saliency map costs {spread(each['cost'])}, the bar is {BARS['gradient']}")
    for name, each in parts.get("memory", {}).get("found", {}).items():
        if each["grown"] > each["budget"]:
            found.append(f"{name}: grew by {each['grown']:.0f} MiB of {each['budget']}")
    for name, value in parts.get("start", {}).get("found", {}).get("above_numpy", {}).items():
        if value > BARS[name]:
            found.append(f"{name}: {value:.2f} s above numpy, the bar is {BARS[name]}")
    return found


def table(record: dict[str, Any]) -> str:
    parts, machine = record["parts"], record["machine"]
    versions: dict[str, str] = {}
    for each in parts.values():
        versions.update(each["versions"])
    versions.pop("eyeline", None)
    said = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    threads = f"{record['threads']} thread{'s' if record['threads'] > 1 else ''}"
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {threads}, {record['date']}; {said}. Medians, with",
        f"quartiles of the rounds; contenders took turns. {record['note']}. `{record['command']}`",
        "",
    ]
    for section in (captum, lecture, gradient, memory, start):
        made = section(parts)
        lines += made if len(made) > 3 else []
    return "\n".join(lines)


def races(record: dict[str, Any]) -> dict[str, str]:
    return {record["name"]: family_tables.races(record)}


def gradients(record: dict[str, Any]) -> dict[str, str]:
    return {"family": family_tables.family(record)}


def whole(record: dict[str, Any]) -> dict[str, str]:
    return {"full_path": table(record)}


KINDS: dict[str, tuple[Callable[[dict[str, Any]], dict[str, str]], Callable[[dict[str, Any]], list[str]]]] = {
    "runs": (runs_tables.blocks, runs_tables.missed),
    "planted": (runs_tables.planted, runs_tables.unfound),
    "choice": (choice_tables.choice, choice_tables.slower),
    "races": (races, family_tables.behind),
    "family": (gradients, lambda record: missed(record["parts"])),
    "peers": (engine_tables.blocks, lambda record: engine_bars.missed(record["parts"])),
}
"""By a key that only such a record, or its parts, has: its text by the name of the marker that it stands under, and the
bars that it misses."""


def kind(record: dict[str, Any]) -> Any:
    """The pair of KINDS for a record; one without such a key is of the full path."""
    keys = {*record, *record.get("parts", {})}
    return next((pair for key, pair in KINDS.items() if key in keys), (whole, lambda record: missed(record["parts"])))


def blocks(record: dict[str, Any]) -> dict[str, str]:
    """Text by the name of the marker that it stands under."""
    found: dict[str, str] = kind(record)[0](record)
    return found


def filled(page: str, texts: dict[str, str]) -> str:
    """A page with every text between its marker and the end."""
    for name, text in texts.items():
        between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        page = between.sub(lambda found, text=text: found[1] + text + found[2], page)
    return page


def lacking(record: dict[str, Any]) -> list[str]:
    """Name the bars that are missed."""
    found: list[str] = kind(record)[1](record)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("record", type=Path)
    parser.add_argument("--into", type=Path, nargs="+", default=[])
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    record = json.loads(arguments.record.read_text(encoding="utf-8"))
    texts = blocks(record)
    for path in arguments.into:
        page = path.read_text(encoding="utf-8")
        if not any(f"<!-- {name} -->" in page for name in texts):
            sys.exit(f"{path} must hold <!-- {next(iter(texts))} --> and <!-- end -->, but it does not.")
        path.write_text(filled(page, texts), encoding="utf-8")
    if not arguments.into:
        print("\n".join(texts.values()))
    lost = lacking(record)
    print("\n".join(lost) or "every bar is met", file=sys.stderr)
    if arguments.check and lost:
        sys.exit(1)


if __name__ == "__main__":
    main()
