"""The lecture's functions, written plainly from their description: a loop over `model.predict`, and the gradient of
the backend that Keras runs on. Nothing of eyeline is used."""

import numpy as np


def squares(image, size):
    rows, columns = image.shape[1:3]
    for row in range(0, rows, size):
        for column in range(0, columns, size):
            if row + size <= rows and column + size <= columns:
                copy = np.array(image)
                copy[0, row : row + size, column : column + size] = (0.5, 0.5, 0.5)
                yield row, column, copy


def occlusion_map(image, model, true_class, size):
    result = np.zeros(image.shape[1:3])
    for row, column, copy in squares(image, size):
        result[row : row + size, column : column + size] = model.predict(copy, verbose=0)[0, true_class]
    return result


def occlusion_picture(image, covered):
    picture = np.array(image[0])
    picture[:, :, 0] = 1 - covered
    return picture


def saliency_map(model, image, class_idx):
    largest = np.abs(gradient(model, image, class_idx)).max(axis=3)
    return (largest - largest.min()) / (largest.max() - largest.min() + 1e-7)


def saliency_picture(image, saliency):
    picture = np.array(image)
    picture[:, :, :, 0] = saliency
    return picture


def gradient(model, image, class_idx):
    """Return d predictions[:, class_idx] / d image."""
    name = type(model).__module__.partition(".")[0]
    backend = "tensorflow" if name == "tf_keras" else _backend()
    return {"tensorflow": _by_tape, "torch": _by_autograd, "jax": _by_transform}[backend](model, image, class_idx)


def _backend():
    import keras

    return keras.backend.backend()


def _by_tape(model, image, class_idx):
    import tensorflow as tf

    inputs = tf.convert_to_tensor(image)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        predictions = model(inputs, training=False)
        loss = predictions[:, class_idx]
    return tape.gradient(loss, inputs).numpy()


def _by_autograd(model, image, class_idx):
    import torch

    inputs = torch.tensor(image, requires_grad=True)
    loss = model(inputs, training=False)[:, class_idx].sum()
    return torch.autograd.grad(loss, inputs)[0].numpy()


def _by_transform(model, image, class_idx):
    import jax

    return np.asarray(jax.grad(lambda inputs: model(inputs, training=False)[:, class_idx].sum())(image))
