"""The command: flags, exit codes, sentences, files. Most tests run it in this process, some as a program."""

import csv
import dataclasses
import inspect
import json
import os
import re
import resource
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pytest
from PIL import Image

import eyeline
from eyeline import cli
from eyeline.attribution import Attribution
from eyeline.baseline import Blur, Constant
from eyeline.command import flags as making
from eyeline.command import places, printed
from eyeline.command import rows as table
from eyeline.command import run as running
from eyeline.command import words as wording
from eyeline.command.settings import Opening, Writing
from eyeline.errors import InputError, UnsupportedError
from eyeline.methods import METHODS, build
from eyeline.picture.legend import probability
from eyeline.preprocess import NAMED
from eyeline.region import Windows
from eyeline.sweep import Sweep
from eyeline.window import Box, Span

EYELINE = Path(sys.executable).parent / "eyeline"

TOY = '''
import time
import numpy as np

def model(images):
    """Class 0 looks at the upper left quarter only, class 1 at the lower right pixel."""
    half = images.shape[1] // 2
    return np.stack([images[:, :half, :half].sum((1, 2, 3)), images[:, -1, -1].sum(1)], 1).astype(np.float32)

def probability(images):
    one = 1 / (1 + np.exp(-images[:, :8, :8].mean((1, 2, 3))))
    return np.stack([one, 1 - one], 1).astype(np.float32)

def picky(images):
    scores = model(images)
    scores[images[:, 0, 0, 0] == 0] = np.nan
    return scores

def fragile(images):
    """Breaks off as the black image does: with the signal, or because the model cannot serve it."""
    if (images == 0).all():
        raise KeyboardInterrupt
    return model(images)

def free(images):
    return np.stack([images[:, 0, 0].sum(1), images.mean((1, 2, 3))], 1).astype(np.float32)

def first(images):
    assert images.shape[1] == 3, "channels first"
    return images.mean((2, 3)).astype(np.float32)

def dense(images):
    return images

def slow(images):
    print("started", flush=True)
    time.sleep(0.05)
    return model(images)
'''

