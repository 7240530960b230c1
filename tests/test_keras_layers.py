"""Layers and ReLUs of Keras models on the process' backend: against the same weights in PyTorch, and differences."""

from typing import Any

import keras
import numpy as np
import pytest
import torch
from keras import layers, ops
from torch import nn

import eyeline
import keras_models
from eyeline.errors import InputError, UnsupportedError
from eyeline.methods import METHODS
from eyeline.models import keras_rules
from eyeline.models.layered import Layer

# Keras' variables lack the copy keyword that NumPy 2 asks for.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

IMAGES = keras_models.images(3, (10, 8))
TARGET = 3
CAMS = ["gradcam", "gradcamplusplus", "hirescam", "layercam", "eigencam", "scorecam", "guidedgradcam"]
ON_TORCH = keras.backend.backend() == "torch"


def network() -> Any:
    """ReLUs of every spelling, one of them in an inner model, a sum, a norm and a gate."""
    image = keras.Input((8, 8, 6))
    inner = keras.Model(
        image, layers.ReLU(6, name="cut")(layers.Conv2D(6, 3, padding="same", name="inside")(image)), name="inner"
    )
    image = keras.Input((10, 8, 3))
    values = layers.Conv2D(6, 3, activation="relu", name="first")(layers.ZeroPadding2D((0, 1), name="pad")(image))
    values = layers.BatchNormalization(name="norm")(values)
    values = layers.Add(name="sum")([values, inner(values)])
    values = layers.Activation("relu", name="active")(values)
    values = ops.relu(values - 0.1)
    values = keras.activations.relu(values, max_value=2.0)
    values = ops.maximum(values - 0.05, 0)
    values = ops.clip(values, 0, 1.5)
    gate = layers.Dense(6, activation="sigmoid", name="gate")(
        layers.GlobalAveragePooling2D(keepdims=True, name="mean")(values)
    )
    values = layers.GlobalAveragePooling2D(name="pool")(layers.Multiply(name="gated")([values, gate]))
    model = keras.Model(
        image, layers.Dense(4, name="scores")(layers.Dense(5, activation=layers.ReLU(), name="dense")(values))
    )
    rng = np.random.default_rng(4)
    spread = [(each.shape[-1] / each.size) ** 0.5 for each in model.get_weights()]
    model.set_weights([
        rng.normal(0.02, wide, each.shape) if each.ndim > 1 else 0.1 + 0.4 * rng.random(each.shape)
        for wide, each in zip(spread, model.get_weights(), strict=True)
    ])  # fmt: skip
    return model


