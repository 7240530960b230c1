"""What the importer reads from a module computes what the module computes; what it cannot follow, it refuses."""

import contextlib
import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

import eyeline
from eyeline.errors import UnsupportedError
from eyeline.incremental import dense
from eyeline.incremental.graph import Affine, Concat, Conv, Flatten, Linear, Unknown
from eyeline.incremental.simplify import simplify
from eyeline.models import torch_graph
from eyeline.models.torch_graph import capture

SIZE = (12, 10)
IMAGES = torch.rand(3, 4, *SIZE, generator=torch.Generator().manual_seed(0))


class Runs(nn.Module):
    """A forward given as a function, with a few layers to call."""

    def __init__(self, forward):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.other = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)
        self.dropout, self.layer_norm, self.mix = nn.Dropout(), nn.LayerNorm(4), nn.Linear(4, 4)
        self.attention = nn.MultiheadAttention(4, 2)
        self.scale = nn.Parameter(torch.rand(4, 1, 1))
        self.map = nn.Parameter(torch.rand(4, *SIZE))
        self.token = nn.Parameter(torch.rand(1, 1, 4))
        nn.init.uniform_(self.norm.running_mean)
        nn.init.uniform_(self.norm.weight, 0.5, 2)
        self._forward = forward

    def forward(self, images):
        return self._forward(self, images)


def pooled(values):
    return values.mean((2, 3))


def in_place_of_an_old_name(self, images):
    first = self.conv(images)
    functional.relu_(first)  # the result is not used, the old name is
    return pooled(first + images)


def added_in_place(self, images):
    first = self.conv(images)
    first += images
    first *= 2
    return pooled(first)


def through_a_view(self, images):
    first = self.conv(images)
    return first.flatten(1).relu_()


def dropped(self, images):
    first = self.dropout(self.conv(images))
    return pooled(first.relu_())


def permuted(self, images):
    values = self.conv(images).permute(0, 2, 3, 1)
    values = functional.gelu(self.mix(self.layer_norm(values)))
    return pooled(values.transpose(1, 3).transpose(2, 3) * self.scale + images)


def tokens(self, images):
    values = self.conv(images).flatten(2).transpose(1, 2)
    values = torch.cat([self.token.expand(values.shape[0], -1, -1), values], 1).transpose(0, 1)
    return self.attention(values, values, values, need_weights=False)[0][0]


def constants(self, images):
    values = (images * 255 - 127) / 128
    return pooled(1 - self.conv(values) - values + 0.5 * self.map + self.other(images) * self.scale)


FORWARDS = {
    "used twice": lambda self, images: pooled(self.conv(functional.relu(self.conv(images)))),
    "in place": in_place_of_an_old_name,
    "added in place": added_in_place,
    "flattened, then in place": through_a_view,
    "dropout, then in place": dropped,
    "permuted": permuted,
    "tokens": tokens,
    "constants": constants,
    "normalised": lambda self, images: pooled(self.norm(self.conv(images)) + self.norm(images)),
    "concatenated": lambda self, images: torch.cat([images, self.conv(images)], 1).amax((2, 3)),
    "split": lambda self, images: pooled(torch.cat(self.conv(images).chunk(2, 1)[::-1], 1)),
    "reshaped": lambda self, images: self.conv(images).view(images.size(0), -1),
    "two by name": lambda self, images: {"scores": pooled(images), "features": self.conv(images)},
    "one column": lambda self, images: pooled(self.conv(images))[:, 0],
    "max with indices": lambda self, images: functional.max_pool2d(images, 2, return_indices=True)[0].flatten(1),
}


def run(graph):
    def visit(place, node, inputs):
        return dense.apply(node.operation, inputs, node.shape, len(IMAGES)) if place else IMAGES.movedim(1, -1)

    return graph.walk(visit).reshape(len(IMAGES), -1)


@pytest.mark.parametrize("name", FORWARDS)
@torch.no_grad()
def test_the_graph_computes_what_the_module_does(name):
    module = Runs(FORWARDS[name]).eval()
    expected = module(IMAGES)
    expected = expected["scores"] if isinstance(expected, dict) else expected
    graph = capture(module, SIZE, 4)
    for each in (graph, simplify(graph)):
        torch.testing.assert_close(run(each), expected.reshape(len(IMAGES), -1), atol=2e-6, rtol=1e-5)


def test_known_operations_are_not_carried_as_unknown():
    for name in ("used twice", "in place", "permuted", "normalised", "added in place"):
        graph = capture(Runs(FORWARDS[name]).eval(), SIZE, 4)
        assert not any(isinstance(node.operation, Unknown) for node in graph.nodes), name


def test_neighbours_are_merged():
    layers = [nn.ZeroPad2d(1), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU6(), nn.Dropout(), nn.Flatten()]
    module = nn.Sequential(*layers, nn.Linear(480, 5), nn.BatchNorm1d(5)).eval()
    graph = simplify(capture(module, SIZE, 4))
    assert [type(node.operation) for node in graph.nodes[1:]] == [Conv, Flatten, Linear]
    assert graph.nodes[1].operation.activation.high == 6
    torch.testing.assert_close(run(graph), module(IMAGES))


def test_what_is_used_twice_is_not_merged():
    module = Runs(lambda self, images: self._both(self.conv(images))).eval()
    module._both = lambda values: torch.cat([module.norm(values), values], 1).mean((2, 3))
    graph = simplify(capture(module, SIZE, 4))
    assert {type(node.operation) for node in graph.nodes} >= {Conv, Affine, Concat}
    torch.testing.assert_close(run(graph), module(IMAGES))


