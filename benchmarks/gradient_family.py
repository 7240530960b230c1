"""Integrated gradients and SmoothGrad against Captum at the best of its batch sizes, in turns.

.venv-peers/bin/python benchmarks/gradient_family.py --threads 1 --seconds 60

The processor's time of this process is compared, which what else the machine does hardly changes. The third contender
is eyeline without its twin of the network. What the process grows by is measured in processes of their own.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from measure import Peak, beside, best_size, head, limit_threads, report

STEPS, SAMPLES, NOISE = 50, 25, 0.15
GROWTH = (
    ("captum", 10, 0), ("captum", STEPS, 0), ("eyeline", STEPS, 256), ("eyeline", STEPS, 1024),
    ("captum", SAMPLES, 0), ("eyeline", SAMPLES, 256),
)  # fmt: skip
SIZES = (1, 2, 4, 8, 16)
"""Images a pass, of which Captum's best is searched."""

Run = Callable[[], Any]


def race(name: str, budget: float, sizes: list[int]) -> dict[str, Any]:
    """Both methods on one network and one image."""
    import numpy as np
    from captum import attr

    import eyeline
    from contenders import picture, planes
    from networks import network, side

    module, image = network(name), picture(name)
    model, without = (eyeline.load(module, input_size=(side(name),) * 2) for _ in range(2))
    without.prepare = lambda images: None
    given, target = planes(image), int(model.scores(image)[0].argmax())
    lines, noisy = attr.IntegratedGradients(module), attr.NoiseTunnel(attr.Saliency(module))

    def integrated(many: int) -> Any:
        return lines.attribute(given, target=target, n_steps=STEPS, internal_batch_size=many)

    def smoothed(many: int) -> Any:
        settings = {"nt_samples": SAMPLES, "nt_samples_batch_size": many, "stdevs": NOISE}
        return noisy.attribute(given, target=target, abs=False, **settings)

    ours = eyeline.IntegratedGradients(STEPS, channels=None)(model, image, target).maps
    theirs = integrated(SIZES[2]).detach().movedim(1, -1).numpy()
    found: dict[str, Any] = {"correlation": float(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1])}
    for method, captum in (
        (eyeline.IntegratedGradients(STEPS), integrated),
        (eyeline.SmoothGrad(samples=SAMPLES, noise=NOISE, relative=False), smoothed),
    ):
        what = type(method).__name__
        found[what] = turns(
            lambda method=method: method(model, image, target),
            lambda method=method: method(without, image, target),
            captum,
            budget,
            sizes,
        )
        report(f"{name}, {what}: {json.dumps(found[what])}")
    return found


def turns(ours: Run, without: Run, captum: Callable[[int], Any], budget: float, sizes: list[int]) -> dict[str, Any]:
    """The search for Captum's best, and the rounds; every contender has run before."""
    best, tried = best_size(captum, sizes)
    ours(), without()
    found = beside({"eyeline": ours, "no twin": without, "captum": lambda: captum(best)}, budget)
    return {"captum_tried": tried, "captum_batch": best, "eyeline_batch": ours().provenance["batch"], **found}


def grown(name: str, who: str, steps: int, budget: int) -> dict[str, float]:
    """What the process grows by, in MiB: ours within a budget, Captum's as called; 25 are SmoothGrad's samples."""
    import torch
    from captum import attr

    import eyeline
    from contenders import picture, planes
    from networks import network, side

    module, image = network(name), picture(name)
    if who == "captum":
        lines, noisy, given = attr.IntegratedGradients(module), attr.NoiseTunnel(attr.Saliency(module)), planes(image)
        runs = {
            "SmoothGrad": lambda: noisy.attribute(given, target=0, nt_samples=steps, stdevs=NOISE),
            "IntegratedGradients": lambda: lines.attribute(given, target=0, n_steps=steps),
        }
        module(given)
    else:
        model = eyeline.load(module, input_size=(side(name),) * 2)
        noisy = eyeline.SmoothGrad(eyeline.Gradient(memory=budget), samples=steps)
        methods = (noisy, eyeline.IntegratedGradients(steps, memory=budget))
        runs = {type(method).__name__: lambda method=method: method(model, image, 0) for method in methods}
        model.scores(image)
    torch.manual_seed(0)
    with Peak() as peak:
        runs["SmoothGrad" if steps == SAMPLES else "IntegratedGradients"]()
    return {"grown": peak.highest - peak.before}


def memory(name: str, threads: int) -> dict[str, dict[str, float]]:
    """Growth by contender and steps."""
    found: dict[str, dict[str, float]] = {}
    for who, steps, budget in GROWTH:
        words = ["--threads", str(threads), "--grown", name, who, str(steps), str(budget)]
        command = [sys.executable, __file__, *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        counted = "samples" if steps == SAMPLES else "steps"
        what = f"{who}, {steps} {counted}" + (f", memory={budget}" if budget else "")
        found[what] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60, help="of the rounds of one method on one network")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="of Captum's passes, to be tried")
    parser.add_argument("--quick", action="store_true", help="leave the memory out")
    parser.add_argument("--grown", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--only", nargs="+", default=["EfficientNet-Lite0", "ResNet18"])
    arguments = parser.parse_args()
    limit_threads(arguments.threads)
    if arguments.grown:
        name, who, steps, budget = arguments.grown
        print(json.dumps(grown(name, who, int(steps), int(budget))))
        return
    parts = {"family": {name: race(name, arguments.seconds, arguments.sizes) for name in arguments.only}}
    parts["growth"] = {name: memory(name, arguments.threads) for name in arguments.only if not arguments.quick}
    print(json.dumps({**head(arguments.threads), "parts": parts}, indent=1))


if __name__ == "__main__":
    main()
