"""Presets and the settings they need: the definitions on paper, what counts before what, and what is refused.

That a preset gives another tool's numbers is tested beside the tools: tests/peers, tests/keras_peers.
"""

import dataclasses
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

import eyeline
from eyeline import lecture
from eyeline.command.chosen import chosen
from eyeline.errors import InputError
from eyeline.methods import METHODS, PRESETS, build
from eyeline.methods.channels import reduce
from eyeline.methods.noise import field
from eyeline.methods.presets import differences

DOCS = Path(__file__).parent.parent / "docs"
IMAGE = np.random.default_rng(3).random((1, 11, 10, 3), dtype=np.float32)
ROWS = [pytest.param(preset, method, id=f"{preset}-{method}") for preset, rows in PRESETS.items() for method in rows]


class Function(nn.Module):
    """A function of pixels, in float64, with one score."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.register_buffer("wide", torch.zeros((), dtype=torch.float64))

    def forward(self, images):
        return self.function(images.movedim(1, -1)).flatten(1).sum(1, keepdim=True)


def load(function, size=(11, 10)):
    return eyeline.load(Function(function), input_size=size, output="raw")


WEIGHTS = np.random.default_rng(4).normal(size=IMAGE.shape[1:])


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.LazyLinear(4), nn.Softmax(1)]
    network = nn.Sequential(*layers)
    network(torch.zeros(1, 3, 11, 10))
    return network.eval()


# The lecture


@pytest.mark.parametrize("settings", [{}, {"window": 4}, {"window": 5, "measure": "score"}])
def test_the_lectures_occlusion(network, settings):
    model, size = eyeline.load(network, input_size=(11, 10)), settings.get("window", 8)
    ours = eyeline.explain(model, IMAGE, "occlusion", 2, preset="lecture", **settings).maps[0]
    np.testing.assert_array_equal(ours, lecture.occlusion_map(IMAGE, model, 2, size))
    expected = np.zeros((11, 10))
    for row in range(0, 11 - size + 1, size):
        for column in range(0, 10 - size + 1, size):
            covered = IMAGE.copy()
            covered[0, row : row + size, column : column + size] = 0.5
            expected[row : row + size, column : column + size] = model.scores(covered)[0, 2]
    np.testing.assert_allclose(ours, expected, rtol=1e-6)
    assert np.abs(eyeline.explain(model, IMAGE, "occlusion", 2).maps[0] - expected).max() > 1e-3


def test_the_lectures_saliency(network):
    model = eyeline.load(network, input_size=(11, 10))
    ours = eyeline.explain(model, IMAGE, "gradient", 2, preset="lecture").maps
    np.testing.assert_array_equal(ours, lecture.saliency_map(model, IMAGE, 2, rescale="none"))


# What counts before what, and what is refused


@pytest.mark.parametrize(("preset", "method"), ROWS)
def test_every_row_is_a_method_that_can_be_made(preset, method):
    row = PRESETS[preset][method]
    needed = {"window": 4, "references": (eyeline.Constant(0),)}
    made = build(method, {name: needed[name] for name in row.needs}, preset)
    for name, value in row.settings.items():
        assert getattr(made, name) == (4 if name in row.follows and row.needs else value)
    assert row.note.endswith(".") or not row.note


def test_own_settings_count_before_the_presets():
    assert build("occlusion", {}, "xplique") == eyeline.Occlusion(
        window=3, stride=3, baseline=eyeline.Constant(0), overlap="sum", edge="inside"
    )
    made = build("occlusion", {"window": 9, "overlap": "mean", "batch": 2}, "xplique")
    assert (made.window, made.stride, made.overlap, made.edge, made.batch) == (9, 3, "mean", "inside", 2)


def test_a_stride_follows_the_window_unless_it_is_given():
    assert build("occlusion", {"window": 5}, "lecture").stride == 5
    assert build("occlusion", {"window": 5}, "tf-explain").stride == 5
    assert build("occlusion", {"window": 5, "stride": 2}, "tf-explain").stride == 2


@pytest.mark.parametrize(
    ("preset", "method", "sentence"),
    [
        ("captun", "occlusion", r"preset must be one of lecture, captum, .* but got 'captun'\. Did you mean 'captum'"),
        ("lecture", "vargrad", r"one of occlusion, gradient, but got 'vargrad'\. .* or preset captum or xplique\."),
        ("captum", "occlusion", r"window must be given with preset 'captum' .* Pass window=16\."),
        ("captum", "expectedgradients", r"references must be given with preset 'captum'"),
        ("xplique", "guidedig", r"preset 'xplique' must have the method"),
    ],
)
def test_what_a_preset_refuses(preset, method, sentence):
    with pytest.raises(InputError, match=sentence):
        eyeline.explain(load(torch.square), IMAGE, method, preset=preset)


def test_an_unknown_setting_is_told_with_a_preset_too():
    with pytest.raises(InputError, match=r"setting must be one of .* but got 'windw'"):
        build("occlusion", {"windw": 3}, "pair")


# Settings that other tools need


def test_channels():
    values = np.float32([[[3, -4, 2]]])
    found = {words: reduce(values, words).ravel().tolist() for words in ("mean", "sum_abs", "abs", "sum")}
    assert found == {"mean": [pytest.approx(1 / 3)], "sum_abs": [9], "abs": [3, 4, 2], "sum": [1]}


@pytest.mark.parametrize(
    ("rule", "share"),
    [("trapezoid", (0 / 2 + 3 / 4 + 3 / 2) / 2), ("even", (0 + 3 / 4 + 3) / 3), ("right", (1 / 3 + 4 / 3 + 3) / 3)],
)
def test_rules_on_paper(rule, share):
    """s = x^3 has the derivative 3 a^2 x^2 at a x; three points."""
    model = load(lambda images: images**3)
    method = eyeline.IntegratedGradients(3, rule=rule, channels=None)
    np.testing.assert_allclose(method(model, IMAGE).maps, share * IMAGE**3, rtol=1e-5)
    plain = dataclasses.replace(method, multiply=False)(model, IMAGE)
    np.testing.assert_allclose(plain.maps, share * IMAGE**2, rtol=1e-5)
    assert "completeness" not in plain.provenance
    assert plain.quantity.startswith("mean d score / d pixel value")


@pytest.mark.parametrize("rule", ["trapezoid", "even"])
def test_both_ends_take_two_steps(rule):
    with pytest.raises(InputError, match="steps must be a whole number, 2 or more, but got 1"):
        eyeline.IntegratedGradients(1, rule=rule)


def test_moments_of_magnitudes_and_their_roots():
    """s = x^2 has the derivative 2 x."""
    model = load(torch.square, (11, 10))
    settings = {"samples": 3, "noise": 1.0, "relative": False, "seed": 5}
    slopes = 2 * np.stack([IMAGE[0] + field(5, sample, IMAGE.shape[1:]) for sample in range(3)])

    def found(kind, **more):
        return kind(eyeline.Gradient(None), **settings, **more)(model, IMAGE)

    for kind, more, expected in (
        (eyeline.SmoothGrad, {"magnitude": True}, np.abs(slopes).mean(0)),
        (eyeline.VarGrad, {"magnitude": True}, np.abs(slopes).var(0)),
        (eyeline.VarGrad, {"unbiased": True}, slopes.var(0, ddof=1)),
        (eyeline.SmoothGradSquared, {"root": "mean"}, np.sqrt((slopes**2).mean(0))),
        (eyeline.SmoothGradSquared, {"root": "sum"}, np.sqrt((slopes**2).sum(0)) / 3),
    ):
        result = found(kind, **more)
        np.testing.assert_allclose(result.maps[0], expected, rtol=1e-5, atol=1e-6)
        assert np.abs(found(kind).maps[0] - expected).max() > 1e-2
        assert any(word in result.quantity for word in ("magnitudes", "unbiased", "root"))


def test_blur_integrated_gradients_by_tangents():
    """Of a linear model: the slope of scipy's blur at the sharper end of each step."""
    model = load(lambda images: images * torch.from_numpy(WEIGHTS))
    for border, mode in (("black", "constant"), ("repeat", "nearest")):
        expected = np.zeros(IMAGE.shape[1:])
        for sigma in (0, 1, 2):
            near, far = (
                ndimage.gaussian_filter(np.float64(IMAGE[0]), [each, each, 0], mode=mode) if each else IMAGE[0]
                for each in (sigma, sigma + 0.01)
            )
            expected -= WEIGHTS * (far - near) / 0.01
        found = eyeline.BlurIG(3, 3, rule="tangent", border=border, channels=None)(model, IMAGE).maps[0]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
        middle = eyeline.BlurIG(3, 3, border=border, channels=None)(model, IMAGE).maps[0]
        assert np.abs(middle - expected).max() > 1e-3


