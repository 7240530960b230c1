"""The parts of the full-path benchmark. Each runs in a process of its own and prints one line of JSON.

python benchmarks/sections.py captum --threads 1 --only ResNet18 --quick
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from measure import Peak, limit_threads, machine, quickest, ratio, report, summary, take_turns, versions

QUICK = ("small", "ResNet18", "MobileNetV2")
Arguments = argparse.Namespace
Record = dict[str, Any]


def networks(arguments: Arguments) -> Iterator[tuple[str, Any, Any, Any]]:
    """Name, torch module on (n, 3, rows, columns) in image space, eyeline's model of it, one image channels last."""
    import eyeline
    from networks import NAMES, network, pictures, side

    for name in arguments.only or (QUICK if arguments.quick else NAMES):
        module, size = network(name), side(name)
        yield name, module, eyeline.load(module, input_size=(size, size)), pictures(1, size, seed=1)


def captum(arguments: Arguments) -> Record:
    """Occlusion: eyeline, Captum at the best of its settings, and a loop of one position at a time."""
    found: Record = {}
    for name, module, model, image in networks(arguments):
        window, stride = (8, 4) if name == "small" else (32, 24)
        found[name] = {
            "window": window,
            "stride": stride,
            **race(module, model, image, window, stride, arguments.seconds),
        }
        report(f"{name}: {found[name]['against_captum']['median']:.2f} x Captum")
    return found


def race(module: Any, model: Any, image: Any, window: int, stride: int, budget: float) -> Record:
    """One network's rounds; what Captum does best at is tried first."""
    import numpy as np

    import contenders
    import eyeline

    planes = contenders.planes(image)
    method = eyeline.Occlusion(window=window, stride=stride, baseline=eyeline.Constant(0), engine="full")
    first = method(model, image)
    target = int(first.weights[0].argmax())

    def theirs(many: int) -> Any:
        return contenders.captum(module, planes, target, (window, window), (stride, stride), many)

    best, tried = quickest({many: lambda many=many: theirs(many) for many in contenders.PERTURBATIONS})
    runners = {
        "eyeline": lambda: method(model, image),
        "captum": lambda: theirs(best),
        "loop": lambda: contenders.loop(module, planes, first.sweep.boxes),
    }
    times = take_turns(runners, budget)
    return {
        "positions": len(first.sweep.boxes),
        "captum_perturbations_per_eval": best,
        "captum_tried": tried,
        "seconds": {key: summary(value) for key, value in times.items()},
        "against_captum": ratio(times["captum"], times["eyeline"]),
        "against_loop": ratio(times["loop"], times["eyeline"]),
        "largest_difference": float(np.abs(first.maps - theirs(best)[:, 0].numpy()).max()),
        "map_range": float(np.ptp(first.maps)),
    }


def gradient(arguments: Arguments) -> Record:
    """One saliency map against one bare forward and backward pass."""
    import contenders
    import eyeline

    found: Record = {}
    for name, module, model, image in networks(arguments):
        planes = contenders.planes(image)

        def bare(module: Any = module, planes: Any = planes) -> Any:
            leaf = planes.clone().requires_grad_()
            module(leaf)[0].max().backward()
            return leaf.grad

        def ours(model: Any = model, image: Any = image) -> Any:
            return eyeline.Gradient()(model, image).maps

        bare(), ours()
        times = take_turns({"eyeline": ours, "bare": bare}, arguments.seconds / 2, least=5, most=60)
        found[name] = {
            "seconds": {key: summary(value) for key, value in times.items()},
            "cost": ratio(times["eyeline"], times["bare"]),
        }
        report(f"{name}: {found[name]['cost']['median']:.2f} x a bare pass")
    return found


def memory(arguments: Arguments) -> Record:
    """Memory of an occlusion run per network and budget, each in a fresh process: what one frees, the next reuses."""
    from networks import NETWORKS

    found: Record = {}
    for name in arguments.only or (QUICK[1:] if arguments.quick else [each for each in NETWORKS if each != "small"]):
        for budget in (64, 256, 1024):
            words = ["--only", name, "--budget", str(budget), "--threads", str(arguments.threads)]
            command = [sys.executable, __file__, "grow", *words]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found[f"{name}, {budget}"] = json.loads(done.stdout)["found"]
            report(f"{name}: grew by {found[f'{name}, {budget}']['grown']:.0f} of {budget} MiB")
    return found


