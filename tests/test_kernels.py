"""Kernels against whole maps: windows are pasted into the clean map, torch runs its own operation, boxes are cut."""

import importlib.util
import math
import sys
import threading
from dataclasses import dataclass
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from eyeline.incremental import library, torch_kernels, winograd
from eyeline.incremental.graph import Activation
from eyeline.incremental.kernels import kernels, reason

native = kernels("cpu")


def builds():
    """The native module once for each build of its library that this processor runs."""
    if native is torch_kernels:
        return
    for variant in dict.fromkeys(["", "avx2", native.NAME.removeprefix("native").strip()]):
        if variant == "avx2" and native.NAME == "native":
            continue
        spec = importlib.util.spec_from_file_location(f"native_{variant}", native.__file__)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.LIBRARY, module.NAME = library.load(variant), f"native {variant}".strip()
        yield module


BACKENDS = [torch_kernels, *builds()]
RELU = Activation.clamp()
ACTIVATIONS = [
    None,
    RELU,
    Activation.clamp(0.0, 6.0),
    Activation.clamp(-1.0, 0.5),
    Activation("silu", call=functional.silu),
    Activation("leaky_relu", call=functional.leaky_relu),
]

both = pytest.mark.parametrize("backend", BACKENDS, ids=lambda each: each.NAME)
lean = settings(deadline=None, max_examples=60)


@dataclass(frozen=True)
class Windows:
    data: torch.Tensor
    box: np.ndarray
    offsets: np.ndarray
    clean: torch.Tensor

    def whole(self):
        """Every position's map, (n, channels, rows, columns)."""
        maps = self.clean.expand(len(self.box), *self.clean.shape).clone()
        for place, (a, b, c, d) in enumerate(self.box):
            maps[place, a:b, c:d] = self.data[self.offsets[place] : self.offsets[place + 1]].reshape(
                b - a, d - c, maps.shape[3]
            )
        return maps.movedim(-1, 1)


def offsets(box):
    return np.concatenate([[0], np.cumsum((box[:, 1] - box[:, 0]) * (box[:, 3] - box[:, 2]))])


def cut(maps, box):
    """The rows that the boxes hold of (n, channels, rows, columns)."""
    parts = [each[:, a:b, c:d].flatten(1).T for each, (a, b, c, d) in zip(maps, box, strict=True)]
    return torch.cat(parts)


@st.composite
def boxes(draw, n, rows, columns):
    """Boxes anywhere: empty, one pixel, at the borders, the whole map."""
    found = []
    for _ in range(n):
        spans = [sorted(draw(st.tuples(st.integers(0, size), st.integers(0, size)))) for size in (rows, columns)]
        hollow = any(low == high for low, high in spans)
        found.append([0, 0, 0, 0] if hollow else [*spans[0], *spans[1]])
    return np.array(found, dtype=np.int64)


@st.composite
def sources(draw, most=9, channels=None):
    rows, columns, n = draw(st.integers(1, most)), draw(st.integers(1, most)), draw(st.integers(1, 4))
    channels = draw(st.integers(1, 70)) if channels is None else channels
    box = draw(boxes(n, rows, columns))
    random = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    data = torch.randn(int(offsets(box)[-1]), channels, generator=random)
    return Windows(data, box, offsets(box), torch.randn(rows, columns, channels, generator=random))


