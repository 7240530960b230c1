"""What the engine costs before its first position: imports, reading the network, preparing it, the clean pass."""

import statistics
import subprocess
import sys
from argparse import Namespace
from typing import Any

from measure import report, seconds, summary, take_turns

IMPORTS = "imports"
MODULES = "eyeline.incremental.run, eyeline.incremental.native"
"""What a sweep imports beside torch; the exporter, which is torch's, belongs to reading the network."""


def measure(item: str, arguments: Namespace) -> dict[str, Any]:
    """One network in this fresh process, or what the engine's imports cost."""
    return imports(arguments) if item == IMPORTS else network(item)


def network(name: str) -> dict[str, Any]:
    import torch

    import contenders
    from eyeline.incremental.run import Engine

    case = contenders.case(name)
    with torch.no_grad():
        case.module(case.planes)
        dense = statistics.median(seconds(lambda: case.module(case.planes)) for _ in range(5))
    made: dict[str, Any] = {}
    image = torch.from_numpy(case.image[0])
    took = {
        "dense": dense,
        "capture": seconds(lambda: made.update(graph=case.model.graph(case.shape))),
        "prepare": seconds(lambda: made.update(engine=Engine(made["graph"]))),
        "clean": seconds(lambda: made["engine"].clean(image)),
    }
    took["clean, again"] = statistics.median(seconds(lambda: made["engine"].clean(image)) for _ in range(5))
    report(f"{name}: starts in {sum(took[key] for key in ('capture', 'prepare', 'clean')):.2f} s")
    return took


def imports(arguments: Namespace) -> dict[str, Any]:
    def run(modules: str) -> Any:
        return lambda: subprocess.run([sys.executable, "-c", f"import {modules}"], check=True)

    runners = {"torch": run("numpy, torch"), "engine": run(f"numpy, torch, {MODULES}")}
    for each in runners.values():
        each()
    times = take_turns(runners, arguments.seconds, least=5)
    extra = [ours - theirs for ours, theirs in zip(times["engine"], times["torch"], strict=True)]
    return {"seconds": {key: summary(value) for key, value in times.items()}, "extra": statistics.median(extra)}
