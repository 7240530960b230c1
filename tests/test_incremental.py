"""The engine against the network itself, run on every covered image in double precision: each window, each network."""

import copy
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from eyeline.errors import OutOfMemoryError
from eyeline.incremental import simplify, sizes, torch_kernels
from eyeline.incremental.geometry import Geometry
from eyeline.incremental.graph import Flatten
from eyeline.incremental.run import Engine
from eyeline.models import lite0
from eyeline.models.torch_graph import capture
from eyeline.window import Box, grid

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import networks

ALLOWED = 5  # times the framework's own error in single precision


def covered(image, patch, boxes):
    """The images that the engine claims to have run, (n, channels, rows, columns)."""
    images = image.expand(len(boxes), *image.shape).clone()
    for place, box in enumerate(boxes):
        images[(place, *Box.of(box).slices)] = patch[Box.of(box).slices]
    return images.movedim(-1, 1)


@torch.no_grad()
def dense(module, images):
    """Outputs in double precision, and how far single precision is from them, batched and one by one."""
    exact = copy.deepcopy(module).double()(images.double())
    single = [module(images), module(images.contiguous(memory_format=torch.channels_last))]
    single.append(torch.cat([module(each[None]) for each in images[:24]]))
    return exact, max(float((each - exact[: len(each)]).abs().max()) for each in single)


def swept(engine, image, patch, boxes):
    parts = list(engine.sweep(engine.clean(image), patch, boxes))
    assert [start for start, _, _ in parts] == [0, *(stop for _, stop, _ in parts[:-1])]
    return torch.cat([raw for _, _, raw in parts])