def grow(arguments: Arguments) -> Record:
    """Resident memory during one occlusion run, above what the process held with the model loaded and run once."""
    import eyeline

    _, _, model, image = next(networks(arguments))
    model.scores(image)
    with Peak() as peak:
        made = eyeline.Occlusion(window=32, stride=32, memory=arguments.budget, engine="full")(model, image)
    return {
        "budget": arguments.budget,
        "before": peak.before,
        "highest": peak.highest,
        "grown": peak.highest - peak.before,
        "batch": made.provenance.get("batch"),
    }


def lecture(arguments: Arguments) -> Record:
    """The lecture's loop, `model.predict` a position, against eyeline.lecture on the same Keras model."""
    import keras
    import numpy as np

    from eyeline.lecture import iterate_occlusion, occlusion_map

    keras.utils.set_random_seed(0)
    layers = [keras.Input((64, 64, 3))]
    for filters in (32, 64, 64):
        layers += [keras.layers.Conv2D(filters, 3, activation="relu", padding="same"), keras.layers.MaxPooling2D()]
    layers += [keras.layers.Flatten(), keras.layers.Dense(64, activation="relu")]
    model = keras.Sequential([*layers, keras.layers.Dense(4, activation="softmax")])
    image = np.random.default_rng(0).uniform(0, 1, (1, 64, 64, 3)).astype(np.float32)

    def predicting() -> Any:
        result = np.zeros((64, 64))
        for row, column, covered in iterate_occlusion(image, size=8):
            score = model.predict(np.reshape(covered, (1, 64, 64, 3)), verbose=0)[0, 2]
            result[row : row + 8, column : column + 8] = score
        return result

    def ours() -> Any:
        return occlusion_map(image, model, 2, size=8)

    error = float(np.abs(predicting() - ours()).max())
    times = take_turns({"eyeline": ours, "predict": predicting}, arguments.seconds * 1.5, least=5)
    result = {
        "positions": 64,
        "seconds": {key: summary(value) for key, value in times.items()},
        "against_predict": ratio(times["predict"], times["eyeline"]),
        "largest_difference": error,
    }
    backend = keras.backend.backend()
    report(f"Keras on {backend}: {result['against_predict']['median']:.0f} x the loop")
    return {backend: result}


def start(arguments: Arguments) -> Record:
    """Seconds to import eyeline, and to print the command's help, above those to import numpy."""
    command = Path(sys.executable).with_name("eyeline")

    def run(*words: str) -> Callable[[], object]:
        return lambda: subprocess.run(words, check=True, stdout=subprocess.DEVNULL)

    contenders = {
        "numpy": run(sys.executable, "-c", "import numpy"),
        "import eyeline": run(sys.executable, "-c", "import numpy, eyeline"),
        "eyeline --help": run(str(command), "--help"),
    }
    for each in contenders.values():
        each()
    times = take_turns(contenders, arguments.seconds, least=5, most=15)
    base = summary(times["numpy"])["median"]
    above = {name: summary(times[name])["median"] - base for name in contenders if name != "numpy"}
    return {"seconds": {key: summary(value) for key, value in times.items()}, "above_numpy": above}


SECTIONS: dict[str, Callable[[Arguments], Record]] = {
    each.__name__: each for each in (captum, gradient, memory, grow, lecture, start)
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("section", choices=SECTIONS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0, help="for the rounds of one network")
    parser.add_argument("--quick", action="store_true", help="three networks, few rounds")
    parser.add_argument("--only", nargs="*", default=[], help="networks")
    parser.add_argument("--budget", type=int, default=1024, help="mebibytes, for grow")
    arguments = parser.parse_args()
    arguments.seconds = min(arguments.seconds, 4.0) if arguments.quick else arguments.seconds
    limit_threads(arguments.threads)
    if arguments.section != "start":
        import torch

        torch.set_num_threads(arguments.threads)
    before = machine()
    found = SECTIONS[arguments.section](arguments)
    print(json.dumps({"machine": before, "versions": versions(), "threads": arguments.threads, "found": found}))
    sys.stdout.flush()
    os._exit(0)  # a framework's threads may hang on the way out


if __name__ == "__main__":
    main()
