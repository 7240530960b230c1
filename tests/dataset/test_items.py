"""What a run goes through: names and labels from folders, tables and arrays."""

import pickle

import numpy as np
import pytest
from PIL import Image

from eyeline.dataset.items import Item, source
from eyeline.errors import InputError


@pytest.fixture
def photos(tmp_path):
    for name in ("dog/b.png", "cat/a.png", "cat/deep/c.JPG", ".hidden/x.png", "dog/.y.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), len(name)).save(path)
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    return tmp_path / "photos"


def test_folders_are_labels(photos):
    items = source(photos).items
    assert items == (Item("cat/a.png", "cat"), Item("cat/deep/c.JPG", "cat"), Item("dog/b.png", "dog"))


def test_a_flat_folder_has_no_labels(photos):
    assert source(photos / "dog").items == (Item("b.png"),)


def test_a_table_names_files_beside_it(photos):
    table = photos / "list.csv"
    table.write_text('label,file\n"cat, grey",cat/a.png\n,dog/b.png\n', encoding="utf-8-sig")
    found = source(table)
    assert found.items == (Item("cat/a.png", "cat, grey"), Item("dog/b.png"))
    assert found.read(0)[0] == photos / "cat/a.png"


def test_arrays_with_labels(tmp_path):
    values = np.random.default_rng(0).random((3, 4, 5, 1), dtype=np.float32)
    np.savez(tmp_path / "some.npz", images=values, labels=np.array([2, 0, 2]))
    found = source(tmp_path / "some.npz")
    assert [item.label for item in found.items] == ["2", "0", "2"]
    np.testing.assert_array_equal(found.read(1)[0], values[1:2])


def test_an_array_on_disk_goes_to_another_process_by_its_name(tmp_path):
    values = np.random.default_rng(0).random((50, 40, 40, 1), dtype=np.float32)
    np.save(tmp_path / "some.npy", values)
    sent = pickle.dumps(source(tmp_path / "some.npy"))
    assert len(sent) < values.nbytes / 50
    np.testing.assert_array_equal(pickle.loads(sent).read(7)[0], values[7:8])


def test_the_hash_is_that_of_the_bytes(photos):
    import hashlib

    assert source(photos).read(0)[1] == hashlib.sha256((photos / "cat/a.png").read_bytes()).digest()
    values = np.zeros((2, 4, 4, 1), dtype=np.float32)
    assert source(values).read(0)[1] == source(values).read(1)[1] != source(values + 1).read(0)[1]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda path: path / "nowhere", "folder, a .csv, a .npy or a .npz that is there, but got .*nowhere"),
        (lambda path: path, "must hold image files .* holds none"),
        (
            lambda path: _written(path / "a.csv", "name,label\nx.png,cat\n"),
            "column named image, .* has 'name', 'label'",
        ),
        (lambda path: _written(path / "a.csv", ""), "must have a row"),
        (lambda path: _written(path / "a.csv", "image,label\nx.png,cat\n,dog\n"), "row 3 of .* does not"),
        (lambda path: _written(path / "a.csv", b"image\n\xff\xfe\n"), "readable CSV in UTF-8"),
        (lambda path: _written(path / "a.npy", "no array"), "must hold an array of images"),
        (lambda path: np.zeros(3, dtype=np.float32), r"must be an array \(n, \*space, channels\)"),
        (lambda path: 7, "a folder, a file or an array, but got int"),
    ],
)
def test_what_is_no_source_is_refused(tmp_path, make, match):
    with pytest.raises(InputError, match=match):
        source(make(tmp_path))


def test_labels_of_another_number_are_refused():
    with pytest.raises(InputError, match=r"one an image \(3\), but got 2"):
        source(np.zeros((3, 4, 4, 1), dtype=np.float32), labels=["cat", "dog"])


def _written(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path
