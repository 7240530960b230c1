"""What is read from a Keras model computes what the model computes, at every position; what cannot be read, it says."""

import dataclasses
import sys
import types

import keras
import numpy as np
import pytest
import torch
from keras import layers, ops

import eyeline
import keras_models
from eyeline.errors import UnsupportedError
from eyeline.incremental.graph import Unknown
from eyeline.incremental.run import Engine
from eyeline.lecture import network as lecture
from eyeline.methods.kept import Foreseeing
from eyeline.models import keras_operations
from eyeline.models.base import Options, Traceable
from eyeline.models.keras import wrap_keras
from eyeline.preprocess import Preprocess

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

BACKEND = keras.backend.backend()
SIZE, PATCH = (9, 10), (3, 2)


@pytest.fixture(autouse=True)
def drawn_by_numpy(monkeypatch):
    """JAX would compile a draw for each shape of weights."""

    def draw(self, shape, dtype=None):
        return np.random.default_rng(0).normal(0, 0.5, shape).astype(dtype or "float32")

    monkeypatch.setattr(keras.initializers.VarianceScaling, "__call__", draw)


def covering(size, patch, stride=1):
    """Every place of a patch, and one that hangs over no border but fills a whole column."""
    rows = [(row, row + patch[0]) for row in range(0, size[0] - patch[0] + 1, stride)]
    columns = [(column, column + patch[1]) for column in range(0, size[1] - patch[1] + 1, stride)]
    return np.array([[row, column] for row in rows for column in columns] + [[(0, size[0]), (4, 5)]])


def random_weights(network, seed=0):
    """Weights that are felt, and statistics with which activations neither vanish nor grow."""
    rng = np.random.default_rng(seed)
    for layer in network._flatten_layers():
        for each in layer.weights if not list(layer._layers) else ():
            shape, name = tuple(each.shape), each.name
            taps = shape[:2] if isinstance(layer, layers.DepthwiseConv2D) else shape[:-1]
            value = rng.normal(0, 1.4 / np.sqrt(np.prod(taps)) if taps else 0.3, shape)
            if "gamma" in name or "variance" in name:
                value = rng.uniform(0.6, 1.6, shape)
            if each.dtype == "float32":
                each.assign(value.astype(np.float32))
    return network


def both(network, size=SIZE, patch=PATCH, stride=1, channels=3, **options):
    """Return raw outputs of every covered image, by the engine and by the model, and the engine's plan."""
    model = wrap_keras(network, Options(**options))
    rng = np.random.default_rng(1)
    image, cover = rng.random((2, *size, channels), dtype=np.float32) * 0.5 + np.float32([[[[0]]], [[[0.5]]]])
    boxes = covering(size, patch, stride)
    covered = np.repeat(image[None], len(boxes), axis=0)
    for each, ((top, bottom), (left, right)) in zip(covered, boxes, strict=True):
        each[top:bottom, left:right] = cover[top:bottom, left:right]
    engine = Engine(model.graph((*size, channels)))
    found = np.concatenate([raw for _, raw in engine.run(image[None], cover[None], boxes)])
    return model.convert(found), model.scores(covered), engine.plan(boxes)


def agree(network, dense_from, tolerance=3e-6, **settings):
    found, expected, plan = both(network, **settings)
    assert plan.dense_from == dense_from
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())
    assert np.ptp(expected, axis=0).max() > 1e-2 * np.abs(expected).max()  # the patch is felt
    return plan


def carried(graph):
    return {node.operation.name for node in graph.nodes if isinstance(node.operation, Unknown)}


def model_of(forward, size=SIZE, channels=3, **settings):
    image = keras.Input((*size, channels), **settings)
    return random_weights(keras.Model(image, forward(image)))


def flat(tensor):
    return layers.Flatten(name="flat")(tensor)


