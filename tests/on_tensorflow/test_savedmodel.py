"""SavedModel folders: those that open, and hostile ones that must not run."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tensorflow.core.protobuf import saved_model_pb2

from eyeline.errors import InputError, ModelError, UnsupportedError
from eyeline.models.base import Differentiable, Options
from eyeline.models.savedmodel import open_savedmodel
from eyeline.preprocess import Preprocess

# TensorFlow's and Keras' own: variables lack the copy keyword of NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


def images(n=4, size=(8, 10), channels=3):
    return np.random.default_rng(0).random((n, *size, channels), dtype=np.float32)


def some_weights(scores):
    return np.linspace(-1, 1, scores.size, dtype=np.float32).reshape(scores.shape)


def edit(folder, change):
    """Change the protocol buffer of a saved folder in place."""
    path = folder / "saved_model.pb"
    content = saved_model_pb2.SavedModel()
    content.ParseFromString(path.read_bytes())
    change(content.meta_graphs[0])
    path.write_bytes(content.SerializeToString())


@pytest.fixture(scope="module")
def lecture(tmp_path_factory):
    """The lecture's way: a compiled and trained Keras 2 model, `model.save('multiclass.model')`."""
    layers = tf_keras.layers
    network = tf_keras.Sequential([
        layers.Conv2D(6, 3, activation="tanh", input_shape=(8, 10, 3)), layers.BatchNormalization(),
        layers.AveragePooling2D(), layers.Dropout(0.5), layers.Flatten(), layers.Dense(4, activation="softmax"),
    ])  # fmt: skip
    network.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    network.fit(images(8), np.eye(4)[np.arange(8) % 4], epochs=2, verbose=0)
    folder = tmp_path_factory.mktemp("lecture") / "multiclass.model"
    network.save(folder)
    return network, folder


def test_the_lectures_folder_opens_without_trust(lecture):
    network, folder = lecture
    model = open_savedmodel(folder, Options())
    assert isinstance(model, Differentiable)
    assert (model.input_size, model.axes, model.channels) == ((8, 10), 2, 3)
    np.testing.assert_allclose(model.scores(images()), network.predict(images(), verbose=0), rtol=1e-5, atol=1e-6)
    assert model.unit == "probability"


def test_gradients_are_those_of_the_original(lecture):
    network, folder = lecture
    pixels, preprocess = images(), Preprocess(mean=0.2, std=(0.5, 1, 2))
    scores, gradients = open_savedmodel(folder, Options(preprocess=preprocess)).gradient(pixels, some_weights)
    inputs = tf.constant(preprocess(pixels))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        output = network(inputs, training=False)
        value = tf.reduce_sum(output * some_weights(scores))
    expected = tape.gradient(value, inputs).numpy() / np.float32([0.5, 1, 2])
    np.testing.assert_allclose(scores, output.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradients, expected, rtol=1e-4, atol=1e-6)
    assert gradients.dtype == np.float32


def test_head_classes_and_errors_of_weigh(lecture):
    _, folder = lecture
    model = open_savedmodel(folder, Options(head=lambda output: next(iter(output.values()))[:, :2]))
    assert model.scores(images(3)).shape == (3, 2)

    def broken(scores):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        model.gradient(images(), broken)
    with pytest.raises(InputError, match="classes must hold one name per output"):
        open_savedmodel(folder, Options(classes=("a",))).scores(images())
    with pytest.raises(ModelError, match=r"must accept images of shape \(4, 5, 5, 3\)"):
        model.scores(images(4, (5, 5)))
    with pytest.raises(InputError, match=r"input_size must be the model's own, \(8, 10\)"):
        open_savedmodel(folder, Options(input_size=(8, 8)))


def test_what_keras_3_exports(tmp_path):
    image = keras.Input((None, None, 3))
    features = keras.layers.Conv2D(4, 3, activation="relu")(image)
    network = keras.Model(image, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(features)))
    network.export(tmp_path / "net", verbose=False)
    with pytest.raises(InputError, match=r"device must be one that the backend can use here, but got 'nope'"):
        open_savedmodel(tmp_path / "net", Options(device="nope"))
    assert open_savedmodel(tmp_path / "net", Options(input_size=8)).input_size == (8, 8)
    model = open_savedmodel(tmp_path / "net", Options(device="cpu"))
    assert (model.input_size, model.axes, model.channels) == (None, 2, 3)
    np.testing.assert_allclose(model.scores(images()), network.predict(images(), verbose=0), rtol=1e-5, atol=1e-6)
    assert model.describe()["framework"] == f"SavedModel on tensorflow {tf.__version__}"


