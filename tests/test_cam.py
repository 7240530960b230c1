"""Class activation maps against answers on paper, plain loops and linear algebra; how maps are stretched."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

import eyeline
from eyeline.errors import InputError, ModelError, UnsupportedError
from eyeline.methods import cam, layermaps, scorecam

IMAGES = np.random.default_rng(0).random((3, 12, 10, 3), dtype=np.float32)
CAMS = {
    "gradcam": eyeline.GradCAM(),
    "gradcamplusplus": eyeline.GradCAMPlusPlus(),
    "hirescam": eyeline.HiResCAM(),
    "layercam": eyeline.LayerCAM(),
    "eigencam": eyeline.EigenCAM(),
    "scorecam": eyeline.ScoreCAM(),
}
TARGET = 2


def pooled():
    """Convolutions, a mean over positions, and a linear layer: the network of CAM."""
    torch.manual_seed(1)
    body = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, stride=2), nn.ReLU(), nn.Conv2d(6, 7, 3, padding=1), nn.ReLU())
    return nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(7, 4)).double()


def dense():
    """What follows the layer depends on the place, and is curved."""
    torch.manual_seed(2)
    body = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1, stride=2), nn.ReLU())
    return nn.Sequential(body, nn.Flatten(), nn.Linear(5 * 6 * 5, 8), nn.Tanh(), nn.Linear(8, 4)).double()


def seen(network, images=IMAGES):
    """Return A and ds/dA of the body, channels last, one image at a time."""
    found = []
    for image in images:
        features = network[0](torch.from_numpy(image).double().movedim(-1, 0)[None]).detach().requires_grad_()
        score = network[1:](features)[0, TARGET]
        (back,) = torch.autograd.grad(score, features)
        found.append([each.detach()[0].movedim(0, -1).numpy() for each in (features, back)])
    return found


def at_the_layer(method, network, images=IMAGES):
    """Run a method on images of the layer's own size, so that its map is not stretched."""
    made = []
    own = layermaps.enlarged

    def keep(maps, size):
        made.append(np.asarray(maps))
        return own(maps, size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layermaps, "enlarged", keep)
        method(eyeline.load(network), images, TARGET)
    return made[-1]


def test_gradcam_is_cam_where_a_mean_and_a_linear_layer_follow():
    network = pooled()
    weights, bias = network[-1].weight[TARGET].detach().numpy(), network[-1].bias[TARGET].item()
    with torch.no_grad():
        scores = network(torch.from_numpy(IMAGES).double().movedim(-1, 1))[:, TARGET].numpy()
    zhou = np.stack([activations @ weights for activations, _ in seen(network)])
    positions = zhou[0].size
    found = at_the_layer(eyeline.GradCAM(relu=False), network)
    np.testing.assert_allclose(found, zhou / positions, rtol=1e-5)
    np.testing.assert_allclose(found.sum(axis=(1, 2)), scores - bias, rtol=1e-5)
    np.testing.assert_allclose(at_the_layer(eyeline.HiResCAM(), network), found, rtol=1e-5)
    np.testing.assert_allclose(at_the_layer(eyeline.GradCAM(), network), np.maximum(zhou, 0) / positions, rtol=1e-5)


def test_hirescam_sums_to_the_score_of_a_linear_rest():
    network = dense()
    network[3] = nn.Identity()
    found = at_the_layer(eyeline.HiResCAM(), network)
    with torch.no_grad():
        planes = torch.from_numpy(IMAGES).double().movedim(-1, 1)
        bias = network[1:](torch.zeros(1, 5, 6, 5, dtype=torch.float64))[0, TARGET].item()
        scores = network(planes)[:, TARGET].numpy()
    np.testing.assert_allclose(found.sum(axis=(1, 2)), scores - bias, rtol=1e-5)


def loop(name, activations, back):
    """Each definition once more, one position and one feature at a time."""
    rows, columns, features = activations.shape
    found = np.zeros((rows, columns))
    for k in range(features):
        a, g = activations[..., k], back[..., k]
        weight = g.sum() / g.size
        if name == "gradcamplusplus":
            weight = 0.0
            for place in np.ndindex(rows, columns):
                if g[place] > 0:  # the paper's own form: equation 19
                    alpha = g[place] ** 2 / (2 * g[place] ** 2 + a.sum() * g[place] ** 3)
                    weight += alpha * g[place]
        for place in np.ndindex(rows, columns):
            if name == "hirescam":
                weight = g[place]
            elif name == "layercam":
                weight = max(g[place], 0)
            found[place] += weight * a[place]
    return found if name == "hirescam" else np.maximum(found, 0)


