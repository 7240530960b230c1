"""Audits: marks that a model was made to look at are found, with their images; natural groups raise no alarm."""

import many
import numpy as np
import pytest

import eyeline
from eyeline.audit import audit, outside
from eyeline.audit.suspects import separation, suspects
from eyeline.errors import InputError

SIDE, COUNT = 16, 120
LABELS = [str(i % 3) for i in range(COUNT)]
MARKED = np.array([i % 3 == 1 and i % 2 == 0 for i in range(COUNT)])
CHANCE = np.random.default_rng(0)
SHAPES = CHANCE.random((3, 8, 8)).astype(np.float32)


def pictures(mark=True):
    """Three textures on dim noise, each light or dark; half of class 1 has a small white mark in the corner."""
    given = CHANCE.random((COUNT, SIDE, SIDE, 1), dtype=np.float32) * 0.2
    for i in range(COUNT):
        given[i, 4:12, 4:12, 0] += SHAPES[i % 3] * (0.4 + 0.2 * CHANCE.random())
        if mark and MARKED[i]:
            given[i, 1:4, 12:15, 0] = 1
    return given


def model(weight):
    """Scores by likeness to the textures, and class 1 by the mark too, as strongly as `weight` says."""

    def scores(images):
        found = np.einsum("nrc,krc->nk", images[:, 4:12, 4:12, 0], SHAPES - SHAPES.mean(axis=(1, 2), keepdims=True)) / 2
        found[:, 1] += weight * images[:, 1:4, 12:15, 0].mean(axis=(1, 2))
        return found

    return eyeline.load(scores, input_size=SIDE, classes=("0", "1", "2"))


METHOD = eyeline.Occlusion(window=4, stride=2, baseline=eyeline.Constant(0), batch=64)


def audited(path, weight, given, **words):
    store = eyeline.run(model(weight), given, path, METHOD, "label", labels=LABELS, chunk=40)
    return audit(store, model(weight), images=given, **words)


def test_a_mark_is_found_with_its_images_and_its_place(tmp_path):
    found = audited(tmp_path / "maps.zarr", 4.0, pictures())
    worst = found.findings[0]
    assert worst.is_shortcut
    assert worst.label == "1"
    assert set(worst.rows) == set(np.flatnonzero(MARKED))
    np.testing.assert_array_equal(np.argwhere(worst.region).min(axis=0), [1, 12])
    np.testing.assert_array_equal(np.argwhere(worst.region).max(axis=0), [3, 14])
    assert worst.turned > 0.5
    assert worst.opposite <= 0
    assert len(found.shortcuts) == 1


@pytest.mark.parametrize("baseline", [None, eyeline.SurroundingMean(4)])
def test_what_the_accuracy_would_be_without_the_mark(tmp_path, baseline):
    """Image by image: other pixels in the mark's place, and the model asked again."""
    given, network = pictures(), model(4.0)
    given[~MARKED, 4:12, 4:12] *= np.where(np.arange(COUNT)[~MARKED, None, None, None] % 5 == 1, 0.1, 1)
    found = audited(tmp_path / "maps.zarr", 4.0, given, baseline=baseline).shortcuts[0]
    own = np.array([each == "1" for each in LABELS])
    around = np.zeros((SIDE, SIDE), dtype=bool)
    around[0:8, 8:16] = True
    right = {}
    for row in np.flatnonzero(own):
        hidden = given[row].copy()
        rest, near = given[own & ~MARKED].mean(axis=0), given[row][around & ~found.region].mean()
        hidden[found.region] = rest[found.region] if baseline is None else near
        right[row] = [int(network.scores(each[None])[0].argmax() == 1) for each in (given[row], hidden)]
    np.testing.assert_array_equal(found.region, pasted_region())
    assert set(found.covered.rows) == set(right)
    assert found.covered.shares == tuple(np.mean(list(right.values()), axis=0))
    group = found.covered.among(found.rows)
    assert group.shares == tuple(np.mean([right[row] for row in np.flatnonzero(MARKED)], axis=0))
    assert group.shares[0] == 1
    assert found.stability == 1.0
    assert "covered in all 40 images of 1" in str(found)


def pasted_region():
    region = np.zeros((SIDE, SIDE), dtype=bool)
    region[1:4, 12:15] = True
    return region


def test_another_baseline_covers_otherwise(tmp_path):
    white = audited(tmp_path / "maps.zarr", 4.0, pictures(), baseline=eyeline.Constant(1)).shortcuts[0]
    assert white.covered.shares[1] == 1  # white is what the mark is


