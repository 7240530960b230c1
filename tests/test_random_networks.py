"""Random PyTorch networks, and hostile ones, through the incremental engine: the framework's own loop is the answer.

Written from the documentation, without a look at the engine: `load`, `Occlusion` and the result's fields are all that
is used. Every run takes the same sixty networks, parts 0 to 5 of ten each. For others, here five thousand:

    RANDOM_NETWORKS=6-506 python -m pytest tests/test_random_networks.py -k plain_loop

The smallest network that fails is shown as text that can be pasted.
"""

import contextlib
import copy
import math
import os
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, reject, seed, settings
from hypothesis import strategies as st
from torch import nn

import eyeline
from eyeline.errors import InputError, ModelError, UnsupportedError

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")

FIRST, LAST = map(int, os.environ.get("RANDOM_NETWORKS", "0-6").split("-"))
PART = settings(max_examples=10, database=None, deadline=None, suppress_health_check=list(HealthCheck))
"""Ten at a time: so many hypothesis makes anew, after that it varies those that it has."""
ALLOWED = 5
"""Times the framework's own error in single precision: far under 1e-3 of the map's range wherever windows matter."""
GREY, AS_IS = eyeline.Constant(0.1), eyeline.Preprocess()
DEAREST = 1_500_000
"""Multiply-adds of one layer."""


# The answer -----------------------------------------------------------------------------------------------------------


class Do(nn.Module):
    """An expression of the maps x and of modules a and b."""

    def __init__(self, code, *parts):
        super().__init__()
        self.code = code
        self.parts = nn.ModuleList(parts)

    def forward(self, x):
        names = dict(zip("ab", self.parts, strict=False))
        return eval(self.code, {"torch": torch, "F": nn.functional, "x": x, **names})


def build(layers):
    return nn.Sequential(*(eval(layer, {"nn": nn, "Do": Do}) for layer in layers)).eval()


