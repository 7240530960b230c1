"""How the cost grows: with the image, the stride, the window, the classes and the number of images."""

from argparse import Namespace
from typing import Any

import numpy as np

import contenders
from contenders import BATCH, Case
from eyeline.incremental.run import Engine
from measure import ratio, report, summary, take_turns
from networks import build, pictures

DEFAULT = {"side": 224, "window": 16, "stride": 8, "classes": 1000, "images": 1}
VALUES = {
    "side": (64, 128, 256, 512),
    "stride": (4, 8, 16),
    "window": (8, 16, 32),
    "classes": (10, 1000, 10000),
    "images": (1, 2, 4, 8, 16),
}
ALONGSIDE = {"window": lambda window: {"stride": window // 2}, "images": lambda images: {"stride": 16}}
"""What changes with a setting: windows overlap by half; many images are covered with a wider stride."""


def measure(item: str, arguments: Namespace) -> dict[str, Any]:
    """One setting of one network; `item` is "network, setting"."""
    name, setting = item.split(", ")
    values = VALUES[setting][:2] if arguments.quick else VALUES[setting]
    found: dict[str, Any] = {}
    for value in values:
        changed = {setting: value, **ALONGSIDE.get(setting, lambda value: {})(value)}
        found[str(value)] = point(name, {**DEFAULT, **changed}, arguments)
        report(f"{item} {value}: {1000 * found[str(value)]['seconds']['incremental']['median']:.2f} ms a position")
    return {"values": found}


def point(name: str, at: dict[str, int], arguments: Namespace) -> dict[str, Any]:
    """The engine on every position, and the full path on some, in turns."""
    module = build(name, at["classes"], at["side"]).requires_grad_(False)
    case = Case(module, pictures(at["images"], at["side"], seed=1), at["window"], at["stride"])
    engine = Engine(case.model.graph(case.shape))
    alone = Case(module, case.image[:1], at["window"], at["stride"])
    runners = {"incremental": sweep(case, engine), "full": contenders.full(alone, BATCH)}
    for each in runners.values():
        each()
    times = take_turns(runners, arguments.seconds / 6, least=2 if arguments.quick else 3)
    total = len(case.boxes) * at["images"]
    seconds = {
        "incremental": [value / total for value in times["incremental"]],
        "full": [value / (np.prod(case.cells) + 1) for value in times["full"]],
    }
    plan = engine.plan(case.boxes)
    return {
        "settings": at,
        "positions": len(case.boxes),
        "seconds": {key: summary(value) for key, value in seconds.items()},
        "faster": ratio(seconds["full"], seconds["incremental"]),
        "share": plan.done / plan.full,
    }


def sweep(case: Case, engine: Engine) -> contenders.Run:
    """Several images, one after the other, each with its clean pass."""
    patch = np.zeros_like(case.image)
    return lambda: [case.model.convert(raw) for _, raw in engine.run(case.image, patch, case.boxes)]