def test_a_pattern_that_is_everywhere_cannot_be_covered(tmp_path):
    given = pictures(mark=False) * 0.5
    given[MARKED] += 0.5

    def scores(images):
        found = np.zeros((len(images), 3))
        found[:, 1] = images.mean(axis=(1, 2, 3)) - 0.5
        return found

    bright = eyeline.load(scores, input_size=SIDE, classes=("0", "1", "2"))
    store = eyeline.run(bright, given, tmp_path / "maps.zarr", METHOD, "label", labels=LABELS, chunk=40)
    found = audit(store, bright, images=given, baseline=eyeline.SurroundingMean()).shortcuts[0]
    assert found.region.all()
    assert found.covered is None
    assert "covered" not in str(found)
    assert audit(store, bright, images=given).shortcuts[0].covered.among(found.rows).shares == (1.0, 0.0)


def test_clusters_of_a_class_are_told(tmp_path):
    found = audited(tmp_path / "maps.zarr", 4.0, pictures())
    assert [each.label for each in found.clusters] == ["0", "1", "2"]
    assert set(found.clusters[1].rows) == {row for row in range(COUNT) if LABELS[row] == "1"}


def test_a_mark_on_most_of_a_class_is_found_with_the_images_that_have_it(tmp_path):
    given = pictures(mark=False)
    marked = np.array([i % 3 == 1 and i % 15 != 1 for i in range(COUNT)])
    given[marked, 1:4, 12:15] = 1
    found = audited(tmp_path / "maps.zarr", 4.0, given)
    assert set(found.shortcuts[0].rows) == set(np.flatnonzero(marked))
    assert found.shortcuts[0].share == 0.8


def test_a_mark_that_the_model_does_not_use_is_no_shortcut(tmp_path):
    """The twin of the test before: the same pictures, a model that is blind to the mark."""
    found = audited(tmp_path / "maps.zarr", 0.0, pictures())
    assert found.shortcuts == ()


def test_without_a_mark_nothing_is_found(tmp_path):
    assert audited(tmp_path / "maps.zarr", 4.0, pictures(mark=False)).shortcuts == ()


def test_a_pattern_of_two_noises_is_not_separated():
    """Groups drawn at random: what sets them apart in one half of the images does not in the other."""
    images = np.random.default_rng(1).random((60, 400))
    members = np.random.default_rng(2).random(60) < 0.5
    assert abs(separation(images, members)) < 1


def test_a_mark_that_pictures_hide_is_found_in_the_maps():
    chance = np.random.default_rng(2)
    images, maps = chance.normal(0, 1, (80, 8, 8, 1)), chance.normal(0, 0.2, (80, 8, 8))
    marked = np.arange(80) < 24
    images[marked, :3, :3] += 0.5  # half of what pictures differ by
    maps[marked, :3, :3] += chance.uniform(1, 2, (24, 1, 1))
    first = suspects(maps, images)[0]
    assert (first.seen_in, first.clearness > 1) == ("maps", True)
    np.testing.assert_array_equal(first.members, marked)
    assert all(each.clearness < 1 for each in suspects(chance.normal(0, 0.2, maps.shape), images))


def test_few_images_give_no_suspects():
    assert suspects(np.zeros((9, 4, 4)), np.random.default_rng(0).random((9, 4, 4, 1))) == []


def test_the_share_outside_a_region(tmp_path):
    store = many.run(tmp_path / "maps.zarr", many.images(5))
    positive = np.maximum(store["maps"][:], 0)
    inside = np.zeros((many.SIDE, many.SIDE), dtype=bool)
    inside[2:6, 2:6] = True
    expected = [1 - each[inside].sum() / each.sum() if each.sum() else np.nan for each in positive]
    np.testing.assert_allclose(outside(store, inside), expected, atol=1e-6)
    np.testing.assert_allclose(outside(store, 0.5), expected, atol=1e-6)
    np.testing.assert_allclose(outside(store, np.stack([inside] * 5)), expected, atol=1e-6)


def test_right_for_the_wrong_reason(tmp_path):
    """The mark lies outside of the middle: the marked images lead the list."""
    found = audited(tmp_path / "maps.zarr", 4.0, pictures(), region=0.5)
    led = found.wrong_reason[: MARKED.sum()]
    assert np.isin(led, np.flatnonzero(MARKED)).mean() > 0.9
    assert found.accuracy > 0.9


@pytest.mark.parametrize(
    ("region", "match"),
    [
        (np.ones((3, 3), dtype=bool), "region must have the shape of an image"),
        (np.zeros((many.SIDE, many.SIDE), dtype=bool), "at least one pixel"),
        (1.5, "centre must be a share"),
    ],
)
def test_regions_that_cannot_be(tmp_path, region, match):
    store = many.run(tmp_path / "maps.zarr", many.images(5))
    with pytest.raises(InputError, match=match):
        outside(store, region)


