"""Regions of every kind against plain loops: what is covered, how values are laid, what a file gives back."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from torch import nn

import eyeline
from eyeline import region
from eyeline.attribution import Attribution
from eyeline.errors import InputError
from eyeline.filling import Inpaint, LocalMean, SurroundingMean
from eyeline.mask import GaussianMask, LinearMask, weights
from eyeline.methods.masking import cover
from eyeline.region import Labels, SoftWindows, Together, Windows
from eyeline.sweep import Sweep
from eyeline.window import grid

SIZE = (9, 7)
IMAGES = np.random.default_rng(0).random((2, *SIZE, 3), dtype=np.float32)
TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}


def stripes(size=SIZE, count=3, images=2):
    """Slanted stripes, so that boxes overlap; image i has i fewer of them."""
    rows, columns = np.indices(size)
    slant = (rows + columns) * count // sum(size)
    return np.stack([np.minimum(slant, count - 1 - image) for image in range(images)])


def masks(regions, image, size=SIZE):
    """Every region's mask on the whole image, by the definition of each kind."""
    if isinstance(regions, Together):
        return np.concatenate([masks(part, image, size) for part in regions.parts])
    if isinstance(regions, Labels):
        return np.stack([regions.pixels[image] == each for each in range(len(regions))]).astype(float)
    found = np.zeros((len(regions), *size))
    for each, box in enumerate(regions.boxes):
        for pixel in np.ndindex(size):
            if all(a <= at < b for at, (a, b) in zip(pixel, box, strict=True)):
                at = tuple(at - a for at, (a, _) in zip(pixel, box, strict=True))
                found[(each, *pixel)] = regions.mask[at] if isinstance(regions, SoftWindows) else 1
    return found


def laid(regions, values, size=SIZE, overlap="mean"):
    """One pixel at a time: the mean of the values on it, weighted by the masks."""
    if isinstance(regions, Together):
        ends = np.cumsum([0, *map(len, regions.parts)])
        parts = zip(regions.parts, ends[:-1], ends[1:], strict=True)
        return sum(laid(part, values[:, a:b], size, overlap) for part, a, b in parts) / len(regions.parts)
    found = np.zeros((len(values), *size))
    for image, row in enumerate(values):
        own = masks(regions, image, size)
        for pixel in np.ndindex(size):
            share = own[(slice(None), *pixel)]
            total = float(share @ row)
            found[(image, *pixel)] = total if overlap == "sum" else total / share.sum() if share.sum() else 0
    return found


def kinds():
    boxes = grid(SIZE, (4, 3), (2, 3))
    soft = SoftWindows(boxes, *weights(GaussianMask(), (4, 3)))
    return {
        "windows": Windows(boxes),
        "gaussian": soft,
        "linear": SoftWindows(boxes, *weights(LinearMask(0.4), (4, 3))),
        "labels": Labels(stripes()),
        "together": Together((Windows(boxes), soft, Labels(stripes()))),
    }


KINDS = kinds()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("overlap", ["mean", "sum"])
def test_values_are_laid_as_a_loop_over_pixels_lays_them(kind, overlap):
    regions = KINDS[kind]
    values = np.random.default_rng(1).normal(size=(2, len(regions)))
    np.testing.assert_allclose(regions.lay(values, SIZE, overlap), laid(regions, values, overlap=overlap), atol=1e-12)


@pytest.mark.parametrize("kind", ["windows", "gaussian", "linear", "labels"])
@pytest.mark.parametrize("keep", [False, True])
def test_a_region_shows_the_baseline_as_far_as_it_is_covered(kind, keep):
    regions, baseline = KINDS[kind], eyeline.Constant((0.1, 0.9, 0.4))
    covered = cover(baseline, keep, IMAGES[:1], regions, ("a",))
    found = covered.images(np.arange(len(regions)))
    for image, own in zip(found, masks(regions, 0), strict=True):
        hidden = (1 - own if keep else own)[..., None]
        np.testing.assert_allclose(image, IMAGES[0] * (1 - hidden) + np.float32([0.1, 0.9, 0.4]) * hidden, atol=1e-6)


def test_boxes_are_the_smallest_around_each_region():
    for image, own in enumerate(stripes()):
        for each, box in enumerate(Labels(stripes()).boxes_of(image)):
            places = np.argwhere(own == each)
            expected = np.stack([places.min(0), places.max(0) + 1], -1) if len(places) else np.zeros((2, 2))
            np.testing.assert_array_equal(box, expected)


