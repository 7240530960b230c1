"""Deletion, insertion, ROAD and the shift test against areas by hand, plain loops and dense linear algebra."""

import numpy as np
import pytest

import eyeline
from eyeline.errors import InputError, ModelError, UnsupportedError
from eyeline.metrics import Deletion, Insertion, Road, ShiftTest, chance, curves, road

SIZE = (4, 5)
ranking = curves.ranking
IMAGE = np.random.default_rng(0).random((2, *SIZE, 3), dtype=np.float32)
WEIGHTS = np.random.default_rng(1).standard_normal((*SIZE, 3)).astype(np.float32)


def linear(images):
    """Two scores: a weighted sum of all pixels, and half of that."""
    score = (images * WEIGHTS).sum(axis=(1, 2, 3))
    return np.stack([score, score / 2], axis=1)


def bent(images):
    """Something that is not linear in any pixel."""
    return np.stack([np.tanh(linear(images)[:, 0]), np.sin(images.sum(axis=(1, 2, 3)))], axis=1)


def loaded(function=linear):
    return eyeline.load(function, input_size=SIZE)


def pixelwise(model, images=IMAGE, **settings):
    return eyeline.explain(model, images, window=1, stride=1, baseline=eyeline.Constant(0), target=0, **settings)


def test_the_deletion_area_of_a_linear_model_by_hand():
    """Each pixel's occlusion is its contribution, so the curve falls by them in falling order."""
    found = Deletion(eyeline.Constant(0), step=1)(loaded(), pixelwise(loaded()))
    for image, value in zip(IMAGE, found.values, strict=True):
        shares = np.sort((np.float64(image) * WEIGHTS).sum(axis=-1).ravel())[::-1]
        heights = shares.sum() - np.concatenate([[0], np.cumsum(shares)])
        by_hand = (heights[0] / 2 + heights[1:-1].sum() + heights[-1] / 2) / len(shares)
        np.testing.assert_allclose(value, by_hand, rtol=1e-5, atol=1e-5)


def test_no_other_order_deletes_a_linear_model_sooner():
    model = loaded()
    attribution = pixelwise(model)
    best = Deletion(eyeline.Constant(0), step=1)(model, attribution).values
    shuffled = np.random.default_rng(3).permuted(attribution.maps.reshape(2, -1), axis=1).reshape(2, *SIZE)
    object.__setattr__(attribution, "maps", shuffled)
    assert (Deletion(eyeline.Constant(0), step=1)(model, attribution).values > best).all()


def plain_curve(model, attribution, ground, patch, step):
    """Pixel after pixel, in a loop, one image a pass."""
    rows = []
    for i in range(len(ground)):
        values = attribution.maps[i].ravel()
        order = sorted(range(len(values)), key=lambda pixel: (-values[pixel], pixel))
        image, heights, places = ground[i].copy(), [], []
        for k in range(len(order) + 1):
            if k % step == 0 or k == len(order):
                heights.append(float(model.scores(image[None])[0, 0]))
                places.append(k / len(order))
            if k < len(order):
                row, column = divmod(order[k], SIZE[1])
                image[row, column] = patch[i, row, column]
        heights, places = np.array(heights), np.array(places)
        rows.append(((heights[1:] + heights[:-1]) / 2 * np.diff(places)).sum())
    return rows


@pytest.mark.parametrize("step", [1, 3, 5, 20])
@pytest.mark.parametrize("metric", [Deletion, Insertion])
def test_the_area_is_that_of_a_plain_loop(metric, step):
    model, baseline = loaded(bent), eyeline.Blur(1)
    attribution = pixelwise(model)
    found = metric(baseline, step=step, batch=3)(model, attribution)
    ends = (IMAGE, baseline(IMAGE)) if metric is Deletion else (baseline(IMAGE), IMAGE)
    np.testing.assert_allclose(found.values, plain_curve(model, attribution, *ends, step), rtol=1e-5, atol=1e-6)
    assert found.fractions[0] == 0
    assert found.fractions[-1] == 1
    np.testing.assert_allclose(found.curves[:, -1], model.scores(ends[1])[:, 0], rtol=1e-5)


