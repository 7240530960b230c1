"""EfficientNet-Lite0 in Keras, with the weights of a torch network of `eyeline.models.lite0`.

Layers start from zeros, since the weights follow: JAX compiles every other initialiser once per shape.
"""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import layers

from eyeline.models import lite0


def build(weights: dict[str, np.ndarray]) -> Any:
    """Return the network; its outputs are logits.

    Args:
        weights: the state dict of `lite0.build()`, as arrays.

    Padding is Keras' "same", which puts the odd pixel behind, as the torch network does.
    """
    image = keras.Input((lite0.SIZE, lite0.SIZE, 3))
    values = _unit(image, "stem", weights, 2)
    for index, step in enumerate(lite0.steps()):
        values = _block(values, f"blocks.{index}", weights, step)
    values = layers.GlobalAveragePooling2D()(_unit(values, "head", weights))
    network = keras.Model(image, layers.Dense(lite0.CLASSES, kernel_initializer="zeros", name="classifier")(values))
    network.get_layer("classifier").set_weights([weights["classifier.weight"].T, weights["classifier.bias"]])
    for layer, arrays in _arrays(network, weights):
        layer.set_weights(arrays)
    return network


def _block(values: Any, name: str, weights: dict[str, np.ndarray], step: lite0.Step) -> Any:
    result = _unit(values, f"{name}.expand", weights) if step.wide != step.incoming else values
    result = _unit(result, f"{name}.depthwise", weights, step.stride)
    result = _unit(result, f"{name}.project", weights, active=False)
    return layers.Add()([result, values]) if step.stride == 1 and step.incoming == step.outgoing else result


def _unit(values: Any, name: str, weights: dict[str, np.ndarray], stride: int = 1, active: bool = True) -> Any:
    """Convolution, batch normalisation and ReLU6; the kernel's shape says what kind of convolution it is."""
    outgoing, incoming, kernel, _ = weights[f"{name}.{int(active)}.weight"].shape
    settings = {"strides": stride, "padding": "same", "use_bias": False, "name": _key(f"{name}.{int(active)}")}
    if incoming == 1:
        values = layers.DepthwiseConv2D(kernel, depthwise_initializer="zeros", **settings)(values)
    else:
        values = layers.Conv2D(outgoing, kernel, kernel_initializer="zeros", **settings)(values)
    values = layers.BatchNormalization(epsilon=lite0.EPSILON, name=_key(f"{name}.{int(active) + 1}"))(values)
    return layers.ReLU(6.0)(values) if active else values


def _arrays(network: Any, weights: dict[str, np.ndarray]) -> Iterator[tuple[Any, list[np.ndarray]]]:
    for layer in network.layers:
        name = layer.name.replace("-", ".")
        if isinstance(layer, layers.BatchNormalization):
            yield layer, [weights[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]
        elif isinstance(layer, layers.DepthwiseConv2D):
            yield layer, [weights[f"{name}.weight"].transpose(2, 3, 0, 1)]
        elif isinstance(layer, layers.Conv2D):
            yield layer, [weights[f"{name}.weight"].transpose(2, 3, 1, 0)]


def _key(name: str) -> str:
    """Keras takes no dots in names on torch."""
    return name.replace(".", "-")
