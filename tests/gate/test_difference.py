"""What changed between two checkpoints: by hand, by plain loops, and on models whose change is known."""

from types import SimpleNamespace

import laid
import numpy as np
import pytest
import scipy.stats

import eyeline
from eyeline.dataset import rows
from eyeline.dataset.items import Arrays, Item
from eyeline.errors import InputError
from eyeline.gate import diff, difference, twice
from eyeline.metrics.similarity import distance, moved

CHANCE = np.random.default_rng(0)


def pair(tmp_path, count=7, size=(4, 5)):
    """Two stores of random maps and scores."""
    maps, scores = CHANCE.standard_normal((2, count, *size)), CHANCE.standard_normal((2, count, 3))
    labels = ["a", "b", None, "c", "a", "b", "c"][:count]
    explained = CHANCE.integers(3, size=count)
    stores = [
        laid.store(tmp_path / f"{name}.zarr", maps[i], scores[i], explained, labels) for i, name in enumerate("ab")
    ]
    return stores, maps.astype(np.float32), scores.astype(np.float32), labels, explained


@pytest.mark.parametrize(
    ("one", "other", "apart", "elsewhere"),
    [
        ([1, 0, 0], [0, 0, 1], 1, 1),
        ([2, 0, 0], [1, 0, 0], 0, 0),
        ([1, 1, 0], [1, 0, 1], 0.5, 0.5),
        ([3, 1, 0], [1, 1, 0], 0.25, 0.25),
        ([1, -1, 0], [1, 1, 0], 0.5, 0.5),  # 1/2 - 1/2 and -1/2 - 1/2; of the positive 1 against 1/2, 1/2
        ([1, 0, -1], [-1, 0, 1], 1, 1),
        ([0, 0, 0], [1, 0, 0], np.nan, np.nan),
        ([1, -1, 0], [0, -1, 0], 0.5, np.nan),
    ],
)
def test_distances_by_hand(one, other, apart, elsewhere):
    a, b = np.array(one, dtype=np.float32), np.array(other, dtype=np.float32)
    np.testing.assert_allclose([distance(a, b), moved(a, b)], [apart, elsewhere])
    np.testing.assert_allclose([distance(b, a), moved(b, a)], [apart, elsewhere])


def test_every_number_by_plain_loops(tmp_path):
    (a, b), maps, scores, labels, explained = pair(tmp_path)
    inside = np.zeros((4, 5), dtype=bool)
    inside[1:3, 2:] = True
    found = diff(a, b, region=inside)
    for i in range(7):
        row = {name: column[i] for name, column in found.table.items()}
        sizes = [sum(abs(float(v)) for v in each[i].ravel()) for each in maps]
        off = sum(
            abs(float(x) / sizes[0] - float(y) / sizes[1]) for x, y in zip(*(m[i].ravel() for m in maps), strict=True)
        )
        np.testing.assert_allclose(row["distance"], off / 2, rtol=1e-6)
        positive = [[max(float(v), 0) for v in each[i].ravel()] for each in maps]
        shared = sum(min(x / sum(positive[0]), y / sum(positive[1])) for x, y in zip(*positive, strict=True))
        np.testing.assert_allclose(row["moved"], 1 - shared, rtol=1e-6)
        np.testing.assert_allclose(row["rank"], scipy.stats.spearmanr(maps[0][i].ravel(), maps[1][i].ravel())[0])
        values = [float(each[i, explained[i]]) for each in scores]
        np.testing.assert_allclose([row["value_a"], row["value_b"]], values, rtol=1e-6)
        np.testing.assert_allclose(row["change"], values[1] - values[0], rtol=1e-5)
        lost = [1 - sum(max(v, 0) for v in each[i][inside]) / sum(positive[k]) for k, each in enumerate(maps)]
        np.testing.assert_allclose([row["outside_a"], row["outside_b"]], lost, rtol=1e-5)
        best = ["abc"[int(each[i].argmax())] for each in scores]
        assert [row["predicted_a"], row["predicted_b"]] == best
        told = (
            "kept"
            if best[0] == best[1]
            else "lost"
            if best[0] == labels[i]
            else "won"
            if best[1] == labels[i]
            else "other"
        )
        assert row["prediction"] == told
        assert row["target"] == "abc"[explained[i]]
    known = [i for i in range(7) if labels[i] is not None]
    right = [np.mean(["abc"[int(each[i].argmax())] == labels[i] for i in known]) for each in scores]
    np.testing.assert_allclose(found.accuracy, right)
    assert found.labelled == 6


