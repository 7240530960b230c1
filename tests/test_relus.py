"""Guided backpropagation and deconvnet: answers on paper, a second version by other means, and what is refused."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import eyeline
from eyeline.errors import UnsupportedError
from eyeline.models import torch_rules

RAMP = np.arange(16, dtype=np.float32).reshape(4, 4, 1)
PAPER = {
    "gradient": [[0, 1, 1, 1], [0, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]],
    "guidedbackpropagation": [[0, 1, 1, 1], [1, 3, 3, 2], [1, 3, 3, 2], [1, 2, 2, 1]],
    "deconvnet": [[2, 3, 3, 1], [3, 5, 5, 2], [3, 5, 5, 2], [1, 2, 2, 1]],
}
"""Of CN1 at the ramp, from the published tests of Captum; the gradient is arithmetic."""

RELUS = {
    "ReLU": nn.ReLU(),
    "in place": nn.ReLU(inplace=True),
    "functional": functional.relu,
    "torch.relu": torch.relu,
    "relu_": lambda values: values.relu_(),
    "hardtanh": nn.Hardtanh(0, 1e4),
    "hardtanh in place": nn.Hardtanh(0, 1e4, inplace=True),
    "clamp": lambda values: values.clamp(min=0),
    "clamped twice": lambda values: values.clamp(0, 1e4),
    "clamp_": lambda values: values.clamp_(0),
    "clamp_min": lambda values: torch.clamp_min(values, 0),
    "clamp to a tensor": lambda values: values.clamp(torch.zeros(())),
    "threshold": nn.Threshold(0, 0),
    "maximum": lambda values: torch.maximum(values, torch.zeros(())),
    "maximum of the other": lambda values: torch.maximum(torch.zeros_like(values), values),
}


class CN1(nn.Module):
    """The convolutional network of ORACLES in Captum's tests, with a ReLU of any spelling."""

    def __init__(self, relu):
        super().__init__()
        self.conv, self.dense, self.relu = nn.Conv2d(1, 2, 3), nn.Linear(8, 4, bias=False), relu
        with torch.no_grad():
            self.conv.weight.fill_(1)
            self.conv.bias.copy_(torch.tensor([-50.0, -75.0]))
            self.dense.weight.copy_(torch.tensor([1.0] * 5 + [-1.0] * 3).expand(4, 8))

    def forward(self, images):
        return self.relu(self.dense(self.relu(self.conv(images)).flatten(1)))


def published(method, relu):
    found = eyeline.explain(CN1(relu), RAMP, method, 0, channels="sum").maps[0]
    np.testing.assert_array_equal(found, np.float32(PAPER[method]))


@pytest.mark.parametrize("method", PAPER)
@pytest.mark.parametrize("relu", RELUS.values(), ids=RELUS)
def test_published_values_whatever_the_relu_is_called(method, relu):
    published(method, relu)


@pytest.mark.parametrize("rule", ["_guided", "_deconvnet"])
def test_the_published_values_notice(monkeypatch, rule):
    """Sabotage twin: the plain rule in the place of the other."""
    monkeypatch.setattr(torch_rules, rule, lambda inputs, outputs: inputs)
    with pytest.raises(AssertionError):
        published({"_guided": "guidedbackpropagation", "_deconvnet": "deconvnet"}[rule], nn.ReLU())


def test_gradient_of_one_minus_relu_of_one_minus_x():
    class Network(nn.Module):
        def forward(self, images):
            return (1 - functional.relu(1 - images)).flatten(1)

    pixels = np.float32([1, 2, 3, 0, -1, 7]).reshape(1, 6, 1)
    model = eyeline.load(Network(), input_size=(6,), output="raw")
    found = eyeline.explain(model, pixels, "gradient", np.ones((1, 6), np.float32), channels="sum").maps[0]
    np.testing.assert_array_equal(found, [0, 0, 0, 1, 1, 0])


class ByHand(torch.autograd.Function):
    """A ReLU6 whose own backward pass is the rule: the way of most tools."""

    rule = ""

    @staticmethod
    def forward(ctx, values):
        ctx.save_for_backward(values)
        return values.clamp(0, 6)

    @staticmethod
    def backward(ctx, back):
        (values,) = ctx.saved_tensors
        positive = torch.where(back > 0, back, 0)
        return torch.where((values > 0) & (values < 6), positive, 0) if ByHand.rule == "guided" else positive


class Deep(nn.Module):
    """Convolutions, norm, pooling, a sum and a gate, with ReLU6 that clips."""

    def __init__(self, relu):
        super().__init__()
        torch.manual_seed(3)
        self.one, self.two, self.three = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 5)
        self.norm, self.relu = nn.BatchNorm2d(8), relu

    def forward(self, images):
        first = functional.max_pool2d(self.relu(9 * self.one(images)), 2)
        second = self.relu(self.norm(first + 3 * self.two(first)))
        return self.three((second * torch.sigmoid(second.mean((2, 3), keepdim=True))).mean((2, 3)))


