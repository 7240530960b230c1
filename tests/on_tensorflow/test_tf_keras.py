"""Keras 2 models, live and from files, through tf_keras, which is Keras 2 maintained."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from eyeline.errors import ModelError, UnsupportedError
from eyeline.models import keras_files
from eyeline.models.base import Options
from eyeline.models.keras import open_keras, wrap_keras

# TensorFlow's variables lack the copy keyword of NumPy 2; tf_keras would rather save another format.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning"),
]


def images(n=4):
    return np.random.default_rng(0).random((n, 8, 10, 3), dtype=np.float32)


def some_weights(scores):
    return np.linspace(-1, 1, scores.size, dtype=np.float32).reshape(scores.shape)


def network():
    layers = tf_keras.layers
    return tf_keras.Sequential([
        tf_keras.Input((8, 10, 3)), layers.Conv2D(4, 3, activation="tanh"), layers.BatchNormalization(),
        layers.Dropout(0.5), layers.Flatten(), layers.Dense(4, activation="softmax"),
    ])  # fmt: skip


def tape_gradient(live, weights):
    pixels = tf.constant(images())
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        value = tf.reduce_sum(live(pixels, training=False) * weights)
    return tape.gradient(value, pixels).numpy()


def test_live_models():
    live = network()
    model = wrap_keras(live, Options())
    assert (model.input_size, model.axes, model.channels) == ((8, 10), 2, 3)
    scores, gradients = model.gradient(images(), some_weights)
    np.testing.assert_allclose(scores, live.predict(images(), verbose=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradients, tape_gradient(live, some_weights(scores)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.scores(images()), scores, rtol=1e-6)
    assert model.describe()["framework"].startswith("tf_keras ")


def test_live_models_with_a_list_of_one_or_two_inputs():
    layers = tf_keras.layers
    image, age = tf_keras.Input((8, 10, 3)), tf_keras.Input((1,))
    one = tf_keras.Model([image], layers.Dense(3)(layers.Flatten()(image)))
    np.testing.assert_allclose(
        wrap_keras(one, Options()).scores(images()), one.predict([images()], verbose=0), rtol=1e-5, atol=1e-6
    )
    two = tf_keras.Model([image, age], layers.Dense(3)(layers.Concatenate()([layers.Flatten()(image), age])))
    with pytest.raises(UnsupportedError, match="must take one input, but it takes 2"):
        wrap_keras(two, Options())


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_files(tmp_path, suffix):
    live = network()
    live.compile("adam", "mse")
    live.save(tmp_path / f"net{suffix}")
    model = open_keras(tmp_path / f"net{suffix}", Options(device="cpu"))
    scores, gradients = model.gradient(images(), some_weights)
    np.testing.assert_allclose(scores, live.predict(images(), verbose=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradients, tape_gradient(live, some_weights(scores)), rtol=1e-4, atol=1e-6)


def test_arithmetic_between_layers_opens_and_other_calls_do_not(tmp_path, monkeypatch):
    image = tf_keras.Input((8, 10, 3))
    flat = tf_keras.layers.Flatten()(tf.nn.relu(image * 2.0 - 0.5)[:, 1:])
    live = tf_keras.Model(image, tf_keras.layers.Dense(3)(flat))
    live.save(tmp_path / "net.h5")
    scores = open_keras(tmp_path / "net.h5", Options()).scores(images())
    np.testing.assert_allclose(scores, live.predict(images(), verbose=0), rtol=1e-5, atol=1e-6)

    image = tf_keras.Input((8, 10, 3))
    text = tf.strings.length(tf.io.read_file(str(tmp_path / "net.h5")))
    flat = tf_keras.layers.Flatten()(image + tf.cast(tf.strings.length(tf.strings.as_string(image)), tf.float32))
    assert text is not None
    tf_keras.Model(image, tf_keras.layers.Dense(3)(flat)).save(tmp_path / "other.h5")
    with pytest.raises(ModelError, match=r"calls of arithmetic alone, but got 'strings.*pass trust=True"):
        open_keras(tmp_path / "other.h5", Options())
    monkeypatch.setattr(keras_files, "CALLS", keras_files.re.compile(".*"))
    assert open_keras(tmp_path / "other.h5", Options()).scores(images()).shape == (4, 3)


def test_a_hard_swish_of_layers_is_no_relu():
    """As MobileNetV3 had it in Keras 2: the cut of its gate would be taken for a ReLU6."""
    layers = tf_keras.layers
    image = tf_keras.Input((8, 10, 3))
    values = layers.Conv2D(4, 3, activation="relu")(image)
    gate = layers.ReLU(6.0)(values + 3.0) * (1.0 / 6.0)
    pooled = layers.Activation("sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(values))
    swish, excited = (
        wrap_keras(
            tf_keras.Model(image, layers.Dense(2)(layers.Flatten()(layers.Multiply()([values, each])))), Options()
        )
        for each in (gate, pooled)
    )
    with pytest.raises(UnsupportedError, match=r"must be ReLUs for guided backpropagation, but .* has hard swish: "):
        swish.ruled(images(), some_weights, "guided")
    assert np.isfinite(excited.ruled(images(), some_weights, "guided")[1]).all()
