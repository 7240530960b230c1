"""The gate: every limit on stores whose numbers are laid by hand, the door, the command and its file of limits."""

import json

import laid
import numpy as np
import pytest
from PIL import Image

import eyeline
from eyeline import cli
from eyeline.errors import InputError
from eyeline.gate import GateLimits, gate, measuring
from eyeline.gate.kept import at_most
from eyeline.gate.shown import attribution
from eyeline.metrics.check import Check

INSIDE = np.array([[True, False], [True, False]])
MAPS = np.array([[[1, 0], [0, 0]], [[3, 1], [0, -9]], [[0, 1], [0, 1]], [[-1, 0], [0, 0]]])
"""Outside: 0, a quarter, all, and one without positive evidence."""
SCORES = np.eye(3)[[0, 1, 0, 0]]
LABELS = ["a", "a", "a", None]


@pytest.fixture
def store(tmp_path):
    return laid.store(tmp_path / "maps.zarr", MAPS, SCORES, labels=LABELS)


def kept(found):
    return {each.name: each for each in found.kept}


@pytest.mark.parametrize(
    ("limits", "name", "measured", "passed"),
    [
        ({"most_outside": 0.2}, "most_outside", 0.75, False),
        ({"most_outside": 0.25}, "most_outside", 0.5, False),  # equal is within; the blank one counts as 1
        ({"most_outside": 0.25, "most_share": 0.5}, "most_outside", 0.5, True),
        ({"most_outside": 1}, "most_outside", 0, True),
        ({"most_mean_outside": 0.5625}, "most_mean_outside", (0.25 + 1 + 1) / 4, True),
        ({"most_mean_outside": 0.56}, "most_mean_outside", (0.25 + 1 + 1) / 4, False),
        ({"least_accuracy": 2 / 3}, "least_accuracy", 2 / 3, True),
        ({"least_accuracy": 0.7}, "least_accuracy", 2 / 3, False),
    ],
)
def test_limits_on_one_store(store, limits, name, measured, passed):
    region = INSIDE if any("outside" in each for each in limits) else None
    found = gate(store, GateLimits(**limits), region=region)
    np.testing.assert_allclose(kept(found)[name].measured, measured)
    assert kept(found)[name].passed == found.passed == passed


def test_the_worst_images_are_named_first(store):
    found = kept(gate(store, GateLimits(most_outside=0.2), region=INSIDE))["most_outside"]
    assert found.images == ("image 2 (1.00)", "image 3 (1.00)", "image 1 (0.25)")
    assert found.line(1) == (
        "failed: share of 4 images with more than 0.2 of their evidence outside the region: 0.75, at most 0: "
        "image 2 (1.00) and 2 more"
    )


def test_images_without_evidence_must_not_help(store, monkeypatch):
    """Sabotage twin: a gate that leaves them out would call the share smaller."""
    monkeypatch.setattr(measuring.np, "nan_to_num", lambda values, nan: values)
    with pytest.raises(AssertionError):
        test_limits_on_one_store(store, {"most_outside": 0.25}, "most_outside", 0.5, False)


def test_a_number_that_is_not_there_never_passes():
    assert not at_most("most_moved", "", float("nan"), 1).passed
    assert at_most("most_moved", "", 1, 1).passed


def test_refused_images_fail_unless_it_is_said_how_many_may_be(tmp_path):
    store = laid.store(tmp_path / "maps", MAPS, SCORES, labels=LABELS, refused=[3])
    found = kept(gate(store, GateLimits(least_accuracy=0)))["most_refused"]
    assert (found.measured, found.passed, found.images) == (0.25, False, ("image 3",))
    assert gate(store, GateLimits(least_accuracy=0, most_refused=0.25)).passed


def test_limits_on_what_changed(tmp_path):
    before = laid.store(tmp_path / "a", MAPS[:3], np.eye(3)[[0, 0, 1]], labels=LABELS[:3])
    now = laid.store(tmp_path / "b", MAPS[[1, 1, 1]], np.eye(3)[[0, 1, 2]], labels=LABELS[:3])
    limits = GateLimits(most_changed=0.5, most_lost=0.33, most_accuracy_lost=0.34, most_moved=0.4)
    found = kept(gate(now, limits, against=before))
    moves = [0.25, 0, 0.75]
    for name, measured, passed in (
        ("most_changed", 2 / 3, False), ("most_lost", 1 / 3, False), ("most_accuracy_lost", 1 / 3, True),
        ("most_moved", np.mean(moves), True), ("most_left_out", 0, True),
    ):  # fmt: skip
        np.testing.assert_allclose(found[name].measured, measured)
        assert found[name].passed == passed, name
    assert found["most_lost"].images == ("image 1",)
    assert found["most_moved"].images == ("image 2 (0.75)",)


