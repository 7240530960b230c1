"""The twin with folded batch norms: the same derivatives, whatever happens to the network, which is never touched."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import eyeline
from eyeline.models import torch_twin
from eyeline.models.torch_state import fingerprint

SIDE = 12
IMAGES = np.random.default_rng(0).random((3, SIDE, SIDE, 3), dtype=np.float32)


def weigh(scores):
    return 1 / np.arange(1, scores.shape[1] + 1) * np.ones_like(scores)


class Block(nn.Module):
    """A shortcut, a convolution of one tap, a depthwise one, norms with and without weights."""

    def __init__(self, act=nn.ReLU):
        super().__init__()
        self.stem, self.first = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8)
        self.wide, self.second = nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16, affine=False)
        self.deep, self.third = nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.BatchNorm2d(16, eps=1e-2)
        self.back, self.fourth = nn.Conv2d(16, 8, 1), nn.BatchNorm2d(8)
        self.act, self.last = act(), nn.Linear(8, 4)

    def forward(self, images):
        start = self.act(self.first(self.stem(images)))
        found = self.act(self.second(self.wide(start)))
        found = self.fourth(self.back(self.act(self.third(self.deep(found)))))
        return self.last((start + found).mean((2, 3)))


def network(kind=Block, *given):
    torch.manual_seed(0)
    module = kind(*given)
    for each in module.modules():
        if isinstance(each, nn.BatchNorm2d):
            nn.init.uniform_(each.running_mean, -1, 1)
            nn.init.uniform_(each.running_var, 0.5, 2)
            if each.affine:
                nn.init.uniform_(each.weight, -2, 2)
                nn.init.uniform_(each.bias, -1, 1)
    return module.eval()


def gradient(module, images=IMAGES, passes=50):
    """Scores and gradient; of a model that hears of many passes."""
    model = module if hasattr(module, "gradient") else eyeline.load(module, input_size=SIDE)
    model.prepare(passes)
    return model.gradient(images, weigh)


def agrees(model, tolerance=1e-10, images=IMAGES):
    """Assert that the twin, if there is one, gives what the network gives, and say whether there is one."""
    for found, wanted in zip(gradient(model, images), gradient(model, images, 1), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * np.abs(wanted).max())
    return model._twins._twin is not None


def loaded(module):
    return eyeline.load(module, input_size=SIDE)


@pytest.mark.parametrize("act", [nn.ReLU, nn.ReLU6, nn.SiLU])
def test_the_derivatives_are_the_same(act):
    """Outputs are float32 images, so that double precision agrees to those."""
    assert agrees(loaded(network(Block, act).double()), 1e-6)


def test_in_single_precision_too():
    """With an activation that rounding cannot open or shut."""
    module = network(Block, nn.SiLU)
    assert agrees(loaded(module), 1e-5)
    assert sum(isinstance(each, torch_twin.Pointwise) for each in torch_twin.Twin(module).module.modules()) == 2


def test_one_and_three_axes():
    for conv, norm, space in ((nn.Conv1d, nn.BatchNorm1d, (12,)), (nn.Conv3d, nn.BatchNorm3d, (5, 6, 7))):
        module = nn.Sequential(conv(3, 4, 3, bias=False), norm(4), nn.SiLU(), nn.Flatten(), nn.LazyLinear(3)).eval()
        module(torch.zeros(1, 3, *space))
        nn.init.uniform_(module[1].running_var, 0.5, 2)
        model = eyeline.load(module, input_size=space)
        assert agrees(model, 1e-5, np.random.default_rng(0).random((2, *space, 3), dtype=np.float32))


def test_few_images_do_without():
    model = loaded(network())
    eyeline.explain(model, IMAGES, "gradient")
    assert model._twins._twin is None
    eyeline.explain(model, IMAGES, "integratedgradients", steps=6)
    assert model._twins._twin is not None


CHANGES = {
    "a step of an optimiser": lambda module: torch.optim.SGD(module.parameters(), 0.5).step(),
    "numbers written behind autograd's back": lambda module: module.wide.weight.data.mul_(1.5),
    "numbers written through NumPy": lambda module: np.multiply(module.stem.weight.detach().numpy(), 2,
                                                                out=module.stem.weight.detach().numpy()),
    "running statistics": lambda module: module.third.running_mean.add_(0.3),
    "the norm's own weights": lambda module: module.first.bias.data.add_(0.3),
    "another tensor": lambda module: setattr(module.back, "weight", nn.Parameter(module.back.weight * 2)),
    "another layer": lambda module: setattr(module, "last", nn.Linear(8, 4).double()),
    "another activation": lambda module: setattr(module, "act", nn.Tanh()),
    "a setting": lambda module: setattr(module.third, "eps", 0.5),
    "a kind of layer": lambda module: setattr(module.first, "__class__", Doubling),
    "loaded weights": lambda module: module.load_state_dict(network(Block, nn.ReLU).double().state_dict()),
    "a forward of one's own": lambda module: setattr(module, "forward", lambda given: module.stem(given).mean((2, 3))),
    "a hook": lambda module: module.deep.register_forward_hook(lambda layer, given, output: output * 2),
    "a hook before": lambda module: module.register_forward_pre_hook(lambda layer, given: (given[0] * 2,)),
    "more channels beside": lambda module: module.stem.register_buffer("more", torch.zeros(1)),
}  # fmt: skip


class Doubling(nn.BatchNorm2d):
    def forward(self, images):
        return 2 * super().forward(images)


@pytest.mark.parametrize("name", CHANGES)
def test_it_follows_the_network(name):
    module = network(Block, nn.SiLU).double()
    model = loaded(module)
    assert agrees(model, 1e-6)
    before = gradient(model)[1]
    for each in module.parameters():
        each.grad = torch.ones_like(each)
    CHANGES[name](module)
    agrees(model, 1e-6)
    if name not in ("loaded weights", "more channels beside"):
        assert not np.allclose(gradient(model)[1], before, rtol=1e-3), "the change must be seen"


class Twice(Block):
    """The output of a convolution is read by another operation too."""

    def forward(self, images):
        plain = self.stem(images)
        return self.last((self.act(self.first(plain)) + plain).mean((2, 3)))


class Shared(Block):
    """A convolution runs twice."""

    def forward(self, images):
        one, two = self.first(self.stem(images)), self.fourth(self.stem(2 * images))
        return self.last((one + two).mean((2, 3)))


class Choosing(Block):
    """The way depends on the numbers."""

    def forward(self, images):
        found = self.first(self.stem(images))
        return self.last((found if images.sum() > 0 else -found).mean((2, 3)))


class Asking(Block):
    """Takes another way where it is read."""

    def forward(self, images):
        found = self.first(self.stem(images))
        return self.last((found if isinstance(images, torch.Tensor) else -found).mean((2, 3)))


class Functions(Block):
    """Functions in the place of layers: nothing to fold."""

    def forward(self, images):
        found = functional.conv2d(images, self.stem.weight, self.stem.bias)
        norm = self.first
        found = functional.batch_norm(found, norm.running_mean, norm.running_var, norm.weight, norm.bias)
        return self.last(found.mean((2, 3)))


class Holding(Block):
    """A setting that may change unseen."""

    def __init__(self):
        super().__init__()
        self.held = object()


class Normless(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 3))


@pytest.mark.parametrize("kind", [Twice, Shared, Choosing, Asking, Functions, Holding, Normless])
def test_where_it_cannot_be_proved_the_network_runs(kind):
    assert not agrees(loaded(network(kind).double()), 1e-6)


def test_other_kinds_of_modules():
    module = network()
    program = torch.export.export(module, (torch.zeros(2, 3, SIDE, SIDE),)).module()
    for each in (program, torch.fx.symbolic_trace(module)):
        with pytest.raises(torch_twin.NoTwinError):
            torch_twin.Seen(each)


class Writing(Block):
    """Keeps what it has seen, in attributes and lists."""

    def __init__(self):
        super().__init__()
        self.seen, self.latest = [], None

    def forward(self, images):
        self.latest = images
        self.seen.append(1)
        return super().forward(images)


@pytest.mark.parametrize("kind", [Block, Writing])
def test_the_network_is_left_as_it_was(kind):
    module = network(kind).train()
    kept, before = copy.deepcopy(module), fingerprint(module)
    names = {name: set(vars(each)) for name, each in module.named_modules()}
    model = loaded(module)
    gradient(model)
    assert all(each.training for each in module.modules())
    assert all(each.requires_grad and each.grad is None for each in module.parameters())
    assert {name: set(vars(each)) for name, each in module.named_modules()} == names
    if kind is Block:
        assert fingerprint(module) == before
    else:
        assert isinstance(module.latest, torch.Tensor), "no proxy of the reader came in"
    for one, other in zip(module.state_dict().values(), kept.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


# --- each oracle can fail -------------------------------------------------------------------------------------


def stale(monkeypatch):
    refresh, done = torch_twin.Twin.refresh, []
    monkeypatch.setattr(torch_twin.Twin, "refresh", lambda self: done or done.append(refresh(self)) or done.append(1))


def blind(monkeypatch):
    monkeypatch.setattr(torch_twin.Seen, "same", lambda self: True)


@pytest.mark.parametrize(
    ("breaks", "name"),
    [(stale, "numbers written behind autograd's back"), (stale, "running statistics"), (blind, "another layer"),
     (blind, "a hook"), (blind, "another tensor")],
)  # fmt: skip
def test_the_oracle_notices(monkeypatch, breaks, name):
    breaks(monkeypatch)
    with pytest.raises(AssertionError):
        test_it_follows_the_network(name)


def test_a_wrong_twin_is_refused(monkeypatch):
    """Sabotage: its outputs are compared with the network's."""
    refresh = torch_twin.Twin.refresh

    def wrong(self):
        refresh(self)
        self._folded[0].bias.data.mul_(1.1)

    monkeypatch.setattr(torch_twin.Twin, "refresh", wrong)
    assert not agrees(loaded(network().double()), 1e-6)
