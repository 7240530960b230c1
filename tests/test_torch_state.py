"""The fingerprint of a PyTorch module, what its layers give, and what an engine for it is foreseen to bring."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from eyeline import load
from eyeline.errors import ModelError, UnsupportedError
from eyeline.incremental.plan import plan
from eyeline.incremental.simplify import simplify
from eyeline.models import torch_state
from eyeline.window import Box


class Network(nn.Module):
    """Layers of every kind of state: weights, buffers, plain numbers, a tensor that is no parameter."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(inplace=True))
        self.wide = nn.Conv2d(16, 128, 3)
        self.last = nn.Linear(128, 4)
        self.register_buffer("kept", torch.zeros(3), persistent=False)
        self.table = torch.ones(4)
        self.factor = 2.0

    def forward(self, images):
        return self.last(functional.relu(self.wide(self.body(images))).mean((2, 3))) * self.factor * self.table


def pictures(n=2, size=(20, 16)):
    return np.random.default_rng(0).random((n, *size, 3), dtype=np.float32)


def step(module):
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-7)
    module(torch.ones(1, 3, 8, 8)).sum().backward()
    optimizer.step()


@torch.no_grad()
def exchange(module):
    """Two filters change places: the same numbers, elsewhere."""
    module.wide.weight[[3, 90]] = module.wide.weight[[90, 3]]


@torch.no_grad()
def one_bit(module):
    module.wide.weight.view(-1).view(torch.int32)[12345] ^= 1


@torch.no_grad()
def load_scaled(module):
    module.load_state_dict({key: value * 1.5 for key, value in module.state_dict().items()}, strict=True)


CHANGES = {
    "optimizer": step,
    "state dict": load_scaled,
    "data": lambda module: module.last.bias.data.__setitem__(2, 7.0),
    "one bit": one_bit,
    "filters exchanged": exchange,
    "buffer": lambda module: module.kept.add_(1),
    "statistics": lambda module: module.body[1].running_var.mul_(2),
    "layer": lambda module: module.body.__setitem__(2, nn.GELU()),
    "layer added": lambda module: module.body.append(nn.Identity()),
    "setting": lambda module: setattr(module.wide, "stride", (2, 2)),
    "number": lambda module: setattr(module, "factor", 3.0),
    "plain tensor": lambda module: module.table.mul_(2),
    "hook": lambda module: module.wide.register_forward_hook(lambda layer, given, output: output * 2),
    "forward": lambda module: setattr(module, "forward", lambda images: images.mean((2, 3))),
    "dtype": lambda module: module.double(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_another_fingerprint(change):
    module = Network()
    model = load(module)
    before = model.fingerprint()
    assert model.fingerprint() == before
    CHANGES[change](module)
    assert model.fingerprint() != before


def test_a_mode_and_a_run_are_none_and_a_copy_is_the_same():
    module = Network()
    model = load(module)
    before = model.fingerprint()
    module.eval()
    model.scores(pictures())
    assert model.fingerprint() == before == load(copy.deepcopy(module)).fingerprint()


def test_a_plain_sum_would_not_see_exchanged_filters(monkeypatch):
    """Sabotage twin: with equal factors the checksum is blind to the place of a number."""
    monkeypatch.setattr(torch_state.np.random, "default_rng", lambda _: Same())
    module = nn.Linear(4096, 2)
    before = torch_state.fingerprint(module)
    with torch.no_grad():
        module.weight[:, [0, 2]] = module.weight[:, [2, 0]].clone()
        module.weight[:, [1, 3]] = module.weight[:, [3, 1]].clone()
    assert torch_state.fingerprint(module) == before


class Same:
    def integers(self, high, size, dtype):
        return np.ones(size, dtype)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int8, torch.bool])
def test_tensors_of_any_type_are_read(dtype):
    module = nn.Identity()
    module.register_buffer("held", torch.ones(5000).to(dtype).reshape(2, 50, 50).movedim(0, 2))
    before = torch_state.fingerprint(module)
    module.held[1, 1, 1] = 0
    assert torch_state.fingerprint(module) != before


def test_layers_give_what_hooks_of_ones_own_see():
    module, images = Network(), pictures(3)
    given = torch.tensor(images).movedim(-1, 1)
    with torch.no_grad():
        first = module.eval().body[0](given)
        second = module.body[1](first)
        third = module.wide(second.relu())
        last = module.last(third.relu().mean((2, 3)))
    found = load(module.train()).activations(images, {"body.0", "body.1", "wide", "last", "body", "nothing"})
    assert found.keys() == {"body.0", "body.1", "wide", "last"}, "layers that hold others are left out"
    for name, expected in {"body.0": first, "body.1": second, "wide": third}.items():
        np.testing.assert_allclose(found[name], expected.movedim(1, -1).numpy(), atol=1e-6, err_msg=name)
    np.testing.assert_allclose(found["last"], last.numpy(), atol=1e-6)
    assert all(each.training for each in module.modules())