class Twin(nn.Module):
    """The same, in PyTorch, with the Keras model's weights, in float64."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.first, self.inside = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3, padding=1)
        self.norm, self.cut = nn.BatchNorm2d(6, eps=1e-3), nn.ReLU6()
        self.sum, self.gated = Two("add"), Two("mul")
        self.gate, self.dense, self.scores = nn.Linear(6, 6), nn.Linear(6, 5), nn.Linear(5, 4)
        given = {each.name: [np.array(one) for one in each.get_weights()] for each in model._flatten_layers()}
        with torch.no_grad():
            for name in ("first", "inside", "gate", "dense", "scores"):
                kernel, bias = (torch.from_numpy(each) for each in given[name])
                order = (3, 2, 0, 1) if kernel.ndim == 4 else (1, 0)
                getattr(self, name).weight.copy_(kernel.permute(order))
                getattr(self, name).bias.copy_(bias)
            for own, each in zip(("weight", "bias", "running_mean", "running_var"), given["norm"], strict=True):
                getattr(self.norm, own).copy_(torch.from_numpy(each))
        self.double().eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        values = self.norm(torch.relu(self.first(nn.functional.pad(images, (1, 1, 0, 0)))))
        values = torch.relu(self.sum(values, self.cut(self.inside(values))))
        values = torch.relu(values - 0.1).clamp(0, 2)
        values = torch.relu(values - 0.05).clamp(0, 1.5)
        gate = torch.sigmoid(self.gate(values.mean((2, 3))))[:, :, None, None]
        return self.scores(torch.relu(self.dense(self.gated(values, gate).mean((2, 3)))))


class Two(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return getattr(torch, self.name)(one, other)


@pytest.fixture(scope="module")
def model() -> Any:
    return network()


@pytest.fixture(scope="module")
def opened(model: Any) -> Any:
    return eyeline.load(model)


@pytest.fixture(scope="module")
def twin(model: Any) -> Any:
    return eyeline.load(Twin(model), input_size=(10, 8))


def weigh(scores: np.ndarray) -> np.ndarray:
    return np.linspace(-1, 1, scores.size, dtype=np.float32).reshape(scores.shape)


def test_layers_are_listed(opened: Any) -> None:
    found = opened.layers((10, 8, 3))
    shapes = {each.name: each.shape for each in found}
    assert found[0] == Layer("pad", "ZeroPadding2D", (10, 10, 3), True)
    assert Layer("inner/inside", "Conv2D", (8, 8, 6), True) in found
    assert Layer("gate", "Dense", (1, 1, 6), True) in found
    assert [name for name in shapes if name in ("first", "inner/cut", "sum", "scores")] == [
        "first",
        "inner/cut",
        "sum",
        "scores",
    ]
    assert found[-1] == Layer("scores", "Dense", (4,), False)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("first", None),
        ("norm", "norm"),
        ("inner/inside", "inside"),
        ("inner/cut", "cut"),
        ("sum", "sum"),
        ("gated", "gated"),
    ],
)
def test_what_layers_give_and_their_derivatives_are_those_of_the_twin(
    opened: Any, twin: Any, name: str, theirs: str | None
) -> None:
    scores, values, derivatives = opened.layer(IMAGES, weigh, name)
    if theirs is None:  # Keras' layer holds its ReLU
        assert values.shape == (3, 8, 8, 6)
        assert values.min() == 0
        return
    for own, other in zip((scores, values, derivatives), twin.layer(IMAGES, weigh, theirs), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


def test_a_layer_against_differences(model: Any) -> None:
    """Behind the layer stands a second model of the same layers, which takes what the first gives."""
    network = keras_models.functional()
    opened = eyeline.load(network, output="raw")
    images = keras_models.images(2)
    place = next(i for i, each in enumerate(network.layers) if "batch" in each.name)
    _, values, derivatives = opened.layer(images, weigh, network.layers[place].name)
    rows = weigh(opened.scores(images)).astype(np.float64)

    def score(moved: np.ndarray) -> float:
        found = moved
        for each in network.layers[place + 1 :]:
            found = each(found, training=False)
        return float((ops.convert_to_numpy(found).astype(np.float64) * rows).sum())

    for seed in range(5):
        move = np.random.default_rng(seed).normal(size=values.shape).astype(np.float32)
        slope = (score(values + 1e-2 * move) - score(values - 1e-2 * move)) / 2e-2
        assert float((move * derivatives).sum()) == pytest.approx(slope, rel=2e-3, abs=1e-5)


@pytest.mark.parametrize("method", ["guidedbackpropagation", "deconvnet", "gradient"])
def test_rules_give_the_twins_maps(opened: Any, twin: Any, method: str) -> None:
    found, expected = (eyeline.explain(each, IMAGES, method, TARGET, channels=None).maps for each in (opened, twin))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    if method != "gradient":
        plain = eyeline.explain(opened, IMAGES, "gradient", TARGET, channels=None).maps
        assert np.abs(plain - found).max() > 1e-3 * np.abs(found).max()


@pytest.mark.skipif(ON_TORCH, reason="there the recorded graph is used")
@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
def test_the_twin_notices(model: Any, twin: Any, monkeypatch: pytest.MonkeyPatch, rule: Any) -> None:
    """Sabotage twin: the other rule."""
    other = {"guided": "deconvnet", "deconvnet": "guided"}[rule]
    own = keras_rules._function_of
    monkeypatch.setattr(keras_rules, "_function_of", lambda framework, _, high: own(framework, other, high))
    found = eyeline.load(model).ruled(IMAGES, weigh, rule)[1]
    expected = twin.ruled(IMAGES, weigh, rule)[1]
    assert np.abs(found - expected).max() > 1e-2 * np.abs(expected).max()


@pytest.mark.parametrize("method", CAMS)
def test_class_activation_maps_are_those_of_the_twin(opened: Any, twin: Any, method: str) -> None:
    assert method in METHODS
    found = eyeline.explain(opened, IMAGES, method, TARGET, layer="inner/cut").maps
    expected = eyeline.explain(twin, IMAGES, method, TARGET, layer="cut").maps
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_the_last_convolution_is_found(opened: Any) -> None:
    attribution = eyeline.explain(opened, IMAGES, "gradcam", TARGET)
    assert attribution.provenance["layer"] == {"name": "gated", "kind": "Multiply", "shape": [8, 8, 6]}
    sequential = eyeline.explain(keras_models.sequential(), keras_models.images(2), "gradcam")
    assert sequential.provenance["layer"]["kind"] == "Conv2D"
    nested = eyeline.explain(keras_models.nested(), keras_models.images(2), "gradcam")
    assert "/" in nested.provenance["layer"]["name"]
    fresh = eyeline.load(keras_models.unbuilt(), input_size=(9, 7))
    assert eyeline.explain(fresh, keras_models.images(2), "gradcam").provenance["layer"]["shape"] == [7, 5, 4]


@pytest.mark.parametrize(
    "build", [keras_models.as_list, keras_models.as_dict, lambda: keras_models.functional((None, None))]
)
def test_inputs_of_every_structure_and_size(build: Any) -> None:
    images = keras_models.images(2)
    model = eyeline.load(build(), output="raw") if build in (keras_models.as_list, keras_models.as_dict) else None
    if model is None:
        image = keras.Input((None, None, 3))
        tensor = layers.Conv2D(4, 3, activation="tanh", name="open")(image)
        model = eyeline.load(keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(tensor))), output="raw")
        assert model.layers((9, 7, 3))[0].shape == (7, 5, 4)
    maps = eyeline.explain(model, images, "layercam", 0).maps
    assert maps.shape == (2, 9, 7)


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="TensorFlow runs no convolution with channels first on a CPU"
)
def test_channels_first() -> None:
    image = keras.Input((3, 9, 7))
    tensor = layers.Conv2D(4, 3, activation="relu", data_format="channels_first", name="conv")(image)
    tensor = layers.Activation("tanh", name="same")(tensor)
    model = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D(data_format="channels_first")(tensor)))
    opened = eyeline.load(model)
    assert [each.shape for each in opened.layers((9, 7, 3))][:2] == [(7, 5, 4)] * 2
    _, values, derivatives = opened.layer(keras_models.images(2), weigh, "same")
    assert values.shape == derivatives.shape == (2, 7, 5, 4)
    ahead = model.layers[2](model.layers[1](np.moveaxis(keras_models.images(2), -1, 1)))
    np.testing.assert_allclose(values, np.moveaxis(ops.convert_to_numpy(ahead), 1, -1), atol=1e-6)


def test_a_layer_that_is_used_twice_is_refused() -> None:
    image = keras.Input((9, 7, 3))
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    model = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(shared(shared(image)))))
    with pytest.raises(InputError, match="layer must run once for an image, but 'shared' runs 2 times"):
        eyeline.explain(model, keras_models.images(1), "gradcam", layer="shared")
    with pytest.raises(InputError, match=r"but got 'shraed' .*Did you mean 'shared'"):
        eyeline.explain(model, keras_models.images(1), "gradcam", layer="shraed")


def test_a_model_with_a_call_of_its_own_has_no_layers() -> None:
    model = eyeline.load(keras_models.Subclassed(), input_size=(9, 7))
    with pytest.raises(
        UnsupportedError, match="must be those of a functional or sequential one, but Subclassed has a call"
    ):
        eyeline.explain(model, keras_models.images(1), "gradcam")
    with pytest.raises(UnsupportedError, match="must be ReLUs for deconvnet, but Subclassed has"):
        eyeline.explain(model, keras_models.images(1), "deconvnet")


def ended(*others: Any) -> Any:
    image = keras.Input((9, 7, 3))
    values = layers.Conv2D(3, 3, activation="relu")(image)
    for each in others:
        values = each(values)
    return keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(values)))


def inner_model(function: Any) -> Any:
    values = keras.Input((7, 5, 3))
    return keras.Model(values, function(values))


def gelu_by_tanh(x: Any) -> Any:
    return 0.5 * x * (1 + ops.tanh(0.7978845608 * (x + 0.044715 * x**3)))


WRITTEN = {
    "x sigmoid(x)": (lambda x: x * ops.sigmoid(x), "SiLU"),
    "as layers": (lambda x: layers.Multiply()([layers.Activation("sigmoid")(x), x]), "SiLU"),
    "x sigmoid(1.702 x)": (lambda x: x * ops.sigmoid(1.702 * x), "SiLU"),
    "x / (1 + exp(-x))": (lambda x: x / (1 + ops.exp(-x)), "SiLU"),
    "normed": (lambda x: x * ops.sigmoid(layers.BatchNormalization()(x)), "SiLU"),
    "over an inner model": (lambda x: x * inner_model(ops.sigmoid)(x), "SiLU"),
    "in an inner model": (lambda x: inner_model(lambda values: values * ops.sigmoid(values))(x), "SiLU"),
    "by erf": (lambda x: 0.5 * x * (1 + ops.erf(x / 2**0.5)), "GELU"),
    "by tanh": (gelu_by_tanh, "GELU"),
    "x relu6(x + 3) / 6": (lambda x: x * layers.ReLU(6.0)(x + 3) / 6, "hard swish"),
    "by an operation": (lambda x: ops.relu6(x + 3) * (x / 6), "hard swish"),
    "hard sigmoid": (lambda x: layers.Multiply()([x, layers.Activation("hard_sigmoid")(x)]), "hard swish"),
    "clip": (lambda x: x * ops.clip(x + 3, 0, 6), "hard swish"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_activations_that_are_written_out_are_refused(name: str) -> None:
    written, word = WRITTEN[name]
    with pytest.raises(UnsupportedError, match=f"must be ReLUs for guided backpropagation, but .* has {word}: "):
        eyeline.explain(ended(written), keras_models.images(1), "guidedbackpropagation")


def excited(x: Any) -> Any:
    """Squeeze and excitation."""
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(x)
    return layers.Multiply()([x, layers.Dense(3, activation="sigmoid")(layers.Dense(2, activation="relu")(pooled))])


GATES = {
    "squeeze and excitation": excited,
    "pooled alone": lambda x: x * ops.sigmoid(layers.GlobalAveragePooling2D(keepdims=True)(x)),
    "mean": lambda x: x * ops.sigmoid(ops.mean(x, (1, 2), keepdims=True)),
    "over space": lambda x: x * ops.sigmoid(layers.Conv2D(1, 3, padding="same")(x)),
    "other half": lambda x: x[..., :1] * ops.sigmoid(x[..., 1:2]),
    "others too": lambda x: x * ops.sigmoid(x + ops.flip(x, 1)),
    "softmax": lambda x: x * ops.softmax(x),
    "cube": lambda x: x * x * x,
}


@pytest.mark.parametrize("name", GATES)
def test_gates_are_no_activations(name: str) -> None:
    attribution = eyeline.explain(ended(GATES[name]), keras_models.images(1), "guidedbackpropagation")
    assert np.isfinite(attribution.maps).all()


class Mine(layers.Layer):
    def call(self, values: Any) -> Any:
        return keras.ops.relu(values)


@pytest.mark.parametrize(
    ("others", "sentence"),
    [
        ([layers.Activation("silu")], "SiLU"),
        ([layers.Dense(4, activation="gelu")], "GELU"),
        ([layers.LeakyReLU()], "leaky ReLU"),
        ([layers.ReLU(negative_slope=0.1)], "leaky ReLU"),
        ([layers.PReLU()], "PReLU"),
        ([ops.elu], "ELU"),
        ([layers.Activation(keras.activations.hard_silu)], "hard swish"),
    ],
)
def test_other_activations_are_refused(others: list[Any], sentence: str) -> None:
    with pytest.raises(UnsupportedError, match=f"must be ReLUs for guided backpropagation, but .* has .*{sentence}"):
        eyeline.explain(ended(*others), keras_models.images(1), "guidedbackpropagation")


@pytest.mark.parametrize("others", [[Mine()], [layers.Activation(lambda values: values)]])
@pytest.mark.skipif(ON_TORCH, reason="the recorded graph shows what they do")
def test_what_cannot_be_looked_into_is_refused(others: list[Any]) -> None:
    with pytest.raises(UnsupportedError, match="what cannot be looked into"):
        eyeline.explain(ended(*others), keras_models.images(1), "guidedbackpropagation")


def test_a_model_without_relus_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"must be ReLUs for deconvnet, but .* has none"):
        eyeline.explain(keras_models.functional(), keras_models.images(1), "deconvnet")


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_as_before_also_after_an_error(fails: bool) -> None:
    network = ended(layers.Activation("silu" if fails else "relu"), layers.ReLU(), ops.relu)
    network.compile("adam", "mse")
    before = keras_models.state(network)
    kept = [dict(vars(each)) for each in network.layers]
    opened = eyeline.load(network)
    for method in ("guidedbackpropagation", "deconvnet", "gradcam", "guidedgradcam"):
        if fails and method != "gradcam":
            with pytest.raises(UnsupportedError):
                eyeline.explain(opened, keras_models.images(2), method)
        else:
            eyeline.explain(opened, keras_models.images(2), method)
    keras_models.assert_same_state(before, keras_models.state(network))
    for each, own in zip(network.layers, kept, strict=True):
        assert ("call" in vars(each)) == ("call" in own)
        assert vars(each).get("activation") is own.get("activation")
        assert len(each._inbound_nodes) == len(own["_inbound_nodes"])
