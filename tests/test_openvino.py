"""What OpenVINO computes is what the module computes, in float32; what cannot be written for it is refused."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import eyeline
from eyeline.errors import MissingDependencyError, ModelError, UnsupportedError
from eyeline.incremental.graph import Activation, Flatten, Graph, Input, Node
from eyeline.incremental.simplify import simplify
from eyeline.models import openvino, openvino_activations
from eyeline.models.openvino import compiled, compiled_graph
from eyeline.models.openvino_activations import Written

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import networks

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")

ALLOWED = 5  # times the framework's own error in single precision
SIZE = (13, 10)
IMAGES = np.random.default_rng(0).random((3, *SIZE, 4), dtype=np.float32)


def opened(module, size=SIZE, **settings):
    return eyeline.load(module.eval(), input_size=size, output="logit", **settings)


@torch.no_grad()
def apart(module, images, run):
    """How far OpenVINO is from the module in double precision, as a share of what is allowed."""
    given = torch.from_numpy(np.moveaxis(images, -1, 1).copy())
    exact = copy.deepcopy(module).double()(given.double())
    single = [module(given), module(given.contiguous(memory_format=torch.channels_last))]
    single.append(torch.cat([module(each[None]) for each in given]))
    error = max(float((each - exact).abs().max()) for each in single)
    found = run(images)
    assert found.dtype == np.float64
    assert found.shape == exact.shape
    return np.abs(found - exact.numpy()).max() / (ALLOWED * error + 1e-6 * float(exact.abs().max()))


def flat(operation):
    """Every number that an operation makes is compared."""
    module = nn.Sequential(operation, nn.Flatten()).eval()
    return apart(module, IMAGES, compiled(opened(module), IMAGES.shape[1:]))


def graph_of(activation):
    shape = (3, 3, 2)
    return Graph((Node(Input(), (), shape), Node(activation, (0,), shape, "gate"), Node(Flatten(), (1,), (18,))))


class Do(nn.Module):
    """A function of the images and of layers."""

    def __init__(self, function, *layers):
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, images):
        return self.function(images, *self.layers)


# whole networks ------------------------------------------------------------------------------------------------------


def gated(images, reduce, expand):
    """Squeeze and excitation as MobileNetV3 has it: a mean over axes, a hard gate, the factor in front."""
    means = images.mean((2, 3), keepdim=True)
    return functional.hardsigmoid(expand(functional.relu(reduce(means)))) * images


def squeezed():
    torch.manual_seed(0)
    gate = Do(gated, nn.Conv2d(12, 4, 1), nn.Conv2d(4, 12, 1))
    branch = nn.Sequential(*networks.conv(12, 12, 5, groups=12, activation=nn.Hardswish), gate)
    first = [*networks.conv(3, 12, 3, 2, activation=nn.Hardswish), networks.Residual(branch)]
    last = [networks.Excited(12, 3), *networks.conv(12, 20, 1, activation=nn.SiLU), *networks.head(20, 7)]
    return nn.Sequential(*first, *last).eval()


NETWORKS = ["MobileNetV2", "DenseNet121", "ConvNeXt-T", "EfficientNet-B0", "small", "squeezed"]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_gives_the_frameworks_numbers(name):
    module = squeezed() if name == "squeezed" else networks.build(name, classes=10, size=64)
    run = compiled(opened(module, 64), (64, 64, 3))
    assert apart(module, networks.pictures(3, 64, seed=1), run) <= 1


def test_bfloat16_would_be_seen(monkeypatch):
    """Sabotage twin: what OpenVINO chooses by itself where the processor has it."""
    if "BF16" not in openvino._openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bfloat16")
    monkeypatch.setitem(openvino.SETTINGS, "INFERENCE_PRECISION_HINT", "bf16")
    module = squeezed()
    assert apart(module, networks.pictures(3, 64, seed=1), compiled(opened(module, 64), (64, 64, 3))) > 10


@pytest.mark.parametrize(("wide", "alone"), [(200, False), (1, True)])
def test_any_number_of_images(wide, alone):
    """They go one at a time where maps outweigh weights, else all at once."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(4, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(264, wide), nn.Linear(wide, 5))
    model = opened(module)
    assert openvino._alone(simplify(model.graph(IMAGES.shape[1:]))) is alone
    run = compiled(model, IMAGES.shape[1:])
    many = np.random.default_rng(1).random((6, *SIZE, 4), dtype=np.float32)
    for images in (many, many[:1], many[1:3], many[::2]):
        assert apart(module, images, run) <= 1


