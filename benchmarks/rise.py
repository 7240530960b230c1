"""RISE against a plain batched masking loop in torch at the best of its batch sizes, in turns; memory as masks grow.

.venv/bin/python benchmarks/rise.py --threads 1 --seconds 120

The loop draws and upsamples its masks with torch, holds one batch of them, and ends with one class's map; eyeline also
keeps every class's scores and the standard error. The processor's time of this process is compared, engine="full".
"""

import argparse
import dataclasses
import json
from typing import Any

from measure import beside, best_size, head, limit_threads, report

CELLS, PROBABILITY = 7, 0.5
SIZES = (1, 2, 4, 8, 16, 32, 64)
"""Images a pass, of which the loop's best is searched, on a tenth of the masks."""


def loop(module: Any, planes: Any, target: int, masks: int, batch: int) -> Any:
    """The map of one class, as the paper's formula has it, divided by the masks' own sum."""
    import torch

    side, generator = planes.shape[-1], torch.Generator().manual_seed(0)
    cell = -(-side // CELLS)
    total, weight = torch.zeros(side, side), torch.zeros(side, side)
    with torch.inference_mode():
        for start in range(0, masks, batch):
            count = min(batch, masks - start)
            grid = (torch.rand(count, 1, CELLS, CELLS, generator=generator) < PROBABILITY).float()
            whole = torch.nn.functional.interpolate(grid, ((CELLS + 1) * cell,) * 2, mode="bilinear")
            at = torch.randint(0, cell, (count, 2), generator=generator).tolist()
            shown = torch.stack([each[:, y : y + side, x : x + side] for each, (y, x) in zip(whole, at, strict=True)])
            scores = module(planes * shown + 0.5 * (1 - shown))[:, target]
            total += torch.tensordot(scores, shown[:, 0], 1)
            weight += shown[:, 0].sum(0)
    return (total / weight).numpy()


def race(name: str, masks: int, budget: float) -> dict[str, Any]:
    import numpy as np

    import eyeline
    from contenders import picture, planes
    from networks import network, side

    module, image = network(name), picture(name)
    model = eyeline.load(module, input_size=(side(name),) * 2)
    given, target = planes(image), int(model.scores(image)[0].argmax())
    method = eyeline.Rise(masks, CELLS, PROBABILITY, measure="score")
    full = dataclasses.replace(method, engine="full")
    best, tried = best_size(lambda many: loop(module, given, target, max(masks // 10, max(SIZES)), many), SIZES)
    maps: dict[str, Any] = {}
    runs = {
        "eyeline": lambda: maps.update(eyeline=method(model, image, target)),
        "the full path": lambda: full(model, image, target),
        "plain loop": lambda: maps.update(loop=loop(module, given, target, masks, best)),
    }
    found = beside(runs, budget)
    ours = maps["eyeline"]
    apart = (ours.maps[0] - maps["loop"]) / ours.further["standard_error"][0]
    return {
        "best": {"plain loop": best, "eyeline": ours.provenance["batch"]},
        "tried": tried,
        "correlation": float(np.corrcoef(ours.maps.ravel(), maps["loop"].ravel())[0, 1]),
        "apart_in_standard_errors": float(np.sqrt((apart**2).mean())),
        **found,
    }


def memory() -> list[dict[str, Any]]:
    """How far the process grows as the masks do, on a network of one score."""
    import numpy as np

    import eyeline
    from eyeline.methods.batches import _forget_peak, _peak, _resident

    model = eyeline.load(lambda images: images.mean(axis=(1, 2)), input_size=(224, 224))
    image, found = np.random.default_rng(0).random((1, 224, 224, 3), dtype=np.float32), []
    for masks in (250, 1000, 4000):
        _forget_peak()
        before = _resident()
        eyeline.Rise(masks, memory=256, engine="full")(model, image, 0)
        found.append({"masks": masks, "mebibytes": round((_peak() - before) / 2**20)})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--masks", type=int, nargs="+", default=[4000, 400], help="on each network")
    parser.add_argument("--seconds", type=float, default=120, help="of the rounds on one network")
    parser.add_argument("--only", nargs="+", default=["small", "EfficientNet-Lite0"])
    arguments = parser.parse_args()
    limit_threads(arguments.threads)
    grown = memory()
    report(json.dumps(grown))
    found = {}
    for name, masks in zip(arguments.only, arguments.masks, strict=True):
        row = race(name, masks, arguments.seconds)
        found[name] = {f"RISE, {masks} masks": row}
        report(f"{name}: {json.dumps(row)}")
    print(json.dumps({**head(arguments.threads), "name": "rise", "memory": grown, "races": found}, indent=1))


if __name__ == "__main__":
    main()