def test_images_that_cannot_be_compared_fail_it(tmp_path):
    before = laid.store(tmp_path / "a", MAPS, SCORES, names=["p", "q", "r", "s"])
    now = laid.store(tmp_path / "b", MAPS, SCORES, names=["p", "q", "r", "t"])
    found = kept(gate(now, GateLimits(most_changed=1), against=before))["most_left_out"]
    assert (found.measured, found.passed) == (0.4, False)
    assert gate(now, GateLimits(most_changed=1, most_left_out=0.4), against=before).passed


@pytest.mark.parametrize(
    ("limits", "match"),
    [
        ({}, "a gate must have a limit to hold to"),
        ({"most_share": 0.1}, "most_share must stand beside most_outside"),
        ({"most_outside": 1.5}, "most_outside must be a number at least 0 and at most 1"),
        ({"most_outside": float("nan")}, "most_outside must be a number"),
        ({"most_shortcuts": 0.5}, "most_shortcuts must be a whole number"),
        ({"most_shortcuts": -1}, "most_shortcuts must be a whole number"),
    ],
)
def test_limits_that_cannot_be(limits, match):
    with pytest.raises(InputError, match=match):
        GateLimits(**limits)


@pytest.mark.parametrize(
    ("limits", "words", "match"),
    [
        ({"most_outside": 0.3}, {}, "most_outside must have a region"),
        ({"most_failed": 0.3}, {}, "most_failed must have the model"),
        ({"most_shortcuts": 0}, {}, "most_shortcuts must have the model"),
        ({"most_changed": 0.3}, {}, "most_changed must have an earlier store"),
        ({"least_accuracy": 0.3}, {"region": 0.5}, "region must come with a limit"),
        ({"least_accuracy": 0.3}, {"sample": 0}, "sample must be a whole number, 1 or more"),
    ],
)
def test_limits_that_cannot_be_measured(store, limits, words, match):
    with pytest.raises(InputError, match=match):
        gate(store, GateLimits(**limits), **words)


def test_nothing_to_check_is_an_error(tmp_path):
    unlabelled = laid.store(tmp_path / "a", MAPS, SCORES)
    with pytest.raises(InputError, match="must have labels, but no image of the store has one"):
        gate(unlabelled, GateLimits(least_accuracy=0))
    with pytest.raises(InputError, match="most_lost and most_accuracy_lost must have labels"):
        gate(unlabelled, GateLimits(most_lost=1), against=unlabelled)
    nothing = laid.store(tmp_path / "b", MAPS, SCORES, refused=[0, 1, 2, 3])
    with pytest.raises(InputError, match="a store that has ended, but it has no map"):
        gate(nothing, GateLimits(least_accuracy=0, most_refused=1))


SIDE = 8
IMAGES = np.random.default_rng(0).random((6, SIDE, SIDE, 1), dtype=np.float32)


def scores(images):
    """Class 0 is the sum of the left half, class 1 of the right one."""
    return np.stack([images[:, :, :4].sum((1, 2, 3)), images[:, :, 4:].sum((1, 2, 3))], axis=1)


@pytest.fixture
def run(tmp_path):
    np.savez(tmp_path / "some.npz", images=IMAGES, labels=["0", "1"] * 3)
    method = eyeline.Occlusion(window=4, stride=2, baseline=eyeline.Constant(0), batch=8, engine="full")
    model = eyeline.load(scores, input_size=SIDE)
    store = eyeline.run(model, tmp_path / "some.npz", tmp_path / "maps.zarr", method, "label", chunk=2)
    return model, store


QUICK = Check(shifts=19, points=3, nudges=1)