def definitions(name):
    network = dense()
    expected = np.stack([loop(name, *each) for each in seen(network)])
    np.testing.assert_allclose(at_the_layer(CAMS[name], network), expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", ["gradcam", "gradcamplusplus", "hirescam", "layercam"])
def test_definitions_against_loops(name):
    definitions(name)


@pytest.mark.parametrize(
    ("name", "sabotage"),
    [
        ("gradcam", ("spatial", lambda values: (1,))),
        ("gradcamplusplus", ("rectified", np.abs)),
        ("layercam", ("rectified", lambda values: values)),
    ],
)
def test_the_loops_notice(name, sabotage, monkeypatch):
    """Sabotage twins: the mean over one axis only; negative derivatives that count."""
    monkeypatch.setattr(cam, *sabotage)
    with pytest.raises((AssertionError, ValueError)):
        definitions(name)


@pytest.mark.parametrize("network", [dense, pooled])
def test_eigencam_is_the_projection_on_the_first_singular_vector(network):
    for found, (activations, _) in zip(at_the_layer(eyeline.EigenCAM(), network()), seen(network()), strict=True):
        rows = activations.reshape(-1, activations.shape[-1])
        left, sizes, _ = np.linalg.svd(rows)
        expected = np.abs(left[:, 0] * sizes[0]).reshape(found.shape)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_eigencam_knows_no_target():
    model = eyeline.load(dense())
    first, second = (eyeline.explain(model, IMAGES, "eigencam", target).maps for target in (0, 3))
    np.testing.assert_array_equal(first, second)


def through(network, baseline):
    """Score-CAM in a loop: one feature, one image at a time."""

    def score(image):
        with torch.no_grad():
            return network(torch.from_numpy(image).double().movedim(-1, 0)[None])[0, TARGET].item()

    found = []
    for image, (activations, _) in zip(IMAGES, seen(network), strict=True):
        gains = []
        for k in range(activations.shape[-1]):
            plane = torch.from_numpy(activations[..., k])[None, None]
            mask = nn.functional.interpolate(plane, image.shape[:2], mode="bilinear")[0, 0].numpy()
            span = mask.max() - mask.min()
            mask = (mask - mask.min()) / span if span else mask * 0
            seen_through = np.float32(image * mask[..., None] + baseline * (1 - mask[..., None]))
            gains.append(score(seen_through) - score(np.full_like(image, baseline)))
        weights = np.exp(gains) / np.exp(gains).sum()
        found.append(np.maximum(activations @ weights, 0))
    return np.stack(found)


@pytest.mark.parametrize("baseline", [0, 0.5])
def test_scorecam_against_a_loop(baseline):
    network = dense()
    network[0][0].bias.data[1] = -100  # a feature that is the same everywhere
    found = at_the_layer(eyeline.ScoreCAM(baseline=eyeline.Constant(baseline)), network)
    np.testing.assert_allclose(found, through(network, baseline), rtol=1e-5)


def test_the_loop_notices(monkeypatch):
    """Sabotage twin: gains as they are, without the softmax."""
    monkeypatch.setattr(scorecam, "_softmax", lambda gains: gains)
    with pytest.raises(AssertionError):
        test_scorecam_against_a_loop(0)


def test_scorecam_names_image_and_feature():
    class Root(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 1)

        def forward(self, images):
            return torch.sqrt(self.conv(images).mean((2, 3)) * 0 + images.mean((2, 3))[:, :2] - 0.3)

    with pytest.raises(ModelError, match=r"scores must be finite, but got nan .*the baseline"):
        eyeline.explain(eyeline.load(Root()), IMAGES + 0.2, "scorecam", 0)

    def odd(images):
        """Return a baseline that is fine as a whole and not in parts."""
        return np.where(np.arange(images.shape[2])[:, None] % 2 == 0, np.float32(30), np.float32(-29)) + 0 * images

    with pytest.raises(ModelError, match=r"scores must be finite, but got nan .*'image \d' through feature \d"):
        eyeline.explain(eyeline.load(Root()), IMAGES + 0.2, "scorecam", 0, baseline=odd)


@pytest.mark.parametrize("size", [(12,), (7,), (3,), (12, 9), (1, 4), (5, 8, 6)])
def test_maps_are_stretched_as_torch_stretches_them(size):
    layer = (4, 3, 5)[: len(size)]
    maps = np.random.default_rng(5).normal(size=(2, *layer))
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(size)]
    expected = nn.functional.interpolate(torch.from_numpy(maps)[:, None], size, mode=mode)[:, 0].numpy()
    np.testing.assert_allclose(layermaps.enlarged(maps, size), expected, rtol=1e-6, atol=1e-6)


def test_stretching_keeps_what_is_even_linear_or_one_position():
    np.testing.assert_allclose(layermaps.enlarged(np.full((1, 3, 2), 4.5), (8, 9)), 4.5)
    ramp = layermaps.enlarged(np.arange(4.0)[None], (16,))[0]
    np.testing.assert_allclose(np.diff(ramp)[2:-2], 0.25)
    np.testing.assert_allclose(layermaps.enlarged(np.array([[[3.0]]]), (5, 2)), 3)


