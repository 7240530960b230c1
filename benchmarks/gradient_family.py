"""Integrated gradients and SmoothGrad against Captum at the best of its batch sizes, in turns.

.venv-peers/bin/python benchmarks/gradient_family.py --threads 1 --seconds 60

The processor's time of this process is compared, which what else the machine does hardly changes. The third contender
is eyeline without its twin of the network. What the process grows by is measured in processes of their own.
"""

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import date
from typing import Any

from measure import Peak, limit_threads, machine, ratio, report, summary, take_turns, versions

STEPS, SAMPLES, NOISE = 50, 25, 0.15
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
    """The search for Captum's best, twice, and the rounds; every contender has run before."""
    tried = {many: min(processor(lambda many=many: captum(many)) for _ in range(2)) for many in sizes}
    ours(), without()
    best = min(tried, key=tried.__getitem__)
    times: dict[str, list[float]] = defaultdict(list)
    runs = {"eyeline": ours, "eyeline, no twin": without, "captum": lambda: captum(best)}
    take_turns({who: lambda who=who: times[who].append(processor(runs[who])) for who in runs}, budget)
    return {
        "captum_tried": tried,
        "captum_batch": best,
        "eyeline_batch": ours().provenance["batch"],
        "processor_seconds": {who: summary(each) for who, each in times.items()},
        "times_faster": {who: ratio(times["captum"], times[who]) for who in times if who != "captum"},
    }


def grown(name: str, who: str, steps: int, budget: int) -> dict[str, float]:
    """What the process grows by in integrated gradients, in MiB: ours within a budget, Captum's as it is called."""
    import torch
    from captum import attr

    import eyeline
    from contenders import picture, planes
    from networks import network, side

    module, image = network(name), picture(name)
    if who == "captum":
        lines, given = attr.IntegratedGradients(module), planes(image)
        run = lambda: lines.attribute(given, target=0, n_steps=steps)  # noqa: E731
        module(given)
    else:
        model = eyeline.load(module, input_size=(side(name),) * 2)
        run = lambda: eyeline.IntegratedGradients(steps, memory=budget)(model, image, 0)  # noqa: E731
        model.scores(image)
    torch.manual_seed(0)
    with Peak() as peak:
        run()
    return {"grown": peak.highest - peak.before}


def memory(name: str, threads: int) -> dict[str, dict[str, float]]:
    """Growth by contender and steps."""
    found: dict[str, dict[str, float]] = {}
    for who, steps, budget in (("captum", 10, 0), ("captum", 50, 0), ("eyeline", 50, 256), ("eyeline", 50, 1024)):
        words = ["--threads", str(threads), "--grown", name, who, str(steps), str(budget)]
        command = [sys.executable, __file__, *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        what = f"{who}, {steps} steps" + (f", memory={budget}" if budget else "")
        found[what] = json.loads(done.stdout.splitlines()[-1])
    return found


def processor(run: Run) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


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
    words = " ".join(["python benchmarks/gradient_family.py", *sys.argv[1:]])
    record = {"machine": machine(), "versions": versions(), "threads": arguments.threads, "command": words}
    print(json.dumps({**record, "date": date.today().isoformat(), "parts": parts}, indent=1))


if __name__ == "__main__":
    main()