def test_a_wide_choice_of_layers_opens_without_trust(tmp_path):
    layers = tf_keras.layers
    image = tf_keras.Input((12, 12, 3))
    values = layers.RandomRotation(0.1)(layers.RandomFlip()(layers.Normalization(mean=0.5, variance=0.1)(image)))
    values = layers.DepthwiseConv2D(3, activation="swish")(layers.Conv2D(4, 3, activation="gelu")(values))
    values = layers.Conv2DTranspose(4, 3)(layers.PReLU()(layers.GaussianNoise(0.1)(values)))
    values = layers.UpSampling2D(interpolation="bilinear")(layers.LayerNormalization()(values))
    values = layers.Reshape((-1, 4))(layers.MaxPooling2D(4)(values))
    values = layers.GRU(4)(layers.Add()([values, layers.MultiHeadAttention(2, 2)(values, values)]))
    network = tf_keras.Model(image, layers.Dense(3, activation="softmax")(values))
    network.compile("adam", "mse")
    network.save(tmp_path / "net")
    pixels = images(2, (12, 12))
    scores = open_savedmodel(tmp_path / "net", Options()).scores(pixels)
    np.testing.assert_allclose(scores, network.predict(pixels, verbose=0), rtol=1e-4, atol=1e-6)


class Network(tf.Module):
    """One linear layer; what a test adds runs in front of it."""

    def __init__(self, before=None):
        super().__init__()
        self.weight = tf.Variable(tf.ones((240, 4)))
        self.before = before or (lambda image: image)

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 10, 3))])
    def __call__(self, image):
        return tf.reshape(self.before(image), (-1, 240)) @ self.weight


def save(network, folder, **settings):
    tf.saved_model.save(network, str(folder), **settings)
    return folder


def test_modules_open(tmp_path):
    model = open_savedmodel(save(Network(), tmp_path / "net"), Options())
    np.testing.assert_allclose(model.scores(images())[:, 0], images().sum(axis=(1, 2, 3)), rtol=1e-5)
    _, gradients = model.gradient(images(), lambda scores: np.float32([[1, 0, 0, 0]] * 4))
    np.testing.assert_allclose(gradients, np.ones_like(gradients))


def test_channels_first_by_preprocess(tmp_path):
    class First(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 3, 8, 10))])
        def __call__(self, image):
            return tf.reduce_sum(image, axis=(2, 3)) * tf.constant([1.0, 10.0, 100.0])

    folder = save(First(), tmp_path / "net")
    model = open_savedmodel(folder, Options(preprocess=Preprocess(layout="first")))
    assert (model.input_size, model.channels) == ((8, 10), 3)
    scores, gradients = model.gradient(images(), lambda scores: np.ones_like(scores))
    np.testing.assert_allclose(scores, images().sum(axis=(1, 2)) * [1, 10, 100], rtol=1e-5)
    np.testing.assert_allclose(gradients, np.broadcast_to(np.float32([1, 10, 100]), gradients.shape))


def test_several_inputs_no_signature_and_no_image(tmp_path):
    class Two(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 8, 10, 3)), tf.TensorSpec((None, 1))])
        def __call__(self, image, age):
            return tf.reduce_sum(image, axis=(1, 2)) + age

    class Flat(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 8))])
        def __call__(self, values):
            return values

    with pytest.raises(UnsupportedError, match=r"takes 2: age, image\. Pass a function that fills in the others"):
        open_savedmodel(save(Two(), tmp_path / "two"), Options())
    with pytest.raises(UnsupportedError, match="must have the signature 'serving_default'"):
        open_savedmodel(save(tf.Module(), tmp_path / "none"), Options())
    with pytest.raises(UnsupportedError, match=r"one to three spatial axes, but its input has shape \(None, 8\)"):
        open_savedmodel(save(Flat(), tmp_path / "flat"), Options())


def test_no_folder_and_damaged_folder(tmp_path):
    with pytest.raises(ModelError, match=r"must be a TensorFlow SavedModel, with saved_model\.pb in it"):
        open_savedmodel(tmp_path, Options())
    (tmp_path / "saved_model.pb").write_bytes(b"no protocol buffer")
    with pytest.raises(ModelError, match="must be a SavedModel that TensorFlow"):
        open_savedmodel(tmp_path, Options())


# Hostile folders


@pytest.fixture
def marker(tmp_path):
    return str(tmp_path / "marker")


def refused(folder, operation):
    with pytest.raises(ModelError, match=rf"{operation}.*pass trust=True"):
        open_savedmodel(folder, Options())


def write(marker, image):
    with tf.control_dependencies([tf.io.write_file(marker, "I ran")]):
        return tf.identity(image)


def test_a_file_writer_is_refused_and_would_have_written(tmp_path, marker):
    folder = save(Network(lambda image: write(marker, image)), tmp_path / "net")
    Path(marker).unlink(missing_ok=True)
    refused(folder, "WriteFile")
    assert not Path(marker).exists()
    open_savedmodel(folder, Options(trust=True)).scores(images())
    assert Path(marker).read_text() == "I ran"


def nested(marker, image):
    """Three functions deep: a loop in a branch of a condition."""

    def loop():
        return tf.while_loop(lambda i, _: i < 1, lambda i, _: (i + 1, write(marker, image)), (0, image))[1]

    return tf.cond(tf.reduce_sum(image) > 0, loop, lambda: image)


def read(marker, image):
    return image + tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32)


def search(marker, image):
    return image + tf.cast(tf.size(tf.io.matching_files("/etc/*")), tf.float32)


