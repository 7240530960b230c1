"""Keras networks with weights drawn anew: on a clone, layer by layer, nested models too."""

import keras
import numpy as np
import pytest

import eyeline
from eyeline.errors import UnsupportedError
from eyeline.metrics import Randomisation
from eyeline.models.randomised import randomised, weighted

IMAGES = np.random.default_rng(5).random((2, 10, 12, 3), dtype=np.float32)


def network():
    keras.utils.set_random_seed(0)
    inner = keras.Sequential(
        [keras.Input((8, 10, 4)), keras.layers.Conv2D(5, 3, name="deep"), keras.layers.BatchNormalization(name="norm")],
        name="inner",
    )
    images = keras.Input((10, 12, 3))
    values = keras.layers.Conv2D(4, 3, activation="relu", name="first")(images)
    values = keras.layers.GlobalAveragePooling2D()(inner(values))
    return keras.Model(images, keras.layers.Dense(3, name="last", bias_initializer="normal")(values))


@pytest.fixture
def model():
    return eyeline.load(network())


def weights(model):
    return {"/".join(each.path.split("/")[-2:]): np.array(each) for each in model._model.weights}


def test_layers_run_from_the_first_to_the_last(model):
    assert weighted(model, IMAGES[:1]) == ("first", "deep", "norm", "last")


def test_a_draw_changes_the_named_layers_of_a_clone_only(model):
    before, scores = weights(model), model.scores(IMAGES)
    copy = randomised(model, ["deep", "last"], seed=1)
    drawn = weights(copy)
    changed = {path for path in before if not np.array_equal(before[path], drawn[path])}
    assert changed == {"deep/kernel", "last/kernel", "last/bias"}  # the bias of "deep" is 0 everywhere
    for path, values in before.items():
        np.testing.assert_array_equal(np.sort(values, axis=None), np.sort(drawn[path], axis=None))
        np.testing.assert_array_equal(weights(model)[path], values)
    np.testing.assert_array_equal(model.scores(IMAGES), scores)
    assert np.abs(copy.scores(IMAGES) - scores).max() > 1e-3
    np.testing.assert_array_equal(randomised(model, ["deep", "last"], seed=1).scores(IMAGES), copy.scores(IMAGES))


def test_nothing_drawn_is_the_same_network(model):
    np.testing.assert_allclose(randomised(model, [], 0).scores(IMAGES), model.scores(IMAGES), rtol=1e-6)


def test_the_metric_runs(model):
    found = Randomisation(stages=3)(model, eyeline.explain(model, IMAGES, "gradient", channels="sum"))
    assert found.stages == ("last", "deep", "first")
    assert np.isfinite(found.values).all()


def test_the_initial_draw_is_refused(model):
    with pytest.raises(UnsupportedError, match="draw must be 'shuffle' for a Keras network"):
        randomised(model, ["last"], 0, "initial")


def test_a_model_that_cannot_be_cloned():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, images):
            return self.dense(keras.ops.mean(images, axis=(1, 2)))

    model = eyeline.load(Own(), input_size=(10, 12))
    model.scores(IMAGES)
    with pytest.raises(UnsupportedError, match="must let itself be cloned to be randomised"):
        randomised(model, [], 0)