def test_the_loops_notice_maps_that_are_not_divided_by_their_size(tmp_path, monkeypatch):
    """Sabotage twin."""
    monkeypatch.setattr(difference, "distance", lambda a, b: float(np.abs(a - b).sum() / 2))
    with pytest.raises(AssertionError):
        test_every_number_by_plain_loops(tmp_path)


def test_maps_are_read_in_parts(tmp_path, monkeypatch):
    (a, b), *_ = pair(tmp_path)
    whole = diff(a, b).table
    monkeypatch.setattr(rows, "BYTES", 1)
    parts = diff(a, b).table
    for name in whole:
        np.testing.assert_array_equal(whole[name].astype(str), parts[name].astype(str))


def test_maps_that_are_read_at_a_time_take_little_memory():
    """A map of 512 x 512 numbers takes a mebibyte: 64 of them, in chunks of 2; of small ones as many as may be."""
    sizes = (512, 512), (2, 2), (2**14, 2**14)
    found = [rows.at_once(SimpleNamespace(manifest=laid.manifest(size, 3))) for size in sizes]
    assert found == [64, rows.AT_ONCE, 2]


def test_predictions_by_hand(tmp_path):
    one, other = np.eye(3)[[0, 0, 1, 0, 1]], np.eye(3)[[0, 1, 0, 1, 2]]
    labels = ["a", "a", "a", None, "a"]
    maps = np.ones((5, 2, 2))
    found = diff(*(laid.store(tmp_path / n, maps, s, labels=labels) for n, s in (("a", one), ("b", other))))
    assert found.table["prediction"].tolist() == ["kept", "lost", "won", "other", "other"]
    assert (found.changed, found.count("lost"), found.count("won")) == (4, 1, 1)
    assert found.accuracy == (0.5, 0.5)
    lines = "\n".join(found.lines())
    assert "4 predictions changed (80.0%): 1 right before and wrong now, 1 wrong before and right now" in lines
    assert "accuracy 50.0% -> 50.0%, of 4 labelled images" in lines


def test_images_are_found_by_name_and_content(tmp_path):
    maps, scores = np.arange(1, 17).reshape(4, 2, 2), np.eye(3)[[0, 1, 2, 0]]
    a = laid.store(tmp_path / "a", maps, scores, names=["p", "q", "r", "s"], refused=[3])
    names, contents = ["s", "r", "q", "t"], ["s", "r", "changed", "t"]
    b = laid.store(tmp_path / "b", maps[[3, 2, 1, 0]], scores[[3, 2, 1, 0]], names=names, contents=contents)
    found = diff(a, b)
    assert found.table["image"].tolist() == ["r"]
    assert found.table["distance"].tolist() == [0]
    assert found.left_out == {
        "p": "only in the first store", "q": "another image under the same name", "s": "no map in the first store",
        "t": "only in the second store",
    }  # fmt: skip


def test_a_region_for_each_image_follows_it(tmp_path):
    """The second store has the images the other way round; the regions are those of the first one's rows."""
    maps = np.zeros((2, 1, 2))
    maps[0, 0, 0] = maps[1, 0, 1] = 1
    scores = np.eye(3)[[0, 1]]
    a = laid.store(tmp_path / "a", maps, scores, names=["p", "q"])
    b = laid.store(tmp_path / "b", maps[::-1], scores[::-1], names=["q", "p"])
    found = diff(a, b, region=maps > 0)
    assert found.table["outside_a"].tolist() == found.table["outside_b"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"method": {"name": "gradient", "channels": "sum"}}, "the method's channels"),
        ({"unit": "log-odds"}, "the unit of"),
        ({"fit": "crop"}, "the fit of"),
        ({"classes": ("a", "b", "d")}, "the classes of"),
        ({"explained": [0, 1]}, "must explain the same class of each image, but of 'image 1' the first explains 'a'"),
        ({"names": ["x", "y"]}, "must have maps of the same images, but got none"),
    ],
)
def test_stores_that_cannot_be_compared(tmp_path, changes, match):
    maps, scores = np.ones((2, 2, 2)), np.eye(3)[:2]
    a = laid.store(tmp_path / "a", maps, scores)
    with pytest.raises(InputError, match=match):
        diff(a, laid.store(tmp_path / "b", maps, scores, **changes))


