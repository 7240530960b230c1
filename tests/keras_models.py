"""Small Keras networks and images for the tests, and what must not change when a network is explained."""

from typing import Any

import keras
import numpy as np
from keras import layers


def images(n: int = 4, size: tuple[int, ...] = (9, 7), channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, *size, channels), dtype=np.float32)


def body(tensor: Any, classes: int = 5, activation: str | None = "softmax") -> Any:
    """Smooth everywhere, so that finite differences hold; batch statistics and dropout differ in training."""
    tensor = layers.Conv2D(4, 3, padding="same", activation="tanh")(tensor)
    tensor = layers.BatchNormalization()(tensor)
    tensor = layers.AveragePooling2D(2)(tensor)
    tensor = layers.Dropout(0.5)(tensor)
    return layers.Dense(classes, activation=activation)(layers.Flatten()(tensor))


def functional(size: tuple[int | None, ...] = (9, 7), channels: int = 3, classes: int = 5, **settings: Any) -> Any:
    image = keras.Input((*size, channels), name="image")
    return settled(keras.Model(image, body(image, classes, **settings)))


def settled(model: Any) -> Any:
    """Give batch normalisation other statistics and scales than 0 and 1, all weights sizes that are felt."""
    rng = np.random.default_rng(1)
    model.set_weights([
        weight + (rng.random(weight.shape) if weight.ndim == 1 else rng.normal(0, 0.3, weight.shape))
        for weight in model.get_weights()
    ])  # fmt: skip
    return model


def as_list() -> Any:
    image = keras.Input((9, 7, 3))
    return keras.Model([image], body(image))


def as_dict() -> Any:
    image = keras.Input((9, 7, 3), name="image")
    return keras.Model({"image": image}, body(image))


def sequential() -> Any:
    return keras.Sequential([keras.Input((9, 7, 3)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(5)])


def nested() -> Any:
    inner = keras.Sequential([layers.Conv2D(4, 3, activation="relu"), layers.GlobalAveragePooling2D()])
    image = keras.Input((9, 7, 3))
    return keras.Model(image, layers.Dense(5)(inner(functional_features()(image))))


def functional_features() -> Any:
    image = keras.Input((9, 7, 3))
    return keras.Model(image, layers.BatchNormalization()(layers.Conv2D(3, 3, padding="same")(image)))


class Subclassed(keras.Model):
    """Never says what it takes; its call has no `training`."""

    def __init__(self) -> None:
        super().__init__()
        self.flat, self.dense = layers.Flatten(), layers.Dense(5)

    def call(self, inputs: Any) -> Any:
        return self.dense(self.flat(inputs))


def unbuilt() -> Any:
    return keras.Sequential([layers.Conv2D(4, 3), layers.GlobalMaxPooling2D(), layers.Dense(5)])


def state(model: Any) -> dict[str, Any]:
    """Everything that must be as before: values, flags, modes, gradients, hooks."""
    found: dict[str, Any] = {"values": [np.array(keras.ops.convert_to_numpy(each)) for each in model.variables]}
    found["trainable"] = [layer.trainable for layer in model._flatten_layers()]
    if getattr(model, "optimizer", None) is not None:
        found["optimizer"] = [keras.ops.convert_to_numpy(each) for each in model.optimizer.variables]
    if keras.backend.backend() == "torch":
        modules = list(model.modules())
        found["modes"] = [module.training for module in modules]
        found["hooks"] = [(len(module._forward_hooks), len(module._backward_hooks)) for module in modules]
        found["wanted"] = [(each.requires_grad, str(each.device)) for each in model.parameters()]
        found["kept"] = [each.grad for each in model.parameters() if each.grad is not None]
    return found


def assert_same_state(before: dict[str, Any], after: dict[str, Any]) -> None:
    for name, values in before.items():
        assert len(values) == len(after[name])
        for old, new in zip(values, after[name], strict=True):
            np.testing.assert_array_equal(old, new, err_msg=name)
