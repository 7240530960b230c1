"""Models of several inputs on every framework: published answers, and each input as if it were the only one."""

import dataclasses
import importlib.util
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import eyeline
from eyeline.errors import InputError, ModelError, UnsupportedError
from eyeline.methods import inputs
from eyeline.models import several
from small_networks import BM2, BM3, HEAD, A, B, TwoInputs

BLACK = eyeline.Constant(0)


def in_keras(kind):
    keras = pytest.importorskip("keras")
    relu, shape = keras.ops.relu, (4, 4, 1) if kind is TwoInputs else (1,)
    one, two = keras.Input(shape, name="image"), keras.Input(shape, name="other")
    if kind is TwoInputs:
        conv, last = keras.layers.Conv2D(2, 3), keras.layers.Dense(4, use_bias=False)
        rows = keras.ops.reshape(keras.ops.transpose(relu(conv(one + two)), (0, 3, 1, 2)), (-1, 8))
        network = keras.Model([one, two], relu(last(rows)))
        conv.set_weights([np.ones((3, 3, 1, 2)), np.array([-50, -75])])
        last.set_weights([HEAD.T])
        return network
    inner = relu(one) - 1 - relu(two) if kind is BM2 else relu(one - 1) - relu(two)
    return keras.Model([one, two], relu(inner))


def in_onnx(kind, path):
    example = (torch.zeros(2, 1, 4, 4),) * 2 if kind is TwoInputs else (torch.zeros(2, 1),) * 2
    names, free = ["image", "other"], {"image": {0: "n"}, "other": {0: "n"}}
    torch.onnx.export(kind().eval(), example, path, dynamo=False, input_names=names, dynamic_axes=free)
    return path


def opened(framework, kind, path):
    if framework == "onnx":
        pytest.importorskip("onnxruntime")
        return eyeline.several(in_onnx(kind, path / "net.onnx"))
    return eyeline.several(in_keras(kind) if framework == "keras" else kind().eval())


FRAMEWORKS = ["torch", "keras", *(["onnx"] if importlib.util.find_spec("onnxruntime") else [])]
LEGACY = pytest.mark.filterwarnings(
    "ignore:You are using the legacy TorchScript:DeprecationWarning",
    "ignore:`torch.jit:DeprecationWarning",
    "ignore:The feature will be removed:DeprecationWarning",
    "ignore:Constant folding:UserWarning",
)


@LEGACY
@pytest.mark.parametrize("kind", [BM2, BM3])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_integrated_gradients_move_all_inputs(framework, kind, tmp_path):
    """Implementation invariance: both networks are the same function (Sundararajan et al. 2017, figure 2)."""
    model = opened(framework, kind, tmp_path)
    given = (np.array([[3.0]], dtype=np.float32), np.array([[1.0]], dtype=np.float32))
    first, second = eyeline.explain(model, given, "integratedgradients", 0, steps=400, rule="midpoint", baseline=BLACK)
    np.testing.assert_allclose([first.maps.item(), second.maps.item()], [1.5, -0.5], rtol=1e-5)
    assert (first.provenance["input"], first.method["name"]) == (model.names[0], "integratedgradients")


ROWS = {
    "whole": ({"window": 4, "stride": 4}, np.full((4, 4), 67), np.full((4, 4), 13)),
    "every pixel": (
        {"window": 1, "stride": 1},
        [(0, 2, 4, 3), (4, 9, 10, 7), (4, 13, 14, 11), (0, 0, 0, 0)],
        [(1, 2, 2, 1)] * 3 + [(0, 0, 0, 0)],
    ),
    "of the first": (
        {"window": (2, 3), "stride": (2, 1)},
        [(17,) * 4] * 2 + [(64, 65.5, 65.5, 67)] * 2,
        None,
    ),
    "of the second": ({"window": (1, 2), "stride": (1, 2)}, None, [(3,) * 4] * 3 + [(0,) * 4]),
}


@LEGACY
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_occlusion_of_each_input(framework, tmp_path):
    model = opened(framework, TwoInputs, tmp_path)
    for settings, *wanted in ROWS.values():
        found = eyeline.explain(model, (A, B), "occlusion", 0, baseline=BLACK, **settings)
        for attribution, numbers in zip(found, wanted, strict=True):
            if numbers is not None:
                np.testing.assert_allclose(attribution.maps[0], numbers, atol=1e-4)
    gradients = eyeline.explain(model, {"image": A, "other": B}, "gradient", 0, channels="sum")
    for each in gradients:
        np.testing.assert_allclose(each.maps[0], [(1, 2, 2, 1)] * 3 + [(0,) * 4], atol=1e-5)


