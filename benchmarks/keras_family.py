"""SmoothGrad and integrated gradients on Keras against tf-keras-vis and Xplique, RISE against Xplique, in turns.

KERAS_BACKEND=tensorflow .venv-keras-peers/bin/python benchmarks/keras_family.py --threads 1 --seconds 60

Xplique at the best of its batch sizes; tf-keras-vis takes one sample a pass and offers nothing else. Each contender has
run before, so that TensorFlow has made what it makes once. RISE runs on the small network only.
"""

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from measure import beside, best_size, races, report

STEPS, SAMPLES, NOISE, MASKS = 50, 25, 0.15, 4000
SIZES = {"IntegratedGradients": (1, 4, 8, 16, 50), "SmoothGrad": (1, 5, 25), "RISE": (8, 32, 128, 256)}
"""Images a pass, of which Xplique's best is searched."""

Run = Callable[[], Any]


def race(name: str, budget: float) -> dict[str, Any]:
    """Every method on one network and one image."""
    import keras
    import numpy as np

    import eyeline
    from networks import pictures
    from parts.keras import mobilenet, small

    keras.utils.set_random_seed(0)
    network, side = (small(), 64) if name == "small" else (mobilenet(), 224)
    image, found = pictures(1, side, seed=1), {}
    model = eyeline.load(network, output="raw")
    target = int(model.scores(image)[0].argmax())
    wanted = np.eye(network.output_shape[-1], dtype=np.float32)[[target]]
    methods: dict[str, Any] = {
        "IntegratedGradients": eyeline.IntegratedGradients(STEPS),
        "SmoothGrad": eyeline.SmoothGrad(samples=SAMPLES, noise=NOISE),
        "RISE": eyeline.Rise(MASKS, measure="score", baseline=eyeline.Constant(0)),
    }
    for what, method in methods.items():
        if what == "RISE" and name != "small":
            continue
        many, xplique = xplique_run(network, image, wanted, what)
        runs = {"eyeline": partial(method, model, image, target), "xplique": xplique}
        if what == "SmoothGrad":
            runs["tf-keras-vis"] = tf_keras_vis(network, image, target)
        if what == "RISE":
            runs["the full path"] = partial(dataclasses.replace(method, engine="full"), model, image, target)
        batch = runs["eyeline"]().provenance.get("batch")
        for each in runs.values():
            each()
        counted = {"RISE": f"{MASKS} masks", "SmoothGrad": f"{SAMPLES} samples"}.get(what, f"{STEPS} steps")
        row = {"best": {"xplique": many, "eyeline": batch}, **beside(runs, budget)}
        found[f"{what}, {counted}"] = row
        report(f"{name}, {what}: {json.dumps(row)}")
    return found


def xplique_run(network: Any, image: Any, wanted: Any, what: str) -> tuple[int, Run]:
    """Return the best of the batch sizes, and a run with it."""
    import xplique.attributions as xplique

    def made(many: int) -> Run:
        methods = {
            "IntegratedGradients": lambda: xplique.IntegratedGradients(network, batch_size=many, steps=STEPS),
            "SmoothGrad": lambda: xplique.SmoothGrad(network, batch_size=many, nb_samples=SAMPLES, noise=NOISE),
            "RISE": lambda: xplique.Rise(network, batch_size=many, nb_samples=MASKS),
        }
        method = methods[what]()
        return lambda: method.explain(image, wanted)

    runs = {many: made(many) for many in SIZES[what]}
    for each in runs.values():
        each()
    best, _ = best_size(lambda many: runs[many](), runs)
    return best, runs[best]


def tf_keras_vis(network: Any, image: Any, target: int) -> Run:
    import numpy as np
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.utils.scores import CategoricalScore

    np.random.seed(0)
    tool, score = Saliency(network), CategoricalScore([target])
    return lambda: tool(score, image, smooth_samples=SAMPLES, smooth_noise=NOISE, normalize_map=False)


if __name__ == "__main__":
    races("keras", __doc__, race, 60, ["small", "MobileNetV2"])
