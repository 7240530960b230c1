"""The lecture's data: what is drawn, and what is read from folders and archives."""

import numpy as np
import pytest
from PIL import Image

from eyeline.errors import InputError
from eyeline.lecture import load_data
from eyeline.lecture.drawn import PARTS, SIZE, _box, _picture, _vessel, draw


@pytest.fixture(scope="module")
def drawn():
    return load_data()


def test_drawn_data_has_the_lecture_s_form(drawn):
    for part, n in (("train", 2500), ("test", 400)):
        images, classes, boxes = (drawn[f"{part}_{name}"] for name in ("X", "classes", "parts"))
        assert images.shape == (n, 64, 64, 3)
        assert images.dtype == classes.dtype == np.float32
        assert images.min() >= 0
        assert images.max() <= 1
        assert classes.shape == (n, len(PARTS))
        np.testing.assert_array_equal(np.sort(classes, axis=1), [[0, 0, 0, 0, 1]] * n)
        np.testing.assert_array_equal(classes.sum(axis=0), [n / 5] * 5)
        has_part = np.array([PARTS[drawn["classes"][each]] is not None for each in classes.argmax(axis=1)])
        np.testing.assert_array_equal(boxes.any(axis=(1, 2)), has_part)
        lengths = (boxes[..., 1] - boxes[..., 0])[has_part]
        assert lengths.min() >= 6
        assert lengths.max() <= 20


def test_the_same_seed_draws_the_same_and_another_does_not(drawn):
    again = draw(25, seed=0)
    np.testing.assert_array_equal(again.images, drawn["train_X"][:25])
    np.testing.assert_array_equal(again.parts, drawn["train_parts"][:25])
    train = {image.tobytes() for image in drawn["train_X"]}
    assert len(train) == 2500
    assert not train & {image.tobytes() for image in drawn["test_X"]}


@pytest.mark.parametrize("kind", [kind for kind, part in PARTS.items() if part])
def test_a_part_lies_in_its_box_and_nothing_lies_on_it(kind):
    """The same picture with and without its part differs inside the box alone, and there wherever the part is."""
    for seed in range(40):
        vessel = _vessel(kind, np.random.default_rng(seed))
        part = _box(vessel)
        with_part = _picture(vessel, part, np.random.default_rng(seed))
        without = _picture(vessel._replace(lines=[]), part, np.random.default_rng(seed))
        differs = (with_part != without).any(axis=-1)
        (first, last), (start, stop) = part
        inside = np.zeros((SIZE, SIZE), dtype=bool)
        inside[first:last, start:stop] = True
        assert not (differs & ~inside).any(), seed
        points = np.concatenate(vessel.lines)
        farthest = np.linalg.norm(points - vessel.body.mean(axis=0), axis=1).argmax()
        column, row = points[farthest].astype(int)
        assert differs[row - 1 : row + 2, column - 1 : column + 2].sum() >= 6, seed


def test_position_and_colour_tell_nothing(drawn):
    """No class has its own place or brightness: what a network could learn without looking at the part."""
    classes = drawn["train_classes"].argmax(axis=1)
    parts = drawn["train_parts"].mean(axis=2)
    means = [drawn["train_X"][classes == each].mean() for each in range(len(PARTS))]
    assert np.ptp(means) < 0.03
    spreads = [parts[classes == each].std(axis=0) for each in range(len(PARTS)) if PARTS[drawn["classes"][each]]]
    assert np.min(spreads) > 8


def folder(root, layout, size=(20, 30)):
    """Make pictures of one colour each: {"cats": 7} -> cats/0.png .. 6.png, red 0 .. 6."""
    for name, count in layout.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", size, (i, 100, 200)).save(root / name / f"{i}.png")
    return root


def reds(images):
    return [round(float(image[0, 0, 0]) * 255) for image in images]


def test_a_folder_of_class_folders(tmp_path):
    """The first of every five files of a class, by name, is the test part."""
    folder(tmp_path, {"dogs": 6, "cats": 2, ".hidden": 3})
    (tmp_path / "dogs" / "notes.txt").write_text("no image")
    data = load_data(tmp_path)
    assert data["classes"] == ("cats", "dogs")
    assert reds(data["test_X"]) == [0, 0, 5]
    assert reds(data["train_X"]) == [1, 1, 2, 3, 4]
    np.testing.assert_array_equal(data["test_classes"], [[1, 0], [0, 1], [0, 1]])
    np.testing.assert_array_equal(data["train_classes"], [[1, 0]] + [[0, 1]] * 4)
    assert data["train_X"].shape == (5, 64, 64, 3)
    assert data["train_X"].dtype == np.float32
    np.testing.assert_allclose(data["train_X"][0, :, :, 1:], np.broadcast_to([100 / 255, 200 / 255], (64, 64, 2)))
    assert set(data) == {"train_X", "train_classes", "test_X", "test_classes", "classes"}


