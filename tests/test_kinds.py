"""Outputs and inputs beside a class of a picture: occlusion by a plain loop, gradients by finite differences."""

import numpy as np
import pytest
import torch
from torch import nn

import eyeline
from eyeline import explain
from eyeline.errors import UnsupportedError
from oracles import brute_force

SIZE = (6, 8)


def pooled(kind, channels, *after):
    """A smooth network: a convolution, tanh, the mean over space, a linear layer."""
    average = {nn.Conv1d: nn.AdaptiveAvgPool1d, nn.Conv2d: nn.AdaptiveAvgPool2d, nn.Conv3d: nn.AdaptiveAvgPool3d}
    return nn.Sequential(
        kind(channels, 5, 3, padding=1), nn.Tanh(), average[kind](2), nn.Flatten(), nn.LazyLinear(3), *after
    )


class Boxes(nn.Module):
    """Like a detector: a box and the scores of two classes for each of 4 quarters of the image."""

    def __init__(self, form):
        super().__init__()
        self.form, self.stem = form, nn.Conv2d(3, 6, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(2)

    def forward(self, images):
        found = self.pool(torch.tanh(self.stem(images))).flatten(2).transpose(1, 2)
        return self.form(found[..., :4], found[..., 4:])


class Transformer(nn.Module):
    """Patches of 2 x 2 pixels, one encoder layer, a linear head on the mean token."""

    def __init__(self, wide=8):
        super().__init__()
        self.cut = nn.Conv2d(3, wide, 2, 2)
        self.place = nn.Parameter(torch.randn(1, 12, wide))
        self.block = nn.TransformerEncoderLayer(wide, 2, 16, dropout=0.3, batch_first=True, activation="gelu")
        self.head = nn.Linear(wide, 3)

    def forward(self, images):
        return self.head(self.block(self.cut(images).flatten(2).transpose(1, 2) + self.place).mean(1))


def region(output):
    """The class scores of a dense output, summed over rows 1 to 3, columns 2 to 5."""
    return output[:, :, 1:4, 2:6].sum(dim=(2, 3))


def named(boxes, scores):
    return {"boxes": boxes, "scores": scores}


def paired(boxes, scores):
    return boxes, scores


TWO = nn.Conv2d
KINDS = {
    "several labels": (lambda: pooled(TWO, 3, nn.Sigmoid()), (*SIZE, 3), {"output": "probability"}, 2),
    "labels in log-odds": (lambda: pooled(TWO, 3, nn.Sigmoid()), (*SIZE, 3),
                           {"output": "probability", "scores": "log-odds"}, 1),
    "one sigmoid": (lambda: pooled(TWO, 3, nn.Linear(3, 1), nn.Sigmoid()), (*SIZE, 3), {}, 0),
    "regression": (lambda: pooled(TWO, 3, nn.Linear(3, 1)), (*SIZE, 3), {"output": "raw"}, 0),
    "segmentation": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 5, 3, padding=1)),
                     (*SIZE, 3), {"head": region}, 3),
    "detection, a dict": (lambda: Boxes(named), (*SIZE, 3), {"head": lambda found: found["scores"][:, 2]}, 1),
    "detection, a pair": (lambda: Boxes(paired), (*SIZE, 3), {"head": lambda found: found[1].amax(1)}, 0),
    "edge of a box": (lambda: Boxes(paired), (*SIZE, 3),
                      {"head": lambda found: found[0][:, 1, :1], "output": "raw"}, 0),
    "signal": (lambda: pooled(nn.Conv1d, 2), (11, 2), {}, 1),
    "volume": (lambda: pooled(nn.Conv3d, 1), (4, 5, 6, 1), {}, 2),
    "one channel": (lambda: pooled(TWO, 1), (*SIZE, 1), {}, 1),
    "12 channels": (lambda: pooled(TWO, 12), (*SIZE, 12), {}, 0),
    "transformer": (Transformer, (*SIZE, 3), {}, 1),
}  # fmt: skip
"""A network, the shape of an image, what `load` is told, and the column that is explained."""


def made(name):
    """The network in double precision, a model of it, two images and the column."""
    build, shape, told, column = KINDS[name]
    torch.manual_seed(0)
    network, images = build(), np.random.default_rng(0).random((2, *shape), dtype=np.float32)
    with torch.no_grad():
        network(torch.from_numpy(images).movedim(-1, 1))  # lazy layers learn their width
    network = network.double().eval()
    return network, eyeline.load(network, input_size=shape[:-1], **told), images, column


def explained(network, images, name):
    """The explained number of each image, written out: the network, the head, the scale."""
    _, _, told, column = KINDS[name]
    with torch.no_grad():
        raw = network(torch.from_numpy(np.asarray(images, dtype=np.float64)).movedim(-1, 1))
    raw = told["head"](raw) if "head" in told else raw
    scores = raw.numpy()
    scores = np.log(scores / (1 - scores)) if told.get("scores") == "log-odds" else scores
    return scores[:, column]