@torch.no_grad()
def randomised(module, seed=0):
    """Fill every weight, bias and statistic so that activations stay near 1."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith("running_var"):
                tensor.copy_(0.5 + noise.abs())
            elif tensor.ndim > 1:
                tensor.copy_(noise * (1.7 / tensor[0].numel()) ** 0.5)
            else:
                tensor.copy_(1 + 0.5 * noise if name.endswith("weight") else 0.3 * noise)
    return module


@dataclass(frozen=True)
class Case:
    layers: tuple[str, ...]
    size: tuple[int, int] = (12, 10)
    channels: int = 3
    images: int = 1
    window: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (2, 2)
    edge: str = "cut"
    keep: bool = False
    baseline: eyeline.Constant | eyeline.Noise = GREY
    preprocess: eyeline.Preprocess = AS_IS
    seed: int = 0

    def network(self):
        return randomised(build(self.layers), self.seed)

    def pixels(self):
        return self._drawn(self.images, self.seed)

    def others(self):
        """Images on which single precision errs too: over a few windows it may look better than it is."""
        return self._drawn(16, self.seed + 1)

    def _drawn(self, count, seed):
        return np.random.default_rng(seed).random((count, *self.size, self.channels), dtype=np.float32)

    def explain(self, module, engine):
        model = eyeline.load(module, input_size=self.size, preprocess=self.preprocess)
        names = ("window", "stride", "edge", "keep", "baseline")
        method = eyeline.Occlusion(**{name: getattr(self, name) for name in names}, batch=8, engine=engine)
        return method(model, self.pixels())

    def covered(self):
        """Every image with every window covered, in raster order: (images * windows, rows, columns, channels)."""
        pixels, spans = self.pixels(), []
        for side, window, stride in zip(self.size, self.window, self.stride, strict=True):
            whole = range(0, side - window + 1, stride)
            cut = range(0, side - window + stride, stride)
            spans.append([slice(start, start + window) for start in (whole if self.edge == "inside" else cut)])
        found = []
        for image, other in zip(pixels, self.baseline(pixels), strict=True):
            for rows, columns in product(*spans):
                within = np.zeros((*self.size, 1), dtype=bool)
                within[rows, columns] = True
                found.append(np.where(within != self.keep, other, image))
        return np.stack(found)

    def prepared(self, images):
        """What the network is fed, channels first, in the precision of the images."""
        mean, std = (np.array(each, dtype=images.dtype) for each in (self.preprocess.mean, self.preprocess.std))
        scaled = (images * images.dtype.type(self.preprocess.scale) - mean) / std
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(scaled, -1, 1)))


@torch.no_grad()
def looped(module, images):
    return torch.cat([module(image[None].clone()) for image in images]).double().numpy()


@torch.no_grad()
def batched(module, images):
    """As a careful user runs it: folded, channels innermost, eight at a time."""
    module = copy.deepcopy(module)
    for each in [each for each in module.modules() if isinstance(each, nn.Sequential)]:
        for i in range(len(each) - 1):
            if isinstance(each[i], nn.Conv2d) and isinstance(each[i + 1], nn.BatchNorm2d):
                each[i] = nn.utils.fusion.fuse_conv_bn_eval(each[i], each[i + 1])
                each[i + 1] = nn.Identity()
    pieces = images.split(8)
    return torch.cat([module(piece.clone(memory_format=torch.channels_last)) for piece in pieces]).double().numpy()


def judge(case, module, found):
    """Assert that scores are the network's at every position; return their error, single precision's, and the range."""
    covered = case.covered()
    count = len(covered)
    images = np.concatenate([covered, case.others()])
    exact = looped(copy.deepcopy(module).double(), case.prepared(images.astype(np.float64)))
    own = max(float(np.abs(run(module, case.prepared(images)) - exact).max()) for run in (looped, batched))
    own = max(own, 2**-23 * float(np.abs(exact).max()))
    exact = exact[:count].reshape(case.images, -1, exact.shape[1])
    assert found.shape == exact.shape
    error = float(np.abs(found - exact).max())
    assert error <= ALLOWED * own, f"differs by {error:.3g}; single precision by {own:.3g}"
    return error, own, float(np.ptp(exact, axis=1).max())


def check(case, served=None):
    """Assert that the engine gives the network's scores; eyeline may be served another network than the case's."""
    module = case.network()
    found = case.explain(served or module, "incremental")
    assert found.provenance["engine"] == "incremental"
    judge(case, module, found.sweep.scores)


def proper(error):
    """Assert that a refusal says what must be, what was got and the way out."""
    assert all(words in str(error) for words in (" must ", ", but ", ". "))
    assert str(error).endswith(".")
    assert "\n" not in str(error)


# Networks, drawn as text ----------------------------------------------------------------------------------------------

ACTIVATIONS = (
    "nn.ReLU()", "nn.ReLU(inplace=True)", "nn.ReLU6()", "nn.SiLU()", "nn.GELU()", "nn.Hardswish()",
    "nn.LeakyReLU(0.1)", "nn.LeakyReLU(0.2, inplace=True)", "nn.Hardswish(inplace=True)", "nn.GELU('tanh')",
    "nn.Sigmoid()", "nn.Hardsigmoid()", "nn.Tanh()", "nn.ELU()", "nn.Mish()", "nn.Softplus()", "nn.PReLU()",
    "nn.Hardtanh(-0.4, 0.7)", "nn.Softmax2d()", "Do('x.abs()')", "Do('x.clamp(min=-0.3)')", "Do('1 - x * 2')",
    "Do('x * x')", "Do('x.mul_(0.5).add_(0.1)')",
)  # fmt: skip
UNUSUAL = (
    "torch.cumsum(x, 2) / 8", "torch.softmax(x.flatten(2), 2).view_as(x) * 9", "torch.roll(x, (1, 2), (2, 3))",
    "x.flip(3)", "F.interpolate(x, size=(7, 5))", "F.interpolate(x, scale_factor=2, mode='bilinear')[:, :, 1:, 2:]",
    "x - x.mean((2, 3), keepdim=True)", "x / (1 + x.std((2, 3), keepdim=True))", "x.transpose(2, 3)",
    "x[:, :, 1:, :-2]", "x[:, :, ::2, 1::2]", "F.group_norm(x, 1)", "F.instance_norm(x)",
    "F.local_response_norm(x, 3)", "F.pad(x, (1, 2, 0, 3), mode='replicate')", "F.pad(x, (1, 0, 2, 1), value=0.5)",
    "F.pad(x, (-1, 0, 2, -2))", "x.sort(dim=1)[0]", "F.normalize(x)", "x + x.amax((2, 3), keepdim=True)",
    "torch.cat([x, x.mean((2, 3), keepdim=True).expand_as(x)], 1)", "x @ x.transpose(2, 3) / 9",
    "torch.stack([x, x.tanh()], 2).flatten(1, 2)", "F.adaptive_avg_pool2d(x, (4, 3))", "F.max_pool2d(x, 3, 2, 1)",
    "F.unfold(x, 3, padding=1).view(x.shape[0], -1, *x.shape[2:])", "F.adaptive_max_pool2d(x, (5, 4))",
)  # fmt: skip
JOINED = (
    "a(x) + b(x)", "torch.cat([a(x), b(x)], 1)", "a(x).add_(b(x))", "b(x) * a(x).sigmoid()", "b(x) - a(x)",
    "torch.cat([b(x), b(x) * 0.5, a(x)], 1)", "torch.maximum(a(x), b(x))",
)  # fmt: skip
AGAIN = (
    "a(a(x))", "a(x) + a(x.tanh())", "x + a(x)", "x.add_(a(x))", "torch.cat([x, a(x)], 1)", "b(x) + a(x)",
    "a(b(x)) + x", "b(a(x) + x)", "a(x) * x.mean(1, keepdim=True)",
)  # fmt: skip
HALVES = (
    "torch.cat([x.chunk(2, 1)[0], a(x.chunk(2, 1)[1])], 1)",
    "F.channel_shuffle(torch.cat([x[:, :x.shape[1] // 2], a(x[:, x.shape[1] // 2:])], 1), 2)",
)
HEADS = (
    "nn.Linear(FEATURES, CLASSES)", "nn.Linear(FEATURES, CLASSES + 1), nn.Softmax(1)",
    "nn.Linear(FEATURES, 6), nn.ReLU(inplace=True), nn.Linear(6, CLASSES)",
)  # fmt: skip


def shape_of(layer, shape):
    """Channels, rows and columns of what a layer makes; a layer that PyTorch refuses is no example."""
    try:
        with torch.no_grad():
            return tuple(build([layer])(torch.zeros(1, *shape)).shape[1:])
    except RuntimeError:
        return reject()


def one_of(draw, *choices):
    return draw(st.sampled_from(choices))


def per_axis(draw, strategy):
    """One number for both axes, or one each."""
    first = draw(strategy)
    return (first, draw(strategy) if draw(st.booleans()) else first)


def outputs(draw, cost):
    """A number of channels that a layer of this many multiply-adds a channel can afford."""
    return one_of(draw, *[each for each in (4, 1, 2, 3, 5, 8, 32, 16, 36, 64) if each * cost <= DEAREST or each == 1])


def convolution(draw, shape, stride=None, same=False):
    """Any convolution; `same` keeps the size but for `stride`."""
    channels, *size = shape
    kernel = per_axis(draw, st.sampled_from((3, 1, 5) if same else (3, 1, 2, 4, 5)))
    dilation = per_axis(draw, st.integers(1, 2))
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    stride = stride or ((1, 1) if same else per_axis(draw, st.integers(1, 3)))
    if same:
        around = tuple(each // 2 for each in reach)
    elif stride == (1, 1) and draw(st.booleans()):
        around = "same"
    else:
        least = [max(0, -((each - side) // -2)) for each, side in zip(reach, size, strict=True)]
        around = tuple(draw(st.integers(low, max(low, k))) for low, k in zip(least, kernel, strict=True))
    groups = one_of(draw, *[each for each in (1, 2, 3, 4, channels) if channels % each == 0])
    count = outputs(draw, math.prod((channels // groups, *kernel, *size)))
    count = -(-count // groups) * groups
    mode = one_of(draw, *["zeros"] * 9, "replicate")
    given = (channels, count, kernel, stride, around, dilation, groups, draw(st.booleans()), mode)
    return f"nn.Conv2d{given}"


def normalised(draw, shape, stride=None):
    """Convolution, batch norm and activation, as most networks are made of."""
    layer = convolution(draw, shape, stride, same=True)
    return f"nn.Sequential({layer}, nn.BatchNorm2d({shape_of(layer, shape)[0]}), {one_of(draw, *ACTIVATIONS)})"


def wide(draw, shape):
    """Many channels and 3 x 3, where fast ways to convolve pay."""
    first, second = (draw(st.sampled_from((32, 36, 40, 64))) for _ in range(2))
    step = 2 if min(shape[1:]) > 16 else 1
    around = (draw(st.integers(1, 2)), draw(st.integers(0, 2))), (draw(st.integers(0, 2)), draw(st.integers(1, 2)))
    before = f"nn.Conv2d({shape[0]}, {first}, 3, {step}, {around[0]}), {one_of(draw, *ACTIVATIONS)}"
    return f"nn.Sequential({before}, nn.Conv2d({first}, {second}, 3, 1, {around[1]}), {one_of(draw, *ACTIVATIONS)})"


def pooling(draw, shape):
    kernel = per_axis(draw, st.integers(1, min(4, *shape[1:])))
    stride = per_axis(draw, st.integers(1, 3))
    around = tuple(draw(st.integers(0, each // 2)) for each in kernel)
    ceil_mode = draw(st.booleans())
    if draw(st.booleans()):
        return f"nn.AvgPool2d{(kernel, stride, around, ceil_mode, draw(st.booleans()), one_of(draw, None, 3, 7))}"
    room = min((side + 2 * p - 1) // max(k - 1, 1) for side, p, k in zip(shape[1:], around, kernel, strict=True))
    return f"nn.MaxPool2d({kernel}, {stride}, {around}, {one_of(draw, 1, min(2, room) or 1)}, ceil_mode={ceil_mode})"


def padding(draw, shape):
    low = -1 if min(shape[1:]) > 4 else 0
    return f"nn.ZeroPad2d({tuple(draw(st.integers(low, 2)) for _ in range(4))})"


def residual(draw, shape):
    """Two branches joined, with a projection where their shapes differ."""
    stride = per_axis(draw, st.integers(1, 2))
    first = normalised(draw, shape, stride)
    inside = shape_of(first, shape)
    if draw(st.booleans()):
        first = f"nn.Sequential({first}, {normalised(draw, inside)})"
        inside = shape_of(first, shape)
    ends = f"{shape[0]}, {inside[0]}, 1"
    other = "nn.Identity()" if inside == shape else one_of(
        draw,
        f"nn.Conv2d({ends}, {stride}, bias=False)",
        f"nn.Sequential(nn.AvgPool2d({stride}, {stride}, 0, True, False), nn.Conv2d({ends}))",
        f"nn.Sequential(nn.MaxPool2d(3, {stride}, 1), nn.Conv2d({ends}), nn.ReLU(True))",
    )  # fmt: skip
    return f"Do({one_of(draw, *JOINED)!r}, {first}, {other})"


def shared(draw, shape):
    """A module used twice, or maps used again after it."""
    layer = f"nn.Conv2d({shape[0]}, {shape[0]}, 3, padding=1, groups={one_of(draw, 1, shape[0])})"
    other = f"nn.Sequential(nn.BatchNorm2d({shape[0]}), {one_of(draw, *ACTIVATIONS)})"
    return f"Do({one_of(draw, *AGAIN)!r}, {layer}, {other})"


def squeezed(draw, shape):
    """Squeeze and excitation: every channel times a number made of all means."""
    few = draw(st.integers(1, 4))
    gate = one_of(draw, "nn.Sigmoid()", "nn.Hardsigmoid()")
    mean = one_of(draw, "x.mean((2, 3), keepdim=True)", "F.adaptive_avg_pool2d(x, 1)")
    layers = f"nn.Conv2d({shape[0]}, {few}, 1), nn.ReLU(), nn.Conv2d({few}, {shape[0]}, 1), {gate}"
    return f"Do('x * a({mean})', nn.Sequential({layers}))"


def linear(draw, shape):
    """Layer norm and linear layers over the channels; ConvNeXt's block."""
    channels, count = shape[0], outputs(draw, math.prod(shape))
    norm = one_of(draw, f"nn.LayerNorm({channels}), ", "")
    if draw(st.booleans()):
        layers = f"nn.Linear({channels}, {count}), nn.GELU(), nn.Linear({count}, {channels})"
        before = f"nn.Conv2d({channels}, {channels}, 7, padding=3, groups={channels})"
        return f"Do('x + a(b(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)', nn.Sequential({norm}{layers}), {before})"
    layers = f"nn.Sequential({norm}nn.Linear({channels}, {count}))"
    return f"Do('a(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)', {layers})"