def test_deviation_and_agreement_of_parts():
    parts = tuple(Windows(grid(SIZE, each, each)) for each in (2, 3, 5))
    regions = Together(parts)
    values = np.random.default_rng(2).normal(size=(2, len(regions)))
    ends = np.cumsum([0, *map(len, parts)])
    each = [laid(part, values[:, a:b]) for part, a, b in zip(parts, ends[:-1], ends[1:], strict=True)]
    found = regions.further(values, SIZE)
    for pixel in np.ndindex(2, *SIZE):
        own = [maps[pixel] for maps in each]
        mean = sum(own) / 3
        spread = (sum((value - mean) ** 2 for value in own) / 3) ** 0.5
        assert found["deviation"][pixel] == pytest.approx(spread, abs=1e-12)
        assert found["agreement"][pixel] == sum((value > 0) == (mean > 0) for value in own) / 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_gives_every_kind_back(kind, tmp_path):
    regions = KINDS[kind]
    random = np.random.default_rng(3)
    scores, clean = random.random((2, len(regions), 4)), random.random((2, 4))
    sweep = Sweep(regions, scores, clean if kind != "together" else random.random(scores.shape), keep=True)
    weights = np.eye(4)[[1, 2]]
    made = Attribution(
        maps=sweep.maps(weights, SIZE), scores=clean, weights=weights, unit="score", quantity="drop",
        method={"name": "any"}, targets=("a", "b"), images=IMAGES, names=("a", "b"), fits=(None, None), sweep=sweep,
        further=sweep.further(weights, SIZE),
    )  # fmt: skip
    read = Attribution.load(made.save(tmp_path / "any.npz"))
    assert type(read.sweep.regions) is type(regions)
    np.testing.assert_array_equal(read.maps, made.maps)
    np.testing.assert_array_equal(read.to(3).maps, made.to(3).maps)
    np.testing.assert_array_equal(eyeline.flips(read).to, eyeline.flips(made).to)
    assert set(read.further) == ({"deviation", "agreement"} if kind == "together" else set())
    for name, each in read.to(3).further.items():
        np.testing.assert_array_equal(each, made.to(3).further[name])


def test_a_file_of_windows_is_written_as_before(tmp_path):
    """Old files open, and old readers open new ones: the names in the file are those of the first format."""
    model = eyeline.load(lambda images: images.sum(axis=(1, 2)))
    path = eyeline.Occlusion(window=3, stride=2)(model, IMAGES).save(tmp_path / "windows.npz")
    with np.load(path) as file:
        names, meta = set(file), json.loads(file["meta"].tobytes())
    assert names == {
        "maps", "scores", "weights", "images", "meta", "sweep_boxes", "sweep_scores", "sweep_reference",
    }  # fmt: skip
    assert meta["sweep"] == {"measure": "drop", "overlap": "mean", "keep": False}


def test_flips_of_parts_are_the_mean_of_their_shares():
    regions = KINDS["together"]
    random = np.random.default_rng(4)
    scores, clean = random.random((2, len(regions), 3)), random.random((2, 3))
    weights = np.eye(3)[[0, 1]]
    sweep = Sweep(regions, scores, clean)
    made = Attribution(
        maps=sweep.maps(weights, SIZE), scores=clean, weights=weights, unit="score", quantity="drop",
        method={"name": "any"}, targets=("a", "b"), images=IMAGES, names=("a", "b"), fits=(None, None), sweep=sweep,
    )  # fmt: skip
    found, best, top = eyeline.flips(made), scores.argmax(2), clean.argmax(1)
    np.testing.assert_allclose(found.share, laid(regions, (best != top[:, None]).astype(float)), atol=1e-6)
    each = np.stack([laid(regions, ((best == k) & (best != top[:, None])).astype(float)) for k in range(3)])
    np.testing.assert_array_equal(found.to, np.where(each.max(0) > 0, each.argmax(0), -1))