@pytest.mark.parametrize("broken", ["order", "area"])
def test_the_plain_loop_notices(monkeypatch, broken):
    """Sabotage twins: lowest first; rectangles for trapezia."""
    if broken == "order":
        monkeypatch.setattr(curves, "ranking", lambda maps: ranking(-maps))
    else:
        monkeypatch.setattr(curves, "area", lambda at, heights: (heights[:, :-1] * np.diff(at)).sum(axis=1))
    with pytest.raises(AssertionError):
        test_the_area_is_that_of_a_plain_loop(Deletion, 3)


def test_the_step_left_out_is_that_of_rise():
    """224 pixels of 224 x 224: as many as a row has."""
    found = Deletion()(loaded(), pixelwise(loaded()))
    np.testing.assert_allclose(found.fractions, [0, 0.25, 0.5, 0.75, 1])
    assert found.metric == {"name": "deletion", "baseline": "Constant(value=None)", "step": None, "batch": None,
                            "memory": 1024}  # fmt: skip


def test_equal_values_leave_in_raster_order():
    assert curves.ranking(np.array([[1.0, 2, 2, 1]])).tolist() == [[2, 0, 1, 3]]


def test_the_same_values_whatever_the_batch():
    model = loaded(bent)
    attribution = pixelwise(model)
    one, all_at_once = (Insertion(step=2, batch=batch)(model, attribution) for batch in (1, 50))
    np.testing.assert_allclose(one.curves, all_at_once.curves, rtol=1e-6)


def test_scores_that_are_not_finite_are_named():
    def fragile(images):
        scores = linear(images)
        scores[(images == 0).all(axis=(1, 2, 3))] = np.nan
        return scores

    model = loaded(fragile)
    with pytest.raises(ModelError, match="scores must be finite, but got nan"):
        Deletion(eyeline.Constant(0))(model, pixelwise(model))


def dense_imputation(image, removed):
    """The linear equations written out as a matrix, pixel by pixel."""
    rows, columns, channels = image.shape
    places = {tuple(place): k for k, place in enumerate(np.argwhere(removed))}
    matrix, right = np.zeros((len(places), len(places))), np.zeros((len(places), channels))
    for (row, column), k in places.items():
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                other = (row + down, column + across)
                if (down, across) == (0, 0) or not (0 <= other[0] < rows and 0 <= other[1] < columns):
                    continue
                weight = 1 / 12 if down and across else 1 / 6
                matrix[k, k] += weight
                if other in places:
                    matrix[k, places[other]] -= weight
                else:
                    right[k] += weight * image[other]
    filled = image.astype(np.float64).copy()
    for place, values in zip(places, np.linalg.solve(matrix, right), strict=True):
        filled[place] = values
    return filled


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_imputation_solves_the_equations(share):
    random = np.random.default_rng(4)
    image = random.random((9, 12, 3))
    removed = random.random((9, 12)) < share
    removed[3, 4] = False
    np.testing.assert_allclose(road.imputed(image, removed), dense_imputation(image, removed), atol=1e-7)


def test_the_equations_notice_other_weights(monkeypatch):
    monkeypatch.setattr(road, "WEIGHTS", dict.fromkeys(road.WEIGHTS, 1 / 8))
    with pytest.raises(AssertionError):
        test_imputation_solves_the_equations(0.5)


def test_an_even_slope_is_imputed_exactly():
    """A linear ramp is its neighbours' mean inside the image."""
    row, column = np.mgrid[:8, :8]
    image = (0.02 * row + 0.05 * column)[..., None]
    removed = np.zeros((8, 8), dtype=bool)
    removed[2:6, 1:7] = True
    np.testing.assert_allclose(road.imputed(image, removed), image, atol=1e-8)