def halves(draw, shape):
    """Half of the channels through a layer."""
    half = shape[0] // 2
    layer = f"nn.Conv2d({half}, {half}, 3, padding=1)"
    return f"Do({one_of(draw, *HALVES)!r}, {layer})" if shape[0] % 2 == 0 else "nn.Dropout(0.3)"


def plain(draw, shape):
    return one_of(draw, f"nn.BatchNorm2d({shape[0]})", "nn.Dropout(0.5)", "nn.Dropout2d()", *ACTIVATIONS)


def unusual(draw, shape):
    return f"Do({one_of(draw, *UNUSUAL)!r})"


LAYERS = (
    convolution, convolution, convolution, normalised, normalised, normalised, pooling, pooling, residual, residual,
    plain, plain, shared, padding, squeezed, linear, halves, unusual, wide, wide,
)  # fmt: skip


def head(draw, shape):
    """From maps to one row of scores."""
    pool, features = one_of(
        draw,
        ("nn.AdaptiveAvgPool2d(1), nn.Flatten()", shape[0]),
        ("Do('x.mean((2, 3))')", shape[0]),
        ("nn.AdaptiveAvgPool2d((2, 3)), nn.Flatten()", 6 * shape[0]),
        ("nn.Flatten()", math.prod(shape)),
        ("Do('x.amax((2, 3))')", shape[0]),
        ("Do('x.reshape(x.shape[0], -1)')", math.prod(shape)),
        ("Do('x.mean(3).mean(2)')", shape[0]),
    )
    inside = one_of(draw, "", "nn.ReLU(), ", "nn.Dropout(), ", "nn.LayerNorm(FEATURES), ")
    text = f"nn.Sequential({pool}, {inside}{one_of(draw, *HEADS)})"
    return text.replace("FEATURES", str(features)).replace("CLASSES", str(draw(st.integers(1, 3))))