SMALL = ["--input-size", "16", "--window", "8", "--stride", "4", "--baseline", "constant:0"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a module of toy models and two pictures, entered."""
    (tmp_path / "toy.py").write_text(TOY)
    picture("a.png", 7, tmp_path)
    picture("b.png", 8, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("toy", None)
    yield tmp_path
    sys.modules.pop("toy", None)


def picture(name, seed, folder=Path()):
    pixels = np.random.default_rng(seed).integers(1, 255, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(Path(folder) / name, format="PNG")


@pytest.fixture
def run(capsys):
    """Run the command here; return its exit code and what it printed."""

    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            cli.main([str(each) for each in arguments])
        printed = capsys.readouterr()
        return left.value.code, printed.out, printed.err

    return call


def program(*arguments, **options):
    return subprocess.run([EYELINE, *arguments], capture_output=True, text=True, timeout=60, **options)


# --- what it costs to start ---------------------------------------------------------------------------------


def test_help_costs_at_most_half_a_second_more_than_numpy():
    def seconds(*command):
        """Processor time: unlike the clock it does not count what else the machine does."""

        def once():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

        return min(once() for _ in range(3))

    assert seconds(EYELINE, "--help") - seconds(sys.executable, "-c", "import numpy") < 0.5


def test_the_command_imports_nothing_heavy():
    code = "import sys, eyeline.cli; print(' '.join(sys.modules))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    heavy = {"torch", "keras", "tensorflow", "jax", "onnx", "onnxruntime", "matplotlib", "skimage", "scipy", "h5py"}
    assert not loaded & heavy


# --- flags are made from fields -----------------------------------------------------------------------------


@dataclass(frozen=True)
class One:
    """First.

    Args:
        width: pixels, see `height`. None means all
            of them: each "row".
        baseline: what replaces.
        mode: "fast" or "slow".
        deep: go deeper.
        other: cannot be written as text.

    Raises:
        InputError: never.
    """

    width: int | tuple[int, ...] | None = None
    baseline: eyeline.baseline.Baseline = Blur(3)
    mode: Literal["fast", "slow"] = "slow"
    deep: bool = False
    other: object = None


@dataclass(frozen=True)
class Two:
    """Second.

    Args:
        mode: how.
        share: of the whole.
    """

    mode: Literal["slow", "steady"] | None = "slow"
    share: float = 0.5


OWNERS = {"one": One, "two": Two}


def test_every_field_that_text_can_set_becomes_a_flag():
    made = [each.name for each in making.parameters(OWNERS, "")]
    assert made == ["width", "baseline", "mode", "deep", "share"]


def test_a_new_methods_fields_appear_in_the_command_without_a_change_there():
    flags = inspect.signature(cli.explain).parameters
    for kind in (*METHODS.values(), Opening, Writing):
        for field in dataclasses.fields(kind):
            assert field.name in flags, f"{kind.__name__}.{field.name} has no flag"
    names = [field.name for kind in (Opening, Writing) for field in dataclasses.fields(kind)]
    methods = {field.name for kind in METHODS.values() for field in dataclasses.fields(kind)}
    assert len(set(names)) == len(names), "two settings share a flag"
    assert not methods & set(names), "a method's field hides a flag of the model or of what is written"


def test_the_help_says_what_the_docstring_says_in_the_commands_words():
    assert making.explained(OWNERS, "width") == "Pixels, see height. Left out: all of them: each row."
    assert making.explained(OWNERS, "baseline") == (
        "What replaces. (blur, constant, mean, noise, localmean, surroundingmean, inpaint; "
        "a number may follow, as blur:12; default blur:3)"
    )
    assert making.explained(OWNERS, "mode") == "fast or slow. (fast, slow, steady, none; default slow)"
    assert making.explained(OWNERS, "deep") == "Go deeper. (default no)"
    assert making.explained(OWNERS, "share") == "Of the whole. (default 0.5)"


def test_the_help_of_the_command_speaks_no_python_and_explains_its_unit(run):
    assert making.explained(METHODS, "window") == (
        "Pixels, one number or one per axis, as 8 or 8,16. Left out: round(shorter side / 4)."
    )
    assert making.explained(METHODS, "stride").endswith("Left out: a quarter of the window.")
    assert "log-odds: ln(p / (1 - p))" in making.explained({"": Opening}, "scores")
    assert "Log-odds are ln(p / (1 - p))" in " ".join(run("explain", "--help")[1].split())
    for kind in METHODS.values():
        for field in dataclasses.fields(kind):
            said = making.explained({"": kind}, field.name)
            assert not any(word in said for word in ("one int", "//", "True", "False", "None")), said


def test_the_words_of_a_choice_are_joined_by_commas():
    with pytest.raises(
        InputError, match=r"setting must be one of window, stride, .*memory, engine, verify \(method 'occlusion'\)"
    ):
        build("occlusion", {"windw": 3})
    with pytest.raises(InputError, match=r"method must be one of occlusion, gradient, .*, but got 'x'"):
        build("x", {})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("width", "8", 8),
        ("width", "8,16", (8, 16)),
        ("width", "none", None),
        ("baseline", "blur:12", Blur(12)),
        ("baseline", "constant:0.1,0.2,0.3", Constant((0.1, 0.2, 0.3))),
        ("mode", "fast", "fast"),
        ("deep", True, True),
    ],
)
def test_text_becomes_the_fields_value(name, text, value):
    assert making.settings(OWNERS, "one", {name: text}) == {name: value}


@pytest.mark.parametrize(
    ("chosen", "name", "text", "sentence"),
    [
        ("one", "width", "eight", "--width must be whole numbers of pixels, for example 8 or 8,16, but got 'eight'"),
        ("one", "mode", "fats", "--mode must be one of fast, slow, but got 'fats'. Did you mean 'fast'"),
        ("one", "mode", "steady", "--mode must be one of fast, slow"),
        ("one", "mode", "none", "--mode must be one of fast, slow"),
        ("one", "baseline", "blurr", "baseline must be one of .* but got 'blurr'. Did you mean 'blur'"),
        ("two", "share", "half", "--share must be a number, but got 'half'"),
        ("two", "width", "8", "--width must belong to the method, but 'two' has no such setting. Use --method one"),
    ],
)
def test_text_that_does_not_fit_is_a_sentence(chosen, name, text, sentence):
    with pytest.raises(InputError, match=sentence):
        making.settings(OWNERS, chosen, {name: text})


def test_lists_of_words_are_split_at_commas():
    assert making.settings({"": Writing}, "", {"format": "png, csv"}) == {"format": ("png", "csv")}
    with pytest.raises(
        InputError, match=r"--format must be one of png, npz, csv, html, but got 'jpg'\. Did you mean 'png'"
    ):
        making.settings({"": Writing}, "", {"format": "png,jpg"})


# --- a run --------------------------------------------------------------------------------------------------


def test_explain_says_what_it_assumed_and_one_line_per_image(folder, run):
    code, out, err = run("explain", "toy:model", "a.png", "b.png", *SMALL)
    assert (code, err) == (0, "")
    assumed, first, second = out.splitlines()
    assert "window=[8, 8]" in assumed
    assert "Constant(value=0.0)" in assumed
    assert first.startswith("a.png: class 0, ")
    assert "upper left (rows 0..7, columns 0..7): covering this window costs" in first
    assert first.endswith("-> maps/a.occlusion.png")
    assert second.startswith("b.png: class 0, ")
    with Image.open("maps/a.occlusion.png") as drawn:
        assert "one scale for all 2 maps" in drawn.info["Description"]


def brute_force(pixels, target):
    """The map of SMALL by its definition, pixel by pixel."""
    sys.path.insert(0, ".")
    import toy

    starts = range(0, 9, 4)
    clean = toy.model(pixels[None])[0, target]
    total, count = np.zeros((16, 16)), np.zeros((16, 16))
    for row in starts:
        for column in starts:
            covered = pixels.copy()
            covered[row : row + 8, column : column + 8] = 0
            total[row : row + 8, column : column + 8] += clean - toy.model(covered[None])[0, target]
            count[row : row + 8, column : column + 8] += 1
    return total / count


def check_npz(run):
    code, _, _ = run("explain", "toy:model", "a.png", *SMALL, "--target", "1", "--format", "npz", "--out", "n")
    assert code == 0
    pixels = np.asarray(Image.open("a.png"), dtype=np.float32) / 255
    np.testing.assert_allclose(Attribution.load("n/a.occlusion.npz").maps[0], brute_force(pixels, 1), atol=1e-5)


def test_the_written_map_is_the_definitions(folder, run):
    check_npz(run)


def test_the_map_test_fails_on_a_flipped_sign(folder, run, monkeypatch):
    right = Sweep.values
    monkeypatch.setattr(Sweep, "values", lambda self, weights: -right(self, weights))
    with pytest.raises(AssertionError):
        check_npz(run)


def test_csv_has_one_row_per_window_whose_numbers_add_up(folder, run):
    code, out, _ = run("explain", "toy:model", "a.png", *SMALL, "--format", "csv")
    assert code == 0
    assert "-> maps/a.occlusion.csv" in out
    with open("maps/a.occlusion.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "image", "target", "unit", "row_start", "row_stop", "column_start", "column_stop",
        "reference", "perturbed", "value",
    ]  # fmt: skip
    assert len(rows) == 9
    assert [(int(row["row_start"]), int(row["column_start"])) for row in rows[:4]] == [(0, 0), (0, 4), (0, 8), (4, 0)]
    for row in rows:
        assert float(row["value"]) == pytest.approx(float(row["reference"]) - float(row["perturbed"]))
        assert (row["image"], row["target"], row["unit"]) == ("a.png", "class 0", "score")


def test_csv_without_windows_has_one_row_per_pixel(tmp_path):
    maps = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    table.save(attribution(maps), tmp_path / "a.csv")
    rows = list(csv.reader((tmp_path / "a.csv").read_text().splitlines()))
    assert rows[0] == ["image", "target", "unit", "row", "column", "value"]
    assert rows[1:] == [["image 0", "cat", "score", str(i // 3), str(i % 3), f"{float(i)}"] for i in range(6)]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_spreadsheet_runs_no_name(text):
    assert table.cell(text) == "'" + text
    assert table.cell("cat") == "cat"


def test_a_folder_is_its_pictures(folder, run):
    os.mkdir("pictures")
    picture("x.png", 1, "pictures")
    picture("y.png", 2, "pictures")
    Path("pictures/notes.txt").write_text("no picture")
    code, out, err = run("explain", "toy:model", "pictures", *SMALL)
    assert (code, err) == (0, "")
    assert [line.partition(":")[0] for line in out.splitlines()[1:]] == ["pictures/x.png", "pictures/y.png"]


def test_targets_are_read_from_text(folder, run):
    Path("names.txt").write_text("tabby\ntiger cat\n")
    for target, words in [
        ("1", "tiger cat"), ("tabby", "tabby"), ("top:2", "tiger cat"), ("tabby vs tiger cat", "tabby - tiger cat"),
    ]:  # fmt: skip
        code, out, _ = run("explain", "toy:model", "a.png", *SMALL, "--classes", "names.txt", "--target", target)
        assert code == 0
        assert out.splitlines()[1].startswith(f"a.png: {words}, ")


def test_a_probability_is_called_one(folder, run):
    code, out, _ = run("explain", "toy:probability", "a.png", *SMALL)
    assert code == 0
    assert "a.png: class 0, probability 0." in out
    assert "of probability ->" in out


def test_scales_and_styles(folder, run):
    def description(*flags):
        assert run("explain", "toy:model", "a.png", "b.png", *SMALL, *flags)[0] == 0
        with Image.open("maps/a.occlusion.png") as drawn:
            return drawn.info["Description"]

    assert "each map" in description("--scale", "each") or "this map" in description("--scale", "each")
    assert "percentile 90" in description("--scale", "p90")
    assert "not scaled" in description("--scale", "none")
    assert "redder" in description("--style", "red")


def test_the_line_is_said_once_for_images_of_one_shape_and_leaves_out_what_differs(folder, run):
    Image.fromarray(np.full((12, 20, 3), 9, dtype=np.uint8)).save("c.png")
    code, out, _ = run("explain", "toy:free", "a.png", "b.png", "c.png", "--scale", "each")
    assert code == 0
    first, a, b, second, c = out.splitlines()
    assert [each.partition(":")[0] for each in (a, b, c)] == ["a.png", "b.png", "c.png"]
    assert "images 16 x 16 x 3, squash" in first
    assert "window=[4, 4]" in first
    assert "images 12 x 20 x 3, squash" in second
    assert "window=[3, 3]" in second
    for word in ("values", "target", "seconds", "batch"):
        assert word not in first, word


def test_where_the_channels_stand_can_be_said(folder, run):
    small = ["--input-size", "16", "--baseline", "constant:0", "--target", "0"]
    assert run("explain", "toy:first", "a.png", *small)[0] == 2
    code, out, _ = run("explain", "toy:first", "a.png", *small, "--layout", "first")
    assert code == 0
    assert "layout channels first" in out
    assert run("explain", "toy:first", "a.png", "--layout", "frist")[2].count("Did you mean 'first'") == 1


def test_a_free_onnx_file_is_opened_with_a_layout(folder, run):
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["x"], ["y"], axes=[1, 2], keepdims=0)],
        "free",
        [value("x", TensorProto.FLOAT, ["n", "a", "b", "c"])],
        [value("y", TensorProto.FLOAT, ["n", 3])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), "free.onnx")
    code, _, err = run("explain", "free.onnx", "a.png", *SMALL)
    assert code == 2
    assert "channels" in err
    code, out, err = run("explain", "free.onnx", "a.png", *SMALL, "--layout", "last")
    assert (code, err) == (0, "")
    assert "layout channels last" in out


@pytest.mark.parametrize(
    ("model", "given", "preprocess"),
    [
        ("bundled", None, "lite0"),
        ("bundled", "imagenet", "imagenet"),
        ("a.onnx", None, "unit"),
        ("a.onnx", "imagenet", "imagenet"),
    ],
)
def test_a_layout_keeps_the_preprocessing(model, given, preprocess):
    assert Opening(given).words(model)["preprocess"] == given
    told = Opening(given, "first").words(model)["preprocess"]
    assert told == dataclasses.replace(NAMED[preprocess], layout="first")


# --- refusals and exit codes --------------------------------------------------------------------------------


def test_a_refused_image_does_not_stop_the_others(folder, run):
    Path("broken.png").write_bytes(Path("a.png").read_bytes()[:100])
    code, out, err = run("explain", "toy:model", "missing.png", "a.png", "broken.png", "b.png", *SMALL)
    assert code == 1
    assert [line.partition(":")[0] for line in out.splitlines()[1:]] == ["a.png", "b.png"]
    first, second = err.splitlines()
    assert first.startswith("eyeline: missing.png: ")
    assert second.startswith("eyeline: broken.png: ")
    assert Path("maps/b.occlusion.png").exists()


@pytest.mark.parametrize("flags", [["--target", "9"], ["--window", "500"]])
def test_a_bad_setting_is_told_once(folder, run, flags):
    code, out, err = run("explain", "toy:model", "missing.png", "a.png", "b.png", *SMALL, *flags)
    assert (code, out) == (2, "")
    missing, refused = err.splitlines()
    assert missing.startswith("eyeline: missing.png: ")
    assert refused.startswith("eyeline: a.png: ")
    assert flags[1] in refused


def test_a_model_that_fails_on_the_first_image_goes_on_to_the_next(folder, run):
    Image.fromarray(np.zeros((16, 16, 3), dtype=np.uint8)).save("black.png")
    code, out, err = run("explain", "toy:picky", "black.png", "a.png", "b.png", *SMALL, "--baseline", "mean")
    assert (code, len(err.splitlines()), len(out.splitlines())) == (1, 1, 3)


@pytest.mark.parametrize("length", [300, 5000])
def test_a_name_that_no_file_can_have_is_a_sentence(folder, run, length):
    code, out, err = run("explain", "toy:model", "x" * length, "a.png", *SMALL)
    assert code == 1
    assert err.startswith("eyeline: xxx")
    assert len(err.splitlines()) == 1
    assert "a.png: class 0" in out


def test_the_longest_name_a_file_can_have_is_explained(folder, run):
    name = "ü" * 125 + ".png"
    picture(name, 1)
    code, out, err = run("explain", "toy:model", name, *SMALL, "--format", "png,csv")
    assert (code, err) == (0, "")
    assert f"{'ü' * 100}.occlusion.csv, maps/{'ü' * 100}.occlusion.png" in out


def black(name):
    Image.fromarray(np.zeros((16, 16, 3), dtype=np.uint8)).save(name)


@pytest.mark.parametrize("scale", ["shared", "p90", "each", "none", "20"])
def test_an_interrupted_run_keeps_what_is_done(folder, run, scale):
    black("c.png")
    small = [*SMALL[:-1], "constant:0.5"]
    code, out, _ = run("explain", "toy:fragile", "a.png", "b.png", "c.png", *small, "--scale", scale)
    assert code == 130
    assert [line.rpartition("-> ")[2] for line in out.splitlines()[1:]] == [
        "maps/a.occlusion.png", "maps/b.occlusion.png",
    ]  # fmt: skip
    assert sorted(each.name for each in Path("maps").iterdir()) == ["a.occlusion.png", "b.occlusion.png"]
    with Image.open("maps/b.occlusion.png") as drawn:
        assert ("all 2 maps" in drawn.info["Description"]) == (scale in ("shared", "p90"))


@pytest.mark.parametrize("error", [UnsupportedError("it must be served"), InputError("there must be room")])
def test_a_run_that_ends_in_an_error_keeps_what_is_done(folder, run, monkeypatch, error):
    written = table.save

    def full(attribution, path):
        if "b." in path.name:
            raise error
        return written(attribution, path)

    monkeypatch.setattr(table, "save", full)
    code, out, err = run("explain", "toy:model", "a.png", "b.png", *SMALL, "--format", "png,csv")
    assert (code, err) == (2, f"eyeline: {error}\n")
    assert out.endswith("-> maps/a.occlusion.csv, maps/a.occlusion.png\n")


def test_a_picture_that_fails_stops_no_other(folder, run, monkeypatch):
    written = running.picture.save

    def full(drawn, path):
        if "a." in path.name:
            raise InputError("there must be room")
        return written(drawn, path)

    monkeypatch.setattr(running.picture, "save", full)
    code, out, err = run("explain", "toy:model", "a.png", "b.png", *SMALL)
    assert (code, err) == (2, "eyeline: there must be room\n")
    assert [line.rpartition("-> ")[2] for line in out.splitlines()[1:]] == ["no file", "maps/b.occlusion.png"]


@pytest.mark.parametrize("scale", ["shared", "each"])
def test_a_picture_stands_before_the_next_image_only_where_its_scale_is_its_own(folder, run, monkeypatch, scale):
    order = []
    drawing, reading = running.picture.save, running.collect
    monkeypatch.setattr(running.picture, "save", lambda drawn, path: (order.append("draw"), drawing(drawn, path))[1])
    monkeypatch.setattr(running, "collect", lambda *given, **more: (order.append("read"), reading(*given, **more))[1])
    assert run("explain", "toy:model", "a.png", "b.png", *SMALL, "--scale", scale)[0] == 0
    assert order == (["read", "read", "draw", "draw"] if scale == "shared" else ["read", "draw"] * 2)


def test_a_finished_image_keeps_no_sweep(folder, run, monkeypatch):
    finish, kept = running.Run._finish, []
    monkeypatch.setattr(running.Run, "_finish", lambda self, done: (kept.extend(done), finish(self, done))[1])
    assert run("explain", "toy:model", "a.png", "b.png", *SMALL)[0] == 0
    assert len(kept) == 2
    for done in kept:
        attribution = done.attributions["occlusion"]
        assert attribution.sweep.scores.size == 0
        assert attribution.sweep.scores.base is None, "a view would hold the whole"
        assert attribution.maps.any()


def test_scores_that_are_not_finite_refuse_their_image_alone(folder, run):
    Image.fromarray(np.zeros((16, 16, 3), dtype=np.uint8)).save("black.png")
    code, out, err = run("explain", "toy:picky", "black.png", "a.png", *SMALL, "--baseline", "mean")
    assert code == 1
    assert "eyeline: black.png: scores must be finite" in err
    assert "a.png: class 0" in out


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--window", "500"], "window must be at most the image's size, but got 500"),
        (["--stride", "9"], "stride must be at most the window"),
        (["--stride", "0"], "stride must be a whole number of pixels, 1 or more"),
        (["--window", "x"], "--window must be whole numbers of pixels"),
        (["--overlap", "median"], "--overlap must be one of mean, sum, but got 'median'. Did you mean 'mean'?"),
        (["--channels", "max_abs"], "'occlusion' has no such setting. Use --method gradient"),
        (["--method", "gradient", "--no-keep"], "'gradient' has no such setting. Use --method occlusion"),
        (["--method", "oclusion"], "Did you mean 'occlusion'?"),
        (["--method", "gradient"], "gradient"),
        (["--target", "7"], "class index must be within 0..1, but got 7"),
        (["--target", "cat"], "the model has no class names"),
        (["--scale", "sharde"], "Did you mean 'shared'?"),
        (["--fit", "stretch"], "--fit must be one of squash, crop, pad"),
        (["--baseline", "blur:-1"], "sigma must be a positive number"),
        (["--preprocess", "imagnet"], "Did you mean 'imagenet'"),
        (["--classes", "nowhere.txt"], "nowhere.txt"),
        (["--out", "toy.py"], "--out must be a folder that can be made and written, but got 'toy.py'"),
        (["--nonsense"], "nonsense"),
    ],
)  # fmt: skip
def test_usage_errors_are_sentences_and_exit_2(folder, run, flags, sentence):
    small = [*SMALL] if "gradient" not in flags else ["--input-size", "16"]
    code, out, err = run("explain", "toy:model", "a.png", *small, *flags)
    assert code == 2
    assert sentence in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err + out
    assert not list(folder.glob("maps/*"))


def test_a_folder_that_cannot_be_written_is_told_before_the_work(folder, run, monkeypatch):
    def full(dir):  # the name that the library gives it
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(places.tempfile, "TemporaryFile", full)
    code, out, err = run("explain", "toy:model", "a.png", "--out", "there")
    assert (code, out) == (2, "")
    assert "--out must be a folder that can be made and written, but got 'there' (Permission denied)" in err


def test_a_model_that_fails_on_every_image_exits_2(folder, run):
    code, out, err = run("explain", "toy:dense", "a.png", "b.png", *SMALL)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) >= 1
    assert "eyeline: " in err


@pytest.mark.parametrize("model", ["nowhere.keras", "toy:nothing", "nowhere:model", "toy.py"])
def test_a_model_that_cannot_be_opened_exits_2(folder, run, model):
    code, _, err = run("explain", model, "a.png")
    assert code == 2
    assert err.startswith("eyeline: ")
    assert model.partition(":")[0] in err


def test_maps_per_channel_are_refused_before_a_picture_is_begun(monkeypatch, folder, run):
    monkeypatch.setattr(running, "check", lambda *_: (_ for _ in ()).throw(InputError("one number per pixel")))
    code, _, err = run("explain", "toy:model", "a.png", *SMALL)
    assert (code, err) == (2, "eyeline: one number per pixel\n")


# --- names --------------------------------------------------------------------------------------------------


def test_names_are_printed_as_they_are_and_never_acted_on(folder, run):
    names = ["[red]x.png", "\x1b[31mred.png", "cat\u202egnp.png", "=cmd.png"]
    for i, name in enumerate(names):
        picture(name, i)
    code, out, err = run("explain", "toy:model", *names, *SMALL, "--format", "png,csv")
    assert (code, err) == (0, "")
    lines = out.splitlines()[1:]
    assert lines[0].startswith("[red]x.png: ")
    assert lines[1].startswith("\\x1b[31mred.png: ")
    assert lines[2].startswith("cat\\u202egnp.png: ")
    assert "\x1b" not in out
    assert sorted(each.name for each in Path("maps").glob("*.png")) == [
        "=cmd.occlusion.png", "[red]x.occlusion.png", "_[31mred.occlusion.png", "cat_gnp.occlusion.png",
    ]  # fmt: skip
    assert "\n'=cmd.png," in Path("maps/=cmd.occlusion.csv").read_text()


def test_names_that_are_no_text_are_spelled_out():
    assert printed.printable("a\udcff\n\x07b") == "a\\udcff\\n\\x07b"
    assert printed.printable("Zürich 猫 [bold]") == "Zürich 猫 [bold]"


def test_two_images_of_one_name_do_not_overwrite_each_other(folder, run):
    os.mkdir("other")
    for place in ("other/a.png", "other/A.png"):
        picture(place, 3)
    code, out, _ = run("explain", "toy:model", "a.png", "other/a.png", "other/A.png", *SMALL)
    assert code == 0
    written = [line.rpartition("-> ")[2] for line in out.splitlines()[1:]]
    assert written == ["maps/a.occlusion.png", "maps/a-2.occlusion.png", "maps/A-3.occlusion.png"]
    assert len({Path(each).read_bytes() for each in written}) >= 2


def test_an_image_is_never_overwritten_and_an_earlier_result_is(folder, run):
    picture("a.occlusion.png", 4)
    before = Path("a.occlusion.png").read_bytes()
    for _ in range(2):
        code, out, _ = run("explain", "toy:model", "a.png", "a.occlusion.png", *SMALL, "--out", ".")
        assert code == 0
        assert [line.rpartition("-> ")[2] for line in out.splitlines()[1:]] == [
            "a-2.occlusion.png", "a.occlusion.occlusion.png",
        ]  # fmt: skip
    assert Path("a.occlusion.png").read_bytes() == before


# --- regions in words ---------------------------------------------------------------------------------------


def attribution(maps, sweep=None, unit="score", scores=((1.0, 0.0),), classes=("cat", "dog")):
    n, *space = maps.shape
    return Attribution(
        maps=maps,
        scores=np.array(scores, dtype=np.float32),
        weights=np.array([[1.0, 0.0]] * n, dtype=np.float32),
        unit=unit,
        quantity="test",
        method={"name": "test"},
        targets=("cat",) * n,
        images=np.zeros((n, *space[:2], 3), dtype=np.float32),
        names=tuple(f"image {i}" for i in range(n)),
        fits=(None,) * n,
        classes=classes,
        sweep=sweep,
    )


@pytest.mark.parametrize(
    ("rows", "columns", "words"),
    [
        ((0, 10), (0, 10), "upper left"),
        ((10, 20), (10, 20), "centre"),
        ((0, 10), (10, 20), "upper middle"),
        ((12, 18), (25, 30), "middle right"),
        ((20, 30), (0, 30), "lower"),
        ((0, 30), (20, 30), "right"),
        ((0, 30), (0, 30), "the whole image"),
    ],
)
def test_places_have_names(rows, columns, words):
    assert wording.place(Box((Span(*rows), Span(*columns))), (30, 30)) == words


def test_places_on_signals_and_volumes():
    assert wording.place(Box((Span(0, 3),)), (30,)) == "start"
    assert wording.place(Box((Span(20, 30), Span(0, 3), Span(14, 16))), (30, 30, 30)) == "last planes, upper middle"


def test_the_densest_box_is_the_one_that_trying_all_finds():
    maps = np.random.default_rng(0).normal(size=(1, 13, 17)).astype(np.float32)
    sums = {
        (row, column): np.abs(maps[0, row : row + 3, column : column + 3]).sum(dtype=np.float64)
        for row in range(11)
        for column in range(15)
    }
    row, column = max(sums, key=sums.__getitem__)
    found = wording.finding(attribution(maps), 0)
    assert found.box == Box((Span(row, row + 3), Span(column, column + 3)))
    assert found.effect.startswith(f"{sums[row, column] / np.abs(maps).sum():.0%} of the map's sum in {9 / 221:.0%}")


@pytest.mark.parametrize("measure", ["drop", "score", "complement"])
def test_the_strongest_window_is_where_covering_costs_most_whatever_is_drawn(measure):
    boxes = np.array([[[0, 2], [0, 2]], [[0, 2], [2, 4]], [[2, 4], [0, 4]]])
    scores = np.array([[[0.8, 0], [0.3, 0], [1.5, 0]]], dtype=np.float32)
    sweep = Sweep(Windows(boxes), scores, np.array([[1.0, 0.0]], dtype=np.float32), measure)
    found = wording.finding(attribution(np.zeros((1, 4, 4), np.float32), sweep, unit="log-odds"), 0)
    assert found.box == Box.of(boxes[1])
    assert str(found) == (
        "cat, probability 0.731 (log-odds 1); upper right (rows 0..1, columns 2..3): covering this window costs "
        "0.7 log-odds"
    )


@pytest.mark.parametrize("value", [-1000.0, -709.5, -3.0, 0.0, 3.0, 1000.0])
def test_log_odds_become_their_probability(value):
    p = probability(value)
    assert 0 <= p <= 1
    if 0 < p < 1 and abs(value) < 30:
        assert np.log(p / (1 - p)) == pytest.approx(value)
    else:
        assert p == pytest.approx(float(value > 0))


def test_a_map_without_support_says_so():
    windows = Windows(np.array([[[0, 4], [0, 4]]]))
    sweep = Sweep(windows, np.array([[[3.0, 0]]], np.float32), np.array([[1.0, 0]], np.float32))
    found = wording.finding(attribution(np.zeros((1, 4, 4), np.float32), sweep), 0)
    assert found.effect == "no window supports it: covering this one raises it least, by 2 score"


# --- the other commands -------------------------------------------------------------------------------------


def test_version_and_help(run):
    assert run("--version") == (0, f"eyeline {eyeline.__version__}\n", "")
    code, out, _ = run("explain", "--help")
    assert code == 0
    assert "--window" in out


def test_models_lists_what_load_opens(run):
    code, out, _ = run("models")
    assert code == 0
    for word in (".keras", ".pt2", ".onnx", ".safetensors", "bundled", "folder", "package.module:name", "gradients"):
        assert word in out


def test_models_says_how_to_install_what_is_missing(run, monkeypatch):
    from eyeline.command import tables

    monkeypatch.setattr(tables, "find_spec", lambda name: None)
    _, out, _ = run("models")
    assert "no: pip install 'eyeline[torch]'" in out


def test_methods_lists_every_method_with_its_flags(run):
    code, out, _ = run("methods")
    assert code == 0
    assert [line.partition(":")[0] for line in out.split("\n\n")[0].splitlines() if line[0] != " "] == list(METHODS)
    assert "--window" not in out
    code, out, _ = run("methods", *METHODS)
    assert code == 0
    for name, kind in METHODS.items():
        assert f"{name}: " in out
        assert all(f"  {making.option(field.name)}" in out for field in dataclasses.fields(kind))
    assert "integratedgradients: " not in run("methods", "gradient", "rise")[1]
    switch = " ".join(run("methods", "gradcam")[1].split())
    assert "--relu / --no-relu: Set what speaks against the target to 0" in switch
    assert "stays, negative. (default yes)" in switch
    code, _, err = run("methods", "oclusion")
    assert code == 2
    assert "did you mean 'occlusion'" in err.lower()


def test_help_lists_every_command_those_for_newcomers_first(run):
    code, out, _ = run("--help")
    assert code == 0
    found = [words[1] for words in map(str.split, out.splitlines()) if len(words) > 2 and words[1] in cli.ORDER]
    assert found == list(cli.ORDER)
    assert len(cli.app.registered_commands) == len(cli.ORDER)


# --- as a program -------------------------------------------------------------------------------------------


def test_the_program_runs_and_is_quiet_when_its_reader_leaves(folder):
    done = program("explain", "toy:model", "a.png", *SMALL)
    assert done.returncode == 0, done.stderr
    assert "a.png: class 0" in done.stdout
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        left = subprocess.run([EYELINE, "methods"], stdout=closed, stderr=subprocess.PIPE, text=True, check=False)
    assert left.stderr == ""
    assert left.returncode == 1


def test_control_c_leaves_130_and_nothing_half_written(folder):
    with subprocess.Popen(
        [EYELINE, "explain", "toy:slow", "a.png", "b.png", *SMALL, "--stride", "1", "--batch", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not [each for each in folder.rglob("*") if each.is_file() and each.parent.name == "maps"]


def test_lecture_hands_its_flags_on(run, monkeypatch):
    def called(out, data, say):
        say(f"{out} {data}")
        raise InputError("the data must be there")

    monkeypatch.setitem(sys.modules, "eyeline.lecture.run", SimpleNamespace(run=called))
    assert run("lecture", "--out", "x", "--data", "y.npz") == (2, "x y.npz\n", "eyeline: the data must be there\n")
    assert run("lecture")[1] == "lecture None\n"


def test_several_methods_side_by_side(folder, run, monkeypatch):
    """One picture an image, the numbers of each method apart, and one scale for one quantity over the run."""
    kept, drawing = [], running.picture.panel
    monkeypatch.setattr(
        running.picture, "panel", lambda *found, **words: (kept.append((found, words)), drawing(*found, **words))[1]
    )
    methods = "occlusion:window=8,occlusion:measure=score,occlusion:window=16"
    code, out, _ = run(
        "explain", "toy:model", "a.png", "b.png", "--method", methods, "--stride", "4", "--format", "png,npz",
        "--input-size", "16",
    )  # fmt: skip
    assert code == 0
    names = ["occlusion", "occlusion-2", "occlusion-3"]
    written = {f"{image}.{name}.npz" for image in "ab" for name in names} | {
        f"{image}.comparison.png" for image in "ab"
    }
    assert {each.name for each in (folder / "maps").iterdir()} == written
    for (found, words), image in zip(kept, "ab", strict=True):
        assert words["titles"] == ["occlusion", "occlusion-3", "occlusion-2"], "those of one quantity are neighbours"
        assert found[0].quantity == found[1].quantity != found[2].quantity
        loaded = [Attribution.load(folder / "maps" / f"{image}.{name}.npz") for name in names]
        assert [each.method["window"] for each in loaded] == [[8, 8], [4, 4], [16, 16]]
        assert [each.method["stride"] for each in loaded] == [[4, 4]] * 3
    first, second = (words["scale"] for _, words in kept)
    assert first == second
    assert len(first) == 2
    drops = [found[i].maps for found, _ in kept for i in (0, 1)]
    assert first[kept[0][0][0].quantity].high == max(float(np.abs(each).max()) for each in drops)
    assert "a.png, occlusion-2: " in out
    assert f"a.png: side by side -> {Path('maps') / 'a.comparison.png'}" in out


def test_a_preset_is_said_in_the_settings(folder, run):
    flags = ("--input-size", "16", "--preset", "xplique", "--format", "csv")
    code, out, _ = run("explain", "toy:model", "a.png", *flags)
    assert code == 0
    assert "window=[3, 3], stride=[3, 3]" in out
    assert "overlap=sum, edge=inside" in out
    code, _, errors = run("explain", "toy:model", "a.png", *flags[:3], "captum")
    assert code == 2
    assert "window must be given with preset 'captum'" in errors
    code, _, errors = run("explain", "toy:model", "a.png", *flags[:3], "captim")
    assert code == 2
    assert "Did you mean 'captum'?" in errors


def test_one_page_holds_every_image_and_method(folder, run):
    code, out, err = run("explain", "toy:model", "a.png", "b.png", *SMALL, "--format", "html")
    assert (code, err) == (0, "")
    assert out.endswith("All on one page: maps/report.html\n")
    assert [each.name for each in Path("maps").iterdir()] == ["report.html"]
    text = Path("maps/report.html").read_text(encoding="utf-8")
    held = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert [each["name"] for each in held["images"]] == ["a.png", "b.png"]
    assert [each["method"] for each in held["images"][0]["layers"]] == ["occlusion"]


def test_a_refused_image_is_not_on_the_page_and_the_others_are(folder, run):
    Path("bad.png").write_bytes(b"no picture")
    code, out, err = run("explain", "toy:model", "bad.png", "b.png", *SMALL, "--format", "html")
    assert code == 1
    assert "bad.png" in err
    assert out.endswith("All on one page: maps/report.html\n")
