"""Superpixels, RISE, several scales and baselines, pairs: closed forms, plain loops, and what is refused."""

import dataclasses
import sys

import numpy as np
import pytest

import eyeline
from eyeline.cells import Cells, draw
from eyeline.errors import InputError, MissingDependencyError, UnsupportedError
from eyeline.methods import build, masking
from eyeline.methods.counts import positions
from eyeline.region import Labels

SIZE = (8, 10)
IMAGES = np.random.default_rng(0).random((2, *SIZE, 3), dtype=np.float32)
W = np.random.default_rng(1).normal(size=(*SIZE, 3)).astype(np.float32)
GREY = eyeline.Constant(0.3)
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def linear(images):
    return np.stack([(images * W).sum(axis=(1, 2, 3)), (images * np.flip(W, 1)).sum(axis=(1, 2, 3))], axis=1)


def curved(images):
    scores = linear(images)
    return np.tanh(scores) + scores[:, ::-1] ** 2 / 20


def load(function=linear):
    return eyeline.load(function, input_size=SIZE)


def labels(count=6, seed=2):
    """A label image with every number, in pieces."""
    random = np.random.default_rng(seed)
    found = random.integers(0, count, SIZE)
    found.ravel()[random.choice(found.size, count, replace=False)] = np.arange(count)
    return found


# --- superpixels ----------------------------------------------------------------------------------------------


def test_superpixels_of_a_linear_model():
    own = labels()
    found = eyeline.Superpixels(own, baseline=GREY)(load(), IMAGES, 0)
    each = (W * (IMAGES - 0.3)).sum(axis=-1)
    expected = np.zeros_like(each)
    for label in range(6):
        expected[:, own == label] = each[:, own == label].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.maps, expected, **TOLERANCE)
    kept = eyeline.Superpixels(own, baseline=GREY, keep=True)(load(), IMAGES, 0)
    np.testing.assert_allclose(kept.maps, expected, **TOLERANCE)
    np.testing.assert_allclose(
        found.maps[0].ravel()[np.unique(own, return_index=True)[1]].sum(), each[0].sum(), rtol=1e-4
    )


@pytest.mark.parametrize("measure", ["drop", "score", "complement"])
@pytest.mark.parametrize("keep", [False, True])
def test_superpixels_as_a_loop_finds_them(measure, keep):
    """Label images of each image's own, of different numbers of regions."""
    own = np.stack([labels(5, 3), labels(8, 4)])
    found = eyeline.Superpixels(own, baseline=GREY, measure=measure, keep=keep)(load(curved), IMAGES, [0, 1])
    for image, part, target, laid in zip(IMAGES, own, (0, 1), found.maps, strict=True):
        reference = curved(np.full_like(image[None], 0.3) if keep else image[None])[0, target]
        for label in np.unique(part):
            hidden = (part != label) if keep else (part == label)
            score = curved(np.where(hidden[..., None], np.float32(0.3), image)[None])[0, target]
            drop = score - reference if keep else reference - score
            expected = {"drop": drop, "score": score, "complement": 1 - score}[measure]
            np.testing.assert_allclose(laid[part == label], expected, **TOLERANCE)


def test_the_loop_sees_a_label_too_many(monkeypatch):
    """Sabotage twin: regions that take a neighbour's pixels too."""
    mask_of = Labels.mask_of
    monkeypatch.setattr(Labels, "mask_of", lambda self, image, region: mask_of(self, image, region) | True)
    with pytest.raises(AssertionError):
        test_superpixels_as_a_loop_finds_them("drop", False)


def test_other_targets_and_flips_of_superpixels():
    own = np.stack([labels(5, 3), labels(8, 4)])
    found = eyeline.Superpixels(own, baseline=GREY)(load(curved), IMAGES, 0)
    for target in (1, eyeline.Contrast(0, 1)):
        again = eyeline.Superpixels(own, baseline=GREY)(load(curved), IMAGES, target)
        np.testing.assert_allclose(found.to(target).maps, again.maps, atol=1e-6)
    flips = eyeline.flips(found)
    best = curved(IMAGES).argmax(axis=1)
    for image, part, top, share in zip(IMAGES, own, best, flips.share, strict=True):
        for label in np.unique(part):
            scores = curved(np.where((part == label)[..., None], np.float32(0.3), image)[None])[0]
            np.testing.assert_array_equal(share[part == label], float(scores.argmax() != top))