@dataclass(frozen=True)
class Sliding:
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    before: tuple[int, int]
    after: tuple[int, int]

    def padded(self, maps, value=0.0):
        return functional.pad(maps, (self.before[1], self.after[1], self.before[0], self.after[0]), value=value)

    def outputs(self, source):
        reach = [d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
        sizes = zip(source.clean.shape, self.before, self.after, reach, self.stride, strict=False)
        return [(size + b + a - r) // s + 1 if size + b + a >= r else 0 for size, b, a, r, s in sizes]

    def settings(self, *names):
        every = {"kernel": self.kernel, "stride": self.stride, "dilation": self.dilation, "padding": self.before}
        return {name: every[name] for name in names}


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def slidings(draw, kernel=None, dense=False):
    return Sliding(
        kernel or draw(st.sampled_from([(3, 3), (2, 2), (1, 1), (3, 2), (1, 4), (5, 5)])),
        (1, 1) if dense else draw(pairs(1, 3)),
        (1, 1) if dense else draw(pairs(1, 3)),
        draw(pairs(0, 3)),
        draw(pairs(0, 3)),
    )


@st.composite
def cases(draw, sliding, **given):
    """A source, how to slide over it, and boxes of outputs."""
    source, sliding = draw(sources(**given)), draw(sliding)
    rows, columns = sliding.outputs(source)
    box = draw(boxes(len(source.box), max(rows, 0), max(columns, 0)))
    return source, sliding, box


def like(actual, expected, rounding=1e-5):
    np.testing.assert_allclose(actual.numpy(), expected.numpy(), rtol=rounding, atol=rounding)


def activated(data, activation):
    return data if activation is None else activation.call(data)


@both
@lean
@given(data=st.data())
def test_fetch_reads_whole_maps(backend, data):
    source = data.draw(sources())
    box = data.draw(boxes(len(source.box), *source.clean.shape[:2]))
    found = backend.fetch(source, box, offsets(box))
    assert torch.equal(found, cut(source.whole(), box))
    wide = torch.full((len(found), found.shape[1] + 7), 5.0)
    backend.fetch(source, box, offsets(box), out=wide[:, 3:-4])
    assert torch.equal(wide[:, 3:-4], found)
    assert (wide[:, :3] == 5).all()
    assert (wide[:, -4:] == 5).all()


@both
@lean
@given(data=st.data(), activation=st.sampled_from(ACTIVATIONS))
def test_fetch_add_adds_whole_maps(backend, data, activation):
    source = data.draw(sources())
    box = data.draw(boxes(len(source.box), *source.clean.shape[:2]))
    seen = cut(source.whole(), box)
    target = torch.randn(seen.shape)
    expected = activated(target + seen, activation)
    backend.fetch_add(target, source, box, offsets(box), activation)
    like(target, expected)


@both
@lean
@given(data=st.data(), value=st.sampled_from([0.0, -math.inf, 2.5]))
def test_gather_lays_out_what_unfold_does(backend, data, value):
    groups = data.draw(st.integers(1, 3))
    source, sliding, box = data.draw(cases(slidings(), channels=groups * data.draw(st.integers(1, 9))))
    whole = sliding.padded(source.whole(), value)
    shape = (*whole.shape[:2], -1, *(max(size, 0) for size in sliding.outputs(source)))
    if 0 in shape:
        return
    patches = functional.unfold(whole, sliding.kernel, sliding.dilation, 0, sliding.stride).reshape(shape)
    ordered = patches.unflatten(1, (groups, -1)).transpose(2, 3).flatten(1, 3)
    expected = cut(ordered, box)
    names = ("kernel", "stride", "dilation", "padding")
    given = {**sliding.settings(*names), "pad_value": value, "groups": groups}
    assert torch.equal(backend.gather(source, box, offsets(box), **given), expected)
    some = tuple(sorted(data.draw(pairs(0, len(expected)))))
    assert torch.equal(backend.gather(source, box, offsets(box), **given, rows=some), expected[slice(*some)])


@both
@lean
@given(
    groups=st.integers(1, 4), sizes=st.tuples(st.integers(0, 80), st.integers(1, 70), st.integers(1, 70)),
    activation=st.sampled_from(ACTIVATIONS), biased=st.booleans(),
)  # fmt: skip
def test_product_is_a_matrix_product(backend, groups, sizes, activation, biased):
    count, inputs, outputs = sizes
    rows, matrices = torch.randn(groups, count, inputs), torch.randn(groups, inputs, outputs) / 8
    bias = torch.randn(groups * outputs) if biased else None
    expected = rows.double() @ matrices.double() + (0 if bias is None else bias.reshape(groups, 1, -1))
    packed = backend.pack(matrices, bias)
    like(backend.product(rows, packed, activation), activated(expected, activation).float())
    apart = rows.transpose(0, 1).contiguous().transpose(0, 1)
    like(backend.product(apart, packed, activation), activated(expected, activation).float())


@both
@lean
@given(data=st.data(), activation=st.sampled_from(ACTIVATIONS), biased=st.booleans())
def test_convolve_is_a_convolution(backend, data, activation, biased):
    groups = data.draw(st.integers(1, 3))
    source, sliding, box = data.draw(cases(slidings(), most=20, channels=groups * data.draw(st.integers(1, 20))))
    if min(sliding.outputs(source)) < 1:
        return
    outputs = groups * data.draw(st.integers(1, 40))
    weights = torch.randn(outputs, source.clean.shape[2] // groups, *sliding.kernel) / 10
    bias = torch.randn(outputs) if biased else None
    whole = sliding.padded(source.whole())
    dense = functional.conv2d(whole, weights, bias, sliding.stride, 0, sliding.dilation, groups)
    matrices = weights.unflatten(0, (groups, -1)).permute(0, 3, 4, 2, 1).flatten(1, 3)
    names = ("kernel", "stride", "dilation", "padding")
    found = backend.convolve(
        source, box, offsets(box), backend.pack(matrices, bias), **sliding.settings(*names), activation=activation
    )
    like(found, activated(cut(dense, box), activation))


@both
@lean
@given(data=st.data(), activation=st.sampled_from(ACTIVATIONS), biased=st.booleans())
def test_depthwise_is_a_grouped_convolution(backend, data, activation, biased):
    source, sliding, box = data.draw(cases(slidings()))
    if min(sliding.outputs(source)) < 1:
        return
    channels = source.clean.shape[2]
    weights, bias = torch.randn(channels, 1, *sliding.kernel), torch.randn(channels) if biased else None
    dense = functional.conv2d(
        sliding.padded(source.whole()), weights, bias, sliding.stride, 0, sliding.dilation, channels
    )
    found = backend.depthwise(
        source, box, offsets(box), weights[:, 0].permute(1, 2, 0).contiguous(), bias,
        **sliding.settings("stride", "dilation", "padding"), activation=activation,
    )  # fmt: skip
    like(found, activated(cut(dense, box), activation))


@both
@lean
@given(case=cases(slidings()))
def test_max_pool_is_the_dense_one(backend, case):
    source, sliding, box = case
    if min(sliding.outputs(source)) < 1:
        return
    whole = sliding.padded(source.whole(), -math.inf)
    dense = functional.max_pool2d(whole, sliding.kernel, sliding.stride, 0, sliding.dilation)
    found = backend.max_pool(source, box, offsets(box), **sliding.settings("kernel", "stride", "dilation", "padding"))
    assert torch.equal(found, cut(dense, box))


@both
@lean
@given(data=st.data(), counted=st.booleans())
def test_average_pool_is_the_dense_one(backend, data, counted):
    source, sliding, box = data.draw(cases(slidings(dense=True)))
    sliding = Sliding(sliding.kernel, data.draw(pairs(1, 3)), (1, 1), sliding.before, sliding.after)
    if min(sliding.outputs(source)) < 1:
        return
    box = data.draw(boxes(len(source.box), *sliding.outputs(source)))
    inside = functional.pad(torch.ones(1, 1, *source.clean.shape[:2]), (0, 0, 0, 0))
    summed = {"kernel_size": sliding.kernel, "stride": sliding.stride, "divisor_override": 1}
    divisors = functional.avg_pool2d(sliding.padded(inside, float(counted)), **summed)[0, 0]
    divisors = divisors.clamp(min=1)
    dense = functional.avg_pool2d(sliding.padded(source.whole()), **summed) / divisors
    given = sliding.settings("kernel", "stride", "padding")
    like(backend.average_pool(source, box, offsets(box), **given, divisors=divisors), cut(dense, box))


@both
@lean
@given(source=sources())
def test_global_sum_change_is_the_difference_of_the_sums(backend, source):
    expected = (source.whole().double() - source.clean.movedim(-1, 0).double()).sum((2, 3))
    like(backend.global_sum_change(source), expected, 1e-12)


def convolve(backend, source, box, weights, bias, padding, activation, tiles):
    packed = backend.pack(winograd.weights(weights))
    return backend.winograd(source, box, offsets(box), packed, bias, padding, tiles, activation)


@both
@lean
@given(data=st.data(), activation=st.sampled_from(ACTIVATIONS), biased=st.booleans())
def test_winograd_is_a_convolution(backend, data, activation, biased):
    source, sliding, box = data.draw(cases(slidings(kernel=(3, 3), dense=True), most=14))
    if min(sliding.outputs(source)) < 1:
        return
    weights, bias = torch.randn(5, source.clean.shape[2], 3, 3) / 10, torch.randn(5) if biased else None
    dense = functional.conv2d(sliding.padded(source.whole()), weights, bias)
    tiles = data.draw(st.integers(1, 20))
    found = convolve(backend, source, box, weights, bias, sliding.before, activation, tiles)
    like(found, activated(cut(dense, box), activation), 3e-5)


def spread_windows(channels, n=4, size=20, seed=0):
    random = torch.Generator().manual_seed(seed)
    box = np.array([[place, place + 13, 2 * place, 2 * place + 11] for place in range(n)])
    values = [torch.randn(*shape, channels, generator=random).relu() for shape in ((n * 143,), (size, size))]
    return Windows(values[0], box, offsets(box), values[1])


@both
@pytest.mark.parametrize("channels", [64, 512])
def test_winograd_keeps_the_digits(backend, channels):
    """Within four times the error that a direct convolution in single precision makes, on average."""
    source = spread_windows(channels)
    weights = torch.randn(32, channels, 3, 3, generator=torch.Generator().manual_seed(1)) / math.sqrt(9 * channels)
    exact = cut(functional.conv2d(source.whole().double(), weights.double(), padding=1), source.box)
    direct = cut(functional.conv2d(source.whole(), weights, padding=1), source.box)
    found = convolve(backend, source, source.box, weights, None, (1, 1), None, 99)
    errors = [(each.double() - exact).square().mean().sqrt() for each in (found, direct)]
    assert errors[0] < 4 * errors[1]


@both
def test_tiles_of_every_size(backend):
    """Boxes of 1 x 1 to 9 x 9 outputs, all in one call and a few tiles at a time."""
    sides = [(rows, columns) for rows in range(1, 10) for columns in range(1, 10)]
    box = np.array([[1, 1 + rows, 2, 2 + columns] for rows, columns in sides])
    random = torch.Generator().manual_seed(0)
    values = [torch.randn(*shape, 33, generator=random) for shape in ((int(offsets(box)[-1]),), (12, 12))]
    source = Windows(values[0], box, offsets(box), values[1])
    weights, bias = torch.randn(40, 33, 3, 3, generator=random) / 17, torch.randn(40, generator=random)
    exact = cut(functional.conv2d(source.whole().double(), weights.double(), bias.double(), padding=1), box)
    for tiles in (7, 1000):
        like(convolve(backend, source, box, weights, bias, (1, 1), None, tiles), exact.float(), 1e-5)


@both
def test_long_sums_keep_the_digits(backend):
    """Not more than the error of the framework's own convolution in single precision, which also sums in parts."""
    source = spread_windows(512)
    weights = torch.randn(32, 512, 3, 3, generator=torch.Generator().manual_seed(1)) / math.sqrt(9 * 512)
    exact = cut(functional.conv2d(source.whole().double(), weights.double(), padding=1), source.box)
    direct = cut(functional.conv2d(source.whole(), weights, padding=1), source.box)
    packed = backend.pack(weights.permute(2, 3, 1, 0).reshape(1, -1, 32))
    given = {"kernel": (3, 3), "stride": (1, 1), "dilation": (1, 1), "padding": (1, 1)}
    found = backend.convolve(source, source.box, source.offsets, packed, **given)
    errors = [(each.double() - exact).square().mean().sqrt() for each in (found, direct)]
    assert errors[0] < 1.5 * errors[1]


@both
def test_nan_comes_through_every_kernel(backend):
    """A NaN under one tap reaches exactly the outputs that see it, past every clamp."""
    source = spread_windows(19)
    source.data[5] = math.nan
    source.data[:, 4] = 1.0
    hit = torch.isnan(source.whole())
    box, where = source.box, offsets(source.box)
    taps = {"stride": (1, 1), "padding": (1, 1)}
    near = cut(functional.max_pool2d(hit.float(), 3, 1, 1), box) > 0
    assert near.any()
    assert not near.all()
    weights = torch.ones(3, 3, 19)
    found = {
        "depthwise": backend.depthwise(source, box, where, weights, None, dilation=(1, 1), **taps, activation=RELU),
        "max_pool": backend.max_pool(source, box, where, kernel=(3, 3), dilation=(1, 1), **taps),
        "average_pool": backend.average_pool(source, box, where, (3, 3), **taps, divisors=torch.ones(20, 20)),
    }
    for name, each in found.items():
        assert torch.equal(each.isnan(), near), name
    assert torch.equal(backend.fetch(source, box, where).isnan(), cut(hit, box))
    summed = torch.zeros(source.data.shape)
    backend.fetch_add(summed, source, box, where, RELU)
    assert torch.equal(summed.isnan(), cut(hit, box))
    assert torch.equal(backend.global_sum_change(source).isnan(), hit.any(dim=(2, 3)))
    patches = backend.gather(source, box, where, kernel=(3, 3), dilation=(1, 1), **taps)
    assert torch.equal(patches.reshape(-1, 9, 19).isnan().any(1), near)
    packed = backend.pack(torch.ones(1, 9 * 19, 2))
    convolved = backend.convolve(source, box, where, packed, kernel=(3, 3), dilation=(1, 1), **taps, activation=RELU)
    assert torch.equal(convolved.isnan().all(1), near.any(1))
    assert torch.equal(convolved.isnan().any(1), near.any(1))
    tiled = convolve(backend, source, box, torch.ones(2, 19, 3, 3), None, (1, 1), RELU, 5)
    assert tiled[near.any(1)].isnan().all()  # and what else lies in their tiles
    assert not tiled.isnan().all()


@both
@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("silu", functional.silu),
        ("sigmoid", torch.sigmoid),
        ("hardswish", functional.hardswish),
        ("hardsigmoid", functional.hardsigmoid),
        ("gelu", functional.gelu),
        ("gelu_tanh", lambda data: functional.gelu(data, approximate="tanh")),
        ("clamp", functional.relu6),
    ],
)
def test_activate_works_in_place(backend, name, function):
    data = torch.linspace(-9, 9, 400).reshape(20, 20)
    expected = function(data)
    assert name in backend.ACTIVATIONS
    backend.activate(data, name, 0.0, 6.0)
    like(data, expected)


def test_oracle_sees_a_wrong_padding():
    """Sabotage twin: the comparison fails when taps are read one pixel off."""
    source = spread_windows(3)
    given = {"kernel": (3, 3), "stride": (1, 1), "dilation": (1, 1)}
    dense = cut(functional.max_pool2d(source.whole(), 3, 1, 1), source.box)
    assert torch.equal(native.max_pool(source, source.box, source.offsets, **given, padding=(1, 1)), dense)
    assert not torch.equal(native.max_pool(source, source.box, source.offsets, **given, padding=(1, 0)), dense)


def test_oracle_sees_windows_left_out():
    """Sabotage twin: the comparison fails when the clean map is read where data stands."""
    source = spread_windows(3)
    blind = Windows(source.data[:0], 0 * source.box, 0 * source.offsets, source.clean)
    assert not torch.equal(native.fetch(blind, source.box, source.offsets), cut(source.whole(), source.box))


def test_threads_do_not_meet():
    """Chunks run on several threads at once: no kernel keeps anything between calls."""
    every = [spread_windows(24, seed=seed) for seed in range(8)]
    given = {"kernel": (3, 3), "stride": (1, 1), "dilation": (1, 1), "padding": (1, 1)}
    expected = [native.gather(each, each.box, each.offsets, **given) for each in every]
    found = [None] * len(every)

    def run(place):
        for _ in range(20):
            found[place] = native.gather(every[place], every[place].box, every[place].offsets, **given)

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(every))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_other_devices_use_torch():
    assert kernels("meta") is torch_kernels


