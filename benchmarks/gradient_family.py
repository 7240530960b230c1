"""Integrated gradients and SmoothGrad against Captum at the best of its batch sizes, in turns: ratios, not seconds.

.venv-peers/bin/python benchmarks/gradient_family.py --threads 1 --seconds 60
"""

import argparse
import json
from collections.abc import Callable
from typing import Any

from measure import limit_threads, machine, quickest, ratio, report, summary, take_turns, versions

STEPS, SAMPLES, NOISE = 50, 25, 0.15
SIZES = (1, 2, 4, 8, 16)
"""Images a pass, of which Captum's best is searched; its default, all at once, is much slower here."""


def race(name: str, budget: float) -> dict[str, Any]:
    """Both methods on one network and one image; the maps must agree."""
    import numpy as np
    from captum import attr

    import eyeline
    from contenders import picture, planes
    from networks import network, side

    module, image = network(name), picture(name)
    model = eyeline.load(module, input_size=(side(name),) * 2)
    given, target = planes(image), int(model.scores(image)[0].argmax())

    def integrated(many: int) -> Any:
        return attr.IntegratedGradients(module).attribute(given, target=target, n_steps=STEPS, internal_batch_size=many)

    def smoothed(many: int) -> Any:
        tunnel = attr.NoiseTunnel(attr.Saliency(module))
        return tunnel.attribute(
            given, target=target, abs=False, nt_samples=SAMPLES, nt_samples_batch_size=many, stdevs=NOISE
        )

    ours = eyeline.IntegratedGradients(STEPS, channels=None)(model, image, target).maps
    theirs = integrated(SIZES[0]).detach().movedim(1, -1).numpy()
    agree = float(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1])
    runs: dict[str, tuple[Any, Callable[[int], Any]]] = {
        "integrated gradients": (eyeline.IntegratedGradients(STEPS), integrated),
        "SmoothGrad": (eyeline.SmoothGrad(samples=SAMPLES, noise=NOISE, relative=False), smoothed),
    }
    return {"agreement": agree, **{what: turns(what, *run, model, image, target, budget) for what, run in runs.items()}}


def turns(what: str, method: Any, theirs: Callable[[int], Any], *rest: Any) -> dict[str, Any]:
    """One method's rounds, after the search for Captum's best."""
    model, image, target, budget = rest
    best, tried = quickest({many: lambda many=many: theirs(many) for many in SIZES})
    times = take_turns({"eyeline": lambda: method(model, image, target), "captum": lambda: theirs(best)}, budget)
    found = {
        "captum_batch": best,
        "captum_tried": tried,
        "eyeline_batch": method(model, image, target).provenance["batch"],
        "seconds": {name: summary(each) for name, each in times.items()},
        "times_faster": ratio(times["captum"], times["eyeline"]),
    }
    report(f"{what}: {found['times_faster']} (batch {found['eyeline_batch']}, Captum's {best})")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60, help="of the rounds of one method on one network")
    parser.add_argument("--only", nargs="+", default=["EfficientNet-Lite0", "ResNet18"])
    arguments = parser.parse_args()
    limit_threads(arguments.threads)
    found = {}
    for name in arguments.only:
        report(name)
        found[name] = race(name, arguments.seconds)
    print(json.dumps({"machine": machine(), "versions": versions(), "threads": arguments.threads, "networks": found}))


if __name__ == "__main__":
    main()
