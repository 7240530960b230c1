"""The pointing game and the evidence inside, by hand and by plain loops."""

import numpy as np
import pytest

import eyeline
from eyeline.errors import InputError
from eyeline.metrics import EvidenceInside, PointingGame, Region, localisation

SIZE = (6, 8)


@pytest.fixture
def model():
    return eyeline.load(lambda images: images.sum(axis=(1, 2)), input_size=SIZE)


def with_maps(model, maps):
    maps = np.asarray(maps, dtype=np.float32)
    attribution = eyeline.explain(model, np.full((len(maps), *SIZE, 1), 0.5, np.float32), window=2, stride=2)
    object.__setattr__(attribution, "maps", maps)
    return attribution


def point(row, column, value=1.0):
    made = np.zeros(SIZE)
    made[row, column] = value
    return made


def test_the_highest_number_is_on_the_region_or_not(model):
    attribution = with_maps(model, [point(2, 3), point(5, 7), -point(2, 3)])
    found = PointingGame(Region(box=((1, 4), (2, 5))))(model, attribution)
    assert found.values.tolist() == [1, 0, 1]  # of equal numbers, one inside is enough
    assert found.parts["area"].tolist() == [9 / 48] * 3


@pytest.mark.parametrize(("tolerance", "hit"), [(0, 0), (1, 0), (1.42, 1), (3, 1)])
def test_tolerance_is_a_distance_straight_across(model, tolerance, hit):
    """One row and one column beside: the root of 2."""
    attribution = with_maps(model, [point(4, 5)])
    assert PointingGame(Region(box=((1, 4), (2, 5))), tolerance)(model, attribution).values == hit


def test_one_mask_for_each_image(model):
    masks = np.stack([point(0, 0) > 0, point(5, 5) > 0])
    attribution = with_maps(model, [point(0, 0), point(0, 0)])
    assert PointingGame(Region(mask=masks))(model, attribution).values.tolist() == [1, 0]


def test_the_positive_evidence_inside_by_hand(model):
    maps = 3 * point(1, 2) + point(0, 0) - 7 * point(5, 5) - 2 * point(2, 2)
    found = EvidenceInside(Region(box=((1, 4), (2, 5))))(model, with_maps(model, [maps]))
    assert found.values == pytest.approx(0.75)


def test_an_even_map_has_the_share_of_the_region(model):
    found = EvidenceInside(Region(box=((0, 3), (0, 8))))(model, with_maps(model, [np.ones(SIZE)]))
    assert found.values == found.parts["area"] == 0.5


def test_a_map_without_positive_numbers_says_nothing(model):
    found = EvidenceInside(Region(box=((0, 3), (0, 8))))(model, with_maps(model, [-np.ones(SIZE)]))
    assert np.isnan(found.values).all()
    assert found.notes == ("'image 0' has no positive number",)


def test_the_hand_notices_negative_numbers(monkeypatch, model):
    monkeypatch.setattr(localisation.np, "maximum", lambda values, low: np.abs(values))
    with pytest.raises(AssertionError):
        test_the_positive_evidence_inside_by_hand(model)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "either mask= or box="),
        ({"mask": np.ones(SIZE, bool), "box": ((0, 1), (0, 1))}, "either mask= or box="),
        ({"mask": np.ones(SIZE)}, "mask must be an array of True and False, but got float64"),
    ],
)
def test_regions_that_are_none(given, sentence):
    with pytest.raises(InputError, match=sentence):
        Region(**given)


@pytest.mark.parametrize(
    ("region", "sentence"),
    [
        (Region(box=((0, 7), (0, 2))), "box must lie inside the image"),
        (Region(box=((0, 2),)), "box must lie inside the image"),
        (Region(mask=np.ones((3, 3), bool)), r"mask must have shape \(6, 8\)"),
        (Region(mask=np.zeros(SIZE, bool)), "at least one pixel, but that of 'image 0' is empty"),
    ],
)
def test_regions_that_do_not_fit(model, region, sentence):
    with pytest.raises(InputError, match=sentence):
        PointingGame(region)(model, with_maps(model, [np.ones(SIZE)]))