@pytest.mark.skipif(native is torch_kernels, reason="there is no library to be of other sources")
def test_library_of_other_sources_is_refused(monkeypatch):
    monkeypatch.setattr(library, "INTERFACE", library.INTERFACE + 1)
    with pytest.raises(ImportError, match="Install eyeline again"):
        library.load()


def imported_anew(monkeypatch):
    monkeypatch.delitem(sys.modules, "eyeline.incremental.native", raising=False)
    monkeypatch.delattr("eyeline.incremental.native", raising=False)


def test_torch_serves_where_nothing_was_built(monkeypatch, tmp_path):
    with monkeypatch.context() as context:
        context.setattr(library.incremental, "__path__", [str(tmp_path)])
        with pytest.raises(library.LibraryError, match="C\\+\\+ compiler") as missing:
            library.load()
    imported_anew(monkeypatch)
    monkeypatch.setattr(library, "choose", Mock(side_effect=missing.value))
    assert kernels("cpu") is torch_kernels
    assert "C++ compiler" in reason("cpu")


def test_another_error_of_an_import_is_not_taken_for_a_missing_library(monkeypatch):
    imported_anew(monkeypatch)
    monkeypatch.setitem(sys.modules, "eyeline.incremental.native", None)
    with pytest.raises(ImportError):
        kernels("cpu")