# --- soft edges -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [(1,), (6,), (5, 4), (3, 4, 5)])
def test_masks_are_their_formulas(window):
    linear, bell = LinearMask(0.3)(window), GaussianMask(0.2)(window)
    for at in np.ndindex(window):
        expected, distance = 1.0, 0.0
        for i, width in zip(at, window, strict=True):
            expected *= min(1, (min(i, width - 1 - i) + 0.5) / (0.3 * width))
            middle = (width - 1) / 2
            near = middle - int(middle)  # of an even window no pixel lies in the middle
            distance += ((i - middle) ** 2 - near**2) / (0.2 * width) ** 2
        assert linear[at] == pytest.approx(expected)
        assert bell[at] == pytest.approx(np.exp(-distance / 2))
    assert bell.max() == 1


@pytest.mark.parametrize("mask", [LinearMask(), GaussianMask()])
def test_soft_occlusion_of_a_linear_model(mask):
    """A window's drop is the sum of m w (x - c); a pixel's number their mean, weighted by m."""
    random = np.random.default_rng(5)
    w = random.normal(size=(*SIZE, 3)).astype(np.float32)
    model = eyeline.load(lambda images: (images * w).sum(axis=(1, 2, 3))[:, None], input_size=SIZE)
    method = eyeline.Occlusion(window=(4, 3), stride=(2, 3), mask=mask, baseline=eyeline.Constant(0.3))
    found = method(model, IMAGES, 0)
    boxes = grid(SIZE, (4, 3), (2, 3))
    regions = SoftWindows(boxes, *weights(mask, (4, 3)))
    each = masks(regions, 0)
    drops = np.stack([[(own[..., None] * w * (image - 0.3)).sum() for own in each] for image in IMAGES])
    np.testing.assert_allclose(found.maps, laid(regions, drops), **TOLERANCE)
    kept = dataclasses.replace(method, keep=True)(model, IMAGES, 0)
    np.testing.assert_allclose(kept.maps, found.maps, **TOLERANCE)  # additive: what it brings is what it costs