# The command


def test_methods_are_read_from_one_text():
    made = chosen("occlusion:window=8,4,baseline=blur:2,gradient:channels=l2,occlusion", {"batch": "3", "window": "6"})
    assert list(made) == ["occlusion", "gradient", "occlusion-2"]
    assert made["occlusion"] == eyeline.Occlusion(window=(8, 4), baseline=eyeline.Blur(2), batch=3)
    assert made["gradient"] == eyeline.Gradient("l2", batch=3)
    assert made["occlusion-2"] == eyeline.Occlusion(window=6, batch=3)
    assert chosen("gradient", {}, "captum") == {"gradient": eyeline.Gradient("abs")}
    assert chosen("smoothgrad:inner=gradient:channels=sum,samples=2", {})["smoothgrad"].samples == 2


@pytest.mark.parametrize(
    ("text", "flags", "sentence"),
    [
        ("gradient,occlusoin", {}, "method must be one of .* but got 'occlusoin'"),
        (
            "gradient,smoothgrad",
            {"window": "3"},
            "--window must belong to the method, but 'gradient' and 'smoothgrad' ",
        ),
        ("gradient:window=3,occlusion", {}, "setting must be one of .* but got 'window'"),
        ("gradient,", {}, "method must be one of .* but got ''"),
        ("occlusion:window=x", {}, "--window must be whole numbers of pixels"),
    ],
)
def test_methods_that_cannot_be_read(text, flags, sentence):
    with pytest.raises(InputError, match=sentence):
        chosen(text, flags)


# The page


def test_the_table_of_the_page_is_that_of_the_code():
    """`python docs/make_presets.py` writes it."""
    spec = importlib.util.spec_from_file_location("make_presets", DOCS / "make_presets.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_presets"] = module
    spec.loader.exec_module(module)
    page = (DOCS / "presets.md").read_text()
    assert module.written(page) == page
    for preset, rows in PRESETS.items():
        for method, row in rows.items():
            assert f"| {preset} | `{method}` | {row.peer} |" in page
    assert differences(METHODS["gradient"], PRESETS["xplique"]["gradient"]) == {}