def test_train_and_test_folders(tmp_path):
    folder(tmp_path, {"train/a": 3, "train/b": 2, "test/a": 1, "test/b": 1})
    data = load_data(str(tmp_path))
    assert data["classes"] == ("a", "b")
    assert reds(data["train_X"]) == [0, 1, 2, 0, 1]
    assert reds(data["test_X"]) == [0, 0]


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ({}, r"two class folders or more, .* but got 0"),
        ({"a": 4}, r"two class folders or more, .* but got 1"),
        ({"a": 4, "b": 1}, r"each with two images or more"),
        ({"a": 4, "b": 0}, r"must hold image files .*, but '.*b' holds none"),
        (
            {"train/a": 2, "train/b": 2, "test/a": 1, "test/c": 1},
            r"same class folders, but got 'b'",
        ),
    ],
)
def test_a_folder_that_does_not_fit(tmp_path, layout, words):
    with pytest.raises(InputError, match=words):
        load_data(folder(tmp_path, layout))


def test_a_damaged_image_is_named(tmp_path):
    folder(tmp_path, {"a": 3, "b": 3})
    (tmp_path / "b" / "1.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(InputError, match=r"1\.png"):
        load_data(tmp_path)


def arrays(n=4, **other):
    random = np.random.default_rng(0)
    hot = np.eye(2)[np.arange(n) % 2]
    given = {
        "train_X": random.random((n, 16, 20, 3)),
        "train_classes": hot,
        "test_X": random.random((n, 16, 20, 3), dtype=np.float32),
        "test_classes": hot.astype(int),
    }
    return given | other


def test_an_archive(tmp_path):
    given = arrays()
    np.savez(tmp_path / "data.npz", **given)
    data = load_data(tmp_path / "data.npz")
    assert data["classes"] == ("class 0", "class 1")
    for name, values in given.items():
        assert data[name].dtype == np.float32
        np.testing.assert_allclose(data[name], values, rtol=1e-6)
    np.savez(tmp_path / "data.npz", **given, classes=["cat", "dog"])
    assert load_data(tmp_path / "data.npz")["classes"] == ("cat", "dog")


def test_drawn_data_survive_an_archive(tmp_path, drawn):
    part = {name: drawn[name][:10] for name in ("train_X", "train_classes", "test_X", "test_classes")}
    np.savez(tmp_path / "data.npz", **part, classes=drawn["classes"])
    again = load_data(tmp_path / "data.npz")
    assert again["classes"] == drawn["classes"]
    for name, values in part.items():
        np.testing.assert_array_equal(again[name], values)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"train_X": np.zeros((4, 16, 20, 3), dtype=np.uint8)}, r"train_X must hold floats .* got uint8. Divide 8-bit"),
        ({"test_X": np.full((4, 16, 20, 3), 255.0)}, r"test_X must hold floats in 0..1, .* within 255..255"),
        ({"test_X": np.full((4, 16, 20, 3), np.nan)}, r"test_X must hold floats in 0..1, .* within nan..nan"),
        (
            {"train_X": np.zeros((4, 16, 20))},
            r"shape \(n, rows, columns, 3\).* but got \(4, 16, 20\)",
        ),
        ({"train_X": np.zeros((4, 3, 16, 20))}, r"train_X must have shape .* channels last"),
        ({"train_X": np.zeros((4, 8, 20, 3))}, r"16 rows and columns or more"),
        ({"train_X": np.zeros((0, 16, 20, 3)), "train_classes": np.zeros((0, 2))}, r"but got \(0, 16, 20, 3\)"),
        ({"train_classes": np.array([0, 1, 0, 1])}, r"train_classes must be one-hot.* np.eye\(number_of_classes\)"),
        ({"train_classes": np.full((4, 2), 0.5)}, r"train_classes must be one-hot"),
        ({"train_classes": np.ones((4, 2))}, r"train_classes must be one-hot"),
        ({"test_classes": np.eye(2)[[0, 1, 0]]}, r"one row per image of test_X \(4\)"),
        ({"test_classes": np.eye(3)[[0, 1, 0, 2]]}, r"one number of classes, but got .* with 2 classes, .* with 3"),
        ({"test_X": np.zeros((4, 16, 16, 3))}, r"one image size"),
        ({"classes": ["cat"]}, r"and 1 names"),
        ({"classes": np.array([{}, {}])}, r"file of plain arrays"),
    ],
)
def test_an_archive_that_does_not_fit(tmp_path, other, words):
    np.savez(tmp_path / "data.npz", **arrays(**other))
    with pytest.raises(InputError, match=words):
        load_data(tmp_path / "data.npz")


def test_an_archive_without_its_names_or_damaged(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, train_X=arrays()["train_X"])
    with pytest.raises(InputError, match=r"'train_classes' is missing \('data.npz' holds train_X\)"):
        load_data(path)
    np.savez(path, **arrays())
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"must be an \.npz file of plain arrays"):
        load_data(path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(InputError, match=r"must be an \.npz file of plain arrays"):
        load_data(path)


def test_a_source_that_is_nothing(tmp_path):
    (tmp_path / "data.csv").write_text("1,2")
    for name in ("none.npz", "nowhere", "data.csv"):
        with pytest.raises(InputError, match=r"must be a folder of class folders or an \.npz file"):
            load_data(tmp_path / name)