def test_slic_is_that_of_scikit_image():
    from skimage.segmentation import slic

    found = eyeline.Superpixels(segments=6, compactness=3)(load(), IMAGES, 0)
    for image, own in zip(IMAGES, found.sweep.regions.pixels, strict=True):
        expected = slic(image, 6, 3, start_label=0, channel_axis=-1)
        assert len(np.unique(own)) == len(np.unique(expected)) == len(np.unique(own * 100 + expected))
    scaled = eyeline.Superpixels(segments=6, compactness=3, baseline=eyeline.Mean())(load(), IMAGES * 255, 0)
    assert len(scaled.sweep.regions) > 1


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (np.zeros((8, 9), int), r"labels must have the images' size \(8, 10\).*but got \(8, 9\)"),
        (np.zeros((3, 8, 10), int), r"labels must have the images' size .* but got \(3, 8, 10\)"),
        (np.where(labels() == 2, 7, labels()), "without a hole, but got no pixel of 2 and one of 7"),
        (labels() + 1, "without a hole, but got no pixel of 0"),
        (labels() - 1, "without a hole, but got the number -1"),
        (labels() / 2, "labels must hold whole numbers, but got float64"),
        ("slic", "labels must be a file that can be read, but got 'slic'"),
    ],
)
def test_label_images_that_do_not_fit(given, sentence):
    with pytest.raises(InputError, match=sentence):
        eyeline.Superpixels(given)(load(), IMAGES)


