"""Measure the incremental engine against its peers and its bars: one command, one JSON file.

    python benchmarks/engine.py --out benchmarks/engine.json
    python benchmarks/table.py benchmarks/engine.json --into docs/benchmarks.md README.md
    python benchmarks/charts.py benchmarks/engine.json

Every item of every part runs in a process of its own and is written as soon as it is there, so that a run that was
ended goes on with `--parts` and `--only`. What runs the whole network costs the same at each position: it is
measured on a few, spread over the grid; the engine on all of them.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from full_path import earlier
from measure import ROOT, ask, machine, report
from networks import NAMES
from parts.memory import RUNS
from sections import QUICK


@dataclass(frozen=True)
class Part:
    """A module of `parts`, where it runs, and on what.

    Args:
        items: networks, or "network, what of it".
        quick: those of a short run.
        threads: None means as the command says.
    """

    module: str
    items: tuple[str, ...]
    quick: tuple[str, ...]
    environment: str = ".venv-peers"
    threads: int | None = None


GROWN = ("ResNet18", "MobileNetV2")
SETTINGS = ("side", "stride", "window", "classes", "images")
PARTS = {
    "peers": Part("peers", NAMES, QUICK),
    "exact": Part("exact", NAMES, ("small", "MobileNetV2")),
    "keras": Part("keras", ("small", "MobileNetV2"), ("small",), ".venv-keras-peers"),
    "growth": Part("growth", tuple(f"{name}, {each}" for name in GROWN for each in SETTINGS), ("MobileNetV2, side",)),
    "memory": Part(
        "memory", tuple(f"{name}, {each}" for name in NAMES for each in RUNS), ("MobileNetV2, incremental",)
    ),
    "start": Part("start", ("imports", *NAMES), ("imports", *QUICK)),
    "threads": Part("threads", NAMES, QUICK, threads=os.cpu_count()),
}


def run(part: Part, item: str, arguments: argparse.Namespace) -> dict[str, Any] | None:
    """One item in its own process; None where it failed or its environment is not there."""
    threads = part.threads or arguments.threads or os.cpu_count()
    words = ["--threads", str(threads), "--seconds", str(min(arguments.seconds, 8.0 if arguments.quick else 1e9))]
    words += ["--rounds", str(arguments.rounds)]
    words += ["--quick"] if arguments.quick else []
    variables = {"KERAS_BACKEND": "tensorflow"} if part.module == "keras" else {}
    try:
        return ask(part.environment, "inside.py", part.module, item, *words, **variables)
    except subprocess.CalledProcessError:
        report(f"{part.module}, {item}: failed")
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "engine.json")
    parser.add_argument("--quick", action="store_true", help="few networks, few rounds")
    parser.add_argument("--threads", type=int, default=1, help="0 for all cores")
    parser.add_argument("--seconds", type=float, default=60.0, help="for the rounds of one item")
    parser.add_argument("--rounds", type=int, default=5, help="at least, whatever they take")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--only", nargs="*", default=[], help="networks")
    arguments = parser.parse_args()
    parts = earlier(arguments.out) if arguments.parts != list(PARTS) or arguments.only else {}
    failed = False
    for name in arguments.parts:
        part = PARTS[name]
        for item in part.quick if arguments.quick and not arguments.only else part.items:
            if arguments.only and item.partition(",")[0] not in arguments.only:
                continue
            found = run(part, item, arguments)
            failed |= found is None
            if found:
                items = {**parts.get(name, {}).get("found", {}), item: found.pop("found")}
                parts[name] = {**found, "found": items}
                write(arguments.out, parts)
    print(arguments.out)
    sys.exit(failed)


def write(out: Path, parts: dict[str, Any]) -> None:
    """Everything that is there by now, under a temporary name first."""
    record = {
        **noted(out),
        "command": " ".join(["python", "benchmarks/engine.py", *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "parts": parts,
    }
    unfinished = out.with_suffix(".part")
    unfinished.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(out)


def noted(out: Path) -> dict[str, str]:
    """Keep what was said by hand of how an earlier part was run."""
    before = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    return {"note": before["note"]} if before.get("note") else {}


if __name__ == "__main__":
    main()
