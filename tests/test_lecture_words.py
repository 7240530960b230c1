"""The lecture's functions where no trained network is needed: pictures, what is refused, what the sentences say."""

import numpy as np
import pytest

import eyeline
from eyeline import lecture
from eyeline.errors import InputError
from eyeline.lecture.measure import look, sentence


def test_red_overlay_takes_what_the_lecture_holds():
    image = np.random.default_rng(0).random((1, 4, 6, 3), dtype=np.float32)
    red = np.arange(24.0).reshape(4, 6) / 24
    for given, values in ((image, red), (image, red[None]), (image[0], red), (image[0], red[None])):
        found = lecture.red_overlay(given, values)
        assert found.shape == given.shape
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found[..., 0].reshape(4, 6), red.astype(np.float32))
        np.testing.assert_array_equal(found[..., 1:], given[..., 1:])
    assert not np.shares_memory(found, image)


INTEGERS = np.full((1, 16, 16, 3), 200, dtype=np.uint8)
FLOATS = np.full((2, 16, 16, 3), 0.2, dtype=np.float32)


def refused(given):
    raise AssertionError("the model ran")


@pytest.mark.parametrize(
    "call",
    [
        lambda: lecture.iterate_occlusion(INTEGERS),
        lambda: lecture.occlusion_map(INTEGERS, refused, 0),
        lambda: lecture.saliency_map(refused, INTEGERS, 0),
        lambda: lecture.red_overlay(INTEGERS, np.zeros((16, 16))),
    ],
)
def test_integers_are_refused(call):
    with pytest.raises(InputError, match=r"floats in 0..1, in which 0.5 is grey, but got uint8. Pass image / 255"):
        call()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: lecture.iterate_occlusion(FLOATS), r"a single one, .* got shape \(2, 16, 16, 3\). Pass images\[i : i"),
        (lambda: lecture.iterate_occlusion(FLOATS[0]), r"shape \(n, rows, columns, channels\), but got \(16, 16, 3\)"),
        (lambda: lecture.iterate_occlusion(FLOATS[:1], 17), "1 to 16, so that a square fits .* got 17. Pass size=8"),
        (lambda: lecture.occlusion_map(FLOATS[:1], refused, 0, 0), "whole number of pixels, 1 to 16, .* but got 0"),
        (lambda: lecture.occlusion_map(FLOATS[:1], refused, 0, 2.0), r"whole number of pixels, .* but got 2\.0"),
        (lambda: lecture.saliency_map(refused, FLOATS, 0, rescale="eech"), "rescale must be .* Did you mean 'each'"),
        (lambda: lecture.red_overlay(FLOATS, np.zeros((16, 16))), r"one map per image, but got shape \(16, 16\)"),
        (lambda: lecture.red_overlay(FLOATS[0], np.zeros((8, 8))), r"rows and columns \(16, 16\), .* shape \(8, 8\)"),
        (lambda: lecture.red_overlay(FLOATS[0, 0], np.zeros(16)), r"\(rows, columns, channels\), or a leading n, but"),
    ],
)
def test_what_does_not_fit_has_a_sentence(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_sentences_say_what_was_not_found():
    """A model that looks at one corner alone, and a part in the other one."""
    image = np.full((1, 32, 32, 3), 0.1, dtype=np.float32)
    image[0, :8, :8] = 1

    class Corner:
        """Scores: the mean of the upper left corner, and what it lacks."""

        def __call__(self, given):
            corner = given[:, :8, :8].mean(axis=(1, 2, 3))
            return np.stack([corner, 1 - corner], axis=1)

    opened = eyeline.load(Corner(), input_size=(32, 32))
    opened_maps = lecture.occlusion_map(image, opened, 0)
    assert opened_maps[0, 0] == pytest.approx(0.5)
    seen = _look_without_gradient(opened, image, part=np.array([[24, 32], [24, 32]]))
    assert not seen.hit()
    assert "misses the handle" in sentence(seen)
    found = _look_without_gradient(opened, image, part=np.array([[2, 10], [2, 10]]))
    assert found.hit()
    assert found.shares()[0] == pytest.approx(36 / 64)
    assert found.area() == pytest.approx(64 / 1024)
    assert "touches the handle, which holds 56% of the red, 9 times" in sentence(found)
    wrong = _look_without_gradient(opened, image, truth=1)
    assert "called mug with 1.00, wrongly: tumbler has 0.00" in sentence(wrong)
    assert "No part of it is known" in sentence(wrong)


def _look_without_gradient(model, image, truth=0, part=None):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eyeline.lecture.measure.saliency_map", lambda *given: np.ones((1, 32, 32), dtype=np.float32))
        return look(model, image, truth, ("mug", "tumbler"), "handle", part)