def test_an_audit_must_have_labels_and_images(tmp_path):
    store = many.run(tmp_path / "maps.zarr", many.images(5))
    loaded = eyeline.load(many.scores, input_size=many.SIDE)
    with pytest.raises(InputError, match="array in memory"):
        audit(store, loaded)
    with pytest.raises(InputError, match="must have labels"):
        audit(store, loaded, images=many.images(5))
    with pytest.raises(InputError, match="'image 3' is not there"):
        audit(store, loaded, images=many.images(3))


def test_a_store_of_one_class(tmp_path):
    given = many.images(12)
    store = many.run(tmp_path / "maps.zarr", given, labels=["1"] * 12)
    with pytest.raises(InputError, match="two classes or more, but all are '1'"):
        audit(store, eyeline.load(many.scores, input_size=many.SIDE), images=given)


def test_a_label_that_is_no_class(tmp_path):
    given = many.images(12)
    store = many.run(tmp_path / "maps.zarr", given, labels=["1", "7"] * 6)
    with pytest.raises(InputError, match=r"within 0\.\.2, but got 7"):
        audit(store, eyeline.load(many.scores, input_size=many.SIDE), images=given)


def test_a_model_that_did_not_make_the_store(tmp_path):
    given = many.images(12)
    store = many.run(tmp_path / "maps.zarr", given, labels=["0", "1"] * 6)
    other = eyeline.load(lambda images: many.scores(images)[:, ::-1], input_size=many.SIDE)
    with pytest.raises(InputError, match="must be the one that made the store, but gives 'image 0' other scores"):
        audit(store, other, images=given)
    fewer = eyeline.load(lambda images: many.scores(images)[:, :2], input_size=many.SIDE)
    with pytest.raises(InputError, match="must be the one that made the store"):
        audit(store, fewer, images=given)
    with pytest.raises(InputError, match=r"must see images as the store has them, \(8, 8, 1\), but sees \(6, 6, 1\)"):
        audit(store, eyeline.load(many.scores, input_size=6), images=given[:, :6, :6])


def test_the_command_names_the_class_and_the_images(tmp_path, capsys, monkeypatch):
    import json

    from PIL import Image

    from eyeline import cli

    given = pictures()
    np.savez(tmp_path / "some.npz", images=given, labels=LABELS)
    eyeline.run(model(4.0), tmp_path / "some.npz", tmp_path / "maps.zarr", METHOD, "label", chunk=40)
    monkeypatch.setattr("eyeline.cli.many.load", lambda *source, **words: model(4.0))
    inside = np.zeros((SIDE, SIDE), dtype=np.uint8)
    inside[4:12, 4:12] = 255
    Image.fromarray(inside).save(tmp_path / "inside.png")

    def command(*words):
        with pytest.raises(SystemExit) as left:
            cli.main(["audit", str(tmp_path / "maps.zarr"), "mine:network", *map(str, words)])
        return left.value.code

    assert command("--region", tmp_path / "inside.png", "--out", tmp_path / "audit.json") == 1
    said = capsys.readouterr().out
    assert "1 shortcuts" in said
    assert "1: shortcut; 20 images, 50% of the class" in said
    assert "of the evidence lies outside the region" in said
    found = json.loads((tmp_path / "audit.json").read_text())
    assert found["findings"][0]["images"] == [f"image {row}" for row in np.flatnonzero(MARKED)]
    covered = found["findings"][0]["right_covered"]
    assert covered["class"]["images"] == 40
    assert covered["group"]["right"][0] == 1
    assert [each["class"] for each in found["clusters"]] == ["0", "1", "2"]
    assert command("--baseline", "constant:1", "--out", tmp_path / "white.json") == 1
    assert json.loads((tmp_path / "white.json").read_text())["findings"][0]["right_covered"]["group"]["right"][1] == 1
    capsys.readouterr()
    Image.new("L", (5, 5)).save(tmp_path / "small.png")
    assert command("--region", tmp_path / "small.png") == 2
    assert "a picture of the images' size" in capsys.readouterr().err


def test_parts_of_one_pattern_are_one_finding():
    from eyeline.audit.shortcuts import Finding, largest

    def finding(label, rows, turned):
        return Finding(label, tuple(rows), 0.3, 9.0, "maps", np.zeros((2, 2, 1), np.float32), turned, 0.0, (1.0, 1.0))

    whole, part = finding("1", range(20), 0.5), finding("1", range(8), 0.6)
    other, alone = finding("2", range(8), 0.5), finding("1", range(30, 40), 0.5)
    assert largest([part, whole, other, alone]) == [whole, other, alone]
    pattern = finding("1", range(8), 0.8)  # what else the larger group holds only weakens it
    assert largest([whole, pattern, other]) == [pattern, other]
