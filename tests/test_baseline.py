"""Baselines against scipy's Gaussian and their own definitions."""

import pickle

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from eyeline.baseline import Blur, Constant, Image, Mean, Noise, parse
from eyeline.errors import InputError

rng = np.random.default_rng(0)
PICTURES = rng.random((2, 9, 14, 3), dtype=np.float32)


@pytest.mark.parametrize("sigma", [0.4, 1.3, 6.0])
@pytest.mark.parametrize("shape", [(2, 17, 1), (2, 9, 14, 3), (1, 5, 6, 7, 2)])
def test_blur_is_scipys_gaussian(sigma, shape):
    images = rng.random(shape, dtype=np.float32)
    expected = gaussian_filter(
        images.astype(np.float64), sigma, axes=tuple(range(1, len(shape) - 1)), mode="nearest", truncate=4
    )
    np.testing.assert_allclose(Blur(sigma)(images), expected, atol=1e-6)


def test_blur_without_sigma_takes_an_eighteenth_of_the_shorter_side():
    np.testing.assert_array_equal(Blur()(PICTURES), Blur(9 / 18)(PICTURES))


def test_mean_is_per_image_and_channel():
    np.testing.assert_allclose(Mean()(PICTURES)[1, 3, 4], PICTURES[1].mean(axis=(0, 1)), rtol=1e-6)


def test_noise_is_seeded_and_independent_of_the_batch():
    alone, together = Noise(3)(PICTURES[1:]), Noise(3)(PICTURES)
    np.testing.assert_array_equal(alone[0], together[1])
    assert not np.array_equal(Noise(4)(PICTURES), together)
    assert (together >= PICTURES.min(axis=(1, 2), keepdims=True)).all()
    assert (together <= PICTURES.max(axis=(1, 2), keepdims=True)).all()


def test_constant_takes_what_is_given_as_it_is():
    assert (Constant(127.5)(PICTURES) == 127.5).all()
    np.testing.assert_array_equal(Constant((1, 2, 3))(PICTURES)[0, 0, 0], [1, 2, 3])
    assert (Constant()(PICTURES) == 0.5).all()


@pytest.mark.parametrize("low_high", [(0, 255), (-1, 1)])
def test_grey_in_the_wrong_scale_is_refused(low_high):
    images = np.full((1, 4, 4, 3), low_high[1], dtype=np.float32)
    images[0, 0, 0] = low_high[0]
    with pytest.raises(InputError, match=r"within 0\.\.1 for the grey of Constant\(\).*baseline.*preprocess"):
        Constant()(images)


@pytest.mark.parametrize("baseline", [Blur(), Constant(), Mean(), Noise()])
def test_a_baseline_leaves_its_input_alone_and_gives_float32(baseline):
    images = PICTURES.copy()
    covered = baseline(images)
    assert covered.dtype == np.float32
    assert covered.shape == images.shape
    covered += 1
    np.testing.assert_array_equal(images, PICTURES)


def test_image_is_compared_by_its_pixels():
    pixels = PICTURES[0]
    assert Image(pixels) == Image(pixels.copy())
    assert hash(Image(pixels)) == hash(Image(pixels.copy()))
    assert Image(pixels) != Image(pixels + 1)
    np.testing.assert_array_equal(Image(pixels)(PICTURES)[1], pixels)
    with pytest.raises(InputError, match="must have the image's shape"):
        Image(pixels[:4])(PICTURES)


@pytest.mark.parametrize("value", ["a", "0.5", (), ("a", 1), [[1, 2]], True, {}, np.zeros((2, 2))])
def test_a_constant_of_something_else_than_numbers(value):
    with pytest.raises(InputError, match="baseline value must be one number or one per channel, but got"):
        Constant(value)


@pytest.mark.parametrize("value", [[0.0, 0.5, 1.0], np.array([0.0, 0.5, 1.0]), [np.float32(0), 0.5, 1]])
def test_a_list_or_an_array_is_a_tuple(value):
    assert Constant(value) == Constant((0.0, 0.5, 1.0))
    assert hash(Constant(value)) == hash(pickle.loads(pickle.dumps(Constant(value))))
    np.testing.assert_array_equal(Constant(value)(PICTURES)[0, 0, 0], [0, 0.5, 1])


@pytest.mark.parametrize("baseline", [Blur(2.0), Constant((0.0, 1.0)), Mean(), Noise(4), Image(PICTURES[0])])
def test_settings_are_hashable_and_picklable(baseline):
    assert pickle.loads(pickle.dumps(baseline)) == baseline
    assert hash(baseline) == hash(pickle.loads(pickle.dumps(baseline)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("blur", Blur()), ("blur:12", Blur(12.0)), ("constant:0.5", Constant(0.5)), ("mean", Mean()),
        ("noise:7", Noise(7)), ("constant:0,0.5,1", Constant((0.0, 0.5, 1.0))),
    ],
)  # fmt: skip
def test_parse(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("blurr", "Did you mean 'blur'"),
        ("mean:3", "at most one number"),
        ("blur:x", "at most one number"),
        ("blur:-1", "sigma must be a positive"),
        ("blur:inf", "sigma must be a positive"),
        ("noise:-1", "seed must be a whole number"),
    ],
)
def test_parse_refuses(text, sentence):
    with pytest.raises(InputError, match=sentence):
        parse(text)


def test_a_channel_too_many_is_refused():
    with pytest.raises(InputError, match=r"one per channel \(3\)"):
        Constant((1.0, 2.0))(PICTURES)


def test_a_picture_that_is_no_array():
    with pytest.raises(InputError, match=r"baseline picture must be an array .*, but got 'black.png'"):
        Image("black.png")