@pytest.mark.parametrize(("method", "rule"), [("guidedbackpropagation", "guided"), ("deconvnet", "deconvnet")])
def test_clipped_relus_against_functions_with_a_backward_pass_of_their_own(method, rule, monkeypatch):
    monkeypatch.setattr(ByHand, "rule", rule)
    images = np.random.default_rng(1).random((3, 12, 9, 3), dtype=np.float32)
    leaf = torch.from_numpy(images).movedim(-1, 1).requires_grad_()
    own = Deep(ByHand.apply).eval()
    (expected,) = torch.autograd.grad(own(leaf)[:, 2].sum(), leaf)
    attribution = eyeline.explain(Deep(nn.ReLU6(inplace=True)), images, method, 2, channels=None, batch=2)
    np.testing.assert_allclose(attribution.maps, expected.movedim(1, -1), rtol=1e-5, atol=1e-8)
    plain = eyeline.explain(Deep(nn.ReLU6()), images, "gradient", 2, channels=None)
    assert np.abs(plain.maps - attribution.maps).max() > 0.01, "the rule does something here"


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_torchscript_hides_no_relu_however_often_it_runs():
    images = np.random.default_rng(2).random((2, 12, 9, 3), dtype=np.float32)
    expected = eyeline.explain(Deep(nn.ReLU6()), images, "guidedbackpropagation", 1).maps
    model = eyeline.load(torch.jit.trace(Deep(nn.ReLU6()).eval(), torch.rand(1, 3, 12, 9)))
    for _ in range(4):
        model.gradient(images, np.ones_like)
        found = eyeline.explain(model, images, "guidedbackpropagation", 1).maps
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)


OTHERS = {
    "SiLU": nn.SiLU(), "GELU": nn.GELU(), "ELU or SELU": nn.SELU(), "leaky ReLU": nn.LeakyReLU(), "PReLU": nn.PReLU(),
    "hard swish": nn.Hardswish(), "Mish": nn.Mish(), "softplus": nn.Softplus(), "hardtanh": nn.Hardtanh(-1, 1),
    "RReLU": nn.RReLU(), "CELU": nn.CELU(), "softshrink": nn.Softshrink(), "hardshrink": nn.Hardshrink(),
    "log-sigmoid": nn.LogSigmoid(), r"a backward pass of its own \(ByHand\)": ByHand.apply,
}  # fmt: skip


@pytest.mark.parametrize("beside", [True, False], ids=["beside ReLUs", "alone"])
@pytest.mark.parametrize("name", OTHERS)
def test_other_activations_are_refused(name, beside):
    def activated(values):
        return OTHERS[name](values.relu() if beside else values)

    with pytest.raises(UnsupportedError, match=f"must be ReLUs for deconvnet, but .* has .*{name}.*method='gradient'"):
        eyeline.explain(CN1(activated), RAMP, "deconvnet", 0)


@pytest.mark.parametrize("activation", [nn.Identity(), nn.Sigmoid(), torch.tanh, lambda values: values.clamp(max=1)])
def test_a_network_without_relus_is_refused(activation):
    with pytest.raises(UnsupportedError, match=r"must be ReLUs for guided backpropagation, but .* has none"):
        eyeline.explain(CN1(activation), RAMP, "guidedbackpropagation", 0)


def test_scores_alone_are_not_enough():
    with pytest.raises(UnsupportedError, match="'deconvnet' must have a model with gradients"):
        eyeline.explain(lambda images: images.mean(axis=(1, 2)), RAMP, "deconvnet")


def test_the_network_is_as_before_also_after_an_error():
    for activation, fails in ((nn.ReLU(), False), (nn.SiLU(), True)):
        network = CN1(activation).train()
        network.conv.bias.requires_grad_(False)
        state = [(each.requires_grad, each.grad) for each in network.parameters()]
        model = eyeline.load(network)
        if fails:
            with pytest.raises(UnsupportedError):
                eyeline.explain(model, RAMP, "guidedbackpropagation")
        else:
            eyeline.explain(model, RAMP, "guidedbackpropagation")
        assert [(each.requires_grad, each.grad) for each in network.parameters()] == state
        assert all(each.training for each in network.modules())
        assert not any(each._forward_hooks or each._backward_hooks for each in network.modules())
        plain = eyeline.explain(model, RAMP, "gradient", 0, channels="sum").maps
        fresh = eyeline.explain(CN1(activation), RAMP, "gradient", 0, channels="sum").maps
        np.testing.assert_array_equal(plain, fresh)