def windows(draw, side, most=10):
    """Window and stride of one axis, at most so many positions."""
    window = draw(st.integers(-(-side // most), one_of(draw, side // 3, side // 3, side)))
    return window, draw(st.integers(max(1, -((window - side) // (most - 1))), window))


@st.composite
def cases(draw):
    size = (draw(st.integers(9, 40)), draw(st.integers(9, 40)))
    channels = draw(st.integers(1, 4))
    shape, layers = (channels, *size), []
    for _ in range(draw(st.integers(1, 6))):
        layers.append(one_of(draw, *LAYERS)(draw, shape))
        shape = shape_of(layers[-1], shape)
    layers.append(head(draw, shape))
    first = next((each for each in build(layers).modules() if isinstance(each, nn.Conv2d)), None)
    assume(first is None or first.in_channels in (channels, *range(5, 999)))  # `load` takes it for the picture's
    window, stride = zip(*(windows(draw, side) for side in size), strict=True)
    number = st.floats(-1, 1, width=16)
    numbers = st.tuples(*[number] * channels)
    preprocess = eyeline.Preprocess()
    if draw(st.booleans()):
        std = tuple(draw(st.floats(0.25, 2, width=16)) for _ in range(channels))
        preprocess = eyeline.Preprocess(one_of(draw, 1, 2, 0.5), draw(numbers), std)
    return Case(
        tuple(layers), size, channels, draw(st.integers(1, 2)), window, stride, one_of(draw, "cut", "inside"),
        draw(st.booleans()), draw(st.one_of(number, numbers).map(eyeline.Constant) | st.builds(eyeline.Noise)),
        preprocess, draw(st.integers(0, 99)),
    )  # fmt: skip


@pytest.mark.parametrize("part", range(FIRST, LAST))
def test_random_networks_have_the_scores_of_a_plain_loop(part):
    @seed(part)
    @PART
    @given(cases())
    def search(case):
        check(case)

    search()


# The oracle can fail --------------------------------------------------------------------------------------------------

TAIL = ("nn.AdaptiveAvgPool2d(1)", "nn.Flatten()", "nn.Linear(4, 2)")
FRONT = "nn.Conv2d(3, 4, 3, padding=1)"


SHIFTED = "nn.Sequential(nn.ZeroPad2d((2, 0, 1, 1)), nn.Conv2d(3, 4, 3))"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (FRONT, SHIFTED),
        (FRONT, "nn.Conv2d(3, 4, 3, padding=1, padding_mode='replicate')"),
        (f"{FRONT}, nn.BatchNorm2d(4)", f"{FRONT}, nn.BatchNorm2d(4, eps=2e-5)"),
        (f"{FRONT}, nn.GELU()", f"{FRONT}, nn.GELU('tanh')"),
        (f"{FRONT}, nn.ReLU()", f"{FRONT}, nn.LeakyReLU(1e-4)"),
        (f"{FRONT}, nn.MaxPool2d(3, 2, 1)", f"{FRONT}, nn.MaxPool2d(3, 2, 1, ceil_mode=True)"),
        (f"{FRONT}, nn.AvgPool2d(3, 2, 1)", f"{FRONT}, nn.AvgPool2d(3, 2, 1, count_include_pad=False)"),
        (f"{FRONT}, Do('x + x.mean((2, 3), True)')", f"{FRONT}, Do('x + x[:, :, 1:].mean((2, 3), True)')"),
        (f"{FRONT}, Do('x + a(x)', nn.ReLU(True))", f"{FRONT}, Do('x + a(x)', nn.ReLU())"),
    ],
)
def test_an_engine_that_runs_another_network_is_seen(right, wrong):
    case, other = (Case((f"nn.Sequential({each})", *TAIL), size=(12, 9)) for each in (right, wrong))
    check(case)
    with pytest.raises(AssertionError, match="single precision by"):
        check(case, served=other.network())


def test_one_window_that_differs_by_a_millionth_is_seen():
    case = Case((FRONT, "nn.ReLU()", *TAIL))
    scores = case.explain(case.network(), "incremental").sweep.scores.copy()
    judge(case, case.network(), scores)
    scores[0, 7, 1] += 5e-6
    with pytest.raises(AssertionError, match="differs by"):
        judge(case, case.network(), scores)


# Hostile networks -----------------------------------------------------------------------------------------------------


class Runs(nn.Module):
    """Statements on the maps x and a convolution a."""

    def __init__(self, code):
        super().__init__()
        self.code = code
        self.a = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        names = {"torch": torch, "F": nn.functional, "np": np, "x": x, "a": self.a}
        exec(self.code, names)
        return names["x"]


def pixels(channels=3, hot=None):
    """Two images; one pixel may hold a number far from all others."""
    images = np.random.default_rng(0).random((2, 9, 8, channels), dtype=np.float32)
    if hot is not None:
        images[:, 4, 4] = hot
    return images


def explain(module, images, engine, **given):
    method = eyeline.Occlusion(**{"window": 3, "stride": 2, "baseline": GREY, **given}, batch=8, engine=engine)
    return method(eyeline.load(module, input_size=images.shape[1:3]), images)


def right_or_refused(module, images, **given):
    """Assert that the engine gives the full path's scores or says why not; return its sentence.

    A warning that one window differed counts as wrong: another window might have been drawn.
    """
    full = explain(module, images, "full", **given).sweep.scores
    try:
        found = explain(module, images, "incremental", **given)
    except UnsupportedError as error:
        proper(error)
        return str(error)
    np.testing.assert_allclose(found.sweep.scores, full, rtol=0, atol=1e-5 * max(1, np.abs(full).max()))
    return None


VIEWS = {
    "a slice": "x[:, :2] *= 2",
    "a slice from a layer": "y = a(x)\nx[:, :2] = y[:, 2:]",
    "a view, and the maps read": "y = x.flatten(2)\ny.relu_()\nx = x + a(x)",
    "the maps, and a view read": "y = x[:, :2]\nx += 1\nx = torch.cat([y, x], 1)[:, :4]",
    "a transposed column": "x.transpose(2, 3)[..., ::2].zero_()",
    "one half by the other": "p, q = x.chunk(2, 1)\np.add_(q)\nx = a(x)",
    "a channel": "x.unbind(1)[2].fill_(0.3)",
    "the diagonal": "x.diagonal(0, 2, 3).zero_()",
    "a view of raw memory": "torch.as_strided(x, (x.shape[0], 4, 4, 4), x.stride()).mul_(3)",
    "where negative": "x[x < 0] = 0.1",
    "by index": "x[:, [0, 2]] = x[:, [2, 0]]",
    "onto itself": "x[:, :, 1:] += x[:, :, :-1]",
    "what a layer has read": "y = a(x)\nx.mul_(3)\nx = x + y",
    "an out= argument": "torch.mul(x, 2, out=x)",
    "through detach": "x.detach()[:, 0] = 1",
    "through data": "x.data.mul_(2)",
    "a copy": "y = x.transpose(1, 2).reshape(x.shape[0], -1)\ny += 5\nx = x * 2",
    "complex numbers": "y = torch.complex(x, x)\ny.real[:, :2] = 0\nx = y.abs()",
    "a complex view": "z = x.permute(0, 2, 3, 1).contiguous().view(x.shape[0], *x.shape[2:], 2, 2)\n"
    "torch.view_as_complex(z)[..., 0].mul_(1j)\nx = z.flatten(3).permute(0, 3, 1, 2)",
}  # fmt: skip


@pytest.mark.parametrize("first", [True, False], ids=["in the image", "in a map"])
@pytest.mark.parametrize("code", VIEWS.values(), ids=VIEWS)
def test_writing_in_place(code, first):
    layers = [Runs(code), build([FRONT.replace("3, 4, 3", "4, 4, 3"), *TAIL])]
    module = nn.Sequential(*layers) if first else nn.Sequential(build([FRONT]), *layers)
    given = pixels(4 if first else 3)
    before = given.copy()
    with contextlib.suppress(RuntimeWarning):  # where any window drawn would differ
        right_or_refused(randomised(module.eval()), given)
    np.testing.assert_array_equal(given, before)


def test_writing_a_border_that_is_seen_through_some_windows_only():
    module = nn.Sequential(Runs("x[:, :, 0] = 0"), build([FRONT.replace("3, 4, 3", "4, 4, 3"), *TAIL]))
    given = pixels(4)
    given[:, 0] = 0
    right_or_refused(randomised(module.eval()), given)


INFINITE, NAN = float("inf"), float("nan")
ENDS = (*TAIL[:2], "nn.Tanh()", TAIL[2])
GATED = (FRONT, "Do('x.clamp(max=5) * a(x.mean((2, 3), keepdim=True))', nn.Sigmoid())", *TAIL)
COMPARED = (FRONT, "Do('x.clamp(max=5) * (x.mean((2, 3), keepdim=True) > 1)')", *TAIL)
POOLED = (FRONT, "nn.MaxPool2d(3, 2, 1)", "nn.AvgPool2d(2)", "nn.ReLU6()", *TAIL)
FLAT = (FRONT, "nn.Flatten()", "nn.Linear(288, 4)", "nn.ReLU6()", TAIL[2])
WIDE = ("nn.Conv2d(3, 32, 3, padding=1)", "nn.Conv2d(32, 32, 3, padding=1)", "nn.ReLU6()")
WIDE_ENDS = (*TAIL[:2], "nn.Linear(32, 2)")
POSITIVE = {"0.weight": lambda weight: weight.abs() * 9}
FAINT = {"0.weight": lambda weight: weight.abs() / 9}
BOTH = POSITIVE | {"1.weight": lambda weight: weight.abs() / 9}
NUMBERS = {
    "NaN weights, replaced": ((FRONT, "Do('x.nan_to_num(0.3)')", *TAIL), {"0.weight": NAN}, None),
    "infinite weights, clipped": ((FRONT, "nn.ReLU6()", *TAIL), {"0.weight": INFINITE}, None),
    "an infinite bias, clipped": ((FRONT, "nn.ReLU6()", *TAIL), {"0.bias": INFINITE}, None),
    "an infinite bias, squashed": ((FRONT, "nn.Tanh()", *TAIL), {"0.bias": -INFINITE}, None),
    "an infinite bias, cut off": ((FRONT, "nn.ReLU()", *TAIL), {"0.bias": -INFINITE}, None),
    "an infinite bias, normalised": ((FRONT, "nn.BatchNorm2d(4)", "nn.ReLU6()", *TAIL), {"0.bias": INFINITE}, None),
    "an infinite pixel, clipped": ((FRONT, "nn.ReLU6()", *TAIL), POSITIVE, 3e38),
    "an infinite pixel, pooled": (POOLED, POSITIVE, 3e38),
    "an infinite pixel, flattened": (FLAT, POSITIVE | {"2.weight": torch.abs}, 3e38),
    "an infinite pixel, squashed": ((FRONT, *ENDS), POSITIVE, 3e38),
    "an infinite pixel, gated": (GATED, POSITIVE, 3e38),
    "an infinite pixel, compared": (COMPARED, POSITIVE, 3e38),
    "an infinite pixel, wide": ((*WIDE, *WIDE_ENDS), BOTH, 3e38),
    "an infinite pixel, wide, replaced": ((*WIDE, "Do('x.nan_to_num(1)')", *WIDE_ENDS), BOTH, 3e38),
    "a huge pixel, squashed": ((FRONT, *ENDS), FAINT, 1e6),
    "a huge pixel, gated": (GATED, FAINT, 1e6),
    "a huge pixel, wide": ((*WIDE, *WIDE_ENDS), BOTH, 1e5),
    "a logarithm, replaced": (("Do('torch.log(x - 0.3).nan_to_num(-3)')", FRONT, *TAIL), {}, None),
}


@pytest.mark.parametrize("keep", [False, True], ids=["covered", "kept"])
@pytest.mark.parametrize(("layers", "values", "hot"), NUMBERS.values(), ids=NUMBERS)
def test_numbers_that_are_not_finite_on_the_way(layers, values, hot, keep):
    module = randomised(build(layers))
    with torch.no_grad():
        for name, value in values.items():
            tensor = module.get_parameter(name)
            if callable(value):
                tensor.copy_(value(tensor))
            else:
                tensor[0] = value
    right_or_refused(module, pixels(hot=hot), keep=keep)


def test_a_cover_far_beyond_the_image(monkeypatch):
    """One huge number, in the windows alone."""
    from eyeline.incremental import run

    module = randomised(build([*WIDE, *WIDE_ENDS]))
    with torch.no_grad():
        module[0].weight.copy_(module[0].weight.abs() * 9)
        module[1].weight.copy_(module[1].weight.abs() / 90)
    cover = np.full((9, 8, 3), 0.5, dtype=np.float32)
    cover[4, 4] = 1e5
    given = {"window": 8, "stride": 1, "baseline": eyeline.Image(cover)}
    assert right_or_refused(module, pixels(), **given) is None
    monkeypatch.setattr(run, "uneven", lambda data, usual: False)
    with pytest.raises((AssertionError, RuntimeWarning)):
        right_or_refused(module, pixels(), **given)


@pytest.mark.parametrize("engine", ["incremental", "full"])
def test_numbers_that_are_not_finite_at_the_end(engine):
    module = randomised(build([FRONT, *TAIL]))
    with torch.no_grad():
        module[0].weight[0, 0, 0, 0] = NAN
    with pytest.raises(ModelError, match="scores must be finite, but got nan for class 0"):
        explain(module, pixels(), engine)
    with pytest.raises(InputError, match=r"finite|NaN"):
        explain(module, pixels(hot=NAN), engine)


STRAYING = {
    "a branch on a sum": "x = x if x.sum() > 0 else -x",
    "a number taken out": "x = x * float(x.max())",
    "a count": "x = x + len(torch.nonzero(x))",
    "NumPy": "x = torch.from_numpy(np.tanh(x.detach().numpy()))",
    "complex numbers": "x = (torch.complex(x, x) * 1j).real",
    "complex numbers from real": "x = torch.fft.ifft2(torch.fft.fft2(x) * 2).real",
    "a loop until": "while x.abs().max() > 0.1: x = x / 2",
}


@pytest.mark.parametrize("code", STRAYING.values(), ids=STRAYING)
def test_what_no_graph_of_real_maps_holds(code):
    module = randomised(nn.Sequential(build([FRONT]), Runs(code), build(TAIL)).eval())
    if right_or_refused(module, pixels()[:1]) is not None:
        auto, full = (explain(module, pixels()[:1], engine).sweep.scores for engine in ("auto", "full"))
        np.testing.assert_array_equal(auto, full)


RANDOM = {
    "noise added": "x = x + torch.rand_like(x)",
    "noise of a shape": "x = x + torch.randn(x.shape)",
    "noise in place": "x = x + torch.empty_like(x).normal_()",
    "little noise": "x = x + 1e-5 * torch.randn_like(x)",
    "draws": "x = x * torch.bernoulli(x.sigmoid())",
    "a permutation": "x = x[:, torch.randperm(4)]",
    "dropout": "x = F.dropout(x, 0.5, training=True)",
    "dropout of maps": "x = F.dropout2d(x, 0.5, training=True)",
    "dropout of an alpha": "x = F.alpha_dropout(x, 0.5, training=True)",
    "a random slope": "x = F.rrelu(x, training=True)",
}


@pytest.mark.parametrize("code", RANDOM.values(), ids=RANDOM)
def test_a_network_that_draws_numbers_is_never_taken_for_a_fixed_one(code):
    torch.manual_seed(0)
    module = randomised(nn.Sequential(build([FRONT]), Runs(code), build(TAIL)).eval())
    try:
        found = explain(module, pixels(), "incremental")
    except (UnsupportedError, RuntimeWarning) as error:
        proper(error)
    else:
        assert found.provenance["engine"] == "full"