def test_layers_that_run_twice_or_give_no_map_are_left_out():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.twice, self.tokens, self.pair = nn.ReLU(), nn.Flatten(2), nn.AdaptiveMaxPool2d(1, return_indices=True)

        def forward(self, images):
            self.tokens(images)
            return self.twice(self.pair(self.twice(images))[0])[:, :, 0, 0]

    assert load(Odd()).activations(pictures(), {"twice", "tokens", "pair"}) == {}


@pytest.mark.parametrize("call", ["activations", "share"])
def test_hooks_are_gone_also_after_an_error(call):
    module = Network()
    model = load(module)
    given = {"activations": (pictures(), {"wide"}), "share": (pictures(), pictures())}[call]
    getattr(model, call)(*given)
    assert not any(each._forward_hooks for each in module.modules())
    module.last = nn.Linear(5, 5)
    with pytest.raises(ModelError):
        getattr(model, call)(*given)
    assert not any(each._forward_hooks for each in module.modules())


@pytest.mark.parametrize("window", [4, 7])
def test_the_share_is_that_of_the_plan(window):
    """From one run of two images, what the exact plan finds for the window in the middle."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 5, stride=2, padding=2), nn.Conv2d(8, 4, 3)]
    model = load(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)))
    images, box = pictures(1, (40, 40)), np.array([[[16, 16 + window], [12, 12 + window]]])
    covered = images.copy()
    covered[(0, *Box.of(box[0]).slices)] = 0
    exact = plan(simplify(model.graph((40, 40, 3))), box)
    assert model.share(images, covered) == pytest.approx(exact.done / exact.full, abs=0.01)
    assert model.share(images, images) == 0


def test_the_share_of_a_network_that_is_global_from_the_start_is_all():
    model = load(nn.Sequential(nn.GroupNorm(1, 3), nn.Conv2d(3, 4, 3), nn.Flatten(), nn.LazyLinear(2)))
    model.scores(pictures(1, (12, 12)))
    images = pictures(1, (12, 12))
    covered = images.copy()
    covered[:, :3, :3] = 0
    assert model.share(images, covered) == 1


def asks_for_a_sign(images):
    return images.mean((2, 3)) if images.sum() > 0 else images.amax((2, 3))


def asks_for_a_number(images):
    return images.mean((2, 3)) * float(images.max())


def asks_numpy(images):
    return torch.from_numpy(images.numpy().mean((2, 3)))


@pytest.mark.parametrize("forward", [asks_for_a_sign, asks_for_a_number, asks_numpy])
def test_a_forward_that_asks_for_numbers_is_not_foreseen(forward):
    class Asking(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 1)

        def forward(self, images):
            return forward(self.layer(images))

    images = pictures(1)
    assert load(Asking()).share(images, images) == 1
    assert load(nn.Sequential(nn.Conv2d(3, 3, 1), nn.Flatten())).share(images, images) == 0


def test_setting_up_costs_more_for_more_layers_and_more_weights():
    few, many = nn.Linear(10, 10), nn.Sequential(*(nn.Linear(10, 10) for _ in range(50)))
    heavy = nn.Linear(3000, 3000)
    seconds = [load(each, input_size=(1, 1)).setup((1, 1, 3)) for each in (few, many, heavy)]
    assert seconds[0] < min(seconds[1:])


@pytest.mark.parametrize(
    ("change", "shape", "said"),
    [
        (lambda module: module.double(), (8, 8, 3), "be of float32 numbers .* but got float64"),
        (lambda module: module.half(), (8, 8, 3), "be of float32 numbers .* but got float16"),
        (lambda module: module.to("meta"), (8, 8, 3), "lie on the CPU .* but got meta"),
        (lambda module: module, (8, 3), "take images of two axes .* but got 1"),
        (lambda module: module, (8, 8, 8, 3), "take images of two axes .* but got 3"),
        (lambda module: torch.jit.trace(module, torch.ones(1, 3, 8, 8)), (8, 8, 3), "but got TorchScript"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_has_no_graph_is_said_at_once(change, shape, said):
    module = change(nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval())
    model = load(module)
    for call in (model.setup, model.graph):
        with pytest.raises(UnsupportedError, match=f"the network must .*{said}"):
            call(shape)
