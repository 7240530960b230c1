"""A Keras model on TensorFlow: tf-explain and Xplique, each at its best batch, Keras' own loop, and eyeline.

They do not mean the same: tf-explain moves its window by whole windows and gives 1 - p of grey squares, Xplique sums
the drops of black squares, eyeline averages them. What is compared is the cost of one covered image.
"""

from argparse import Namespace
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

import eyeline
from measure import quickest, ratio, report, summary, take_turns

BATCHES = (8, 32, 128)
PREDICTED = 32
"""Positions of the loop, `model.predict` on one covered image at a time."""


def measure(name: str, arguments: Namespace) -> dict[str, Any]:
    """One network: "small" or "MobileNetV2"."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)
    keras.utils.set_random_seed(0)
    keras.config.disable_interactive_logging()  # a bar a call is not what is compared
    side, window, stride = (64, 8, 4) if name == "small" else (224, 16, 8)
    model = small() if name == "small" else mobilenet()
    image = pictures(1, side, seed=1)
    method = eyeline.Occlusion(window=window, stride=stride, baseline=eyeline.Constant(0))
    loaded = eyeline.load(model)
    first = method(loaded, image)
    target = int(first.scores[0].argmax())
    families = {
        "tf-explain": {batch: tf_explain(model, image, target, window, batch) for batch in BATCHES},
        "xplique": {batch: xplique(model, image, target, window, stride, batch) for batch in BATCHES},
    }
    best, runners = {}, {}
    for key, family in families.items():
        for each in family.values():
            each()  # TensorFlow makes a function of each batch first
        setting, tried = quickest(family)
        best[key], runners[key] = {"setting": setting, "tried": tried}, family[setting]
    runners["loop"] = lambda: [model.predict(image, verbose=0) for _ in range(PREDICTED)]
    runners["eyeline"] = lambda: method(loaded, image)
    runners["loop"]()
    agreement = np.abs(summed(first, window) - runners["xplique"]()).max()
    times = take_turns(runners, arguments.seconds, least=2 if arguments.quick else arguments.rounds)
    positions = {"tf-explain": (-(-side // window)) ** 2, "loop": PREDICTED, "xplique": len(first.sweep.boxes)}
    counts = {**positions, "eyeline": len(first.sweep.boxes)}
    each = {key: [value / counts[key] for value in found] for key, found in times.items()}
    found = {
        "side": side,
        "window": window,
        "stride": stride,
        "positions": counts,
        "best": best,
        "seconds": {key: summary(value) for key, value in each.items()},
        "faster": {key: ratio(each[key], each["eyeline"]) for key in each if key != "eyeline"},
        "engine": method(loaded, image).provenance["engine"],
        "xplique_difference": float(agreement),
        "map_range": float(np.ptp(first.maps)),
    }
    report(f"{name} on Keras: {found['faster']['xplique']['median']:.1f} x Xplique, {found['engine']}")
    return found


def pictures(count: int, side: int, seed: int) -> np.ndarray:
    import networks

    return networks.pictures(count, side, seed)


def small() -> keras.Model:
    """Layer for layer the small network of the other tables."""
    stack = [keras.Input((64, 64, 3))]
    for filters in (32, 64, 128):
        stack += [layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.MaxPooling2D()]
    stack += [layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dense(10, activation="softmax")]
    return keras.Sequential(stack)


def mobilenet() -> keras.Model:
    """Random weights; the batch-norm statistics are those of one batch."""
    model = keras.applications.MobileNetV2(weights=None)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    model(pictures(8, 224, seed=0), training=True)
    return model


def tf_explain(model: keras.Model, image: np.ndarray, target: int, window: int, batch: int) -> Callable[[], Any]:
    from tf_explain.core.occlusion_sensitivity import OcclusionSensitivity

    explainer = OcclusionSensitivity(batch_size=batch)
    return lambda: explainer.get_sensitivity_map(model, image[0], target, window)


def xplique(
    model: keras.Model, image: np.ndarray, target: int, window: int, stride: int, batch: int
) -> Callable[[], np.ndarray]:
    from xplique.attributions import Occlusion

    explainer = Occlusion(model, batch_size=batch, patch_size=window, patch_stride=stride, occlusion_value=0.0)
    wanted = np.zeros((1, model.output_shape[-1]), dtype=np.float32)
    wanted[0, target] = 1
    return lambda: explainer.explain(image, wanted).numpy()[0, :, :, 0]


def summed(attribution: eyeline.Attribution, window: int) -> np.ndarray:
    """Eyeline's map under Xplique's rule, the sum over the windows on a pixel."""
    import dataclasses

    sweep = dataclasses.replace(attribution.sweep, overlap="sum")
    return sweep.maps(attribution.weights, attribution.maps.shape[1:])[0]