SLIDING = {
    "conv": lambda: layers.Conv2D(5, (3, 2), padding="same", activation="relu"),
    "conv strided": lambda: layers.Conv2D(5, (3, 4), strides=(2, 3), padding="same", use_bias=False),
    "conv valid": lambda: layers.Conv2D(5, 4, strides=3, activation="silu"),
    "conv dilated": lambda: layers.Conv2D(5, 3, dilation_rate=(2, 3), padding="same", activation="gelu"),
    "conv in groups": lambda: layers.Conv2D(8, 3, groups=2, strides=2, padding="same"),
    "conv wide stride": lambda: layers.Conv2D(5, 2, strides=4, padding="same"),
    "conv softmax": lambda: layers.Conv2D(5, 1, activation="linear"),
    "depthwise": lambda: layers.DepthwiseConv2D(3, strides=2, padding="same", activation="relu6"),
    "depthwise twice": lambda: layers.DepthwiseConv2D((2, 3), depth_multiplier=2, padding="same", use_bias=False),
    "depthwise dilated": lambda: layers.DepthwiseConv2D(3, dilation_rate=2),
    "separable": lambda: layers.SeparableConv2D(6, 3, strides=2, padding="same", activation="tanh"),
    "separable twice": lambda: layers.SeparableConv2D(6, (2, 3), depth_multiplier=2, use_bias=False),
    "max pool": lambda: layers.MaxPooling2D((3, 2), strides=2, padding="same"),
    "max pool valid": lambda: layers.MaxPooling2D((2, 3), strides=(1, 2)),
    "average pool": lambda: layers.AveragePooling2D((3, 2), strides=(1, 2)),
    "average pool same": lambda: layers.AveragePooling2D(3, strides=1, padding="same"),
    "average pool of two": lambda: layers.AveragePooling2D(2, padding="same"),
    "zero padding": lambda: layers.ZeroPadding2D(((1, 0), (2, 3))),
    "cropping": lambda: layers.Cropping2D(((1, 2), (0, 3))),
}


def sliding(name, data_format=None):
    """The layer between a convolution and a pointwise one, in a data format of its own."""
    layer = SLIDING[name]()
    if data_format:
        layer = type(layer).from_config({**layer.get_config(), "data_format": data_format})
    settings = {"data_format": data_format} if data_format else {}
    image = keras.Input((3, *SIZE) if data_format else (*SIZE, 3))
    tensor = layers.Conv2D(4, 2, padding="same", **settings)(image)
    return random_weights(keras.Model(image, layers.Flatten(name="flat", **settings)(layer(tensor))))


@pytest.mark.parametrize("name", SLIDING)
def test_a_layer_that_slides(name):
    agree(sliding(name), "flat")


@pytest.mark.parametrize("name", ["conv strided", "depthwise", "separable", "max pool", "zero padding"])
def test_channels_first(name):
    agree(sliding(name, "channels_first"), "flat")


def test_average_pooling_that_keras_pads_otherwise_on_torch():
    network = model_of(lambda image: flat(layers.AveragePooling2D(3, 2, padding="same", name="pool")(image)))
    agree(network, "pool" if BACKEND == "torch" else "flat")


def test_layer_normalization_that_keras_does_otherwise_on_torch():
    def forward(image):
        tensor = layers.Permute((3, 1, 2))(layers.Conv2D(10, 2, padding="same")(image))
        return flat(layers.LayerNormalization(axis=1, name="norm")(tensor))

    agree(model_of(forward), "norm" if BACKEND == "torch" else "flat")