def test_a_store_gives_the_attributions_back(run):
    model, store = run
    found = attribution(store, [1, 4])
    expected = eyeline.explain(
        model, IMAGES[[1, 4]], target=[1, 0], window=4, stride=2, baseline=eyeline.Constant(0), batch=8, engine="full"
    )
    for name in ("maps", "scores", "weights", "images"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert (found.targets, found.quantity, found.unit) == (expected.targets, expected.quantity, expected.unit)
    assert found.method == store.manifest.method


def test_drawn_maps_are_checked(run):
    """The verdicts are those of `check`, image by image; the draw is that of the seed."""
    model, store = run
    drawn = np.sort(np.random.default_rng(3).permutation(6)[:4])
    verdicts = [QUICK(model, attribution(store, [row])).verdicts[0] for row in drawn]
    limits = GateLimits(most_failed=0, most_doubtful=0)
    found = kept(gate(store, limits, model=model, sample=4, seed=3, check=QUICK))
    assert found["most_failed"].measured == verdicts.count("failed") / 4
    assert found["most_doubtful"].measured == 1 - verdicts.count("passed") / 4
    named = [f"image {row}" for row, verdict in zip(drawn, verdicts, strict=True) if verdict != "passed"]
    assert [each.partition(" (")[0] for each in found["most_doubtful"].images] == named


def test_another_model_is_refused(run):
    other = eyeline.load(lambda images: scores(images) + 5, input_size=SIDE)
    with pytest.raises(InputError, match="must be the one that made the store, but gives 'image"):
        gate(run[1], GateLimits(most_failed=1), model=other, check=QUICK)


def test_images_that_have_changed_are_refused(run):
    with pytest.raises(InputError, match="'image 0' has changed"):
        attribution(run[1], [0], IMAGES + 1)
    with pytest.raises(InputError, match="'image 5' is not there"):
        attribution(run[1], [5], IMAGES[:2])


def test_shortcuts_are_those_of_the_audit(run, monkeypatch):
    class Found:
        def __init__(self, shortcuts):
            self.shortcuts = shortcuts

    one = type("Finding", (), {"label": "0", "rows": (1, 2, 3)})
    monkeypatch.setattr(measuring, "audit", lambda *given, **words: Found((one,)))
    found = kept(gate(run[1], GateLimits(most_shortcuts=0), model=run[0]))["most_shortcuts"]
    assert (found.measured, found.passed, found.images) == (1, False, ("0 (3 images)",))


def test_a_network_that_takes_a_mark_for_its_class_does_not_pass(tmp_path):
    """Half of class 1 has a mark; one model looks at it, its twin does not. Nothing stands in for the audit here."""
    chance, count = np.random.default_rng(0), 120
    labels, shapes = np.arange(count) % 3, chance.random((3, 8, 8), dtype=np.float32)
    given = chance.random((count, 16, 16, 1), dtype=np.float32) * 0.2
    given[:, 4:12, 4:12, 0] += shapes[labels] * (0.4 + 0.2 * chance.random((count, 1, 1), dtype=np.float32))
    given[(labels == 1) & (np.arange(count) % 2 == 0), 1:4, 12:15] = 1

    def model(weight):
        def likeness(images):
            found = np.einsum("nrc,krc->nk", images[:, 4:12, 4:12, 0], shapes - shapes.mean(axis=(1, 2), keepdims=True))
            found[:, 1] += 2 * weight * images[:, 1:4, 12:15, 0].mean(axis=(1, 2))
            return found

        return eyeline.load(likeness, input_size=16, classes=("0", "1", "2"))

    method = eyeline.Occlusion(window=4, stride=2, baseline=eyeline.Constant(0), batch=64, engine="full")
    for weight, passed in ((4, False), (0, True)):
        words = {"labels": labels.tolist(), "chunk": 40}
        store = eyeline.run(model(weight), given, tmp_path / f"{weight}.zarr", method, "label", **words)
        found = gate(store, GateLimits(most_shortcuts=0), model=model(weight), images=given)
        assert found.passed == passed
        assert kept(found)["most_shortcuts"].measured == (not passed)


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    (tmp_path / "halves.py").write_text(
        "import numpy as np\n\n\ndef scores(images):\n    left, right = images[:, :, :4], images[:, :, 4:]\n"
        "    return np.stack([left.sum((1, 2, 3)), right.sum((1, 2, 3))], axis=1)\n\n\n"
        "def turned(images):\n    return scores(images)[:, ::-1]\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def call(*words):
        with pytest.raises(SystemExit) as end:
            cli.main([str(each) for each in words])
        return end.value.code, *capsys.readouterr()

    return call


@pytest.mark.usefixtures("run")
def test_the_command_ends_as_its_limits_say(command, tmp_path):
    """Labels alternate, so half of the images look right: the region is the left half."""
    half = np.zeros((SIDE, SIDE), dtype=np.uint8)
    half[:, :4] = 255
    Image.fromarray(half).save(tmp_path / "left.png")
    words = ("gate", "maps.zarr", "--region", "left.png", "--most-outside", "0.5")
    code, said, _ = command(*words)
    assert code == 1
    assert "failed: share of 6 images with more than 0.5 of their evidence outside the region: 0.5, at most 0: " in said
    code, said, _ = command(*words, "--most-share", "0.5", "--json", "gate.json")
    assert code == 0
    record = json.loads((tmp_path / "gate.json").read_text())
    assert record["passed"]
    assert [each["name"] for each in record["limits"]] == ["most_refused", "most_outside"]
    assert record["limits"][1]["measured"] == record["limits"][1]["limit"] == 0.5
    code, _, refused = command("gate", "maps.zarr", "--most-outside", "0.5")
    assert (code, "must have a region" in refused) == (2, True)
    assert command("gate", "gone.zarr", "--least-accuracy", "0.5")[0] == 2
    quick = ("--points", "2", "--nudges", "1", "--sample", "1", "--input-size", SIDE)
    assert command("gate", "maps.zarr", "halves:scores", "--most-failed", "1", *quick)[0] == 0


@pytest.mark.usefixtures("run")
def test_limits_from_a_file(command, tmp_path):
    (tmp_path / "gate.toml").write_text("least-accuracy = 0.4\nsample = 3\nshift_doubtful = 0.05\n")
    (tmp_path / "pyproject.toml").write_text("[tool.eyeline.gate]\nleast-accuracy = 1\n")
    code, said, _ = command("gate", "maps.zarr", "--limits", "gate.toml")
    right = (scores(IMAGES).argmax(1) == np.array([0, 1] * 3)).mean()
    assert f"share of 6 labelled images that are right: {right:.4g}, at least 0.4" in said
    assert code == int(right < 0.4)
    assert command("gate", "maps.zarr", "--limits", "pyproject.toml")[0] == int(right < 1)
    assert command("gate", "maps.zarr", "--limits", "pyproject.toml", "--least-accuracy", "0")[0] == 0


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("most-outsid = 0.3", "but got 'most-outsid'. Did you mean 'most-outside'"),
        ("most-outside = true", "must be a number or text, but got True"),
        ("most-outside = 'much'", "must be a number, but got 'much'"),
        ("most-outside = [1]", "must be a number or text"),
        ("most-outside", "must be a TOML file"),
        ("[tool.black]\nx = 1", "must have settings under [tool.eyeline.gate]"),
        ("", "a gate must have a limit"),
    ],
)
@pytest.mark.usefixtures("run")
def test_files_of_limits_that_cannot_be(command, tmp_path, text, match):
    (tmp_path / "gate.toml").write_text(text)
    code, _, refused = command("gate", "maps.zarr", "--limits", "gate.toml")
    assert (code, match in refused) == (2, True), refused


