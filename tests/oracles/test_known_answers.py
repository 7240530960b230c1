"""Small networks whose maps other tools publish, or which follow on paper: as torch modules and as functions.

The networks and most figures are those of the tests of Captum (BasicModel_ConvNet_One_Conv, BasicModel_MultiLayer,
BasicModel3) and of PAIR saliency; a network of two inputs is asked with one of them fixed.
"""

import numpy as np
import pytest
import torch
from torch import nn

import eyeline

A = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
B = np.ones((1, 4, 4, 1), dtype=np.float32)
BLACK = eyeline.Constant(0)


def relu(values):
    return np.maximum(values, 0)


def filled(layer, weight, bias=None):
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(weight, dtype=torch.float32).expand_as(layer.weight))
        if bias is not None:
            layer.bias.copy_(torch.as_tensor(bias, dtype=torch.float32))
    return layer


class Plus(nn.Module):
    """Add the other input, given channels last, before the network."""

    def __init__(self, network, other):
        super().__init__()
        self.network = network
        self.register_buffer("other", torch.from_numpy(other).movedim(-1, 1))

    def forward(self, images):
        return self.network(images + self.other)


SIGNS = [1] * 5 + [-1] * 3


def cn1_torch(other=None):
    convolution = filled(nn.Conv2d(1, 2, 3), 1.0, [-50, -75])
    last = filled(nn.Linear(8, 4, bias=False), SIGNS)
    network = nn.Sequential(convolution, nn.ReLU(inplace=True), nn.Flatten(), last, nn.ReLU(inplace=True))
    return network if other is None else Plus(network, other)


def cn1_function(other=None):
    def scores(images):
        pixels = (images if other is None else images + other)[..., 0]
        sums = sum(pixels[:, r : r + 2, c : c + 2] for r in range(3) for c in range(3))
        features = relu(np.stack([sums - 50, sums - 75], axis=1)).reshape(len(images), 8)
        return relu(features @ np.tile(np.float32(SIGNS), (4, 1)).T)

    return scores


def ml_torch():
    first = filled(nn.Linear(3, 4), 1.0, [-10, 1, 1, 1])
    last = filled(nn.Linear(4, 2), 1.0, [-1, 1])
    return nn.Sequential(nn.Flatten(), nn.Identity(), first, nn.ReLU(), last)


def ml_function(images):
    hidden = relu(images.sum(axis=(1, 2))[:, None] + np.float32([-10, 1, 1, 1]))
    return hidden.sum(axis=1, keepdims=True) + np.float32([-1, 1])


class BM3(nn.Module):
    """f(a, b) = relu(relu(a - 1) - relu(b)); asked for one input, the other is held."""

    def __init__(self, a=None, b=None):
        super().__init__()
        self.a, self.b = a, b

    def forward(self, images):
        given = images.flatten(1)
        a = given if self.a is None else torch.full_like(given, self.a)
        b = given if self.b is None else torch.full_like(given, self.b)
        return torch.relu(torch.relu(a - 1) - torch.relu(b))


def bm3_function(a=None, b=None):
    def scores(images):
        given = images.reshape(len(images), 1)
        return relu(relu((given if a is None else a) - 1) - relu(given if b is None else b)).astype(np.float32)

    return scores


KINDS = ["torch", "function"]


def cn1(kind, other=None):
    return eyeline.load(cn1_torch(other) if kind == "torch" else cn1_function(other), input_size=(4, 4))


def ml(kind):
    return eyeline.load(ml_torch() if kind == "torch" else ml_function, input_size=(3,))


def bm3(kind, **held):
    return eyeline.load(BM3(**held) if kind == "torch" else bm3_function(**held), input_size=(1,))


def pixels(*rows):
    return np.float32(rows)[..., None]


def occluded(model, images, **settings):
    return eyeline.Occlusion(**{"baseline": BLACK, **settings})(model, images, eyeline.Class(0)).maps


