"""Windows: where they lie, against the published count formula; how they become a map, against plain loops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyeline.errors import InputError
from eyeline.window import Box, coverage, default_stride, default_window, grid, lay, per_axis


@st.composite
def layouts(draw):
    size, window, stride = [], [], []
    for _ in range(draw(st.integers(1, 3))):
        size.append(draw(st.integers(1, 9)))
        window.append(draw(st.integers(1, size[-1])))
        stride.append(draw(st.integers(1, window[-1])))
    return tuple(size), tuple(window), tuple(stride)


@given(layouts())
def test_every_pixel_is_covered_and_counts_follow_the_formula(layout):
    size, window, stride = layout
    boxes = grid(size, window, stride)
    counts = [math.ceil((n - w) / s) + 1 for n, w, s in zip(size, window, stride, strict=True)]
    assert len(boxes) == math.prod(counts)
    assert (coverage(boxes, size) >= 1).all()
    assert (boxes[:, :, 1] <= size).all()
    assert (boxes[:, :, 0] % stride == 0).all()


@given(layouts())
def test_inside_keeps_the_whole_windows_of_cut(layout):
    size, window, stride = layout
    cut, inside = grid(size, window, stride), grid(size, window, stride, "inside")
    whole = [box.tolist() for box in cut if ((box[:, 1] - box[:, 0]) == window).all()]
    assert inside.tolist() == whole


@given(layouts())
def test_shift_moves_the_cut_windows_back_and_keeps_them_whole(layout):
    size, window, stride = layout
    cut, shifted = grid(size, window, stride), grid(size, window, stride, "shift")
    np.testing.assert_array_equal(shifted[..., 1] - shifted[..., 0], np.broadcast_to(window, shifted.shape[:2]))
    np.testing.assert_array_equal(shifted[..., 1], np.where(cut[..., 1] == size, size, cut[..., 1]))
    assert (coverage(shifted, size) >= 1).all()


def test_windows_come_in_raster_order():
    assert grid((4, 6), (2, 3), (2, 3)).tolist() == [
        [[0, 2], [0, 3]],
        [[0, 2], [3, 6]],
        [[2, 4], [0, 3]],
        [[2, 4], [3, 6]],
    ]


@given(layouts(), st.sampled_from(["mean", "sum"]), st.sampled_from(["cut", "inside", "shift"]), st.integers(0, 99))
def test_lay_equals_a_loop_over_pixels(layout, overlap, edge, seed):
    size, window, stride = layout
    boxes = grid(size, window, stride, edge)
    values = np.random.default_rng(seed).normal(size=(2, len(boxes)))
    expected = np.zeros((2, *size))
    for pixel in np.ndindex(size):
        on = [i for i, box in enumerate(boxes) if all(a <= p < b for p, (a, b) in zip(pixel, box, strict=True))]
        if on:
            combine = np.mean if overlap == "mean" else np.sum
            expected[(slice(None), *pixel)] = combine(values[:, on], axis=1)
    np.testing.assert_allclose(lay(values, boxes, size, overlap), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("window", "stride", "sentence"),
    [
        (9, 1, "window must be at most the image's size, but got 9 on an axis of 8"),
        (4, 5, "stride must be at most the window, so that every pixel is covered, but got stride 5 with window 4"),
        (0, 1, "window must be a whole number of pixels, 1 or more, but got 0"),
        (4, -1, "stride must be a whole number of pixels, 1 or more, but got -1"),
        (4, 0, "stride must be a whole number of pixels, 1 or more"),
        ((4, 4, 4), 1, "window must be one int or one per spatial axis"),
        ((4, 2.5), 1, "window must be a whole number of pixels"),
        (2.5, 1, "window must be"),
        ("8", 1, "window must be"),
        (True, 1, "window must be"),
    ],
)
def test_what_does_not_fit_is_refused(window, stride, sentence):
    with pytest.raises(InputError, match=sentence):
        grid((8, 8), window, stride)


def test_defaults_are_a_quarter_of_the_shorter_side_and_a_quarter_of_that():
    assert default_window((224, 300)) == (56, 56)
    assert default_stride((56, 56)) == (14, 14)
    assert default_window((2, 3)) == (1, 1)
    assert default_stride((3,)) == (1,)
    assert per_axis(3, 2, "window") == (3, 3)


def test_a_box_says_its_pixels():
    assert str(Box.of([[0, 8], [16, 24]])) == "rows 0..7, columns 16..23"
    assert str(Box.of([[0, 8]])) == "samples 0..7"