POINTWISE = {
    "batch norm": lambda: layers.BatchNormalization(epsilon=0.1),
    "batch norm without": lambda: layers.BatchNormalization(center=False, scale=False),
    "layer norm": lambda: layers.LayerNormalization(epsilon=0.1),
    "layer norm without": lambda: layers.LayerNormalization(center=False, scale=False),
    "relu": lambda: layers.ReLU(max_value=0.5, negative_slope=0.3, threshold=0.1),
    "relu up to": lambda: layers.ReLU(0.4),
    "relu over": lambda: layers.ReLU(threshold=0.2),
    "leaky relu": lambda: layers.LeakyReLU(),
    "elu": lambda: layers.ELU(0.7),
    "prelu": lambda: layers.PReLU(shared_axes=[1, 2]),
    "dense": lambda: layers.Dense(6, activation=layers.LeakyReLU(0.1)),
    "rescaling": lambda: layers.Rescaling([2.0, 0.5, -1.0, 3.0], offset=-1),
    "normalization": lambda: layers.Normalization(),
    "normalization back": lambda: layers.Normalization(mean=[1, 2, 3, 4], variance=[4, 0.1, 1, 0], invert=True),
    "dropout": lambda: layers.Dropout(0.5),
    "spatial dropout": lambda: layers.SpatialDropout2D(0.5),
    "noise": lambda: layers.GaussianNoise(1.0),
    "noisy dropout": lambda: layers.GaussianDropout(0.5),
    "alpha dropout": lambda: layers.AlphaDropout(0.5),
    "flip": lambda: layers.RandomFlip(),
    "rotation": lambda: layers.RandomRotation(0.5),
    "zoom": lambda: layers.RandomZoom(0.5),
    "translation": lambda: layers.RandomTranslation(0.5, 0.5),
    "shear": lambda: layers.RandomShear(0.5, 0.5),
    "contrast": lambda: layers.RandomContrast(0.5),
    "brightness": lambda: layers.RandomBrightness(0.5),
}


@pytest.mark.parametrize("name", POINTWISE)
def test_a_layer_that_acts_on_each_pixel(name):
    agree(model_of(lambda image: flat(POINTWISE[name]()(layers.Conv2D(4, 2)(image)))), "flat")


def test_a_spread_near_zero_is_the_least_number_of_keras():
    keras.config.set_epsilon(0.5)
    try:
        layer = layers.Normalization(mean=[1, 2, 3], variance=[4, 0.1, 0])
        agree(model_of(lambda image: flat(layer(image))), "flat")
    finally:
        keras.config.set_epsilon(1e-7)


ACTIVATIONS = [
    "elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "leaky_relu", "linear",
    "log_sigmoid", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softplus", "softsign", "swish", "tanh",
]  # fmt: skip


def test_activations():
    def forward(image):
        tensor = layers.Conv2D(2, 2)(image)
        return flat(layers.Concatenate()([layers.Activation(name)(tensor) for name in ACTIVATIONS]))

    agree(model_of(forward), "flat")


def test_an_activation_that_is_not_known_is_carried():
    agree(model_of(lambda image: flat(layers.Conv2D(2, 2, activation=ops.tanh, name="conv")(image))), "conv")


def gate(tensor, **settings):
    """Squeeze-and-excitation as keras.applications build it."""
    channels = tensor.shape[-1]
    small = layers.GlobalAveragePooling2D()(tensor)
    small = layers.Conv2D(2, 1, activation="relu")(layers.Reshape((1, 1, channels), name="reshape")(small))
    return layers.Multiply()([tensor, layers.Conv2D(channels, 1, activation="sigmoid")(small)])


def tail(tensor):
    return layers.Dense(4, activation="softmax", name="scores")(layers.GlobalAveragePooling2D(name="mean")(tensor))


def dense(image):
    first = layers.Conv2D(4, 3, padding="same")(image)
    second = layers.Concatenate()([first, image, layers.MaxPooling2D(3, 1, padding="same")(image)])
    return tail(layers.Conv2D(3, 3, activation="relu")(second))


def twice(image):
    conv = layers.Conv2D(3, 3, padding="same", activation="tanh")
    return tail(conv(conv(image)))


def merged(image):
    parts = [layers.Conv2D(4, size, padding="same")(image) for size in (1, 2, 3)]
    product = layers.Multiply()(parts[:2])
    return tail(layers.Average()([layers.Add()([*parts, product]), layers.Subtract()(parts[1:]), product]))


def operations(image):
    tensor = layers.Conv2D(3, 3, padding="same")((image * 255 - 127) / np.array([128, 64, 256], np.float32))
    tensor = ops.concatenate([ops.relu(tensor), 1 - tensor, ops.clip(tensor, -0.5, 0.5), ops.silu(-tensor)], axis=3)
    tensor = ops.transpose(ops.gelu(tensor + ops.leaky_relu(tensor, 0.1)), (0, 3, 1, 2))
    tensor = ops.add(ops.square(tensor), ops.multiply(0.3, keras.activations.relu(tensor, max_value=0.7)))
    return ops.softmax(0.05 * layers.Dense(4)(ops.mean(tensor, axis=[-2, -1])))


