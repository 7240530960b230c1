"""Occlusion by everyone, in turns: milliseconds a position, and how many times faster eyeline's engine is."""

from argparse import Namespace
from typing import Any

import numpy as np
import torch

import contenders
from contenders import Case
from eyeline.incremental import torch_kernels
from eyeline.incremental.run import Engine
from eyeline.window import grid
from measure import quickest, ratio, report, seconds, summary, take_turns

BATCHES = (1, 8)
"""Of OpenVINO."""

SLOWER = ("captum", "dense", "openvino")
"""Who runs the whole network, each at its best."""


def measure(name: str, arguments: Namespace, everyone: bool = True) -> dict[str, Any]:
    """One network: everyone, or without the loop and the slower settings of the others."""
    case = contenders.case(name)
    engine = Engine(case.model.graph(case.shape))
    target = int(case.model.scores(case.image)[0].argmax())
    best, runners = searched(case, target)
    runners["incremental"] = contenders.incremental(case, engine, case.boxes)
    if not everyone:
        del runners["loop"], runners["captum default"]
    found = {
        "side": case.shape[0],
        "window": case.window,
        "stride": case.stride,
        "positions": len(case.boxes),
        "subset": len(case.few),
        "best": best,
        "kernels": engine.kernels,
        "map_range": float(np.ptp(runners["incremental"]()[:, target])),
        "difference": agreement(case, engine, runners, target),
    }
    if everyone:
        plain = Engine(case.model.graph(case.shape), kernels=torch_kernels)
        runners["torch operations"] = contenders.incremental(case, plain, case.boxes)
        runners["auto"] = contenders.auto(case)
        ran = runners["auto"]().provenance
        found["auto"] = {key: str(ran[key]) for key in ("engine", "why") if key in ran}
        found |= work(case, engine) | own_precision(case, best["openvino"]["setting"])
    found |= timed(case, runners, arguments)
    line = f"{name}: {1000 * found['seconds']['incremental']['median']:.2f} ms a position"
    report(", ".join([line, *(f"{found['faster'][key]['median']:.1f} x {key}" for key in SLOWER)]))
    return found


def timed(case: Case, runners: dict[str, contenders.Run], arguments: Namespace) -> dict[str, Any]:
    """Seconds a position of each in turns, and how many times longer than the engine, and than `auto`, they took."""
    times = take_turns(runners, arguments.seconds, least=2 if arguments.quick else arguments.rounds)
    each = {key: [value / positions(key, case) for value in found] for key, found in times.items()}
    found = {
        "seconds": {key: summary(value) for key, value in each.items()},
        "faster": {key: ratio(each[key], each["incremental"]) for key in each if key != "incremental"},
    }
    if "auto" in each:
        found["auto_faster"] = {key: ratio(each[key], each["auto"]) for key in (*SLOWER, "full")}
    return found


def positions(runner: str, case: Case) -> int:
    """How many one run of it makes; who runs the clean image too has that counted as a position."""
    if runner in ("incremental", "torch operations", "auto"):
        return len(case.boxes)
    return len(case.few) + (runner in ("captum", "captum default", "full"))


def searched(case: Case, target: int) -> tuple[dict[str, Any], dict[str, contenders.Run]]:
    """Each contender's best setting, with what was tried; and all that run the whole network, ready."""
    boxes = case.boxes[case.few]

    def theirs(many: int) -> contenders.Run:
        return lambda: contenders.captum(case.probable, case.planes, target, case.tile, case.tile, many)

    families = {
        "captum": {many: theirs(many) for many in contenders.PERTURBATIONS},
        "openvino": {many: contenders.openvino(case.probable, case.planes, boxes, many) for many in BATCHES},
        "full": {many: contenders.full(case, many) for many in contenders.PERTURBATIONS},
    }
    best, runners = {}, {}
    for name, family in families.items():
        family[min(family)]()
        setting, tried = quickest(family)
        best[name] = {"setting": setting, "tried": tried}
        runners[name] = family[setting]
    runners["loop"] = lambda: contenders.loop(case.probable, case.planes, boxes)
    runners["captum default"] = theirs(1)
    runners["dense"] = contenders.dense(case.probable, case.planes, boxes)
    return best, runners


def agreement(case: Case, engine: Engine, runners: dict[str, contenders.Run], target: int) -> dict[str, float]:
    """Largest difference of anyone's probabilities from torch's, one position at a time: all did the same work."""
    few = case.boxes[case.few]
    own = contenders.loop(case.probable, case.planes, few).numpy()
    found = {each: np.abs(runners[each]().numpy() - own).max() for each in ("dense", "openvino")}
    found["incremental"] = np.abs(contenders.incremental(case, engine, few)() - own).max()
    tiles = grid(case.shape[:2], case.tile, case.tile)
    tiled = contenders.loop(case.probable, case.planes, tiles).numpy()
    found["full"] = np.abs(runners["full"]() - tiled).max()
    with torch.no_grad():
        clean = float(case.probable(case.planes)[0, target])
    corners = runners["captum"]()[0, 0].numpy()[tiles[:, 0, 0], tiles[:, 1, 0]]
    found["captum"] = np.abs(clean - corners - tiled[:, target]).max()
    return {each: float(value) for each, value in found.items()}


def work(case: Case, engine: Engine) -> dict[str, Any]:
    """Multiply-adds of one position: the whole network's, and the least that an exact sweep can do."""
    plan = engine.plan(case.boxes)
    count = len(case.boxes)
    return {"multiply_adds": {"full": plan.full / count, "least": plan.done / count}, "dense_from": plan.dense_from}


def own_precision(case: Case, batch: int) -> dict[str, Any]:
    """OpenVINO without a word about precision: on some processors it rounds to bfloat16."""
    boxes = case.boxes[case.few]
    run = contenders.openvino(case.probable, case.planes, boxes, batch, precision=None)
    difference = np.abs(run().numpy() - contenders.loop(case.probable, case.planes, boxes).numpy()).max()
    took = min(seconds(run) for _ in range(3)) / len(boxes)
    return {"openvino_own_precision": {"seconds": took, "difference": float(difference)}}