@pytest.mark.parametrize("name", CAMS)
def test_batches_order_and_flips_do_not_matter(name):
    network = pooled()
    model = eyeline.load(network)
    maps = CAMS[name](model, IMAGES, TARGET).maps
    assert maps.shape == IMAGES.shape[:-1]
    one = dataclasses.replace(CAMS[name], batch=1)(model, IMAGES[::-1], TARGET).maps
    np.testing.assert_allclose(one[::-1], maps, rtol=1e-5, atol=1e-7)
    even = nn.Sequential(network[0], *network[1:])
    for each in even[0]:
        if isinstance(each, nn.Conv2d):
            each.weight.data, each.padding, each.stride = each.weight.data.flip(-1), (1, 1), (1, 1)
    straight = CAMS[name](eyeline.load(even), np.ascontiguousarray(IMAGES[:, :, ::-1]), TARGET).maps
    for each in even[0]:
        if isinstance(each, nn.Conv2d):
            each.weight.data = each.weight.data.flip(-1)
    np.testing.assert_allclose(CAMS[name](eyeline.load(even), IMAGES, TARGET).maps[:, :, ::-1], straight, atol=1e-6)


@pytest.mark.parametrize("name", CAMS)
def test_what_was_done_is_said(name):
    attribution = eyeline.explain(pooled(), IMAGES, name, TARGET, layer="0.1")
    assert attribution.provenance["layer"] == {"name": "0.1", "kind": "ReLU", "shape": [6, 5, 6]}
    assert attribution.provenance["batch"] >= 1
    assert "activation" in attribution.quantity
    left_out = eyeline.explain(pooled(), IMAGES, name, TARGET).provenance["layer"]
    assert left_out == {"name": "0", "kind": "Sequential", "shape": [6, 5, 7]}
    again = eyeline.explain(pooled(), IMAGES, name, TARGET, layer="0.3")
    np.testing.assert_array_equal(again.maps, eyeline.explain(pooled(), IMAGES, name, TARGET).maps)


@pytest.mark.parametrize("axes", [1, 3])
def test_signals_and_volumes(axes):
    convolution = {1: nn.Conv1d, 3: nn.Conv3d}[axes](2, 5, 3, padding=1, stride=2)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Sequential(convolution, nn.ReLU()), nn.Flatten(2), Mean(), nn.Linear(5, 4)).double()
    shape = (6, 4, 8)[:axes]
    images = np.random.default_rng(3).random((2, *shape, 2), dtype=np.float32)
    found = eyeline.explain(eyeline.load(network, input_size=shape), images, "gradcam", TARGET).maps
    expected = []
    for image in images:
        features = network[0](torch.from_numpy(image).double().movedim(-1, 0)[None])
        plane = torch.relu((features * network[-1].weight[TARGET].reshape(1, 5, *[1] * axes)).sum(1)[:, None])
        mode = {1: "linear", 3: "trilinear"}[axes]
        expected.append(nn.functional.interpolate(plane / features[0, 0].numel(), shape, mode=mode)[0, 0].detach())
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-5, atol=1e-8)


class Mean(nn.Module):
    def forward(self, values):
        return values.mean(-1)


def test_guided_gradcam_is_the_product_of_the_two():
    model = eyeline.load(pooled())
    guided = eyeline.explain(model, IMAGES, "guidedbackpropagation", TARGET, channels=None).maps
    coarse = eyeline.explain(model, IMAGES, "gradcam", TARGET).maps
    found = eyeline.explain(model, IMAGES, "guidedgradcam", TARGET, channels=None)
    np.testing.assert_allclose(found.maps, guided * coarse[..., None], rtol=1e-6)
    assert found.provenance["layer"]["name"] == "0"
    with pytest.raises(UnsupportedError, match="must be ReLUs for guided backpropagation"):
        eyeline.explain(dense_without_relus(), IMAGES, "guidedgradcam", TARGET)


def dense_without_relus():
    network = dense()
    network[0][1] = nn.SiLU()
    return network


def test_maps_go_with_other_methods():
    """Score-CAM needs no derivative; smoothing wraps any of them."""
    smooth = eyeline.SmoothGrad(eyeline.GradCAM(), samples=3, noise=1e-6)(eyeline.load(pooled()), IMAGES, TARGET)
    np.testing.assert_allclose(smooth.maps, eyeline.explain(pooled(), IMAGES, "gradcam", TARGET).maps, atol=1e-5)


@pytest.mark.parametrize("name", CAMS)
def test_activations_that_are_not_finite_are_named(name):
    class Infinite(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, images):
            return torch.nan_to_num(self.conv(images / 0), posinf=1, neginf=1, nan=1).mean((2, 3))

    with pytest.raises(ModelError, match="activations and their derivatives must be finite, but layer 'conv'"):
        eyeline.explain(eyeline.load(Infinite()), IMAGES, name, 0)


def test_settings_of_another_kind():
    with pytest.raises(InputError, match="layer must be"):
        eyeline.explain(pooled(), IMAGES, "gradcam", layer=3)
    with pytest.raises(InputError, match="relu must be True or False"):
        eyeline.explain(pooled(), IMAGES, "gradcam", relu="yes")