def squeezed(image):
    tensor = layers.Conv2D(4, 3, activation="relu")(image)
    tensor = layers.Permute((2, 3, 1))(layers.Permute((3, 1, 2))(tensor))
    tensor = layers.Reshape((1, 1, -1))(layers.GlobalMaxPooling2D(name="most")(tensor))
    return layers.Activation("softmax")(ops.squeeze(layers.Conv2D(4, 1)(tensor), (1, 2)))


def nested(image):
    inner = keras.Sequential([layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D()], name="inner")
    given = keras.Input((None, None, 4))
    outer = keras.Model(given, layers.Add()([given, layers.Conv2D(4, 3, padding="same", name="last")(given)]), name="o")
    return tail(outer(layers.BatchNormalization()(inner(image))))


FORWARDS = {
    "multi-branch": (dense, "mean"),
    "used twice": (twice, "mean"),
    "merged": (merged, "mean"),
    "operations": (operations, "mean"),
    "reshaped": (squeezed, "most"),
    "nested": (nested, "mean"),
    "gated": (lambda image: tail(gate(layers.Conv2D(4, 3)(image))), "reshape"),
    "one column": (lambda image: layers.Dense(1, activation="sigmoid")(flat(layers.Conv2D(2, 3)(image))), "flat"),
}


@pytest.mark.parametrize("name", FORWARDS)
def test_a_network(name):
    forward, dense_from = FORWARDS[name]
    network = model_of(forward)
    if name == "operations":
        dense_from = next(each.name for each in network.operations if type(each).__name__ == "Mean")
    agree(network, dense_from)
    graph = wrap_keras(network, Options()).graph((*SIZE, 3))
    assert carried(graph) <= {"softmax", "Reshape"}


def test_names_are_those_of_the_layers():
    graph = wrap_keras(model_of(nested), Options()).graph((*SIZE, 3))
    assert {"inner/conv2d", "o/last"} <= {node.name.rstrip("_0123456789") for node in graph.nodes}


class Rolled(layers.Layer):
    """Unknown, and another thing in training, which is its own default."""

    def call(self, tensor, training=True):
        return ops.roll(tensor, 1, axis=1) * (2 if training else 1)


class Halves(layers.Layer):
    def call(self, tensor):
        return {"first": tensor[..., :2], "all": [tensor]}


class Mixing(layers.Layer):
    def call(self, tensor):
        return tensor - ops.mean(tensor, axis=0, keepdims=True)


class Drawing(layers.Layer):
    def __init__(self):
        super().__init__()
        self.seeds = keras.random.SeedGenerator(0)

    def call(self, tensor):
        return tensor + keras.random.normal(ops.shape(tensor), seed=self.seeds)


class Other(layers.Conv2D):
    def call(self, tensor):
        return ops.tanh(super().call(tensor))


def halves(tensor):
    found = Halves(name="carried")(tensor)
    return layers.Concatenate()([found["first"], found["all"][0]])


CARRIED = {
    "unknown": lambda tensor: Rolled(name="carried")(tensor),
    "subclassed": lambda tensor: Other(3, 2, name="carried")(tensor),
    "several outputs": halves,
    "transposed": lambda tensor: layers.Conv2DTranspose(3, 3, strides=2, padding="same", name="carried")(tensor),
    "wider": lambda tensor: layers.UpSampling2D(2, interpolation="bilinear", name="carried")(tensor),
    "other axis": lambda tensor: layers.BatchNormalization(axis=1, name="carried")(tensor),
    "by place": lambda tensor: layers.PReLU(name="carried")(tensor),
    "two axes": lambda tensor: layers.LayerNormalization(axis=[2, 3], name="carried")(tensor),
    "attention": lambda tensor: layers.Attention(name="carried")([layers.Reshape((90, 4), name="r")(tensor)] * 2),
}