@pytest.mark.parametrize("name", KINDS)
def test_occlusion_is_that_of_a_plain_loop(name):
    network, model, images, column = made(name)
    axes = images.ndim - 2
    window, stride = (3, 2, 4)[:axes], (2, 2, 3)[:axes]
    found = eyeline.explain(
        model, images, target=column, window=window, stride=stride, baseline=eyeline.Constant(0.25), engine="full"
    )
    expected = brute_force.occlusion(
        lambda image: explained(network, image[None], name),
        images, np.full_like(images, 0.25), np.ones((2, 1)), window=window, stride=stride,
    )  # fmt: skip
    assert found.maps.shape == images.shape[:-1]
    np.testing.assert_allclose(found.maps, expected, atol=1e-6 + 1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(found.scores[:, column], explained(network, images, name), rtol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_gradients_are_central_differences(name):
    network, model, images, column = made(name)
    found = eyeline.explain(model, images, "gradient", target=column, channels=None).maps
    wide, slopes = images.astype(np.float64), np.zeros(images.shape)
    for place in np.ndindex(images.shape[1:]):
        step = np.zeros(images.shape[1:])
        step[place] = 1e-4
        slopes[(slice(None), *place)] = explained(network, wide + step, name) - explained(network, wide - step, name)
    expected = slopes / 2e-4
    assert found.shape == images.shape
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("check", [test_occlusion_is_that_of_a_plain_loop, test_gradients_are_central_differences])
def test_the_oracles_notice_another_label(check, monkeypatch):
    monkeypatch.setattr(eyeline, "explain", lambda *given, target, **told: explain(*given, target=target - 1, **told))
    with pytest.raises(AssertionError, match=r"Not equal to tolerance"):
        check("several labels")


def test_a_transformer_says_which_path_it_took_and_why():
    _, _, images, column = made("transformer")
    model = eyeline.load(Transformer().eval(), input_size=SIZE)
    settings = {"target": column, "window": 4, "stride": 4, "baseline": eyeline.Constant(0.25)}
    full, auto, engine = (
        eyeline.explain(model, images, engine=path, **settings) for path in ("full", "auto", "incremental")
    )
    assert full.provenance["engine"] == auto.provenance["engine"] == "full"
    assert auto.provenance["why"].startswith("a short sweep")
    assert engine.provenance["dense_from"] == "flatten", "each token sees all of the image"
    for each in (auto, engine):
        np.testing.assert_allclose(each.maps, full.maps, atol=1e-5 * np.abs(full.scores).max())


WRONG = {
    "dense": (lambda output: output[:, :, 1:4], r"one row of scores .* \(\d, classes\), but got shape \(\d, 5, 3, 8\)"),
    "a scalar": (lambda output: output.sum(), r"one row of scores per image, \(\d, classes\), but got shape \(\)"),
    "one row for all": (lambda output: output.mean((0, 2, 3))[None], r"\(\d, classes\), but got shape \(1, 5\)"),
    "two tensors": (lambda output: (region(output), region(output)), r"one \(n, classes\) tensor, but got tuple"),
    "no tensor": (lambda output: 3, r"exactly one \(n, classes\) tensor, but got int with shapes \[\]"),
}  # fmt: skip


@pytest.mark.parametrize("method", ["occlusion", "gradient"])
@pytest.mark.parametrize("name", WRONG)
def test_a_head_of_the_wrong_shape(name, method):
    head, sentence = WRONG[name]
    network, _, images, _ = made("segmentation")
    model = eyeline.load(network, input_size=SIZE, head=head)
    with pytest.raises(
        UnsupportedError,
        match=rf"{sentence}.*(Pass head=, a function of that output|or head=, return a tensor \(n, k\), without)",
    ):
        eyeline.explain(model, images, method, target=0)


CUTS = {
    "detach": lambda output: region(output).detach(),
    "argmax": lambda output: (output.argmax(1, keepdim=True) == 3).double().mean((2, 3)),
    "NumPy": lambda output: torch.from_numpy(region(output).detach().numpy()),
}


@pytest.mark.parametrize("name", CUTS)
def test_a_head_that_is_not_differentiable_serves_occlusion_alone(name):
    network, _, images, _ = made("segmentation")
    model = eyeline.load(network, input_size=SIZE, head=CUTS[name])
    sentence = r"differentiable operations, but .* cuts the way \(detach, .*argmax .*head\).*method='occlusion'"
    for method in ("gradient", "integratedgradients", "smoothgrad"):
        with pytest.raises(UnsupportedError, match=sentence):
            eyeline.explain(model, images, method, target=0)
    assert eyeline.explain(model, images, target=0, window=2, stride=2).maps.shape == (2, *SIZE)
