"""Measure the full path against its bars: one command, one JSON file.

    python benchmarks/full_path.py --out benchmarks/full_path.json
    python benchmarks/table.py benchmarks/full_path.json

Occlusion against Captum at its best setting and against a loop; the lecture's loop on each Keras backend; a saliency
map against one bare pass; memory against the stated budget; what starting costs. Each part runs in a process and an
environment of its own (`.venv`, `.venv-peers`, ...; `make test test-peers test-tensorflow test-jax` makes them).

The 729 positions of a 224 x 224 picture are cut to 81 (window 32, stride 24): the full path costs the same at each.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from measure import ROOT, ask, machine

PARTS = {
    "captum": (".venv-peers", "captum", None),
    "gradient": (".venv-peers", "gradient", None),
    "memory": (".venv-peers", "memory", None),
    "lecture torch": (".venv", "lecture", "torch"),
    "lecture tensorflow": (".venv-tensorflow", "lecture", "tensorflow"),
    "lecture jax": (".venv-jax", "lecture", "jax"),
    "start": (".venv", "start", None),
}


def run(part: str, words: list[str]) -> dict[str, Any] | None:
    """One part in its own process; None where its environment is not there."""
    environment, section, backend = PARTS[part]
    return ask(environment, "sections.py", section, *words, **({"KERAS_BACKEND": backend} if backend else {}))


def earlier(out: Path) -> dict[str, Any]:
    """The parts of an earlier run, kept where only some are measured anew."""
    return dict(json.loads(out.read_text(encoding="utf-8"))["parts"]) if out.exists() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "full_path.json")
    parser.add_argument("--quick", action="store_true", help="three networks, few rounds: about two minutes")
    parser.add_argument("--threads", type=int, default=1, help="0 for all cores")
    parser.add_argument("--seconds", type=float, default=20.0, help="for the rounds of one network")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args()
    threads = arguments.threads or os.cpu_count() or 1
    words = ["--threads", str(threads), "--seconds", str(arguments.seconds)]
    words += ["--quick"] if arguments.quick else []
    record: dict[str, Any] = {
        "command": " ".join(["python", "benchmarks/full_path.py", *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%d"),
        "threads": threads,
        "machine": machine(),
        "note": "224 x 224 images with window 32 and stride 24 (81 positions); small: 64 x 64, window 8, stride 4",
        "parts": earlier(arguments.out) if arguments.parts != list(PARTS) else {},
    }
    for part in arguments.parts:
        found = run(part, words)
        if found:
            record["parts"][part] = found
    arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(arguments.out)


if __name__ == "__main__":
    main()
