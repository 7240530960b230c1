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


def blocks(record: dict[str, Any]) -> dict[str, str]:
    """Text by the name of the marker that it stands under."""
    if "runs" in record:
        return runs_tables.blocks(record)
    if "planted" in record:
        return runs_tables.planted(record)
    if "choice" in record:
        return choice_tables.choice(record)
    if "races" in record:
        return {record["name"]: family_tables.races(record)}
    if "family" in record["parts"]:
        return {"family": family_tables.family(record)}
    return engine_tables.blocks(record) if "peers" in record["parts"] else {"full_path": table(record)}


def filled(page: str, texts: dict[str, str]) -> str:
    """A page with every text between its marker and the end."""
    for name, text in texts.items():
        between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        page = between.sub(lambda found, text=text: found[1] + text + found[2], page)
    return page


def lacking(record: dict[str, Any]) -> list[str]:
    """Name the bars that are missed."""
    if "runs" in record:
        return runs_tables.missed(record)
    if "planted" in record:
        return runs_tables.unfound(record)
    if "choice" in record:
        return choice_tables.slower(record)
    if "races" in record:
        return family_tables.behind(record)
    return (engine_bars.missed if "peers" in record["parts"] else missed)(record["parts"])


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