def test_road_is_the_mean_over_the_shares_removed():
    model = loaded(bent)
    attribution = pixelwise(model)
    found = Road(fractions=(0.25, 0.5), noise=0)(model, attribution)
    for i in range(2):
        order = np.argsort(-attribution.maps[i].ravel(), kind="stable")
        heights, kept = [], []
        for count in (5, 10):
            removed = np.zeros(20, dtype=bool)
            removed[order[:count]] = True
            scores = model.scores(np.float32(dense_imputation(IMAGE[i], removed.reshape(SIZE)))[None])
            heights.append(scores[0, 0])
            kept.append(scores[0].argmax() == attribution.scores[i].argmax())
        np.testing.assert_allclose(found.curves[i], heights, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(found.parts["kept"][i], kept)
        np.testing.assert_allclose(found.values[i], np.mean(heights), rtol=1e-5, atol=1e-6)


def test_road_adds_noise_to_what_is_removed_only_and_repeats_it():
    seen = []

    def watched(images):
        seen.append(images.copy())
        return linear(images)

    model = loaded(watched)
    attribution = pixelwise(model)
    seen.clear()
    metric = Road(fractions=(0.5,), noise=0.3, batch=1)
    first = metric(model, attribution)
    assert ((seen[0][0] == IMAGE[0]).all(axis=-1)).sum() == 10
    np.testing.assert_array_equal(metric(model, attribution).values, first.values)
    assert (Road(fractions=(0.5,), noise=0.3, seed=1)(model, attribution).values != first.values).all()


def test_road_needs_two_axes():
    model = eyeline.load(lambda images: images.sum(axis=1), input_size=(6,))
    with pytest.raises(UnsupportedError, match="two spatial axes for ROAD, but got 1"):
        Road()(model, eyeline.explain(model, np.ones((1, 6, 1), np.float32)))


@pytest.mark.parametrize("fractions", [(), (0.0, 0.5), (1.0,)])
def test_shares_that_cannot_be_removed(fractions):
    with pytest.raises(InputError, match="fractions must be numbers above 0 and below 1"):
        Road(fractions=fractions)


SIDE = 12


def spot(images):
    """One score: what lies in the spot, squared where it is short of the ground."""
    return images[:, 2:6, 5:9].sum(axis=(1, 2))


def spotted():
    image = np.full((1, SIDE, SIDE, 1), 0.2, dtype=np.float32)
    image[:, 2:6, 5:9] = 1
    model = eyeline.load(spot, input_size=(SIDE, SIDE))
    return model, eyeline.explain(model, image, window=2, stride=1, baseline=eyeline.Constant(0), target=0)


def test_a_map_in_the_right_place_beats_its_moved_copies():
    model, attribution = spotted()
    found = ShiftTest()(model, attribution)
    assert found.values == [1 / 20]
    assert (found.parts["areas"][:, 1:] > found.parts["areas"][:, :1]).all()


def test_a_map_in_a_wrong_place_does_not():
    model, attribution = spotted()
    object.__setattr__(attribution, "maps", np.roll(attribution.maps, (6, 6), axis=(1, 2)))
    assert ShiftTest()(model, attribution).values > 0.3


def test_an_even_map_is_no_better_than_its_copies():
    model, attribution = spotted()
    object.__setattr__(attribution, "maps", np.ones_like(attribution.maps))
    assert ShiftTest()(model, attribution).values == 1


def test_the_shift_test_is_a_count_over_moved_maps():
    model, attribution = spotted()
    metric = ShiftTest(shifts=5, points=4, tile=5, baseline=eyeline.Constant(0))
    found = metric(model, attribution)
    pieces = [(slice(0, 5), slice(5, 10), slice(10, 12))[k] for k in range(3)]
    tiles = np.array([[attribution.maps[0][rows, columns].mean() for columns in pieces] for rows in pieces])
    counts = [0, 2, 4, 7, 9]
    areas = []
    for move in [(0, 0), *metric.moves((3, 3))]:
        order = np.argsort(-np.roll(tiles, move, axis=(0, 1)).ravel(), kind="stable")
        heights = []
        for count in counts:
            image = attribution.images[0].copy()
            for each in order[:count]:
                image[pieces[each // 3], pieces[each % 3]] = 0
            heights.append(float(spot(image[None])[0, 0]))
        areas.append(np.trapezoid(heights, np.array(counts) / 9))
    np.testing.assert_allclose(found.parts["areas"][0], areas, rtol=1e-5)
    assert found.values[0] == (1 + sum(area <= areas[0] for area in areas[1:])) / 6


def test_a_shift_test_that_does_not_move_is_noticed(monkeypatch):
    monkeypatch.setattr(chance.ShiftTest, "moves", lambda self, size: np.zeros((self.shifts, 2), dtype=int))
    with pytest.raises(AssertionError):
        test_a_map_in_the_right_place_beats_its_moved_copies()