def call_python(marker, image):
    return tf.ensure_shape(tf.numpy_function(lambda values: values, [image], tf.float32), (None, 8, 10, 3))


def call_python_eagerly(marker, image):
    return tf.ensure_shape(tf.py_function(lambda values: values, [image], tf.float32), (None, 8, 10, 3))


def output(marker, image):
    tf.print("I ran", output_stream=f"file://{marker}")
    return image


def restore(marker, image):
    return image + tf.raw_ops.RestoreV2(
        prefix=marker, tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32]
    )[0]  # fmt: skip


def store(marker, image):
    tf.raw_ops.SaveV2(prefix=marker, tensor_names=["a"], shape_and_slices=[""], tensors=[image])
    return image


def pipeline(marker, image):
    return image + tf.cast(tf.data.TextLineDataset("/etc/hostname").reduce(0, lambda count, _: count + 1), tf.float32)


@pytest.mark.parametrize(
    ("hostile", "operation"),
    [
        (nested, "WriteFile"),
        (read, "ReadFile"),
        (search, "MatchingFiles"),
        (call_python, "PyFunc"),
        (call_python_eagerly, "EagerPyFunc"),
        (output, "StringFormat|PrintV2"),
        (restore, "RestoreV2"),
        (store, "SaveV2"),
        (pipeline, "Dataset"),
    ],
)
def test_operations_that_do_more_than_compute_are_refused(tmp_path, marker, hostile, operation):
    folder = save(Network(lambda image: hostile(marker, image)), tmp_path / "net")
    Path(marker).unlink(missing_ok=True)
    refused(folder, operation)
    assert not Path(marker).exists()


def test_a_table_that_reads_a_file_while_it_is_loaded_is_refused(tmp_path):
    (tmp_path / "words.txt").write_text("a\nb\n")
    network = Network()
    network.table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(tmp_path / "words.txt"), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        ), -1,
    )  # fmt: skip
    refused(save(network, tmp_path / "net"), "HashTableV2|InitializeTableFromTextFileV2")


def test_a_gradient_that_writes_is_refused(tmp_path, marker):
    @tf.custom_gradient
    def before(image):
        return tf.identity(image), lambda above: write(marker, above)

    settings = tf.saved_model.SaveOptions(experimental_custom_gradients=True)
    folder = save(Network(before), tmp_path / "net", options=settings)
    refused(folder, "WriteFile")
    assert not Path(marker).exists()


def test_an_operation_that_is_not_known_is_refused(tmp_path):
    folder = save(Network(), tmp_path / "net")

    def change(meta):
        for function in meta.graph_def.library.function:
            for node in function.node_def:
                if node.op == "MatMul":
                    node.op = "TheirOwnOperation"

    edit(folder, change)
    refused(folder, "TheirOwnOperation")


def saver(meta, word):
    return next(each for each in meta.graph_def.library.function if word in each.signature.name)


@pytest.mark.parametrize("way", ["called by the network", "chosen by name", "not the saver's", "more than saving"])
def test_the_savers_operations_are_normal_in_the_saver_alone(tmp_path, way):
    folder = save(Network(), tmp_path / "net")

    def change(meta):
        function = saver(meta, "traced_restore")
        if way == "called by the network":
            network = next(each for each in meta.graph_def.library.function if "MatMul" in str(each.node_def))
            network.node_def.add(name="more", op="PartitionedCall").attr["f"].func.name = function.signature.name
        elif way == "chosen by name":
            function.attr["api_implements"].s = b"shared"
        elif way == "not the saver's":
            meta.saver_def.restore_op_name = ""
        else:
            function.node_def.add(name="more", op="WriteFile")

    edit(folder, change)
    refused(folder, "WriteFile" if way == "more than saving" else "RestoreV2")


def test_folders_of_tensorflow_1_are_refused(tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        image = tf.compat.v1.placeholder(tf.float32, (None, 8, 10, 3))
        output = tf.reduce_sum(image, axis=(1, 2))
        tf.compat.v1.saved_model.simple_save(session, str(tmp_path / "net"), {"image": image}, {"output": output})
    refused(tmp_path / "net", "TensorFlow 1")


def test_a_scan_that_looks_at_the_main_graph_only_would_miss_them(tmp_path, marker, monkeypatch):
    from eyeline.models import savedmodel_scan

    folder = save(Network(lambda image: write(marker, image)), tmp_path / "net")
    real = savedmodel_scan._check
    monkeypatch.setattr(
        savedmodel_scan,
        "_check",
        lambda nodes, normal, where, folder: "main" in where and real(nodes, normal, where, folder),
    )
    with pytest.raises(pytest.fail.Exception):
        refused(folder, "WriteFile")


def test_what_was_scanned_is_what_is_loaded(tmp_path, lecture):
    """A text version beside the binary one is not read, so it need not be scanned."""
    folder = tmp_path / "net"
    shutil.copytree(lecture[1], folder)
    (folder / "saved_model.pbtxt").write_text("no protocol buffer")
    assert open_savedmodel(folder, Options()).scores(images()).shape == (4, 4)