@pytest.mark.parametrize("name", CARRIED)
def test_what_is_not_known_is_carried(name):
    network = model_of(lambda image: flat(CARRIED[name](layers.Conv2D(4, 3, padding="same")(image))))
    agree(network, "r" if name == "attention" else "carried")
    assert "carried" in carried(wrap_keras(network, Options()).graph((*SIZE, 3)))


def test_what_is_not_known_hands_on_the_layout():
    image = keras.Input((3, *SIZE))
    tensor = layers.UpSampling2D(2, data_format="channels_first", name="carried")(image)
    tensor = layers.Conv2D(4, 3, data_format="channels_first")(tensor)
    network = random_weights(keras.Model(image, layers.GlobalAveragePooling2D("channels_first")(tensor)))
    plan = agree(network, "carried")
    assert carried(plan.graph) == {"carried"}


def test_a_model_inside_that_takes_other_numbers_is_carried():
    given = keras.Input((*SIZE, 3), dtype="int32")
    inner = keras.Model(given, layers.Rescaling(0.1)(given), name="inner")
    agree(model_of(lambda image: flat(inner(image * 20))), "inner")


def test_whole_numbers_from_inside_are_carried():
    network = model_of(lambda image: tail(layers.Conv2D(3, 3)(layers.RandomFlip()(ops.cast(image * 4, "int32")))))
    agree(network, next(each.name for each in network.operations if "cast" in each.name))


@pytest.mark.skipif(BACKEND != "torch", reason="only torch has such modules")
def test_a_module_of_torch_is_carried_and_left_in_its_mode():
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Dropout(0.5)).train()

    def forward(image):
        first = keras.layers.TorchModuleWrapper(module, output_shape=(None, 4, 7, 8), name="wrapped")(image)
        return layers.GlobalAveragePooling2D("channels_first")(first)

    image = keras.Input((3, *SIZE))
    network = keras.Model(image, forward(image))
    agree(network, "wrapped", preprocess=Preprocess(layout="first"))
    module.train()
    model = wrap_keras(network, Options(preprocess=Preprocess(layout="first")))
    Engine(model.graph((*SIZE, 3))).clean(torch.zeros(*SIZE, 3))
    assert all(each.training for each in module.modules())


@pytest.mark.skipif(BACKEND != "torch", reason="only torch's tensors can be overwritten")
def test_a_layer_that_overwrites_what_it_is_given_is_refused():
    class InPlace(layers.Layer):
        def call(self, tensor):
            return tensor.relu_()

    network = model_of(lambda image: flat(layers.Add()([InPlace(name="carried")(image), image])))
    with pytest.raises(UnsupportedError, match="'carried', which overwrites it"):
        wrap_keras(network, Options()).graph((*SIZE, 3))


@pytest.mark.skipif(BACKEND != "torch", reason="only torch makes tensors that cannot be trained")
def test_a_layer_that_keeps_a_tensor_can_still_be_trained():
    class Keeping(layers.Layer):
        kept = None

        def call(self, tensor):
            if self.kept is None and tensor.device.type != "meta":
                self.kept = ops.ones((1,))
            return tensor if self.kept is None else tensor * self.kept

    network = model_of(lambda image: tail(Keeping(name="keeping")(layers.Conv2D(4, 3)(image))))
    model = wrap_keras(network, Options())
    graph = model.graph((*SIZE, 3))
    network.get_layer("keeping").kept = None
    Engine(graph).clean(torch.zeros(*SIZE, 3))
    network.compile("sgd", "mse")
    network.fit(keras_models.images(4, SIZE), np.ones((4, 4)), verbose=0)


def test_an_own_call_of_a_layer_is_noticed():
    network = model_of(lambda image: flat(layers.ReLU(name="own")(layers.Conv2D(4, 3)(image))))
    object.__setattr__(network.get_layer("own"), "call", lambda tensor: ops.tanh(tensor))
    agree(network, "own")


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, images):
        return self.dense(ops.mean(images, axis=(1, 2)))


def subclassed():
    network = Subclassed()
    network(np.zeros((1, *SIZE, 3), np.float32))
    return network


def half():
    return model_of(lambda image: flat(layers.Conv2D(2, 3, dtype="mixed_float16")(image)))


