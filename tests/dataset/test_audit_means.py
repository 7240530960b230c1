"""Mean maps, clusters and their stability, and covering: each against plain loops or what mathematics says."""

import itertools

import many
import numpy as np
import pytest

import eyeline
from eyeline.audit import mean_maps
from eyeline.audit.changed import Change, covered
from eyeline.audit.clusters import clustered, returning, stability
from eyeline.audit.spectral import spectrum
from eyeline.audit.suspects import suspects
from eyeline.errors import InputError

LABELS = ["0", "1", "2", "0", "0", "1", "2", "2", "0"]


def test_mean_maps_are_the_means_of_the_maps(tmp_path, monkeypatch):
    store = many.run(tmp_path / "maps.zarr", many.images(9), labels=LABELS, target="label")
    monkeypatch.setattr("eyeline.dataset.rows.AT_ONCE", 4)  # three parts
    found = mean_maps(store)
    best = store["scores"][:].argmax(axis=1)
    assert sorted(found) == ["0", "1", "2"]
    for label, mean in found.items():
        own = np.array([each == label for each in LABELS])
        right = own & (best == int(label))
        np.testing.assert_allclose(mean.all, store["maps"][:][own].mean(axis=0), atol=1e-7)
        assert mean.counts == (right.sum(), (own & ~right).sum())
        for part, rows in ((mean.right, right), (mean.wrong, own & ~right)):
            if rows.any():
                np.testing.assert_allclose(part, store["maps"][:][rows].mean(axis=0), atol=1e-7)
            else:
                assert part is None


def test_maps_over_channels_are_summed_and_what_is_refused_is_left_out(tmp_path):
    given = np.random.default_rng(0).random((6, 4, 4, 3), dtype=np.float32)
    given[2] = np.nan

    import torch

    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 2))
    method = eyeline.Gradient(channels=None, batch=2)
    labels = ["0", "1", "0", "1", "0", "1"]
    store = eyeline.run(network, given, tmp_path / "m", method, "label", labels=labels, input_size=4, chunk=2)
    found = mean_maps(store)
    assert sum(found["0"].counts) == 2
    np.testing.assert_allclose(found["0"].all, store["maps"][:][[0, 4]].sum(axis=-1).mean(axis=0), atol=1e-6)


def test_mean_maps_need_labels(tmp_path):
    store = many.run(tmp_path / "maps.zarr", many.images(5))
    with pytest.raises(InputError, match="must have labels"):
        mean_maps(store)


def heaps(count, apart, seed=0, features=8):
    """Heaps of 50 points around places of their own: half of one is more than the neighbours in the graph."""
    chance = np.random.default_rng(seed)
    middles = apart * np.eye(features)[:count]
    return np.concatenate([middle + chance.normal(0, 1, (50, features)) for middle in middles])


def rand(a, b):
    """The adjusted Rand index, pair by pair: (agreeing - expected) / (most - expected)."""
    pairs = list(itertools.combinations(range(len(a)), 2))
    both = sum(a[i] == a[j] and b[i] == b[j] for i, j in pairs)
    one, other = (sum(each[i] == each[j] for i, j in pairs) for each in (a, b))
    expected = one * other / len(pairs)
    return (both - expected) / ((one + other) / 2 - expected)


def test_heaps_far_apart_come_back_and_one_heap_does_not():
    assert stability(heaps(3, 40), 3) == 1
    assert stability(heaps(1, 0, features=20), 3) < 0.2


def test_the_stability_is_what_a_loop_over_halves_gives():
    from eyeline.audit.clusters import HALVES, _halves
    from eyeline.audit.spectral import groups

    features, found = heaps(2, 4), []
    for one, other in _halves(len(features), HALVES, 5):
        first, second = (groups(spectrum(features[each])[1], 2) for each in (one, other))
        carried = [
            first[np.argmin([np.linalg.norm(each - known) for known in features[one]])] for each in features[other]
        ]
        found.append(rand(carried, second.tolist()))
    np.testing.assert_allclose(stability(features, 2, seed=5), np.mean(found), atol=1e-12)


def test_the_lowest_eigenvalues_count_what_is_not_connected():
    """As many zeros as parts of the graph, and the eigengap stands after them (von Luxburg 2007, proposition 4)."""
    values, _ = spectrum(heaps(3, 100))
    np.testing.assert_allclose(values[:3], 0, atol=1e-9)
    assert values[3] > 0.1


def spots(row, count):
    """Maps with positive evidence on one row of pixels."""
    maps = np.random.default_rng(row).random((count, 8, 8)) * 0.05
    maps[:, row] += 1
    return maps


def test_clusters_of_maps():
    maps = np.concatenate([spots(2, 60), spots(6, 40)])
    found = clustered("cat", tuple(range(100, 200)), maps)
    assert found.count == 2
    assert found.stability == 1
    assert found.members.tolist() == [0] * 60 + [1] * 40
    assert set(found.of(1)) == set(range(160, 200))
    direction = maps.reshape(100, -1) / np.linalg.norm(maps.reshape(100, -1), axis=1, keepdims=True)
    mean = direction[60:].mean(axis=0)
    assert found.of(1)[0] == 160 + np.argmax(direction[60:] @ mean)
    assert found.eigengap == pytest.approx(np.diff(spectrum(direction)[0])[1])


def test_one_kind_of_map_is_one_cluster():
    found = clustered("cat", tuple(range(40)), spots(3, 40))
    assert found.count == 1
    assert np.isnan(found.stability)


def test_a_mark_comes_back_in_halves_and_a_group_drawn_at_random_does_not():
    chance = np.random.default_rng(0)
    images, marked = chance.random((60, 6, 6, 1)) * 0.3, np.arange(60) % 3 == 0
    images[marked, :2, :2] = 1
    found = suspects(images[..., 0], images)
    assert (found[0].members == marked).all()
    assert returning(found[:1], images[..., 0], images) == [1.0]
    lot = type(found[0])(chance.random(60) < 0.5, 9.0, "a place")
    assert returning([lot], images[..., 0], images)[0] < 0.3


@pytest.mark.parametrize(
    "baseline", [eyeline.Constant(0.25), eyeline.Mean(), eyeline.SurroundingMean(1), eyeline.Blur(1)]
)
def test_covering_is_what_a_loop_over_pixels_gives(baseline):
    images, region = many.images(3), np.zeros((8, 8), dtype=bool)
    region[1:3, 5:8] = True
    found = covered(images, region, baseline)
    around = np.zeros((8, 8), dtype=bool)
    around[0:4, 4:8] = True
    for image, one in zip(images, found, strict=True):
        band = image[around & ~region].mean()
        value = {"Constant": 0.25, "Mean": image.mean(), "SurroundingMean": band}.get(type(baseline).__name__)
        for row, column in itertools.product(range(8), range(8)):
            if not region[row, column]:
                assert one[row, column] == image[row, column]
            elif value is not None:
                assert one[row, column] == pytest.approx(value, abs=1e-6)
            else:
                assert one[row, column] == baseline(image[None])[0, row, column]


def test_shares_before_and_after():
    change = Change((4, 7, 9, 2), 1, np.array([1, 1, 0, 2]), np.array([1, 0, 0, 1]))
    assert change.shares == (0.5, 0.5)
    assert change.among((7, 2)).shares == (0.5, 0.5)
    assert change.among((7, 2)).rows == (7, 2)
    assert change.among((4,)).shares == (1.0, 1.0)