def test_a_head_is_part_of_the_graph():
    module = nn.Conv2d(4, 4, 3)
    graph = capture(module, SIZE, 4, head=lambda output: output[:, :, 2:5].mean((2, 3)))
    torch.testing.assert_close(run(graph), module(IMAGES)[:, :, 2:5].mean((2, 3)))


def test_a_layer_keeps_its_name():
    module = nn.Sequential(nn.Sequential(nn.Conv2d(4, 4, 3)), nn.Flatten())
    assert capture(module, SIZE, 4).nodes[1].name == "0.0"


def branches(self, images):
    return pooled(self.conv(images) if images.sum() > 0 else images)


def writes_into_a_view(self, images):
    first = self.conv(images)
    first[:, 0].relu_()
    return pooled(first)


@torch.no_grad()
def writes_into_a_parameter(self, images):
    self.map.add_(1)
    return pooled(images * self.map)


REFUSED = [branches, writes_into_a_view, writes_into_a_parameter, lambda self, images: self.conv(images)]


@pytest.mark.parametrize("forward", REFUSED)
def test_what_cannot_be_followed_is_refused(forward):
    with pytest.raises(UnsupportedError, match=r"for the incremental engine, but got .*engine='full'"):
        capture(Runs(forward).eval(), SIZE, 4)


def test_other_numbers_are_refused():
    with pytest.raises(UnsupportedError, match="of float32 numbers"):
        capture(Runs(FORWARDS["in place"]).double().eval(), SIZE, 4)


def drawing(self, images):
    return pooled(images) * torch.rand(4)


def dropping(self, images):
    return pooled(functional.dropout(images, training=True))


def attending(self, images):
    tokens = self.conv(images).flatten(2).transpose(1, 2)
    return functional.scaled_dot_product_attention(tokens, tokens, tokens, dropout_p=0.1)[:, 0]


@pytest.mark.parametrize("forward", [drawing, dropping, attending])
def test_what_draws_random_numbers_is_refused(forward):
    with pytest.raises(UnsupportedError, match=r"must give the same numbers on every call .* draws random ones"):
        capture(Runs(forward).eval(), SIZE, 4)


def test_an_operation_that_is_carried_along_works_for_any_number_of_images():
    """It is exported for one number first, which must not be written into it."""
    module = Runs(lambda self, images: functional.pixel_shuffle(self.conv(images), 2).flatten(1)).eval()
    graph = capture(module, SIZE, 4)
    assert any(isinstance(node.operation, Unknown) for node in graph.nodes)
    torch.testing.assert_close(run(graph), module(IMAGES))


def test_a_second_export_is_made_only_where_it_helps(monkeypatch):
    made = []
    right = torch_graph._export
    monkeypatch.setattr(torch_graph, "_export", lambda *given: made.append(given[2]) or right(*given))
    capture(Runs(FORWARDS["permuted"]).eval(), SIZE, 4)
    assert made == [torch_graph.IMAGES]
    capture(Runs(FORWARDS["tokens"]).eval(), SIZE, 4)
    assert made[1:] == [torch_graph.IMAGES, None]
    with pytest.raises(UnsupportedError):
        capture(Runs(branches).eval(), SIZE, 4)
    assert len(made) == 4


DYNAMIC = torch.export.Dim.DYNAMIC
PROGRAMS = {
    "any number of images": (2, {0: DYNAMIC}),
    "one image": (1, None),
    "four images": (4, None),
}


@pytest.mark.parametrize("kind", PROGRAMS)
@pytest.mark.parametrize("decomposed", [False, True])
@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")  # of torch itself, while it decomposes
@torch.no_grad()
def test_an_exported_program_has_its_graph_with_it(kind, decomposed):
    count, sizes = PROGRAMS[kind]
    module = Runs(FORWARDS["normalised"]).eval()
    program = torch.export.export(module, (torch.zeros(count, 4, *SIZE),), dynamic_shapes=sizes and {"images": sizes})
    if decomposed and sizes:
        program = program.run_decompositions()
    model = eyeline.load(program)
    graph = model.graph((*SIZE, 4))
    torch.testing.assert_close(run(graph), module(IMAGES), atol=2e-6, rtol=1e-5)


@torch.no_grad()
def test_an_exported_program_of_any_size_is_read_at_the_size_that_is_asked_for():
    module = Runs(FORWARDS["used twice"]).eval()
    sizes = {"images": {0: DYNAMIC, 2: DYNAMIC, 3: DYNAMIC}}
    program = torch.export.export(module, (torch.zeros(2, 4, 30, 30),), dynamic_shapes=sizes)
    graph = eyeline.load(program).graph((*SIZE, 4))
    assert graph.nodes[0].shape == (*SIZE, 4)
    torch.testing.assert_close(run(graph), module(IMAGES), atol=2e-6, rtol=1e-5)


@torch.no_grad()
def test_a_fixed_number_of_images_in_an_unknown_operation_is_said():
    module = Runs(lambda self, images: functional.pixel_shuffle(self.conv(images), 2).flatten(1)).eval()
    program = torch.export.export(module, (torch.zeros(4, 4, *SIZE),))
    with pytest.raises(UnsupportedError, match=r"any number of images .*pixel_shuffle.* written into it"):
        eyeline.load(program).graph((*SIZE, 4))


@pytest.mark.parametrize("forward", [FORWARDS["normalised"], branches, writes_into_a_parameter])
def test_the_module_is_left_as_it_was(forward):
    module = Runs(forward).eval()
    before, training = copy.deepcopy(module.state_dict()), [each.training for each in module.modules()]
    module.conv.weight.grad = torch.ones_like(module.conv.weight)
    with contextlib.suppress(UnsupportedError):
        capture(module, SIZE, 4)
    assert [each.training for each in module.modules()] == training
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert module.conv.weight.requires_grad
    assert torch.equal(module.conv.weight.grad, torch.ones_like(module.conv.weight))