def test_preprocessing_and_head_are_part_of_it():
    module = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    steps = eyeline.Preprocess(scale=255, mean=(100, 120, 90, 7), std=(60, 50, 70, 3))
    model = opened(module, preprocess=steps, head=lambda output: output * 3, scores="probability")
    found = model.convert(compiled(model, IMAGES.shape[1:])(IMAGES))
    np.testing.assert_allclose(found, model.scores(IMAGES), rtol=1e-5, atol=1e-6)


# operations ----------------------------------------------------------------------------------------------------------


def mixed(images, norm, mix):
    return mix(norm(images.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


torch.manual_seed(0)
OPERATIONS = {
    "strides": nn.Conv2d(4, 6, (3, 5), (2, 1), (1, 2), bias=False),
    "dilation": nn.Conv2d(4, 6, 3, padding=(2, 1), dilation=(1, 3)),
    "more padding behind": nn.Conv2d(4, 6, (2, 4), padding="same"),
    "groups": nn.Conv2d(4, 6, 3, groups=2),
    "depthwise": nn.Conv2d(4, 8, 3, 2, 1, groups=4),
    "constants": Do(lambda images: (images * 255 - 127) / 128 * torch.arange(4.0)[:, None, None]),
    "max pool": nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    "max pool with gaps": nn.MaxPool2d((2, 3), (2, 1), (1, 0), dilation=(3, 2)),
    "max pool that leaves a rest": nn.MaxPool2d(3, 3),
    "average": nn.AvgPool2d((3, 2), 2, 1),
    "average that sticks out": nn.AvgPool2d((3, 2), (3, 4), ceil_mode=True),
    "average of what is inside": nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
    "average by another number": nn.AvgPool2d(3, 2, 1, divisor_override=5),
    "zeros around": nn.Sequential(nn.ZeroPad2d((1, 2, 3, 0)), nn.ReLU()),
    "numbers around": nn.ConstantPad2d((2, 1, 0, 3), 0.7),
    "cut": nn.ZeroPad2d((-1, 2, -2, -1)),
    "norm of pixels": Do(mixed, nn.LayerNorm(4), nn.Linear(4, 6)),
    "norm without weights": Do(mixed, nn.LayerNorm(4, elementwise_affine=False), nn.Linear(4, 6)),
    "norm of a vector": nn.Sequential(nn.Flatten(), nn.Linear(520, 9), nn.LayerNorm(9), nn.Linear(9, 9), nn.ReLU()),
    "vectors": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), networks.Concatenated(nn.Linear(4, 3), nn.ReLU())),
    "side by side": Do(lambda images, conv: torch.cat([conv(images), images], 1), nn.Conv2d(4, 3, 1)),
    "sum": Do(lambda images, conv: functional.relu(conv(images) + images), nn.Conv2d(4, 4, 1)),
    "product": Do(lambda images, conv: functional.silu(conv(images) * images), nn.Conv2d(4, 4, 1)),
    "one pixel and a map": Do(lambda images: images.mean((2, 3), keepdim=True) + images * images.mean((2, 3), True)),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_gives_the_frameworks_numbers(name):
    assert flat(OPERATIONS[name]) <= 1


def test_padding_on_the_wrong_side_would_be_seen(monkeypatch):
    """Sabotage twin."""
    right = openvino._sides
    monkeypatch.setattr(openvino, "_sides", lambda geometries: right(geometries)[::-1])
    assert flat(OPERATIONS["more padding behind"]) > 1000
    assert flat(OPERATIONS["average"]) <= 1


ACTIVATIONS = [
    nn.ReLU(), nn.ReLU6(), nn.Hardtanh(-0.3, 0.7), nn.SiLU(), nn.Sigmoid(), nn.Hardswish(), nn.Hardsigmoid(), nn.GELU(),
    nn.GELU("tanh"), nn.LeakyReLU(0.3), nn.ELU(1.7), nn.CELU(0.6), nn.SELU(), nn.Tanh(), nn.Softplus(),
    nn.Softplus(2.5), nn.Mish(), nn.LogSigmoid(), Do(torch.abs), Do(torch.neg), Do(torch.square),
    Do(lambda images: images.clamp(min=-0.5)), Do(lambda images: images.clamp(max=0.5)),
]  # fmt: skip


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_an_activation_gives_the_frameworks_numbers(activation):
    shifted = Do(lambda images, inner: inner(images * 16 - 8), activation)
    assert flat(shifted) <= 1
    assert flat(nn.Sequential(nn.MaxPool2d(2), activation)) <= 1


@pytest.mark.parametrize(
    "activation", [Activation("softsign", call=functional.softsign), Activation("Erf", call=torch.erf)]
)
def test_an_activation_of_another_importer(activation):
    images = np.random.default_rng(0).uniform(-4, 4, (2, 3, 3, 2)).astype(np.float32)
    module = nn.Sequential(Do(activation.call), nn.Flatten())
    assert apart(module, images, compiled_graph(graph_of(activation))) <= 1


def test_another_activation_would_be_seen(monkeypatch):
    """Sabotage twin: the two formulas of GELU differ by 0.0005 at most."""
    gelu = openvino_activations.PLAIN["gelu"]
    other = Written(gelu.meaning, openvino_activations.PLAIN["gelutanh"].write)
    monkeypatch.setitem(openvino_activations.PLAIN, "gelu", other)
    assert flat(Do(lambda images: functional.gelu(images * 16 - 8))) > 10


# refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "call"),
    [("tanh", torch.sigmoid), ("leaky_relu", torch.tanh), ("sqrt", torch.sqrt)],
    ids=["by another name", "by other settings", "that makes NaN"],
)
def test_an_activation_that_is_not_known_is_refused(name, call):
    with pytest.raises(UnsupportedError, match=rf"must be made of operations .* but got {name} \(gate\)"):
        compiled_graph(graph_of(Activation(name, call=call)))


