"""The result: saved and loaded whole, other targets from the sweep, one line that says what was assumed."""

import dataclasses
import io
import json
import os
import pickle
import zipfile

import numpy as np
import pytest

import eyeline
from eyeline.attribution import Attribution
from eyeline.errors import InputError, UnsupportedError
from eyeline.image import Batch, Fit

FIT = Fit("crop", (30, 40), ((0, 30), (5, 35)))


@pytest.fixture
def model():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(6 * 8 * 3, 4))
    return eyeline.load(
        lambda images: images.reshape(len(images), -1) @ table, input_size=(6, 8), classes=("a", "b", "c", "d")
    )


@pytest.fixture
def images():
    return np.random.default_rng(1).random((2, 6, 8, 3), dtype=np.float32)


@pytest.fixture
def attribution(model, images):
    batch = Batch(images, ("cat.png", "dog.png"), (FIT, None))
    return eyeline.Occlusion(window=3, stride=2, baseline=eyeline.Constant(0.25))(model, batch, target=("a", "c"))


def test_a_result_survives_the_file(attribution, tmp_path):
    path = attribution.save(tmp_path / "new" / "cat.npz")
    loaded = Attribution.load(path)
    for name in ("maps", "scores", "weights", "images"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(attribution, name))
        assert getattr(loaded, name).dtype == getattr(attribution, name).dtype
    for name in ("unit", "quantity", "method", "targets", "names", "fits", "classes", "provenance"):
        assert getattr(loaded, name) == getattr(attribution, name), name
    np.testing.assert_array_equal(loaded.sweep.scores, attribution.sweep.scores)
    np.testing.assert_array_equal(loaded.to("b").maps, attribution.to("b").maps)
    assert list(tmp_path.glob("new/.*")) == []


def test_the_sweep_answers_for_other_targets(model, images, attribution):
    for target in (2, "d", eyeline.Top(2), eyeline.Contrast("a", "b"), np.array([0.5, 0, 0, -2.0])):
        again = eyeline.Occlusion(window=3, stride=2, baseline=eyeline.Constant(0.25))(model, images, target)
        moved = attribution.to(target)
        np.testing.assert_array_equal(moved.maps, again.maps)
        np.testing.assert_array_equal(moved.value(), again.value())
        assert moved.targets == again.targets


def test_values_are_those_of_the_target(attribution):
    np.testing.assert_allclose(attribution.value(), [attribution.scores[0, 0], attribution.scores[1, 2]], rtol=1e-6)


def test_without_a_sweep_there_is_no_other_target(attribution):
    bare = Attribution(**{**vars(attribution), "sweep": None})
    with pytest.raises(UnsupportedError, match=r"keeps none\. Run explain again"):
        bare.to("b")


def test_the_line_says_what_was_assumed(attribution):
    line = attribution.line()
    for word in ("occlusion", "window=[3, 3]", "stride=[2, 2]", "Constant(value=0.25)", "unit score", "6 x 8 x 3",
                 "crop", "as given", "target a, c", "engine full", "windows 12"):  # fmt: skip
        assert word in line, (word, line)
    assert line in repr(attribution)
    assert "batch=None" not in line
    assert "unit log-odds = ln(p / (1 - p))" in dataclasses.replace(attribution, unit="log-odds").line()


def test_assumptions_are_those_of_every_image_of_the_shape(model, images):
    method = eyeline.Occlusion(window=3, stride=2, baseline=eyeline.Constant(0.25))
    one, other = method(model, images[:1], "a"), method(model, images[1:] / 2, "b")
    assert one.assumptions() == other.assumptions()
    assert one.line().startswith(one.assumptions())
    assert one.assumptions() != eyeline.Occlusion(window=2)(model, images[:1]).assumptions()


def test_a_name_without_npz(attribution, tmp_path):
    with pytest.raises(InputError, match=r"must end in \.npz, but got 'a\.png'"):
        attribution.save(tmp_path / "a.png")


def npz(path, **arrays):
    np.savez(path, **arrays)


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "zip", "other npz", "later format", "pickle"])
def test_a_file_that_is_no_result(kind, tmp_path, attribution):
    path = tmp_path / "a.npz"
    marker = tmp_path / "ran"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("hello")
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("maps.npy", "no array")
    elif kind == "other npz":
        np.savez(path, maps=np.zeros(3))
    elif kind == "later format":
        np.savez(path, meta=np.frombuffer(json.dumps({"eyeline": 99}).encode(), np.uint8))
    elif kind == "pickle":

        class Evil:
            def __reduce__(self):
                return os.mkdir, (str(marker),)

        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.array([0, None], dtype=object), allow_pickle=True)
        header = buffer.getvalue()[: buffer.getvalue().index(b"\n") + 1]
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("meta.npy", header + pickle.dumps(Evil()))
    with pytest.raises(InputError, match=r"must exist|must be one that Attribution\.save wrote"):
        Attribution.load(path)
    assert not marker.exists()


def test_a_failed_write_leaves_what_was_there(attribution, tmp_path, monkeypatch):
    path = attribution.save(tmp_path / "a.npz")
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(InputError, match=r"must be writable and have room.*No space left"):
        attribution.save(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.npz"]


def test_an_unwritable_folder(attribution, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"must be writable and have room"):
        attribution.save(tmp_path / "file" / "a.npz")


def test_ctrl_c_while_writing_leaves_nothing(attribution, tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        attribution.save(tmp_path / "a.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_file_with_a_changed_byte_is_a_sentence(tmp_path, attribution):
    whole = attribution.save(tmp_path / "a.npz").read_bytes()
    refused = 0
    for place in range(40, len(whole), len(whole) // 97):
        (tmp_path / "b.npz").write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            Attribution.load(tmp_path / "b.npz")
        except InputError:
            refused += 1
    assert refused > 50, "any other error would have come out"
