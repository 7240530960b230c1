"""A student's network: three blocks of convolution and pooling, dropout, softmax; trained in a minute on a CPU."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from eyeline._files import writing
from eyeline.errors import require
from eyeline.lecture.data import Data
from eyeline.models.keras_files import choose_backend

FILTERS = (16, 32, 64)
BATCH, RATE = 32, 2e-3
SEEN, EPOCHS = 26_000, 60  # images that pass by while training, ten times the drawn ones; at most so many epochs
ENOUGH = 0.95  # right, of the images that are trained on and of those held back


def train(data: Data, say: Callable[[str], None]) -> Any:
    """Build a Keras network for the data and train it; the same data and backend give the same network.

    A tenth of the train part is held back. Training ends once enough is right, or enough images have passed by; the
    test part is not looked at. Sets the seeds of Python, NumPy and the backend.

    Raises:
        MissingDependencyError: Keras or every backend of it is missing.
    """
    # Threads of torch that wait for each other otherwise spin: on cores that others use too, 5 times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    choose_backend()
    keras = require("keras", "keras")
    keras.utils.set_random_seed(0)
    order = np.random.default_rng(0).permutation(len(data["train_X"]))
    images, classes = data["train_X"][order], data["train_classes"][order]
    held = max(1, len(images) // 10)
    network = _build(keras, images.shape[1:], classes.shape[1])
    epochs = min(EPOCHS, max(1, SEEN // len(images)))
    for epoch in range(1, epochs + 1):
        history = network.fit(
            images[held:],
            classes[held:],
            validation_data=(images[:held], classes[:held]),
            batch_size=BATCH,
            verbose=0,
        ).history
        trained, known = float(history["accuracy"][-1]), float(history["val_accuracy"][-1])
        say(f"epoch {epoch} of at most {epochs}: {known:.0%} right of {held} pictures held back from training")
        if min(trained, known) >= ENOUGH:
            break
    return network


def right(network: Any, images: np.ndarray, classes: np.ndarray) -> float:
    """Return the share of images whose best class is the true one."""
    scores = network.predict(images, batch_size=BATCH, verbose=0)
    return float((scores.argmax(axis=1) == classes.argmax(axis=1)).mean())


def save(network: Any, path: Path) -> Path:
    """Write a `.keras` file, whole or not at all.

    Raises:
        InputError: the folder cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder, writing(path) as file:
        whole = Path(folder) / path.name
        network.save(whole)
        file.write(whole.read_bytes())
    return path


def _build(keras: Any, shape: tuple[int, ...], classes: int) -> Any:
    layers = keras.layers
    blocks = [
        layer
        for filters in FILTERS
        for layer in (layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.MaxPooling2D())
    ]
    # What is pooled last is the strongest answer anywhere: parts are found wherever they lie.
    network = keras.Sequential(
        [
            keras.Input(shape),
            layers.Rescaling(2, -1),
            *blocks[:-1],
            layers.GlobalMaxPooling2D(),
            layers.Dropout(0.2),
            layers.Dense(classes, activation="softmax"),
        ]
    )
    network.compile(keras.optimizers.Adam(RATE), "categorical_crossentropy", metrics=["accuracy"])
    return network