REFUSED = {
    "a functional or sequential Keras model .*Subclassed": subclassed,
    "of float32 numbers .*mixed_float16": half,
    "treat every image alone": lambda: model_of(lambda image: flat(Mixing()(image))),
    "or draws numbers": lambda: model_of(lambda image: flat(Drawing()(image))),
    "without masks": lambda: model_of(lambda image: layers.Dense(3)(layers.Masking()(flat(image)))),
    "one row of scores an image": lambda: model_of(layers.Conv2D(2, 3)),
    "take images of .* an input of": lambda: model_of(lambda image: flat(image), size=(8, 8)),
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_cannot_be_read_is_refused(said):
    network = REFUSED[said]()
    before = keras_models.state(network)
    with pytest.raises(UnsupportedError, match=f"{said}.*engine='full'"):
        wrap_keras(network, Options()).graph((*SIZE, 3))
    keras_models.assert_same_state(before, keras_models.state(network))


def test_a_network_on_another_device_is_refused(monkeypatch):
    network = model_of(twice)
    elsewhere = types.SimpleNamespace(value=types.SimpleNamespace(device="cuda:0"))
    monkeypatch.setattr(type(network), "weights", property(lambda _: [elsewhere]))
    with pytest.raises(UnsupportedError, match=r"lie on the CPU .*cuda:0"):
        wrap_keras(network, Options()).graph((*SIZE, 3))


def test_without_torch_the_graph_says_what_to_install(monkeypatch):
    model = wrap_keras(model_of(twice), Options())
    monkeypatch.delitem(sys.modules, "eyeline.models.keras_graph", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'eyeline\[torch\]'"):
        model.graph((*SIZE, 3))


def test_pictures_without_a_channel_axis():
    image = keras.Input(SIZE)
    tensor = layers.Reshape((*SIZE, 1))(layers.Rescaling(2.0, -1)(image))
    network = random_weights(keras.Model(image, tail(layers.Conv2D(3, 3)(tensor))))
    agree(network, "mean", channels=1)


@pytest.mark.parametrize("kind", ["uint8", "int32"])
def test_whole_numbers(kind):
    image = keras.Input((*SIZE, 3), dtype=kind)
    tensor = layers.Rescaling(1 / 127.5, -1)(layers.RandomFlip()(image))
    network = random_weights(keras.Model(image, tail(layers.Conv2D(4, 3)(tensor))))
    agree(network, "mean", preprocess=Preprocess(scale=250))


def test_preprocessing_head_and_any_size():
    network = model_of(lambda image: [layers.Conv2D(4, 3, name="conv")(image)], size=(None, None))
    preprocess = Preprocess(scale=255, mean=(120, 110, 100), std=(50, 60, 70))
    agree(network, "head", preprocess=preprocess, head=lambda maps: ops.mean(maps[:, 1:4], axis=(1, 2)))


def test_one_of_several_outputs():
    def forward(image):
        tensor = layers.Conv2D(4, 3)(image)
        return {"map": tensor, "scores": tail(tensor)}

    agree(model_of(forward, name="image"), "mean")


def test_a_sequential_network_that_was_never_called():
    network = keras.Sequential([layers.Conv2D(4, 3, activation="relu"), layers.GlobalMaxPooling2D(name="most")])
    agree(network, "most")


ARCHITECTURES = {
    "MobileNetV2": "global_average_pooling2d",
    "ResNet50": "avg_pool",
    "DenseNet121": "avg_pool",
    "EfficientNetB0": "block1a_se_reshape",
}


@pytest.mark.parametrize("name", list(ARCHITECTURES)[: 1 if BACKEND == "jax" else None])
def test_a_network_of_keras_applications(name):
    """Rounding adds up over 50 to 240 layers; JAX compiles each of them, which takes minutes."""
    keras.utils.clear_session()
    build = getattr(keras.applications, name)
    network = random_weights(build(weights=None, input_shape=(64, 64, 3), classes=5, classifier_activation=None))
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    network(255 * keras_models.images(16, (64, 64)), training=True)  # statistics with which nothing vanishes or grows
    settings = {"size": (64, 64), "patch": (16, 16), "stride": 24, "preprocess": Preprocess(scale=255)}
    plan = agree(network, ARCHITECTURES[name], 1e-4, **settings)
    assert carried(plan.graph) == set()


def test_the_network_of_the_lecture():
    network = random_weights(lecture._build(keras, (32, 32, 3), 4))
    plan = agree(network, "global_max_pooling2d", size=(32, 32), patch=(8, 8), stride=6)
    assert carried(plan.graph) == {"softmax"}


def test_a_padding_on_the_wrong_side_is_seen(monkeypatch):
    """Sabotage twin: PyTorch's "same" padding has as much on both sides, or more in front."""
    read = keras_operations.geometries

    def swapped(*given):
        return tuple(dataclasses.replace(each, before=each.after, after=each.before) for each in read(*given))

    monkeypatch.setattr(keras_operations, "geometries", swapped)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        agree(sliding("conv strided"), "flat")


def test_names_and_what_the_layers_give():
    network = model_of(nested)
    model = wrap_keras(network, Options(preprocess=Preprocess(scale=2)))
    assert isinstance(model, Traceable)
    images = keras_models.images(2, SIZE)
    names = {node.name for node in model.graph((*SIZE, 3)).nodes}
    given = model.activations(images, {*names, "nonsense"})
    inner, norm, outer, pool, _ = network.layers[1:]
    expected = {
        f"inner/{inner.layers[0].name}": inner.layers[0](2 * images),
        f"inner/{inner.layers[1].name}": inner(2 * images),
        norm.name: norm(inner(2 * images)),
        "o/last": outer.get_layer("last")(norm(inner(2 * images))),
        f"o/{outer.layers[-1].name}": outer(norm(inner(2 * images))),
        "mean": pool(outer(norm(inner(2 * images)))),
        "scores": network(2 * images),
    }
    assert set(given) == set(expected) == names - {"image"}
    for name, each in expected.items():
        np.testing.assert_allclose(given[name], ops.convert_to_numpy(each), atol=1e-5)


def test_what_layers_give_has_its_channels_last():
    network = sliding("conv", "channels_first")
    images = keras_models.images(2, SIZE)
    (given,) = wrap_keras(network, Options()).activations(images, {network.layers[2].name}).values()
    expected = network.layers[2](network.layers[1](np.moveaxis(images, -1, 1)))
    np.testing.assert_allclose(given, np.moveaxis(ops.convert_to_numpy(expected), 1, -1), atol=1e-5)


def test_the_fingerprint_notices_every_change():
    network = keras.Sequential([keras.Input((*SIZE, 3)), layers.Conv2D(4, 3), layers.BatchNormalization()])
    network.add(layers.Dropout(0.5))
    network.add(layers.GlobalAveragePooling2D())
    network.add(layers.Dense(4, activation="softmax"))
    network.compile("sgd", "mse")
    model, images = wrap_keras(random_weights(network), Options()), keras_models.images(4, SIZE)
    model.scores(images)
    seen = [model.fingerprint()]

    def changed():
        seen.append(model.fingerprint())
        return len(set(seen)) == len(seen)

    model.scores(images)
    model.activations(images, {"dense"})
    model.graph((*SIZE, 3))
    assert not changed()
    seen.pop()
    weights = network.get_weights()
    weights[0][0, 0, 0, :2] = weights[0][0, 0, 0, 1::-1]
    network.set_weights(weights)
    assert changed()
    network.fit(images, np.ones((4, 4)), verbose=0)
    assert changed()
    network.layers[-1].activation = keras.activations.linear
    assert changed()
    network.layers[0].strides = (2, 2)
    assert changed()
    network.pop()
    assert changed()


def test_what_an_engine_costs_and_brings_is_foreseen():
    model = wrap_keras(model_of(dense), Options())
    assert isinstance(model, Foreseeing)
    assert 0 < model.setup((*SIZE, 3)) < 1
    images = keras_models.images(2, SIZE)
    covered = images.copy()
    covered[0, 2:5, 3:4, 1] += 1
    plan = Engine(model.graph((*SIZE, 3))).plan(np.array([[(2, 5), (3, 4)]]))
    assert model.share(images, covered) == plan.done / plan.full < 0.6
    assert model.share(images, images) == 0
    with pytest.raises(UnsupportedError, match="Subclassed"):
        wrap_keras(subclassed(), Options()).setup((*SIZE, 3))


def test_a_network_is_left_as_it_was():
    network = model_of(lambda image: tail(Rolled()(layers.Dropout(0.5)(layers.Conv2D(4, 3)(image)))))
    network.compile("adam", "mse")
    before = keras_models.state(network)
    agree(network, network.layers[3].name)
    wrap_keras(network, Options()).activations(keras_models.images(2, SIZE), {"mean"})
    keras_models.assert_same_state(before, keras_models.state(network))


def of_keras_2(tf_keras):
    """Layers whose settings have other names or meanings in tf_keras, and its own kind of operators."""
    tf_keras.utils.set_random_seed(0)
    old = tf_keras.layers
    image = tf_keras.Input((*SIZE, 3))
    tensor = old.Rescaling([2.0, 0.5, 3.0], offset=-1)((image * 3 - 1) / np.float32([1, 2, 3]))
    tensor = old.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])(old.RandomFlip()(tensor))
    tensor = old.BatchNormalization()(old.Conv2D(4, 3, strides=2, padding="same", activation="swish")(tensor))
    tensor = old.SeparableConv2D(4, 3, padding="same", activation="hard_sigmoid")(old.Dropout(0.5)(tensor))
    other = old.DepthwiseConv2D(2, padding="same", activation="gelu")(tensor)
    inner = tf_keras.Sequential(
        [old.Conv2D(4, 1, name="inside"), old.LeakyReLU(0.1), old.PReLU(shared_axes=[1, 2])], name="inner"
    )
    parts = [old.Add()([inner(other), tensor]), old.ELU()(tensor), old.ReLU(6.0, 0.1, 0.2)(other)]
    tensor = old.LayerNormalization()(old.Concatenate()(parts))
    tensor = old.AveragePooling2D(3, 1, padding="same")(old.ZeroPadding2D(1)(tensor))
    tensor = old.GlobalAveragePooling2D(name="mean")(tensor)
    network = tf_keras.Model(image, old.Dense(4, activation="softmax", name="scores")(tensor))
    rng = np.random.default_rng(0)
    network.set_weights([each + 0.5 * rng.random(each.shape) for each in network.get_weights()])
    return network


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf_keras runs on TensorFlow alone")
def test_a_network_of_keras_2():
    tf_keras = pytest.importorskip("tf_keras")
    network = of_keras_2(tf_keras)
    plan = agree(network, "mean")
    assert carried(plan.graph) == {"softmax"}
    model, images = wrap_keras(network, Options()), keras_models.images(2, SIZE)
    given = model.activations(images, {"inner/inside", "mean", "scores"})
    np.testing.assert_allclose(given["scores"], model.scores(images), atol=1e-6)
    assert len(given) == 3
    seen = model.fingerprint()
    network.layers[-1].kernel.assign_add(network.layers[-1].kernel)
    assert model.fingerprint() != seen


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf_keras runs on TensorFlow alone")
def test_what_always_draws_in_keras_2_is_refused():
    tf_keras = pytest.importorskip("tf_keras")
    image = tf_keras.Input((*SIZE, 3))
    tensor = tf_keras.layers.Dropout(0.5)(image, training=True)  # there, this holds in inference as well
    network = tf_keras.Model(image, tf_keras.layers.Flatten()(tensor))
    with pytest.raises(UnsupportedError, match="or draws numbers"):
        wrap_keras(network, Options()).graph((*SIZE, 3))


def test_an_occlusion_map_by_the_engine_is_that_of_the_full_path():
    model = eyeline.load(model_of(dense))
    full, quick = (
        eyeline.Occlusion(window=3, stride=1, engine=engine)(model, keras_models.images(1, SIZE))
        for engine in ("full", "incremental")
    )
    assert (full.provenance["engine"], quick.provenance["engine"]) == ("full", "incremental")
    np.testing.assert_allclose(quick.maps, full.maps, atol=1e-6)
    assert np.ptp(full.maps) > 1e-3