@pytest.mark.parametrize("kind", KINDS)
class TestOcclusion:
    @pytest.mark.parametrize(
        ("settings", "expected"),
        [
            ({"window": 1, "stride": 1}, (80, 200, 120)),
            ({"window": 2, "stride": 1, "baseline": eyeline.Constant(10)}, (200, 220, 240)),
            ({"window": 2, "stride": 2}, (280, 280, 120)),
        ],
        ids=["each alone", "mean over windows", "last window cut"],
    )
    def test_ml(self, kind, settings, expected):
        maps = occluded(ml(kind), pixels((20, 50, 30)), **settings)
        np.testing.assert_allclose(maps, [expected], rtol=1e-6)

    def test_ml_rows_of_a_batch(self, kind):
        maps = occluded(ml(kind), pixels((2, 10, 3), (20, 50, 30)), window=1, stride=1)
        np.testing.assert_allclose(maps, [(8, 35, 12), (80, 200, 120)], rtol=1e-6)

    @pytest.mark.parametrize(("a", "b", "of_a", "of_b"), [(-10, -5, 0, 0), (3, 1, 1, -1)])
    def test_bm3_sign(self, kind, a, b, of_a, of_b):
        assert occluded(bm3(kind, b=float(b)), pixels((a,)), window=1, stride=1).item() == of_a
        assert occluded(bm3(kind, a=float(a)), pixels((b,)), window=1, stride=1).item() == of_b

    def test_cn1_whole_image(self, kind):
        np.testing.assert_allclose(occluded(cn1(kind, B), A, window=4, stride=1), np.full((1, 4, 4), 67), rtol=1e-6)
        np.testing.assert_allclose(occluded(cn1(kind, A), B, window=4, stride=1), np.full((1, 4, 4), 13), rtol=1e-6)

    def test_cn1_windows_of_two_sizes(self, kind):
        of_a = occluded(cn1(kind, B), A, window=(2, 3), stride=(2, 1))
        last = (64, 65.5, 65.5, 67)
        np.testing.assert_allclose(of_a, [[(17,) * 4, (17,) * 4, last, last]], rtol=1e-6)
        of_b = occluded(cn1(kind, A), B, window=(1, 2), stride=(1, 2))
        np.testing.assert_allclose(of_b, [[(3,) * 4, (3,) * 4, (3,) * 4, (0,) * 4]], atol=1e-5)

    def test_cn1_every_pixel(self, kind):
        of_a = occluded(cn1(kind, B), A, window=1, stride=1)
        np.testing.assert_allclose(of_a, [[(0, 2, 4, 3), (4, 9, 10, 7), (4, 13, 14, 11), (0, 0, 0, 0)]], atol=1e-5)
        of_b = occluded(cn1(kind, A), B, window=1, stride=1)
        np.testing.assert_allclose(of_b, [[(1, 2, 2, 1)] * 3 + [(0, 0, 0, 0)]], atol=1e-5)


class TestSumOfPixels:
    """f = 3 * sum over a 5 x 5 image that is 1 at (1, 1) and (3, 3)."""

    PAIR = ((3, 6, 6, 3, 0), (6, 15, 18, 12, 3), (6, 18, 24, 18, 6), (3, 12, 18, 15, 6), (0, 3, 6, 6, 3))

    def maps(self, **settings):
        image = np.zeros((1, 5, 5, 1), dtype=np.float32)
        image[0, 1, 1] = image[0, 3, 3] = 1
        model = eyeline.load(lambda images: 3 * images.sum(axis=(1, 2)), input_size=(5, 5))
        return occluded(model, image, window=3, stride=1, **settings)[0]

    def test_mean_over_windows(self):
        expected = [
            (3, 3, 2, 1.5, 0),
            (3, 3.75, 3, 3, 1.5),
            (2, 3, 8 / 3, 3, 2),
            (1.5, 3, 3, 3.75, 3),
            (0, 1.5, 2, 3, 3),
        ]
        np.testing.assert_allclose(self.maps(), expected, rtol=1e-6)

    def test_sum_over_windows_that_lie_inside(self):
        np.testing.assert_allclose(self.maps(overlap="sum", edge="inside"), self.PAIR, rtol=1e-6)

    def test_preset_pair(self):
        """The figures of the tool's own test, under its name."""
        image = np.zeros((1, 5, 5, 1), dtype=np.float32)
        image[0, 1, 1] = image[0, 3, 3] = 1
        model = eyeline.load(lambda images: 3 * images.sum(axis=(1, 2)), input_size=(5, 5))
        found = eyeline.explain(model, image, target=0, preset="pair", window=3)
        np.testing.assert_allclose(found.maps[0], self.PAIR, rtol=1e-6)


class TestGradient:
    def gradient(self, model, images):
        return eyeline.Gradient(channels="sum")(model, images, eyeline.Class(0)).maps

    def test_cn1(self):
        expected = [[(0, 1, 1, 1)] * 3 + [(0, 0, 0, 0)]]
        np.testing.assert_array_equal(self.gradient(cn1("torch"), A), expected)

    def test_cn1_of_a_sum_of_two_inputs(self):
        expected = [[(1, 2, 2, 1)] * 3 + [(0, 0, 0, 0)]]
        np.testing.assert_array_equal(self.gradient(cn1("torch", B), A), expected)
        np.testing.assert_array_equal(self.gradient(cn1("torch", A), B), expected)

    def test_one_minus_relu(self):
        class Network(nn.Module):
            def forward(self, images):
                return (1 - torch.relu(1 - images)).sum(dim=(1, 2))[:, None]

        model = eyeline.load(Network(), input_size=(6,))
        maps = self.gradient(model, pixels((1, 2, 3, 0, -1, 7)))
        np.testing.assert_array_equal(maps, [(0, 0, 0, 1, 1, 0)])


@pytest.mark.parametrize("other", [None, B], ids=["A", "A + B"])
def test_both_forms_of_the_network_are_the_same(other):
    as_torch = cn1_torch(other)(torch.from_numpy(A).movedim(-1, 1)).detach().numpy()
    np.testing.assert_array_equal(as_torch, cn1_function(other)(A))