def test_an_operation_that_is_not_known_is_refused():
    model = opened(Do(lambda images, conv: conv(images).amax((2, 3)), nn.Conv2d(4, 5, 3)))
    with pytest.raises(UnsupportedError, match=r"but got aten\.amax\.default .*Run it by its own framework"):
        compiled(model, IMAGES.shape[1:])


def test_what_openvino_refuses_is_refused(monkeypatch):
    monkeypatch.setitem(openvino.SETTINGS, "PERFORMANCE_HINT", "WHATEVER")
    with pytest.raises(UnsupportedError, match=r"must be one that OpenVINO .* compiles, but it said: "):
        compiled_graph(graph_of(Activation.clamp()))


def test_a_function_is_refused():
    model = eyeline.load(lambda images: images.sum(axis=(1, 2)), input_size=SIZE)
    with pytest.raises(UnsupportedError, match="whose graph can be read, on images of two axes, but got FunctionModel"):
        compiled(model, IMAGES.shape[1:])


def test_images_of_another_size_are_refused():
    run = compiled_graph(graph_of(Activation.clamp()))
    with pytest.raises(ModelError, match=r"OpenVINO must accept images of shape \(2, 4, 3, 2\)"):
        run(np.zeros((2, 4, 3, 2), dtype=np.float32))


def test_a_missing_package_gives_the_pip_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependencyError, match=r"openvino must be installed.* pip install 'eyeline\[openvino\]'"):
        compiled(opened(nn.Flatten()), IMAGES.shape[1:])


def test_nothing_is_reported_to_anyone(tmp_path):
    """Importing OpenVINO reports that, through a package for which another is put here; eyeline's way does not."""
    package = tmp_path / "openvino_telemetry"
    (package / "backend").mkdir(parents=True)
    for name in ("__init__.py", "backend_ga4.py"):
        (package / "backend" / name).touch()
    report = "def send_event(self, *words): open('told', 'w').close()"
    (package / "__init__.py").write_text(f"class Telemetry:\n    def __init__(self, **words): pass\n    {report}\n")
    own = "import sys; from eyeline.models import openvino; openvino._openvino(); assert 'openvino' in sys.modules"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)}
    for code, told in ((own, False), ("import openvino", True)):
        subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment)
        assert (tmp_path / "told").exists() is told
