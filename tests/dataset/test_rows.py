"""The store as a table: each column from the arrays by hand; CSV and Parquet read back; the command."""

import csv
import subprocess
import sys

import many
import numpy as np
import pyarrow.parquet
import pytest

import eyeline
from eyeline import cli
from eyeline.dataset import ordered, save, select
from eyeline.errors import InputError

LABELS = ["=1+1", "b", "c", "b", "c"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    given = many.images(5)
    given[3] = np.nan
    return many.run(tmp_path_factory.mktemp("rows") / "maps.zarr", given, labels=LABELS, classes=("=1+1", "b", "c"))


def test_every_column(store):
    table, model = select(store), eyeline.load(many.scores, input_size=many.SIDE)
    assert table["label"].tolist() == LABELS
    assert table["status"].tolist() == ["done", "done", "done", "refused", "done"]
    for row in (0, 1, 2, 4):
        found = many.METHOD(model, many.images(5)[row : row + 1])
        assert table["predicted"][row] == ("=1+1", "b", "c")[int(found.scores[0].argmax())] == table["target"][row]
        np.testing.assert_allclose(table["score"][row], found.scores[0].max(), atol=1e-6)
        np.testing.assert_allclose(table["value"][row], found.value()[0], atol=1e-6)
        np.testing.assert_allclose(table["highest"][row], found.maps[0].max(), atol=1e-6)
        np.testing.assert_allclose(table["lowest"][row], found.maps[0].min(), atol=1e-6)
        place = int(table["highest_row"][row]), int(table["highest_column"][row])
        np.testing.assert_allclose(found.maps[0][place], found.maps[0].max(), atol=1e-6)
    assert np.isnan(table["score"][3])
    assert "finite" in table["error"][3]


def test_large_stores_are_read_in_parts(store, monkeypatch):
    from eyeline.dataset import rows

    whole = select(store)
    monkeypatch.setattr(rows, "AT_ONCE", 1)
    parts = select(store)
    for name in whole:
        np.testing.assert_array_equal(whole[name].astype(str), parts[name].astype(str))


def test_a_condition_and_an_order(store):
    table = ordered(select(store, "status == 'done'"), "-score")
    assert 3 not in table["row"]
    assert (np.diff(table["score"]) <= 0).all()
    np.testing.assert_array_equal(ordered(select(store), "score")["row"][-1], 3)
    with pytest.raises(InputError, match="must name a column, but got 'scor'"):
        ordered(table, "scor")


def test_csv_runs_nothing_in_a_spreadsheet(store, tmp_path):
    with save(select(store), tmp_path / "rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["label"] == "'=1+1"
    assert rows[1]["label"] == "b"
    np.testing.assert_array_equal(float(rows[1]["score"]), select(store)["score"][1])
    assert rows[3]["score"] == ""


def test_parquet_gives_the_table_back(store, tmp_path):
    found = pyarrow.parquet.read_table(save(select(store), tmp_path / "rows.parquet")).to_pydict()
    table = select(store)
    assert found["label"] == LABELS
    np.testing.assert_array_equal(np.array(found["score"], dtype=float), table["score"])


def test_another_ending(store, tmp_path):
    with pytest.raises(InputError, match=r"must end in .csv or .parquet"):
        save(select(store), tmp_path / "rows.xlsx")


def command(*words):
    with pytest.raises(SystemExit) as left:
        cli.main(list(map(str, words)))
    return left.value.code


def test_the_command_from_images_to_a_table(tmp_path, capsys):
    np.savez(tmp_path / "some.npz", images=many.images(6), labels=["a", "b"] * 3)
    words = ["--window", "4", "--stride", "2", "--baseline", "constant:0", "--input-size", many.SIDE, "--chunk", 4]
    store = tmp_path / "maps.zarr"
    assert command("run", "many:scores", tmp_path / "some.npz", "--store", store, *words) == 0
    said = capsys.readouterr().out
    assert "6 images explained" in said
    assert "the model's weights cannot be seen" in said
    assert command("show", store, "--where", "label == 'a' and row > 0", "--sort=-row") == 0
    said = capsys.readouterr().out
    assert "2 of 6 rows" in said
    assert said.index("image 4") < said.index("image 2")
    assert command("show", store, "--out", tmp_path / "rows.csv") == 0
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 7
    assert command("show", store, "--where", "label = 'a'") == 2
    assert "condition must be one that can be read" in capsys.readouterr().err


def test_the_command_says_what_was_refused(tmp_path, capsys):
    given = many.images(3)
    given[1] = np.inf
    np.save(tmp_path / "some.npy", given)
    words = ["--window", "4", "--baseline", "constant:0", "--input-size", many.SIDE]
    assert command("run", "many:scores", tmp_path / "some.npy", "--store", tmp_path / "maps.zarr", *words) == 1
    assert "image 1: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--ray", "nowhere"], "--ray must be local, auto or HOST:PORT, but got 'nowhere'"),
        (["--ray", "127.0.0.1:1"], "a Ray cluster must answer at '127.0.0.1:1', but none does"),
        (["--cores", "0.5"], "--cores must come with --ray"),
        (["--workers", "0"], "--workers must be above 0, but got 0"),
    ],
)
def test_who_computes_is_said_in_words_that_make_sense(tmp_path, capsys, words, match):
    np.save(tmp_path / "some.npy", many.images(3))
    store = tmp_path / "maps.zarr"
    assert command("run", "many:scores", tmp_path / "some.npy", "--store", store, *words) == 2
    assert match in " ".join(capsys.readouterr().err.split())
    assert not store.exists()


def test_the_command_computes_in_processes(tmp_path, capsys):
    np.save(tmp_path / "some.npy", many.images(4))
    words = ["--window", "4", "--baseline", "constant:0", "--input-size", many.SIDE, "--chunk", 2, "--workers", 2]
    assert command("run", "many:scores", tmp_path / "some.npy", "--store", tmp_path / "maps.zarr", *words) == 0
    said = capsys.readouterr().out
    assert "4 images explained" in said
    assert "threads 1" in said


def test_without_zarr_the_pip_line_is_said(tmp_path):
    code = (
        "import sys; sys.modules['zarr'] = None; import many, eyeline\n"
        "try: many.run(sys.argv[1], many.images(2))\n"
        "except eyeline.errors.MissingDependencyError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.zarr"], capture_output=True, text=True, check=True)
    assert "pip install 'eyeline[run]'" in done.stdout
