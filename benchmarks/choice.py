"""What `engine="auto"` costs beside the full path: one run each in a process of its own, set-up included.

    python benchmarks/choice.py --strides 56 28 16 --rounds 5 --out benchmarks/choice.json
    python benchmarks/table.py benchmarks/choice.json --into docs/benchmarks.md

For each network and stride: seconds of the call (wall clock and processor), which path ran, why, and auto's seconds
as a multiple of the full path's. The bar is 1.05, for sweeps of any length.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from measure import limit_threads, machine, report, versions


def once(name: str, stride: int, engine: str) -> dict[str, Any]:
    """One call in this process, which has imported everything that a caller has, and nothing of the engine."""
    import eyeline
    from networks import network, pictures, side

    size = side(name)
    model = eyeline.load(network(name), input_size=(size, size))
    method = eyeline.Occlusion(window=max(stride, size // 14), stride=stride, engine=engine)
    image = pictures(1, size, seed=1)
    wall, processor = time.perf_counter(), time.process_time()
    found = method(model, image).provenance
    took = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
    return {**took, **{key: found[key] for key in ("engine", "why", "windows") if key in found}}


def fresh(name: str, stride: int, engine: str) -> dict[str, Any]:
    """The same in a process of its own."""
    words = [sys.executable, __file__, "--once", name, str(stride), engine]
    return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def compared(name: str, stride: int, rounds: int) -> dict[str, Any]:
    runs: dict[str, list[dict[str, Any]]] = {"auto": [], "full": []}
    for turn in range(rounds):
        for engine in sorted(runs, reverse=bool(turn % 2)):
            runs[engine].append(fresh(name, stride, engine))
    took = {engine: {key: median(each[key] for each in found) for key in ("wall", "processor")}
            for engine, found in runs.items()}  # fmt: skip
    last = runs["auto"][-1]
    ratio = {key: took["auto"][key] / took["full"][key] for key in ("wall", "processor")}
    report(
        f"{name}, {last['windows']} windows: auto {took['auto']['processor']:.2f} s, full "
        f"{took['full']['processor']:.2f} s of processor; {ratio['processor']:.2f} ({ratio['wall']:.2f} by the clock), "
        f"{[each['engine'] for each in runs['auto']]}: {last['why']}"
    )
    return {"windows": last["windows"], "seconds": took, "auto_against_full": ratio, "auto": last}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--once", nargs=3, metavar=("NETWORK", "STRIDE", "ENGINE"))
    parser.add_argument("--networks", nargs="+", default=["small", "ResNet18", "MobileNetV2", "EfficientNet-B0"])
    parser.add_argument("--strides", nargs="+", type=int, default=[56, 28, 16, 8])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    limit_threads(arguments.threads)
    if arguments.once:
        name, stride, engine = arguments.once
        print(json.dumps(once(name, int(stride), engine)))
        return
    found = {
        f"{name}, stride {stride}": compared(name, stride, arguments.rounds)
        for name in arguments.networks
        for stride in arguments.strides
    }
    if arguments.out:
        before = json.loads(arguments.out.read_text())["choice"] if arguments.out.exists() else {}
        record = {
            "machine": machine(),
            "versions": versions(),
            "threads": arguments.threads,
            "rounds": arguments.rounds,
        }
        record["choice"] = {**before, **found}
        arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
