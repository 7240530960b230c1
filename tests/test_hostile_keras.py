"""Keras files that would run code or read other files when they are opened: none may, without trust."""

import json
import shutil
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from eyeline.errors import ModelError
from eyeline.models import keras_files
from eyeline.models.base import Options
from eyeline.models.keras import open_keras

pytestmark = [
    # Keras' variables lack the copy keyword that NumPy 2 asks for.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    # The hostile files are made with Keras itself, which warns of both.
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
    pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`:UserWarning"),
]


def clean():
    return keras.Sequential(
        [keras.Input((6, 6, 3)), layers.Conv2D(2, 3, name="first"), layers.Flatten(), layers.Dense(4)]
    )


@pytest.fixture
def file(tmp_path):
    """A clean .keras file."""
    clean().save(tmp_path / "net.keras")
    return tmp_path / "net.keras"


@pytest.fixture
def hdf5(tmp_path):
    """A clean .h5 file."""
    clean().save(tmp_path / "net.h5")
    return tmp_path / "net.h5"


def refused(path, words):
    with pytest.raises(ModelError, match=rf"a Keras file must hold .*{words}.*pass trust=True"):
        open_keras(path, Options())


def repack(path, change=None, **members):
    """Write the archive anew with its description changed and members added or replaced."""
    with zipfile.ZipFile(path) as source:
        content = {name: source.read(name) for name in source.namelist()}
    if change:
        config = json.loads(content["config.json"])
        change(config)
        content["config.json"] = json.dumps(config).encode()
    content |= members
    with zipfile.ZipFile(path, "w") as target:
        for name, data in content.items():
            target.writestr(name, data)


def redescribe(path, change):
    """Change the description inside an .h5 file."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)


# Code in the file itself


def marking(marker):
    code = f"lambda values: (open({str(marker)!r}, 'w').close(), values)[1]"
    return eval(code, {})


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("where", ["outside", "in a network inside", "in a wrapper"])
def test_lambda_layers_are_refused_and_would_have_run(tmp_path, suffix, where):
    marker = tmp_path / "marker"
    layer = layers.Lambda(marking(marker), output_shape=(3,) if where == "in a wrapper" else (6, 6, 3))
    if where == "in a network inside":
        inner = keras.Input((6, 6, 3))
        layer = keras.Model(inner, layer(inner))
    elif where == "in a wrapper":
        layer = layers.TimeDistributed(layers.TimeDistributed(layer))
    image = keras.Input((6, 6, 3))
    keras.Model(image, layers.Dense(4)(layers.Flatten()(layer(image)))).save(tmp_path / f"net{suffix}")
    marker.unlink(missing_ok=True)
    refused(tmp_path / f"net{suffix}", "keras.layers.Lambda|Lambda|__lambda__")
    assert not marker.exists()
    if where == "outside":
        open_keras(tmp_path / f"net{suffix}", Options(trust=True)).scores(np.zeros((1, 6, 6, 3), np.float32))
        assert marker.exists()


def test_bytecode_as_keras_2_wrote_it(hdf5):
    def change(config):
        code = ["4wEAAAAAAAAA\n", None, None]
        settings = {"name": "evil", "function": code, "function_type": "lambda", "module": "os"}
        config["config"]["layers"].insert(1, {"class_name": "Lambda", "config": settings})

    redescribe(hdf5, change)
    refused(hdf5, "no layer that carries code")


def test_a_lambda_hidden_in_an_argument(file):
    def change(config):
        config["config"]["layers"][1]["config"]["activation"] = {
            "class_name": "__lambda__", "config": {"value": "4wEAAAAAAAAA", "defaults": None, "closure": None},
        }  # fmt: skip

    repack(file, change)
    refused(file, "__lambda__")


# Code that the file names


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module that leaves a marker when it is imported."""
    marker = tmp_path / "marker"
    (tmp_path / "their_module.py").write_text(
        f"open({str(marker)!r}, 'w').close()\nimport keras\n"
        "class Layer(keras.layers.Layer): pass\ndef call(values): return values\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield marker
    sys.modules.pop("their_module", None)


def layer(kind, module=None, registered=None, **settings):
    return {"class_name": kind, "module": module, "registered_name": registered, "config": {"name": "evil", **settings}}


NAMED = [
    (layer("Layer", "their_module", "Layer"), "their_module.Layer"),
    (layer("Layer", "keras_hub.models"), "keras_hub.models.Layer"),
    (layer("Layer", "keras.layers", "theirs>Layer"), "keras.layers.Layer"),
    (layer("system", "os"), "os.system"),
    (layer("get_file", "keras.utils", url="http://example.invalid"), "keras.utils.get_file"),
    (layer("Thing", "keras.utils"), "keras.utils.Thing"),
    (layer("enable_unsafe_deserialization", "keras.config"), "keras.config"),
    (layer("load_model", "keras.models"), "keras.models.load_model"),
    (layer("Thing", "keras.src.saving.saving_lib"), "keras.src.saving"),
    (layer("ResNet50", "keras.applications"), "keras.applications"),
    (layer("Layer", ["keras.layers"]), "Layer"),
    (layer("Layer", "keras.layers\nos"), r"keras.layers\\nos"),
    (layer(["Layer"]), "Layer"),
    (layer("deserialize"), "deserialize"),
    (layer("Custom>Layer"), "Custom>Layer"),
    ({"class_name": "function", "module": "os", "config": "system"}, "os.function"),
    ({"class_name": "__typespec__", "module": "os", "spec_name": "system", "config": []}, "__typespec__"),
    (layer("TorchModuleWrapper", "keras.layers"), "TorchModuleWrapper"),
    (layer("TFSMLayer", "keras.layers", filepath="/"), "TFSMLayer"),
    (layer("JaxLayer", "keras.layers"), "JaxLayer"),
    (layer("FlaxLayer", "keras.layers"), "FlaxLayer"),
    (layer("StringLookup", "keras.layers", vocabulary="/etc/passwd"), "StringLookup"),
    (layer("IntegerLookup", "keras.layers", vocabulary="/etc/passwd"), "IntegerLookup"),
    (layer("TextVectorization", "keras.layers", vocabulary="/etc/passwd"), "TextVectorization"),
    (layer("TensorFlowOpLayer", "keras.layers"), "TensorFlowOpLayer"),
    (layer("TFOpLambda", "keras.layers", function="io.write_file"), "io.write_file"),
    (layer("TFOpLambda", "keras.layers"), "None"),
    (layer("ClassMethod", "keras.layers"), "ClassMethod"),
    (layer("InstanceMethod", "keras.layers"), "InstanceMethod"),
]


@pytest.mark.parametrize(("entry", "words"), NAMED, ids=[words for _, words in NAMED])
@pytest.mark.parametrize("kind", ["file", "hdf5"])
def test_names_of_other_code_are_refused(request, module, kind, entry, words):
    path = request.getfixturevalue(kind)

    def change(config):
        config["config"]["layers"].insert(1, entry)

    (repack if kind == "file" else redescribe)(path, change)
    refused(path, words)
    assert not module.exists()


@pytest.mark.parametrize("place", ["activation", "kernel_initializer", "kernel_regularizer", "dtype"])
def test_names_in_arguments_are_refused(file, module, place):
    entry = {"class_name": "function", "module": "their_module", "config": "call", "registered_name": "call"}
    repack(file, lambda config: config["config"]["layers"][1]["config"].update({place: entry}))
    refused(file, "their_module.function")
    assert not module.exists()


# Other files


LINKS = {
    "external link": lambda file, other: file.__setitem__("evil", h5py.ExternalLink(str(other), "/")),
    "soft link": lambda file, other: file.__setitem__("evil", h5py.SoftLink("/elsewhere")),
    "external storage": lambda file, other: file.create_dataset("evil", (4,), "u1", external=[(str(other), 0, 4)]),
    "virtual data": lambda file, other: file.create_virtual_dataset("evil", virtual(other)),
    "deep": lambda file, other: file.create_group("a/b").__setitem__("evil", h5py.ExternalLink(str(other), "/")),
}


def virtual(other):
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource(str(other), "data", (4,))
    return layout


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("kind", ["file", "hdf5"])
def test_weights_in_other_files_are_refused(request, tmp_path, kind, link):
    path, other = request.getfixturevalue(kind), tmp_path / "other.h5"
    with h5py.File(other, "w") as secret:
        secret["data"] = np.arange(4, dtype="u1")
    weights = path if kind == "hdf5" else tmp_path / "weights.h5"
    if kind == "file":
        with zipfile.ZipFile(path) as archive:
            weights.write_bytes(archive.read("model.weights.h5"))
    with h5py.File(weights, "r+") as inside:
        LINKS[link](inside, other)
    if kind == "file":
        repack(path, **{"model.weights.h5": weights.read_bytes()})
    refused(path, "its weights itself")


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "model.weights.npz", "assets/evil.txt", "evil.pkl"])
def test_other_members_of_the_archive_are_refused(file, name):
    repack(file, **{name: b"evil"})
    refused(file, "only a description and HDF5 weights")


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_a_second_description_is_refused(file):
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("config.json", "{}")
    refused(file, "only a description and HDF5 weights, but got 'config.json'")


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_file_of_two_kinds_is_looked_into_as_both(tmp_path, hdf5, suffix):
    """An HDF5 file with an archive behind it: Keras goes by the name, so a look at one kind would not do."""
    clean().save(tmp_path / "clean.keras")
    redescribe(hdf5, lambda config: config["config"]["layers"].insert(1, layer("Lambda")))
    both = tmp_path / f"both{suffix}"
    both.write_bytes(hdf5.read_bytes() + (tmp_path / "clean.keras").read_bytes())
    refused(both, "Lambda")


# More than fits


def test_declared_but_missing_data_is_refused(hdf5):
    with h5py.File(hdf5, "r+") as file:
        file.create_dataset("evil", (1 << 40,), "f4", chunks=(1 << 20,))
    refused(hdf5, "about as many bytes as it declares")


def test_an_archive_that_inflates_is_refused(file):
    with zipfile.ZipFile(file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content["metadata.json"] = bytes(1 << 27)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    refused(file, "about as many bytes as it unpacks to")


# Clean files


def test_clean_files_of_many_layers_open(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        image = keras.Input((8, 8, 3))
        values = layers.Normalization(mean=0.5, variance=0.1)(layers.RandomFlip()(layers.Rescaling(2.0)(image)))
        values = layers.Conv2D(4, 3, activation=keras.activations.gelu, kernel_regularizer="l2", use_bias=False)(values)
        values = layers.Conv2D(4, 1, kernel_initializer=keras.initializers.HeNormal(1), kernel_constraint="max_norm")(
            values
        )
        values = layers.ReLU(6.0)(layers.BatchNormalization()(values)) * 2 + keras.ops.abs(values)
        inner = keras.Sequential([layers.Dense(4, activation="swish"), layers.Dropout(0.1)])
        values = layers.TimeDistributed(inner)(layers.Reshape((-1, 4))(values))
        values = layers.Bidirectional(layers.GRU(3))(layers.MultiHeadAttention(2, 2)(values, values))
        network = keras.Model(image, layers.Dense(3, activation="softmax", dtype="float32")(values))
    finally:
        keras.config.set_dtype_policy("float32")
    network.save(tmp_path / "net.keras")
    pixels = np.random.default_rng(0).random((2, 8, 8, 3), dtype=np.float32)
    scores = open_keras(tmp_path / "net.keras", Options()).scores(pixels)
    np.testing.assert_allclose(scores, network.predict(pixels, verbose=0), atol=2e-2)


def test_a_compiled_network_inside_another_is_not_refused(tmp_path):
    inner = clean()
    inner.compile("adam", keras.losses.CategoricalCrossentropy(label_smoothing=0.1), metrics=["accuracy"])
    keras.Sequential([keras.Input((6, 6, 3)), inner]).save(tmp_path / "net.keras")
    keras_files.inspect(tmp_path / "net.keras", trust=False)


def test_own_layers_need_trust(tmp_path):
    @keras.saving.register_keras_serializable("tests")
    class Own(layers.Layer):
        def call(self, inputs):
            return inputs * 2

    keras.Sequential([keras.Input((6, 6, 3)), Own(), layers.Flatten(), layers.Dense(2)]).save(tmp_path / "net.keras")
    refused(tmp_path / "net.keras", "Own")
    assert open_keras(tmp_path / "net.keras", Options(trust=True)).scores(np.ones((1, 6, 6, 3), np.float32)).shape == (
        1,
        2,
    )


def test_a_look_that_sees_nothing_would_be_noticed(tmp_path, file, monkeypatch):
    repack(file, lambda config: config["config"]["layers"].insert(1, layer("Lambda", "keras.layers")))
    copy = Path(shutil.copy(file, tmp_path / "copy.keras"))
    refused(copy, "Lambda")
    monkeypatch.setattr(keras_files, "_inspect_entry", lambda entry, name: None)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        refused(copy, "Lambda")