def agrees(module, size, boxes, *, channels=3, seed=0, **settings):
    """Assert that the engine's outputs are the network's at every position."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(*size, channels, generator=generator)
    patch = torch.rand(*size, channels, generator=generator)
    engine = Engine(capture(module, size, channels), **settings)
    exact, error = dense(module, covered(image, patch, boxes))
    ours = float((swept(engine, image, patch, boxes) - exact).abs().max())
    assert ours <= ALLOWED * error + 1e-6 * float(exact.abs().max()), (ours, error)
    return engine


CASES = [(name, (64, 64)) for name in networks.NETWORKS] + [("ResNet18", (75, 61)), ("GoogLeNet", (61, 90))]


@pytest.mark.parametrize(("name", "size"), CASES, ids=lambda each: str(each))
def test_every_network_at_every_position(name, size):
    if name == "small" and size != (64, 64):
        return
    module = networks.build(name, classes=10, size=64)
    boxes = grid(size, 13, 11)
    engine = agrees(module, size, boxes, channels=3)
    plan = engine.plan(boxes)
    assert 0 < plan.done < plan.full


def test_lite0_with_lopsided_padding():
    torch.manual_seed(0)
    module = lite0.build().train()
    with torch.no_grad():
        module(torch.rand(8, 3, 64, 64))
    agrees(module.eval(), (64, 64), grid((64, 64), 16, 12))


def test_a_halo_that_is_one_too_small_is_caught(monkeypatch):
    """Sabotage twin."""
    whole = Geometry.spread

    def short(self, start, stop, outputs):
        found = whole(self, start, stop, outputs)
        if self.kernel > 1:
            found[:, 1] -= (found[:, 1] < outputs) & (found[:, 1] - found[:, 0] > 1)
        return found

    monkeypatch.setattr(Geometry, "spread", short)
    with pytest.raises(AssertionError):
        agrees(networks.build("small", classes=10), (64, 64), grid((64, 64), 13, 11))


class Squeezed(nn.Module):
    """Squeeze-and-excitation: a global step, after which everything has changed."""

    def __init__(self, channels):
        super().__init__()
        layers = [nn.Conv2d(channels, 4, 1), nn.SiLU(inplace=True), nn.Conv2d(4, channels, 1), nn.Sigmoid()]
        self.excite = nn.Sequential(nn.AdaptiveAvgPool2d(1), *layers)

    def forward(self, images):
        return images * self.excite(images)


class Both(nn.Module):
    def __init__(self, left, right, join):
        super().__init__()
        self.left, self.right, self.join = left, right, join

    def forward(self, images):
        return self.join(self.left(images), self.right(images))


def beside(left, right):
    return Both(left, right, lambda a, b: torch.cat([a, b], 1))


def plus(left, right):
    return Both(left, right, torch.add)


def times(left, right):
    return Both(left, right, torch.mul)


class Shuffled(nn.Module):
    def forward(self, images):
        n, channels, rows, columns = images.shape
        return images.view(n, 2, channels // 2, rows, columns).transpose(1, 2).reshape(n, channels, rows, columns)


LAYERS = {
    "plain": nn.Conv2d(6, 8, 3),
    "winograd": nn.Sequential(nn.Conv2d(6, 32, 1), nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.ReLU()),
    "winograd, far padding": nn.Sequential(nn.Conv2d(6, 32, 1), nn.Conv2d(32, 33, 3, padding=(2, 0))),
    "asymmetric kernel": nn.Conv2d(6, 8, (1, 5), stride=(2, 1), padding=(0, 2)),
    "dilated": nn.Conv2d(6, 8, 3, dilation=(3, 2), padding=3),
    "same padding of an even kernel": nn.Conv2d(6, 8, 4, padding="same"),
    "strided 1 x 1": plus(nn.Conv2d(6, 8, 1, stride=3), nn.Conv2d(6, 8, 3, stride=3, padding=1)),
    "only skipping": nn.Conv2d(6, 8, 1, stride=5),
    "padded 1 x 1": nn.Conv2d(6, 8, 1, padding=2),
    "groups": nn.Conv2d(6, 9, 3, groups=3, stride=2),
    "depthwise": nn.Conv2d(6, 6, 5, groups=6, padding=2, stride=2),
    "depthwise multiplied": nn.Conv2d(6, 12, 3, groups=6, bias=False),
    "border": nn.Sequential(nn.ConstantPad2d((1, 3, 0, 2), 0.7), nn.Conv2d(6, 8, 3)),
    "cut": nn.Sequential(nn.ConstantPad2d((-2, 1, -1, -3), 0.0), nn.Conv2d(6, 8, 3)),
    "folded border": nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(6, 8, 3, stride=2)),
    "max": nn.MaxPool2d(3, 2, 1),
    "max, sticking out": nn.MaxPool2d((2, 3), 2, ceil_mode=True),
    "max, dilated": nn.MaxPool2d(2, 1, dilation=2),
    "average": nn.AvgPool2d(3, 2, 1),
    "average, inside": nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "average, sticking out": nn.AvgPool2d(3, 2, 1, ceil_mode=True),
    "average, divisor": nn.AvgPool2d(2, divisor_override=3),
    "average, adaptive": nn.Sequential(nn.ZeroPad2d((0, 7, 0, 1)), nn.AdaptiveAvgPool2d((3, 4))),
    "sum": plus(nn.Conv2d(6, 8, 3, padding=1), nn.Conv2d(6, 8, 1)),
    "product": times(nn.Conv2d(6, 8, 3, padding=1), nn.Conv2d(6, 8, 1)),
    "concatenation": beside(nn.Conv2d(6, 8, 5, padding=2), nn.MaxPool2d(3, 1, 1)),
    "squeeze": nn.Sequential(nn.Conv2d(6, 8, 3), Squeezed(8), nn.Conv2d(8, 8, 3)),
    "unknown": nn.Sequential(nn.Conv2d(6, 8, 3), nn.GroupNorm(2, 8), nn.ReLU(), nn.MaxPool2d(2)),
    "unknown, sizes": nn.Sequential(nn.Conv2d(6, 8, 3), Shuffled(), nn.AvgPool2d(3, 2, 1, ceil_mode=True)),
    "reflected": nn.Conv2d(6, 8, 3, padding=1, padding_mode="reflect"),
    "upsampled": nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(6, 8, 3)),
    "global maximum": nn.Sequential(nn.Conv2d(6, 8, 3), nn.MaxPool2d((17, 12))),
}
ACTIVATIONS = [
    nn.ReLU(), nn.ReLU6(), nn.Hardtanh(-0.2, 0.3), nn.SiLU(), nn.Hardswish(), nn.Sigmoid(), nn.Hardsigmoid(), nn.GELU(),
    nn.GELU("tanh"), nn.LeakyReLU(0.2), nn.ELU(), nn.Tanh(), nn.Softplus(), nn.Mish(),
]  # fmt: skip
ENDS = {
    "mean": lambda n: [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n, 5)],
    "flat": lambda n: [nn.Flatten(), nn.LazyLinear(5)],
}


def network(*layers, end="flat", size=(19, 14), seed=0):
    torch.manual_seed(seed)
    body = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), *layers).eval()
    with torch.no_grad():
        channels = body(torch.zeros(1, 2, *size)).shape[1]
        module = nn.Sequential(body, *ENDS[end](channels)).eval()
        module(torch.zeros(1, 2, *size))
    return module


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")  # PyTorch on its own copy
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", LAYERS)
def test_every_operation_at_every_position(name, end):
    module, boxes = network(LAYERS[name], end=end), grid((19, 14), (4, 3), (3, 2))
    for kernels in (None, torch_kernels):
        agrees(module, (19, 14), boxes, channels=2, kernels=kernels)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_every_activation(activation):
    module = network(nn.Conv2d(6, 8, 3), activation, nn.MaxPool2d(2), activation)
    agrees(module, (19, 14), grid((19, 14), 5, 5), channels=2)


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_chunks_and_small_memory_change_nothing(chunk):
    module = network(LAYERS["sum"], LAYERS["max"])
    agrees(module, (19, 14), grid((19, 14), 4, 3), channels=2, chunk=chunk, memory=2**19)


def test_large_linear_layers_are_left_as_they_lie(monkeypatch):
    module = network(nn.MaxPool2d(2), end="flat")
    monkeypatch.setattr(simplify, "LARGE", 0)
    agrees(module, (19, 14), grid((19, 14), 4, 3), channels=2)
    nodes = Engine(capture(module, (19, 14), 2)).graph.nodes
    assert [node.operation.raster for node in nodes if isinstance(node.operation, Flatten)] == [False]


def engine_and_images(seed=0, memory=2**30):
    torch.manual_seed(seed)
    module = network(LAYERS["sum"], LAYERS["max"], end="mean")
    ground, patch = np.random.default_rng(seed).normal(0, 1, (2, 19, 14, 2)).astype(np.float32)
    return Engine(capture(module, (19, 14), 2), memory=memory), module, ground, patch


def full(module, images):
    with torch.no_grad():
        return module(torch.from_numpy(images).movedim(-1, 1)).numpy()


def test_too_small_a_memory_says_how_much_is_needed():
    engine, _, ground, patch = engine_and_images(memory=1000)
    boxes = grid((19, 14), 4, 3)
    with pytest.raises(OutOfMemoryError, match=r"but it is 0. Pass memory=1 or more"):
        list(engine.run(ground[None], patch[None], boxes))


def test_whole_images_through_the_graph():
    engine, module, ground, patch = engine_and_images()
    images = np.stack([ground, patch, ground + patch])
    np.testing.assert_allclose(engine.whole(images), full(module, images), rtol=1e-4, atol=1e-5)


def test_several_boxes_are_covered_together():
    engine, module, ground, patch = engine_and_images()
    boxes = np.array([
        [[[0, 3], [0, 2]], [[10, 14], [9, 14]], [[0, 0], [0, 0]]],
        [[[2, 9], [3, 8]], [[5, 12], [1, 6]], [[11, 19], [0, 14]]],
        [[[0, 0], [0, 0]], [[0, 0], [0, 0]], [[0, 0], [0, 0]]],
        [[[18, 19], [13, 14]], [[18, 19], [13, 14]], [[0, 1], [0, 1]]],
    ])  # fmt: skip
    images = np.repeat(ground[None], len(boxes), axis=0)
    for image, together in zip(images, boxes, strict=True):
        for (top, bottom), (left, right) in together:
            image[top:bottom, left:right] = patch[top:bottom, left:right]
    found = np.concatenate([raw for _, raw in engine.run(ground[None], patch[None], boxes)])
    np.testing.assert_allclose(found, full(module, images), rtol=1e-4, atol=1e-5)
    first = np.concatenate([raw for _, raw in engine.run(ground[None], patch[None], boxes[:, 0])])
    assert np.abs(first - found).max() > 0.01  # a box that is left out is seen


def test_threads_change_no_number_and_leave_none_behind(monkeypatch):
    monkeypatch.setattr(sizes, "SHORT", 0)
    engine, _, ground, patch = engine_and_images()
    boxes = grid((19, 14), 2, 1)
    alone = [raw for _, raw in engine.run(ground[None], patch[None], boxes)]
    assert len(alone) > 1
    running = threading.active_count()
    torch.set_num_threads(3)
    try:
        together = [raw for _, raw in engine.run(ground[None], patch[None], boxes)]
        assert torch.get_num_threads() == 3
        stopped = engine.run(ground[None], patch[None], boxes)
        next(stopped)
        stopped.close()
        assert (torch.get_num_threads(), threading.active_count()) == (3, running)
    finally:
        torch.set_num_threads(1)
    np.testing.assert_array_equal(np.concatenate(together), np.concatenate(alone))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("positions", [1, 2, 5, 225, 729])
def test_threads_end_together(monkeypatch, threads, positions):
    """No thread waits long for another: groups are as many as the threads can share, and of one size but for a few."""
    engine, _, *images = engine_and_images()
    ground, patch = map(torch.tensor, images)
    boxes = np.resize(grid((19, 14), 2, 1), (positions, 2, 2))
    monkeypatch.setattr(sizes, "SHORT", 0)
    torch.set_num_threads(threads)
    try:
        spans = [(start, stop) for start, stop, _ in engine.sweep(engine.clean(ground), patch, boxes)]
    finally:
        torch.set_num_threads(1)
    taken = [stop - start for start, stop in spans]
    assert sum(taken) == positions
    assert len(spans) % threads == 0 or positions < threads**2
    assert max(taken) - min(taken) < len(spans)


def test_a_short_sweep_stays_on_its_thread(monkeypatch):
    engine, _, ground, patch = engine_and_images()
    boxes, taken = grid((19, 14), 2, 1), []
    taking = Engine._local_part
    monkeypatch.setattr(
        Engine, "_local_part", lambda *given: (taken.append(threading.current_thread().name), taking(*given))[1]
    )
    torch.set_num_threads(2)
    try:
        list(engine.run(ground[None], patch[None], boxes))
        assert set(taken) == {"MainThread"}
        monkeypatch.setattr(sizes, "SHORT", engine.plan(boxes).done)
        list(engine.run(ground[None], patch[None], boxes))
        assert "eyeline_0" in taken
    finally:
        torch.set_num_threads(1)


def test_where_windows_part_from_the_whole_image_is_named(monkeypatch):
    engine, _, ground, patch = engine_and_images()
    box = np.array([[3, 9], [4, 9]])
    assert engine.parts(ground, patch, box, 1e-3) == ""
    assert engine.parts(ground, patch, np.stack([box, box + 5]), 1e-3) == ""
    place = next(place for place, layer in engine._layers.items() if layer is not None and place > 1)
    layer = engine._layers[place]
    wrong = layer._replace(run=lambda source, frame: layer.run(source, frame) * 1.1)
    monkeypatch.setitem(engine._layers, place, wrong)
    assert engine.parts(ground, patch, box, 1e-3) == engine.graph.nodes[place].name


def test_boxes_of_any_size_the_whole_image_and_one_pixel():
    boxes = np.array([[[0, 19], [0, 14]], [[18, 19], [13, 14]], [[0, 1], [0, 14]], [[7, 9], [3, 4]]])
    agrees(network(LAYERS["sum"], LAYERS["max"], end="mean"), (19, 14), boxes, channels=2)


LAYER = st.sampled_from(["conv", "depthwise", "max", "average", "norm", "residual", "beside", "pad", "clamp"])


def drawn(draw, channels):
    """One layer, and its channels; sizes shrink slowly, so that many layers fit."""
    kind = draw(LAYER)
    kernel, padding = draw(st.integers(1, 3)), (draw(st.integers(0, 2)), draw(st.integers(0, 2)))
    stride, dilation = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    wide = draw(st.sampled_from([2, 4, 32]))
    match kind:
        case "conv":
            return nn.Conv2d(channels, wide, kernel, stride, padding, dilation, bias=draw(st.booleans())), wide
        case "depthwise":
            return nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels), channels
        case "max":
            return nn.MaxPool2d(2, stride, ceil_mode=draw(st.booleans())), channels
        case "average":
            counted = draw(st.booleans())
            return nn.AvgPool2d(3, stride, 1, ceil_mode=draw(st.booleans()), count_include_pad=counted), channels
        case "norm":
            norm = nn.BatchNorm2d(channels)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, -0.5, 0.5)
            return norm, channels
        case "residual":
            return plus(nn.Conv2d(channels, channels, 3, padding=1), nn.Identity()), channels
        case "beside":
            other = nn.Conv2d(channels, wide, 3, stride, 1)
            return beside(nn.Conv2d(channels, wide, 1, stride), other), 2 * wide
        case "pad":
            return nn.ConstantPad2d((*padding, *padding[::-1]), draw(st.sampled_from([0.0, 0.5]))), channels
    return nn.ReLU6(), channels


@st.composite
def random_networks(draw):
    torch.manual_seed(draw(st.integers(0, 99)))
    channels, layers = 2, []
    for _ in range(draw(st.integers(2, 7))):
        layer, channels = drawn(draw, channels)
        layers.append(layer)
        if draw(st.booleans()):
            layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers, *ENDS[draw(st.sampled_from(sorted(ENDS)))](channels)).eval()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(module=random_networks(), size=st.tuples(st.integers(11, 23), st.integers(11, 23)), data=st.data())
def test_random_networks_at_every_position(module, size, data):
    try:
        with torch.no_grad():
            module(torch.zeros(1, 2, *size))
    except RuntimeError:
        return  # shrunk to nothing
    window = tuple(data.draw(st.integers(1, 7)) for _ in size)
    boxes = grid(size, window, tuple(max(1, each - 1) for each in window))
    agrees(module, size, boxes[data.draw(st.integers(0, 3)) :: 3], channels=2)
