"""Spread of changed boxes against brute force: pixels are changed, and a real operation says what follows."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from eyeline.incremental import geometry
from eyeline.incremental.geometry import Geometry, areas, clip, empty, offsets, spread, union

GEOMETRIES = st.builds(
    Geometry,
    kernel=st.integers(1, 5),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 3),
    before=st.integers(0, 3),
    after=st.integers(0, 3),
)


def box(*spans):
    return np.array([spans], dtype=np.int64)


def reached(each, size, start, stop):
    """The outputs of a convolution of ones that change with any input of start .. stop - 1."""
    signal = functional.pad(torch.eye(size, dtype=torch.float64)[:, None], (each.before, each.after))
    taps = torch.ones(1, 1, each.kernel, dtype=torch.float64)
    answers = functional.conv1d(signal, taps, stride=each.stride, dilation=each.dilation)[:, 0]
    changed = answers[start:stop].any(dim=0)
    return {int(place) for place in changed.nonzero()}, answers.shape[1]


def agrees(each, size, start, stop):
    seen, outputs = reached(each, size, start, stop)
    assert each.outputs(size) == outputs
    ((low, high),) = geometry.spread(box((start, stop)), (each,), (outputs,))[0]
    assert seen <= set(range(low, high))
    if each.dilation == 1:  # taps without gaps: the smallest box
        assert (low, high) == ((min(seen), max(seen) + 1) if seen else (0, 0))


@settings(max_examples=400, deadline=None)
@given(each=GEOMETRIES, size=st.integers(1, 12), data=st.data())
def test_one_axis_is_brute_force(each, size, data):
    if size + each.before + each.after < each.extent:
        assert each.outputs(size) == 0
        return
    start = data.draw(st.integers(0, size - 1))
    agrees(each, size, start, data.draw(st.integers(start + 1, size)))


def test_a_halo_that_is_one_too_small_is_caught(monkeypatch):
    """Sabotage twin."""
    each = Geometry(3, before=1, after=1)
    agrees(each, 8, 3, 4)
    monkeypatch.setattr(Geometry, "extent", property(lambda self: self.dilation * (self.kernel - 1)))
    monkeypatch.setattr(Geometry, "outputs", lambda self, inputs: inputs)
    with pytest.raises(AssertionError):
        agrees(each, 8, 3, 4)


@settings(max_examples=150, deadline=None)
@given(
    kernel=st.integers(1, 4),
    stride=st.integers(1, 4),
    padding=st.integers(0, 2),
    size=st.integers(1, 14),
    ceil=st.booleans(),
)
def test_outputs_of_poolings_are_the_frameworks(kernel, stride, padding, size, ceil):
    padding = min(padding, kernel // 2)
    if size + 2 * padding < kernel:
        return
    expected = functional.max_pool1d(torch.zeros(1, 1, size), kernel, stride, padding, ceil_mode=ceil).shape[-1]
    assert Geometry(kernel, stride, 1, padding, padding).outputs(size, ceil) == expected


@settings(max_examples=100, deadline=None)
@given(rows=GEOMETRIES, columns=GEOMETRIES, data=st.data())
def test_two_axes_are_brute_force(rows, columns, data):
    size = (9, 7)
    if any(each.outputs(length) == 0 for each, length in zip((rows, columns), size, strict=True)):
        return
    starts = [data.draw(st.integers(0, length - 1)) for length in size]
    stops = [data.draw(st.integers(start + 1, length)) for start, length in zip(starts, size, strict=True)]
    image = torch.zeros(1, 1, *size, dtype=torch.float64)
    image[0, 0, starts[0] : stops[0], starts[1] : stops[1]] = 1
    padded = functional.pad(image, (columns.before, columns.after, rows.before, rows.after))
    answer = functional.conv2d(
        padded,
        torch.ones(1, 1, rows.kernel, columns.kernel, dtype=torch.float64),
        stride=(rows.stride, columns.stride),
        dilation=(rows.dilation, columns.dilation),
    )[0, 0]
    found = spread(box(*zip(starts, stops, strict=True)), (rows, columns), tuple(answer.shape))[0]
    inside = torch.zeros_like(answer, dtype=torch.bool)
    inside[found[0, 0] : found[0, 1], found[1, 0] : found[1, 1]] = True
    assert not (answer != 0)[~inside].any()


def test_a_stride_that_skips_the_change_leaves_an_empty_box():
    shortcut = Geometry(1, stride=2)
    found = spread(box((3, 4), (2, 5)), (shortcut, shortcut), (4, 4))
    np.testing.assert_array_equal(found, [[[0, 0], [0, 0]]])


def test_an_empty_box_stays_empty_and_adds_nothing():
    nothing, some = box((0, 0), (0, 0)), box((2, 3), (4, 6))
    wide = Geometry(7, before=3, after=3)
    assert empty(spread(nothing, (wide, wide), (9, 9))).all()
    np.testing.assert_array_equal(union([nothing, some]), some)
    np.testing.assert_array_equal(union([nothing, nothing]), nothing)
    np.testing.assert_array_equal(union([some, box((0, 1), (5, 9))]), box((0, 3), (4, 9)))
    np.testing.assert_array_equal(clip(nothing, (2, 2), (9, 9)), nothing)


def test_a_border_moves_a_box_and_a_cut_cuts_it():
    np.testing.assert_array_equal(clip(box((2, 4), (0, 3)), (1, 2), (9, 9)), box((3, 5), (2, 5)))
    np.testing.assert_array_equal(clip(box((2, 4), (0, 3)), (-3, -1), (9, 9)), box((0, 1), (0, 2)))
    np.testing.assert_array_equal(clip(box((2, 4), (0, 3)), (-4, 0), (9, 9)), box((0, 0), (0, 0)))


def test_offsets_are_running_areas():
    boxes = np.concatenate([box((0, 2), (0, 3)), box((0, 0), (0, 0)), box((1, 2), (1, 5))])
    np.testing.assert_array_equal(areas(boxes), [6, 0, 4])
    np.testing.assert_array_equal(offsets(boxes), [0, 6, 6, 10])