def test_labels_that_are_no_classes(tmp_path):
    maps, scores = np.ones((2, 2, 2)), np.eye(3)[:2]
    stores = [laid.store(tmp_path / name, maps, scores, labels=["a", "z"]) for name in "ab"]
    with pytest.raises(InputError, match="class name must be one of the model's, but got 'z'"):
        diff(*stores)


SIDE = 8
IMAGES = CHANCE.random((5, SIDE, SIDE, 1), dtype=np.float32)
METHOD = eyeline.Occlusion(window=2, stride=2, baseline=eyeline.Constant(0), batch=8, engine="full")
QUARTERS = ((slice(0, 4), slice(0, 4)), (slice(4, 8), slice(4, 8)))


def looks(where):
    """Class 0 is the sum of one quarter, class 1 of the whole divided by 8."""

    def scores(images):
        return np.stack([images[:, *QUARTERS[where]].sum((1, 2, 3)), images.sum((1, 2, 3)) / 8], axis=1)

    return scores


def both(folder, one, other, **words):
    return twice(looks(one), looks(other), IMAGES, folder, METHOD, input_size=SIDE, chunk=2, **words)


def test_the_same_model_twice_changes_nothing(tmp_path):
    table = diff(*both(tmp_path, 0, 0)).table
    for name, value in {"distance": 0, "moved": 0, "change": 0, "rank": 1}.items():
        np.testing.assert_allclose(table[name], value, atol=1e-12)
    assert set(table["prediction"]) == {"kept"}


def test_a_model_that_looks_elsewhere(tmp_path):
    """All evidence of class 0 goes from one quarter to another."""
    inside = np.zeros((SIDE, SIDE), dtype=bool)
    inside[QUARTERS[0]] = True
    found = diff(*both(tmp_path, 0, 1, target=0), region=inside)
    np.testing.assert_allclose(found.table["moved"], 1)
    np.testing.assert_allclose(found.table["outside_a"], 0)
    np.testing.assert_allclose(found.table["outside_b"], 1)
    change = IMAGES[:, 4:, 4:].sum((1, 2, 3)) - IMAGES[:, :4, :4].sum((1, 2, 3))
    np.testing.assert_allclose(found.table["change"], change, atol=1e-5)


def test_without_labels_both_explain_the_best_class_of_the_first(tmp_path):
    best_of_second = lambda images: np.stack([images.sum((1, 2, 3)) / 99, images.sum((1, 2, 3))], axis=1)  # noqa: E731
    first, second = twice(looks(0), best_of_second, IMAGES, tmp_path, METHOD, input_size=SIDE, chunk=2)
    np.testing.assert_array_equal(first["weights"][:], second["weights"][:])
    np.testing.assert_array_equal(first["weights"][:].argmax(1), looks(0)(IMAGES).argmax(1))
    assert diff(first, second).table["predicted_b"].tolist() == ["class 1"] * 5


def test_labels_are_explained_where_every_image_has_one(tmp_path):
    labels = ["1", "0", "1", "0", "1"]
    first, second = both(tmp_path, 0, 1, labels=labels)
    for store in (first, second):
        assert store["weights"][:].argmax(1).astype(str).tolist() == labels


def test_numbers_as_class_names_are_not_taken_for_columns(tmp_path):
    first, second = both(tmp_path, 0, 0, classes=("1", "0"))
    np.testing.assert_array_equal(first["weights"][:], second["weights"][:])


def test_it_goes_on_where_it_stopped(tmp_path):
    told = []
    source = Arrays(IMAGES[:3], tuple(Item(f"image {i}") for i in range(3)))
    twice(looks(0), looks(1), source, tmp_path, METHOD, input_size=SIDE, chunk=2, tell=told.append)
    stores = both(tmp_path, 0, 1, tell=told.append)
    assert [(each.found, each.done) for each in told] == [(0, 3), (0, 3), (3, 2), (3, 2)]
    fresh = both(tmp_path / "fresh", 0, 1)
    assert [each.content() for each in stores] == [each.content() for each in fresh]


def test_an_image_that_the_first_model_refuses_is_left_out(tmp_path):
    given = IMAGES.copy()
    given[1] = np.nan
    found = diff(*twice(looks(0), looks(1), given, tmp_path, METHOD, input_size=SIDE, chunk=2))
    assert list(found.left_out) == ["image 1"]
    assert len(found) == 4