def test_each_input_alone_has_the_sign_of_its_part():
    a, b = np.array([[-10.0], [3.0]], dtype=np.float32), np.array([[-5.0], [1.0]], dtype=np.float32)
    found = eyeline.explain(eyeline.several(BM3()), (a, b), "occlusion", 0, window=1, baseline=BLACK)
    assert [each.maps[:, 0].tolist() for each in found] == [[0, 1], [0, -1]]
    assert found[0].sweep.scores.shape[0] == 2


class Mixed(nn.Module):
    """A picture of two channels and a row of numbers."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.more, self.last = nn.Conv2d(2, 4, 3), nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, picture, row):
        return self.last(torch.tanh(self.conv(picture)).mean((2, 3)) * torch.tanh(self.more(row)))


PICTURES = np.random.default_rng(0).random((3, 6, 7, 2), dtype=np.float32)
NUMBERS = np.random.default_rng(1).random((3, 5), dtype=np.float32)
METHODS = {
    "gradient": {"channels": "l2"}, "gradientinput": {"baseline": eyeline.Mean()}, "expectedgradients": {"samples": 3},
    "integratedgradients": {"steps": 40}, "guidedig": {"steps": 10}, "smoothgrad": {"samples": 2},
    "vargrad": {"samples": 2},
}  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_every_gradient_method(method):
    given = {"row": NUMBERS, "picture": PICTURES}
    first, second = eyeline.explain(eyeline.several(Mixed()), given, method, [0, 1, 2], **METHODS[method])
    assert (first.maps.shape, second.maps.shape) == ((3, 6, 7), (3, 5))
    assert first.maps.any()
    assert second.maps.any()
    assert first.quantity == second.quantity
    assert "class 2" in repr(first)


def test_gradients_of_each_input_by_hand():
    network = Mixed()
    picture = torch.from_numpy(PICTURES).movedim(-1, 1).requires_grad_()
    row = torch.from_numpy(NUMBERS).requires_grad_()
    network(picture, row)[:, 1].sum().backward()
    tensors = (torch.from_numpy(PICTURES).movedim(-1, 1), torch.from_numpy(NUMBERS))
    first, second = eyeline.explain(eyeline.several(network), tensors, "gradient", 1, channels=None)
    np.testing.assert_allclose(first.maps, picture.grad.movedim(1, -1).numpy(), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(second.maps[..., 0], row.grad.numpy(), rtol=1e-5, atol=1e-7)


def test_all_inputs_together_make_up_the_change():
    model = eyeline.several(Mixed())
    start = (eyeline.Constant(0), eyeline.Mean())[1]
    found = eyeline.explain(model, (PICTURES, NUMBERS), "integratedgradients", 0, steps=60, baseline=start)
    total = sum(each.maps.reshape(3, -1).sum(1) for each in found)
    mean = (np.broadcast_to(PICTURES.mean((1, 2), keepdims=True), PICTURES.shape),
            np.broadcast_to(NUMBERS.mean(1, keepdims=True), NUMBERS.shape))  # fmt: skip
    with torch.no_grad():
        network = Mixed()
        ends = [network(torch.from_numpy(p.copy()).movedim(-1, 1), torch.from_numpy(r.copy()))[:, 0].numpy()
                for p, r in ((PICTURES, NUMBERS), mean)]  # fmt: skip
    np.testing.assert_allclose(total, ends[0] - ends[1], atol=1e-4)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ((PICTURES,), r"one array for each of the inputs 'picture', 'row', but got 1\. Pass a tuple"),
        (PICTURES, r"one array for each of the inputs 'picture', 'row', but got ndarray"),
        ({"picture": PICTURES}, r"the inputs must be 'picture', 'row', but got no 'row'"),
        ({"picture": PICTURES, "row": NUMBERS, "rows": NUMBERS}, r"but got 'rows' as well"),
        ((PICTURES, NUMBERS[:2]), r"as many examples each, but got \[3, 2\]"),
        ((PICTURES, NUMBERS.astype(int)), r"finite floats, .* but 'row' is int64 of shape \(3, 5\)"),
        ((PICTURES, NUMBERS * np.nan), "array of finite floats"),
    ],
)
def test_inputs_that_do_not_fit(given, sentence):
    with pytest.raises(InputError, match=sentence):
        eyeline.explain(eyeline.several(Mixed()), given, "gradient", 0)


def test_models_and_methods_that_do_not_fit():
    with pytest.raises(
        UnsupportedError, match=r"must have two or more, but Linear has only 'input'\. Use eyeline\.load"
    ):
        eyeline.several(nn.Linear(3, 2))
    with pytest.raises(UnsupportedError, match="must be a PyTorch module, a Keras model or an ONNX file, but got"):
        eyeline.several(len)
    with pytest.raises(UnsupportedError, match=r"several inputs, but got 'blurig'\. Use one of occlusion, gradient"):
        eyeline.explain(eyeline.several(Mixed()), (PICTURES, NUMBERS), "blurig", 0)
    with pytest.raises(InputError, match="inner must be a method that explains several inputs at once"):
        eyeline.explain(eyeline.several(Mixed()), (PICTURES, NUMBERS), "smoothgrad", 0, inner=eyeline.Occlusion())


def test_the_oracle_notices(monkeypatch, tmp_path):
    """Sabotage: the inputs exchanged."""
    split = inputs.split
    monkeypatch.setattr(inputs, "split", lambda rows, shapes: split(np.roll(rows, 1, axis=1), shapes))
    with pytest.raises(AssertionError):
        test_integrated_gradients_move_all_inputs("torch", BM2, tmp_path)
    with pytest.raises(AssertionError):
        test_gradients_of_each_input_by_hand()


@pytest.mark.parametrize(
    "broken",
    [
        lambda own: lambda self, images: own(dataclasses.replace(self, start=self.start - 1), images),
        lambda own: lambda self, images: own(dataclasses.replace(self, held=0 * self.held), images),
    ],
    ids=["laid one off", "others not held"],
)
def test_the_answers_for_each_input_notice(broken, monkeypatch, tmp_path):
    monkeypatch.setattr(several.Alone, "_rows", broken(several.Alone._rows))
    for oracle in (partial(test_occlusion_of_each_input, "torch", tmp_path),
                   test_each_input_alone_has_the_sign_of_its_part):  # fmt: skip
        with pytest.raises((AssertionError, ModelError, ValueError)):
            oracle()


def test_the_change_in_all_notices(monkeypatch):
    """Sabotage: a baseline of all inputs at once, not one for each."""
    monkeypatch.setattr(inputs.Parted, "__call__", lambda self, images: self.baseline(images))
    with pytest.raises(AssertionError):
        test_all_inputs_together_make_up_the_change()


class Weighted(nn.Module):
    """Adds the first 2 x 2 pixels, and takes the other input times it."""

    def forward(self, image, other):
        return image[:, :, :2, :2].sum((1, 2, 3))[:, None] * other


METHODS_OF_ONE = {
    "rise": {"masks": 100, "cells": 4, "baseline": BLACK},
    "superpixels": {"labels": np.arange(16).reshape(4, 4), "baseline": BLACK},
    "multiscale": {"windows": (1,), "inner": eyeline.Occlusion(stride=1, baseline=BLACK)},
    "baselineagreement": {"inner": eyeline.Occlusion(1, 1), "baselines": (BLACK, eyeline.Constant(0.0))},
    "gradient": {"channels": "sum"},
}


@pytest.mark.parametrize("method", METHODS_OF_ONE)
def test_every_method_explains_one_input_while_the_others_are_held(method):
    """The network is linear in the image: 3 times the first four pixels, and nothing elsewhere."""
    image, other = np.ones((1, 4, 4, 1), dtype=np.float32), np.full((1, 1), 3, dtype=np.float32)
    image[0, 0, 0] = 2
    held = eyeline.several(Weighted()).alone("image", {"image": image, "other": other})
    found = eyeline.explain(held, image, method, target=0, **METHODS_OF_ONE[method]).maps[0]
    expected = np.zeros((4, 4))
    expected[:2, :2] = 3
    if method == "rise":
        plain = eyeline.load(lambda images: 3 * images[:, :2, :2].sum(axis=(1, 2)), input_size=4)
        expected = eyeline.explain(plain, image, method, target=0, **METHODS_OF_ONE[method]).maps[0]
    elif method != "gradient":
        expected *= image[0, ..., 0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_one_input_alone_needs_its_name_and_one_example():
    image, other = np.ones((2, 4, 4, 1), dtype=np.float32), np.ones((2, 1), dtype=np.float32)
    model = eyeline.several(Weighted())
    with pytest.raises(InputError, match="one of 'image', 'other', but got 'picture'"):
        model.alone("picture", (image, other))
    with pytest.raises(InputError, match="one example must be held, but got 2"):
        model.alone("image", (image, other))
    with pytest.raises(InputError, match="no 'other'"):
        model.alone("image", {"image": image})
    with pytest.raises(UnsupportedError, match=r"model\.alone"):
        eyeline.explain(model, (image, other), "rise")
