"""The lecture's own model: trained with Keras 2, saved as a SavedModel folder, `.keras` and `.h5`, and opened again."""

import keras
import numpy as np
import pytest
import tf_keras

import eyeline
import lecture_reference as reference
from eyeline import lecture
from eyeline.lecture.drawn import PARTS, draw

pytestmark = [
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="Keras runs on another backend here"),
    # TensorFlow's and Keras' own: variables lack the copy keyword of NumPy 2; .h5 is an old format.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning"),
]

IMAGES = draw(10, seed=5).images


def build(kit, shape=(64, 64, 3)):
    return kit.Sequential(
        [
            kit.layers.Input(shape),
            kit.layers.Conv2D(8, 3, padding="same", activation="relu"),
            kit.layers.MaxPooling2D(),
            kit.layers.Conv2D(16, 3, padding="same", activation="relu"),
            kit.layers.MaxPooling2D(),
            kit.layers.Conv2D(16, 3, padding="same", activation="relu"),
            kit.layers.MaxPooling2D(),
            kit.layers.Flatten(),
            kit.layers.Dropout(0.3),
            kit.layers.Dense(len(PARTS), activation="softmax"),
        ]
    )


@pytest.fixture(scope="module", params=[tf_keras, keras], ids=["tf_keras", "keras"])
def trained(request):
    kit, drawn = request.param, draw(400, seed=0)
    kit.utils.set_random_seed(0)
    model = build(kit)
    model.compile("adam", "categorical_crossentropy")
    model.fit(drawn.images, np.eye(len(PARTS))[drawn.classes], epochs=8, verbose=0)
    return model


def saved(model, folder):
    """Save in every way that this Keras has."""
    for name in ("multiclass.keras", "multiclass.h5"):
        model.save(folder / name)
        yield folder / name
    if type(model).__module__.startswith("tf_keras"):
        model.save(folder / "multiclass.model")
    else:
        model.export(folder / "multiclass.model", verbose=False)
    assert (folder / "multiclass.model" / "saved_model.pb").is_file()
    yield folder / "multiclass.model"


@pytest.fixture(scope="module")
def expected(trained):
    """What the live model gives in the plain reference."""
    return {
        8: reference.occlusion_map(IMAGES[3:4], trained, 2, 8),
        10: reference.occlusion_map(IMAGES[3:4], trained, 2, 10),
        "saliency": reference.saliency_map(trained, IMAGES[:4], 2),
    }


def check(opened, expected):
    for size in (8, 10):
        covered = lecture.occlusion_map(IMAGES[3:4], opened, np.int64(2), size)
        np.testing.assert_allclose(covered, expected[size], rtol=0, atol=1e-6)
        picture = lecture.red_overlay(IMAGES[3:4], 1 - covered)[0]
        wanted = reference.occlusion_picture(IMAGES[3:4], expected[size])
        np.testing.assert_allclose(picture, wanted, rtol=0, atol=1e-6)
    saliency = lecture.saliency_map(opened, IMAGES[:4], 2)
    np.testing.assert_allclose(saliency, expected["saliency"], rtol=0, atol=1e-5)
    wanted = reference.saliency_picture(IMAGES[:4], expected["saliency"])
    np.testing.assert_allclose(lecture.red_overlay(IMAGES[:4], saliency), wanted, rtol=0, atol=1e-5)


def test_every_way_of_saving_gives_the_reference(trained, expected, tmp_path):
    assert np.ptp(trained.predict(IMAGES, verbose=0)[:, 2]) > 0.05, "an untrained model would prove little"
    check(trained, expected)
    for path in saved(trained, tmp_path):
        check(eyeline.load(path), expected)


def test_a_folder_for_another_size(trained, tmp_path):
    """Not square, and the gradient of the folder still that of the tape."""
    kit = tf_keras if type(trained).__module__.startswith("tf_keras") else keras
    model = build(kit, (40, 56, 3))
    for layer, source in zip(model.layers[:-1], trained.layers[:-1], strict=True):
        layer.set_weights(source.get_weights())
    path = list(saved(model, tmp_path))[-1]
    image = IMAGES[3:4, 12:52, 4:60]
    np.testing.assert_allclose(
        lecture.occlusion_map(image, path, 1, 12), reference.occlusion_map(image, model, 1, 12), rtol=0, atol=1e-6
    )
    np.testing.assert_allclose(
        lecture.saliency_map(path, image, 1), reference.saliency_map(model, image, 1), rtol=0, atol=1e-5
    )


def test_the_tape_sees_a_lost_sign_of_a_weight(trained, expected, tmp_path):
    """Sabotage twin: the folder of a network whose first filters are turned round does not pass."""
    other = build(tf_keras if type(trained).__module__.startswith("tf_keras") else keras)
    other.set_weights([-weights if i == 0 else weights for i, weights in enumerate(trained.get_weights())])
    path = list(saved(other, tmp_path))[-1]
    with pytest.raises(AssertionError, match="Not equal"):
        check(path, expected)