def test_the_loop_sees_an_unweighted_mean(monkeypatch):
    """Sabotage twin: windows laid as if they were hard."""
    monkeypatch.setattr(
        SoftWindows, "lay", lambda self, values, size, overlap="mean": region.lay(values, self.boxes, size)
    )
    with pytest.raises(AssertionError):
        test_soft_occlusion_of_a_linear_model(GaussianMask())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: LinearMask(0), "edge must be a share of the window above 0 and at most 0.5, but got 0"),
        (lambda: LinearMask(0.6), r"edge must be .* but got 0\.6"),
        (lambda: GaussianMask(-1), "sigma must be a share of the window above 0, but got -1"),
        (lambda: weights(GaussianMask, (3, 3)), "mask must be a mask, but got <class"),
        (lambda: weights(lambda window: np.full(window, 2), (3, 3)), r"must give numbers within 0\.\.1"),
        (lambda: weights(lambda window: np.ones(3), (3, 3)), r"shape \(3, 3\), but .* gave \(3,\)"),
    ],
)
def test_masks_that_do_not_fit(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()


# --- baselines that look at what is covered ---------------------------------------------------------------------


def test_local_means_of_a_linear_model():
    random = np.random.default_rng(6)
    w = random.normal(size=(*SIZE, 3))
    model = eyeline.load(lambda images: (images * w).sum(axis=(1, 2, 3))[:, None], input_size=SIZE)
    boxes = grid(SIZE, 3, 2)
    for baseline in (LocalMean(), SurroundingMean(2)):
        drops = []
        for (a, b), (c, d) in boxes:
            near = np.zeros(SIZE, bool)
            near[max(a - 2, 0) : b + 2, max(c - 2, 0) : d + 2] = True
            near[a:b, c:d] = False
            for_all = IMAGES[:, a:b, c:d] if isinstance(baseline, LocalMean) else IMAGES[:, near][:, None]
            mean = for_all.mean(axis=(1, 2), keepdims=True)
            drops.append(((IMAGES[:, a:b, c:d] - mean) * w[a:b, c:d]).sum(axis=(1, 2, 3)))
        found = eyeline.Occlusion(window=3, stride=2, baseline=baseline)(model, IMAGES, 0)
        np.testing.assert_allclose(found.maps, laid(Windows(boxes), np.stack(drops, 1)), **TOLERANCE)


def test_keeping_with_the_mean_of_all_else():
    model = eyeline.load(lambda images: images.reshape(len(images), -1)[:, :5], input_size=SIZE)
    found = eyeline.Occlusion(window=3, stride=3, baseline=LocalMean(), keep=True)(model, IMAGES, 0)
    for image, row in zip(IMAGES, found.sweep.scores, strict=True):
        for ((a, b), (c, d)), scores in zip(found.sweep.boxes, row, strict=True):
            hidden = np.ones(SIZE, bool)
            hidden[a:b, c:d] = False
            seen = image.copy()
            seen[hidden] = image[hidden].mean(axis=0)
            np.testing.assert_allclose(scores, seen.reshape(-1)[:5], **TOLERANCE)
    np.testing.assert_allclose(found.sweep.reference[:, 0], IMAGES.mean(axis=(1, 2))[:, 0], **TOLERANCE)


def test_local_mean_of_a_soft_window_is_weighted():
    covered = np.zeros(SIZE)
    covered[2:5, 1:4] = GaussianMask()((3, 3))
    expected = (IMAGES[0] * covered[..., None]).sum(axis=(0, 1)) / covered.sum()
    np.testing.assert_allclose(LocalMean().fill(IMAGES[0], covered)[2, 1], expected, rtol=1e-6)
    np.testing.assert_allclose(LocalMean()(IMAGES), eyeline.Mean()(IMAGES), rtol=1e-6)


def test_inpainting_is_that_of_scikit_image_window_by_window():
    from skimage.restoration import inpaint_biharmonic

    model = eyeline.load(lambda images: images.reshape(len(images), -1), input_size=SIZE)
    found = eyeline.Occlusion(window=4, stride=3, baseline=Inpaint())(model, IMAGES, 0)
    for image, row in zip(IMAGES, found.sweep.scores, strict=True):
        for ((a, b), (c, d)), scores in zip(found.sweep.boxes, row, strict=True):
            hole = np.zeros(SIZE, bool)
            hole[a:b, c:d] = True
            expected = np.where(hole[..., None], inpaint_biharmonic(image, hole, channel_axis=-1), image)
            np.testing.assert_allclose(scores, expected.ravel(), atol=1e-5)


def test_a_slope_is_inpainted_as_it_was():
    rows, columns = np.indices((20, 20))
    slope = (0.1 + 0.02 * rows + 0.01 * columns)[..., None].astype(np.float32)
    hole = np.zeros((20, 20))
    hole[6:13, 8:15] = 1
    np.testing.assert_allclose(Inpaint().fill(slope, hole), slope, atol=1e-5)


@pytest.mark.parametrize("baseline", [Inpaint(), SurroundingMean()])
def test_nothing_left_to_fill_from(baseline):
    model = eyeline.load(lambda images: images.sum(axis=(1, 2)), input_size=SIZE)
    for settings in ({"window": 3, "keep": True}, {"window": SIZE, "stride": SIZE}):
        with pytest.raises(InputError, match="must have pixels left to fill from, but everything is covered"):
            eyeline.Occlusion(baseline=baseline, **settings)(model, IMAGES, 0)


def test_inpainting_without_its_package(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "skimage.restoration", None)
    with pytest.raises(eyeline.errors.MissingDependencyError, match=r"skimage must be .*eyeline\[superpixels\]"):
        Inpaint().fill(IMAGES[0], np.eye(*SIZE))


@pytest.mark.parametrize("width", [0, 1.5, True])
def test_a_band_of_no_pixels(width):
    with pytest.raises(InputError, match="width must be a whole number of pixels, 1 or more"):
        SurroundingMean(width)


# --- the engine -------------------------------------------------------------------------------------------------


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 6, 3), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(6, 4),
    ).eval()  # fmt: skip


@pytest.mark.parametrize("engine", ["incremental", "folded"])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("baseline", [eyeline.Blur(2), LocalMean()])
@pytest.mark.parametrize("mask", [None, GaussianMask()])
def test_engines_agree_on_what_is_covered_in_part(engine, keep, baseline, mask):
    images = np.random.default_rng(7).random((2, 20, 16, 3), dtype=np.float32)
    model = eyeline.load(network(), input_size=(20, 16))
    method = eyeline.Occlusion(6, 4, baseline, mask, keep=keep, engine="full")
    full = method(model, images)
    quick = dataclasses.replace(method, engine=engine, verify=5)(model, images)
    assert quick.provenance["engine"] == engine
    np.testing.assert_allclose(quick.sweep.scores, full.sweep.scores, atol=2e-6)