@pytest.mark.parametrize("name", ["labels.npy", "labels.png"])
def test_label_images_in_files(name, tmp_path):
    from PIL import Image

    np.save(tmp_path / "labels.npy", labels())
    Image.fromarray(labels().astype(np.uint8)).save(tmp_path / "labels.png")
    found = eyeline.Superpixels(str(tmp_path / name), baseline=GREY)(load(), IMAGES)
    np.testing.assert_array_equal(found.maps, eyeline.Superpixels(labels(), baseline=GREY)(load(), IMAGES).maps)
    Image.new("RGB", (10, 8)).save(tmp_path / "colours.png")
    with pytest.raises(InputError, match="a picture of labels must have one channel"):
        eyeline.Superpixels(tmp_path / "colours.png")
    np.save(tmp_path / "pickled.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(InputError, match="labels must be a file that can be read"):
        eyeline.Superpixels(tmp_path / "pickled.npy")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"segments": 0}, "segments must be a whole number, 1 or more, but got 0"),
        ({"compactness": 0}, "compactness must be a number above 0, but got 0"),
    ],
)
def test_superpixels_that_cannot_be(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        build("superpixels", settings)


def test_superpixels_without_their_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'eyeline\[superpixels\]'"):
        eyeline.Superpixels()(load(), IMAGES)


def test_label_images_are_settings():
    one, two = eyeline.Superpixels(labels()), eyeline.Superpixels(labels())
    assert one == two
    assert hash(one) == hash(two)
    assert one != eyeline.Superpixels(labels(seed=9))
    assert "LabelImage(shape=(8, 10)" in repr(one)


# --- RISE -----------------------------------------------------------------------------------------------------


def upsampled(grid, size):
    """Cells -> (cells + 1) * ceil(size / cells) pixels, linearly between the middles: by scipy's interpolation."""
    from scipy.ndimage import map_coordinates

    axes = []
    for count, length in zip(grid.shape, size, strict=True):
        pixels = (count + 1) * -(-length // count)
        axes.append((np.arange(pixels) + 0.5) * count / pixels - 0.5)
    return map_coordinates(grid.astype(float), np.meshgrid(*axes, indexing="ij"), order=1, mode="nearest")


@pytest.mark.parametrize(("size", "shape"), [((8, 10), (3, 4)), ((9,), (2,)), ((5, 6, 7), (2, 3, 1)), ((6, 6), (6, 6))])
def test_masks_are_cells_upsampled_and_cut(size, shape):
    regions = draw(20, shape, size, 0.5, 3)
    for each, mask in enumerate(regions.masks(np.arange(20))):
        whole = upsampled(regions.grid[each], size)
        cut = tuple(slice(start, start + length) for start, length in zip(regions.shifts[each], size, strict=True))
        np.testing.assert_allclose(mask, whole[cut], atol=1e-6)
        assert all(0 <= start < -(-n // k) for start, n, k in zip(regions.shifts[each], size, shape, strict=True))
        np.testing.assert_array_equal(regions.mask_of(0, each), mask)


@pytest.mark.parametrize(("size", "shape"), [((8, 10), (3, 4)), ((9,), (2,)), ((5, 6, 7), (2, 3, 1)), ((6, 6), (6, 6))])
def test_maps_laid_from_cells_are_those_of_the_masks(size, shape):
    """No mask is made where a map is laid: sums over masks, and over their squares, against masks that are."""
    regions = draw(50, shape, size, 0.5, 4)
    masks = regions.masks(np.arange(50)).astype(np.float64)
    values = np.random.default_rng(0).standard_normal((2, 50))
    weight, column = masks.sum(axis=0), (slice(None), slice(None), *[None] * len(size))
    mean = (values[column] * masks).sum(axis=1) / weight
    spread = ((masks * (values[column] - mean[:, None])) ** 2).sum(axis=1) * 50 / 49
    np.testing.assert_allclose(regions.lay(values, size), mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(regions.lay(values, size, "sum"), mean * weight, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(regions.further(values, size)["standard_error"], spread**0.5 / weight, rtol=1e-5)


def test_rise_is_the_weighted_mean_of_a_plain_loop():
    method = eyeline.Rise(masks=60, cells=3, probability=0.4, seed=5, measure="score", baseline=eyeline.Blur(2))
    found = method(load(curved), IMAGES, [0, 1])
    masks = draw(60, (3, 3), SIZE, 0.4, 5).masks(np.arange(60))
    blurred = eyeline.Blur(2)(IMAGES)
    for i, target in enumerate((0, 1)):
        shown = [IMAGES[i] * mask[..., None] + blurred[i] * (1 - mask[..., None]) for mask in masks]
        scores = [float(curved(each[None].astype(np.float32))[0, target]) for each in shown]
        for pixel in np.ndindex(SIZE):
            own = [float(mask[pixel]) for mask in masks]
            mean = sum(m * s for m, s in zip(own, scores, strict=True)) / sum(own)
            spread = sum((m * (s - mean)) ** 2 for m, s in zip(own, scores, strict=True)) * 60 / 59
            assert found.maps[(i, *pixel)] == pytest.approx(mean, rel=1e-4)
            assert found.further["standard_error"][(i, *pixel)] == pytest.approx(spread**0.5 / sum(own), rel=1e-4)
    np.testing.assert_allclose(found.to(1).maps[1], found.maps[1], atol=1e-6)


def test_the_gain_is_over_the_mean_of_all_masks():
    method = eyeline.Rise(masks=50, cells=3, baseline=GREY)
    gain, score = (dataclasses.replace(method, measure=each)(load(curved), IMAGES, 0) for each in ("gain", "score"))
    mean = score.sweep.scores[:, :, 0].mean(axis=1)[:, None, None]
    np.testing.assert_allclose(gain.maps, score.maps - mean, atol=1e-5)
    np.testing.assert_allclose(gain.further["standard_error"], score.further["standard_error"], atol=1e-6)
    np.testing.assert_allclose(gain.to(1).maps, dataclasses.replace(method)(load(curved), IMAGES, 1).maps, atol=1e-6)
    masks, scores = method_masks(50), score.sweep.scores[:, :, 0].astype(float)
    for own, row in zip(gain.maps, scores, strict=True):  # what masks and scores have in common
        common = ((masks - masks.mean(axis=0)) * (row - row.mean())[:, None, None]).mean(axis=0)
        np.testing.assert_allclose(own, common / masks.mean(axis=0), atol=1e-5)


def method_masks(count):
    return draw(count, (3, 3), SIZE, 0.5, 0).masks(np.arange(count)).astype(float)


@pytest.mark.parametrize("cached", [1, 400, 2**30])
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("black", [False, True])
def test_images_are_mixed_alike_however_many_at_a_time(monkeypatch, cached, several, black):
    """`ground (1 - m) + patch m`, number by number; exactly the one or the other where m is 0 or 1."""
    monkeypatch.setattr(masking, "CACHED", cached)
    generator = np.random.default_rng(3)
    mask = generator.choice(np.array([0, 0.25, 0.7, 1], dtype=np.float32), (5, 4, 6))
    below, above = generator.random((2, 5 if several else 1, 4, 6, 3), dtype=np.float32)
    below *= not black
    found, share = masking.blend(below, above, mask), mask[..., None]
    np.testing.assert_array_equal(found, below * (1 - share) + above * share)
    np.testing.assert_array_equal(found[mask == 1], np.broadcast_to(above, found.shape)[mask == 1])
    np.testing.assert_array_equal(masking.blend(below[0], above[0], mask[0]), found[0])


def covariance(cells, size, probability):
    """E[m_q m_p] / E[m_p] over grids and shifts, from the mean and variance of a cell: no mask is drawn."""
    ways, shifts = [], []
    for count, length in zip(cells, size, strict=True):
        whole = np.stack([upsampled(np.eye(count)[each], (length,)) for each in range(count)], axis=1)
        steps = -(-length // count)
        shifts.append(steps)
        ways.append([whole[start : start + length] for start in range(steps)])
    found = 0
    for start in np.ndindex(*shifts):
        u = np.ones((1, 1))
        for axis, each in enumerate(start):
            u = np.kron(u, ways[axis][each])
        found = found + probability**2 + probability * (1 - probability) * u @ u.T
    return found / np.prod(shifts) / probability


@pytest.mark.parametrize("shape", [(3, 4), SIZE])
def test_rise_expects_for_a_linear_model_what_its_masks_covariance_says(shape):
    """E[A(p)] = s(baseline) + sum over q of w_q (x_q - c) E[m_q m_p] / E[m_p]; also with as many cells as pixels."""
    method = eyeline.Rise(masks=6000, cells=shape, baseline=GREY, seed=11, measure="score")
    found = method(load(), IMAGES[:1], 0)
    gain = (W * (IMAGES[0] - 0.3)).sum(axis=-1).ravel()
    expected = (0.3 * W).sum() + (covariance(shape, SIZE, 0.5) @ gain).reshape(SIZE)
    off = (found.maps[0] - expected) / found.further["standard_error"][0]
    assert np.abs(off).max() < 4.5
    assert np.sqrt((off**2).mean()) < 1.6
    assert np.ptp(expected) > 4 * found.further["standard_error"].max()


def test_the_standard_error_is_that_of_repeated_runs():
    runs = [
        eyeline.Rise(200, 4, seed=seed, baseline=GREY, measure="score")(load(curved), IMAGES[:1], 0)
        for seed in range(60)
    ]
    spread = np.std([each.maps[0] for each in runs], axis=0, ddof=1)
    said = np.mean([each.further["standard_error"][0] for each in runs], axis=0)
    assert 0.9 < (spread / said).mean() < 1.1


@pytest.mark.parametrize(
    "broken",
    [
        lambda self, values, size, overlap="mean": LAY(self, values, size, "sum") / (len(self) * 0.5),
        lambda self, values, size, overlap="mean": LAY(self, np.roll(values, 1, 1), size, overlap),
    ],
    ids=["by the expected sum", "shifted by one"],
)
def test_the_loop_sees_other_weights(monkeypatch, broken):
    """Sabotage twins."""
    monkeypatch.setattr(Cells, "lay", broken)
    with pytest.raises(AssertionError):
        test_rise_is_the_weighted_mean_of_a_plain_loop()


LAY = Cells.lay


def test_batches_do_not_matter():
    method = eyeline.Rise(masks=50, cells=3)
    one, many = (dataclasses.replace(method, batch=batch)(load(curved), IMAGES) for batch in (1, 50))
    np.testing.assert_allclose(one.maps, many.maps, atol=1e-6)
    np.testing.assert_allclose(one.to(0).maps, many.to(0).maps, atol=1e-6)
    swapped = method(load(curved), IMAGES[::-1].copy())
    np.testing.assert_allclose(swapped.maps[::-1], many.maps, atol=1e-6)


def test_more_masks_begin_with_the_same():
    few, many = draw(10, (3, 3), SIZE, 0.5, 1), draw(30, (3, 3), SIZE, 0.5, 1)
    np.testing.assert_array_equal(few.masks(np.arange(10)), many.masks(np.arange(10)))
    assert (draw(10, (3, 3), SIZE, 0.5, 2).grid != few.grid).any()


def test_a_file_of_rise_gives_other_targets(tmp_path):
    found = eyeline.Rise(masks=40, cells=3)(load(curved), IMAGES, 0)
    read = eyeline.Attribution.load(found.save(tmp_path / "rise.npz"))
    np.testing.assert_array_equal(read.to(1).maps, found.to(1).maps)
    np.testing.assert_array_equal(read.to(1).further["standard_error"], found.to(1).further["standard_error"])
    assert read.further.keys() == {"standard_error"}
    np.testing.assert_array_equal(eyeline.flips(read).share, eyeline.flips(found).share)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"masks": 0}, "masks must be a whole number, 2 or more, but got 0"),
        ({"masks": 1}, "masks must be a whole number, 2 or more, but got 1"),
        ({"probability": 0}, "probability must be a number above 0 and at most 1, but got 0"),
        ({"probability": 1.5}, r"probability must be a number above 0 and at most 1, but got 1\.5"),
        ({"probability": 1}, "probability must be below 1"),
        ({"cells": 9}, "cells must be at most the image's size, but got 9 on an axis of 8 pixels"),
        ({"cells": 0}, "cells must be a whole number"),
        ({"seed": -1}, "seed must be a whole number, 0 or more"),
        ({"baseline": eyeline.Inpaint()}, r"baseline must not look at what is covered.*but got Inpaint\(\)"),
        ({"baseline": lambda images: images[:, :3]}, "baseline must give finite images"),
        ({"baseline": eyeline.Image(np.zeros((3, 3, 3), np.float32))}, "must have the image's shape"),
    ],
)
def test_masks_that_cannot_be(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        eyeline.explain(load(), IMAGES, "rise", **settings)


# --- several scales, several baselines ----------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [False, True])
def test_scales_are_averaged_map_by_map(keep):
    inner = eyeline.Occlusion(baseline=GREY, keep=keep)
    found = eyeline.MultiScale(inner, (2, 4, 7))(load(curved), IMAGES, 0)
    each = [dataclasses.replace(inner, window=window)(load(curved), IMAGES, 0).maps for window in (2, 4, 7)]
    np.testing.assert_allclose(found.maps, np.mean(each, axis=0), **TOLERANCE)
    np.testing.assert_allclose(found.further["deviation"], np.std(each, axis=0), **TOLERANCE)
    np.testing.assert_array_equal(
        found.further["agreement"], np.mean(np.sign(each) == np.sign(found.maps), axis=0).astype(np.float32)
    )
    again = eyeline.MultiScale(inner, (2, 4, 7))(load(curved), IMAGES, 1)
    np.testing.assert_allclose(found.to(1).maps, again.maps, atol=1e-6)
    assert eyeline.MultiScale()(load(), IMAGES).method["windows"] == [1, 2, 4]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("inner", [eyeline.Occlusion(3, 2), eyeline.Superpixels(labels())])
def test_baselines_are_compared(inner, keep, tmp_path):
    baselines = (GREY, eyeline.Blur(2), eyeline.Mean(), eyeline.LocalMean())
    inner = dataclasses.replace(inner, keep=keep)
    found = eyeline.BaselineAgreement(inner, baselines)(load(curved), IMAGES, 0)
    each = [dataclasses.replace(inner, baseline=baseline)(load(curved), IMAGES, 0).maps for baseline in baselines]
    np.testing.assert_allclose(found.maps, np.mean(each, axis=0), **TOLERANCE)
    np.testing.assert_allclose(found.further["deviation"], np.std(each, axis=0), **TOLERANCE)
    sure = np.abs(each).min(axis=0) > 1e-4
    alike = np.mean(np.sign(each) == np.sign(np.mean(each, axis=0)), axis=0)
    np.testing.assert_allclose(found.further["agreement"][sure], alike[sure])
    read = eyeline.Attribution.load(found.save(tmp_path / "baselines.npz"))
    np.testing.assert_array_equal(read.to(eyeline.Contrast(1, 0)).maps, found.to(eyeline.Contrast(1, 0)).maps)
    np.testing.assert_array_equal(read.to(1).further["deviation"], found.to(1).further["deviation"])


def test_baselines_inside_scales():
    inner = eyeline.MultiScale(eyeline.Occlusion(), (2, 4))
    found = eyeline.BaselineAgreement(inner, (GREY, eyeline.Mean()))(load(curved), IMAGES, 0)
    each = [
        eyeline.Occlusion(window, None, baseline)(load(curved), IMAGES, 0).maps
        for window in (2, 4)
        for baseline in (GREY, eyeline.Mean())
    ]
    np.testing.assert_allclose(found.maps, np.mean(each, axis=0), **TOLERANCE)


@pytest.mark.parametrize(
    ("method", "settings", "sentence"),
    [
        ("multiscale", {"windows": ()}, "windows must hold at least one size"),
        ("multiscale", {"windows": (2, 0)}, "windows must be a whole number, 1 or more, but got 0"),
        ("multiscale", {"windows": (2, 9)}, "window must be at most the image's size"),
        (
            "multiscale",
            {"windows": (4, 2), "inner": eyeline.Occlusion(stride=(1, 3))},
            r"at most that size, .* but got stride 3 with windows=\(4, 2\), of which 2 is smaller. Pass 2 or less",
        ),
        (
            "multiscale",
            {"inner": eyeline.Gradient()},
            r"inner must be a method that covers and has a window, but got Gra",
        ),
        ("multiscale", {"inner": eyeline.Rise()}, "inner must be a method that covers and has a window"),
        ("baselineagreement", {"baselines": (GREY,)}, "baselines must be two or more"),
        ("baselineagreement", {"inner": 3}, "inner must be a method that covers and has a baseline, but got 3"),
        ("baselineagreement", {"inner": eyeline.GradientInput()}, "must have a model with gradients"),
    ],
)
def test_runs_that_cannot_be_put_together(method, settings, sentence):
    with pytest.raises((InputError, UnsupportedError), match=sentence):
        eyeline.explain(load(), IMAGES, method, **settings)


# --- pairs ----------------------------------------------------------------------------------------------------


def test_parts_that_add_up_do_not_interact():
    found = eyeline.Pairs(4, baseline=GREY)(load(), IMAGES, 0)
    assert len(found.sweep.regions) == 6 * 7 // 2
    np.testing.assert_allclose(eyeline.interactions(found).matrix, 0, atol=1e-4)
    alone = eyeline.Occlusion(4, 4, GREY)(load(), IMAGES, 0)
    np.testing.assert_allclose(found.further["alone"], alone.maps, **TOLERANCE)


def product(images):
    """Score 0: the product of the means of the upper left and lower right corner; score 1: the larger of the two."""
    a, b = images[:, :4, :4].mean(axis=(1, 2, 3)), images[:, 4:, 4:8].mean(axis=(1, 2, 3))
    return np.stack([a * b, np.maximum(a, b)], axis=1)


@pytest.mark.parametrize("chosen", [None, 0, 4])
def test_a_product_and_a_maximum_by_hand(chosen):
    """Covered with 0: a product of a and b falls by ab for either and for both; windows 0 and 4 hold them."""
    found = eyeline.Pairs(4, chosen, baseline=eyeline.Constant(0))(load(product), IMAGES, 0)
    a, b = IMAGES[:, :4, :4].mean(axis=(1, 2, 3)), IMAGES[:, 4:, 4:8].mean(axis=(1, 2, 3))
    expected = np.zeros((2, 6, 6))
    expected[:, 0, 4] = expected[:, 4, 0] = a * b - 2 * a * b
    read = eyeline.interactions(found)
    np.testing.assert_allclose(read.matrix, expected, atol=1e-6)
    np.testing.assert_array_equal(read.chosen, [chosen or 0] * 2)
    laid = np.zeros((2, *SIZE))
    laid[(slice(None), *((slice(4, 8), slice(4, 8)) if chosen != 4 else (slice(0, 4), slice(0, 4))))] = -(a * b)[
        :, None, None
    ]
    np.testing.assert_allclose(found.maps, laid, atol=1e-6)
    larger = eyeline.interactions(found.to(1)).matrix[:, 0, 4]
    np.testing.assert_allclose(larger, np.maximum(a, b) - np.abs(a - b), atol=1e-6)  # either is enough: above 0


def test_pairs_as_a_loop_finds_them(tmp_path):
    found = eyeline.Pairs((3, 5), baseline=eyeline.Blur(1))(load(curved), IMAGES, 0)
    blurred = eyeline.Blur(1)(IMAGES)
    boxes = [(row, column) for row in ((0, 3), (3, 6), (6, 8)) for column in ((0, 5), (5, 10))]

    def drop(image, *windows):
        seen = IMAGES[image].copy()
        for window in windows:
            (a, b), (c, d) = boxes[window]
            seen[a:b, c:d] = blurred[image, a:b, c:d]
        return curved(IMAGES[image][None])[0, 0] - curved(seen[None])[0, 0]

    matrix = eyeline.interactions(found).matrix
    for i, a, b in np.ndindex(matrix.shape):
        expected = 0 if a == b else drop(i, a, b) - drop(i, a) - drop(i, b)
        assert matrix[i, a, b] == pytest.approx(expected, abs=1e-5)
    read = eyeline.Attribution.load(found.save(tmp_path / "pairs.npz"))
    np.testing.assert_array_equal(read.to(1).maps, found.to(1).maps)


def test_pairs_that_cannot_be():
    with pytest.raises(
        InputError, match=r"80 windows make 3240 covered images, and these must be at most 3000 \(limit\)"
    ):
        eyeline.Pairs(1)(load(), IMAGES)
    with pytest.raises(InputError, match=r"chosen must be a window, 0 to 5, but got 6"):
        eyeline.Pairs(4, 6)(load(), IMAGES)
    with pytest.raises(UnsupportedError, match="must have a sweep of pairs, but the method 'occlusion' keeps none"):
        eyeline.interactions(eyeline.Occlusion()(load(), IMAGES))
    with pytest.raises(UnsupportedError, match="must have regions that are covered one by one, but got pairs"):
        eyeline.flips(eyeline.Pairs(4)(load(), IMAGES))


# --- what all of them share -----------------------------------------------------------------------------------------

METHODS = {
    "superpixels": eyeline.Superpixels(labels()),
    "rise": eyeline.Rise(masks=30, cells=3),
    "multiscale": eyeline.MultiScale(windows=(2, 4)),
    "baselineagreement": eyeline.BaselineAgreement(eyeline.Occlusion(4)),
    "pairs": eyeline.Pairs(5),
}


@pytest.mark.parametrize("name", METHODS)
def test_what_a_run_takes_is_known_before(name):
    asked = []

    def counting(images):
        asked.append(len(images))
        return curved(images)

    METHODS[name](load(counting), IMAGES[:1], 0)
    runs = {"multiscale": 2, "baselineagreement": 3}.get(name, 1)
    extra = runs * (2 if name == "rise" else 1)  # the clean image, and for RISE the covered one
    assert sum(asked) == positions(METHODS[name], SIZE) + extra
    assert positions(eyeline.SmoothGrad(METHODS[name], samples=4), SIZE) == 4 * positions(METHODS[name], SIZE)
    assert positions(eyeline.Gradient(), SIZE) == 0


@pytest.mark.parametrize("name", METHODS)
def test_an_image_alone_has_the_map_that_it_has_in_company(name):
    together = METHODS[name](load(curved), IMAGES, 0)
    for image, expected in zip(IMAGES, together.maps, strict=True):
        np.testing.assert_allclose(METHODS[name](load(curved), image[None], 0).maps[0], expected, atol=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_the_image_is_left_alone_and_the_map_drawn(name, tmp_path):
    from eyeline.command import rows
    from eyeline.command.words import finding
    from eyeline.picture import draw as drawn
    from eyeline.picture import save

    before = IMAGES.copy()
    found = METHODS[name](load(curved), IMAGES, 0)
    np.testing.assert_array_equal(IMAGES, before)
    assert found.maps.dtype == np.float32
    assert found.quantity
    save(drawn(found, 0), tmp_path / "map.png")
    rows.save(found, tmp_path / "map.csv")
    assert len((tmp_path / "map.csv").read_text().splitlines()) > 10
    assert str(finding(found, 1))
    eyeline.report(found, tmp_path / "map.html")


def test_a_score_that_is_not_finite_names_the_region():
    def fragile(images):
        scores = linear(images)
        scores[(images[:, labels() == 3] == 0).all(axis=(1, 2))] = np.nan
        return scores

    with pytest.raises(eyeline.errors.ModelError, match=r"scores must be finite, but got nan .*window 3: rows"):
        eyeline.Superpixels(labels(), baseline=eyeline.Constant(0))(load(fragile), IMAGES, 0)