def test_the_command_compares_two_models_and_two_stores(command, tmp_path):
    np.savez(tmp_path / "some.npz", images=IMAGES, labels=["0", "1"] * 3)
    settings = ("--window", "4", "--stride", "2", "--baseline", "constant:0", "--input-size", SIDE)
    words = ("diff", "halves:scores", "halves:turned", "some.npz", *settings)
    code, said, _ = command(
        *words, "--out", "rows.csv", "--picture", "worst.png", "--page", "worst.html", "--worst", "2"
    )
    assert code == 0
    assert "6 predictions changed (100.0%)" in said
    assert "second model: " in said
    assert (tmp_path / "worst.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "worst.html").read_text()
    assert "first model: occlusion" in page
    assert "second model: occlusion" in page
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 7
    again = command("diff", "diff/a.zarr", "diff/b.zarr", "--where", "prediction == 'lost'", "--show", "1")
    assert again[0] == 0
    assert "lost" in again[1]
    assert "0 images explained" in command(*words)[1]


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("halves:scores", "halves:turned"), "'halves:scores' is no store"),
        (("maps.zarr", "halves:scores", "some.npz"), "'halves:scores' is no store"),
        (("maps.zarr", "maps.zarr", "--window", "3"), "--window must come with two models"),
        (("maps.zarr", "maps.zarr", "--where", "moved >"), "the condition must be one"),
        (("maps.zarr", "maps.zarr", "--sort", "-distanc"), "--sort must name a column"),
        (("maps.zarr", "maps.zarr", "--region", "0"), "centre must be a share"),
    ],
)
@pytest.mark.usefixtures("run")
def test_what_cannot_be_compared(command, words, match):
    code, _, refused = command("diff", *words)
    assert (code, match in refused) == (2, True), refused
