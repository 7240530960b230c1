"""`eyeline plan`, and the library call behind it: counts against the grid, strides against every other, real runs."""

import math
import re
import shlex
import sys

import numpy as np
import pytest
from PIL import Image
from torch import nn

import eyeline
from eyeline import cli
from eyeline.command import plan as planning
from eyeline.command.settings import Planning
from eyeline.errors import InputError, UnsupportedError
from eyeline.methods import Occlusion
from eyeline.methods.planning import Expected, Foresight, foresee
from eyeline.window import grid

TOY = """
import torch
from torch import nn

def network():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(8, 3)).eval()

def anything(images):
    return images.mean(axis=(1, 2))
"""


def foreseen(method, size=(40, 32), images=2, **expected):
    seconds = {"full": (0.0, 1.0, 0.5), "incremental": (30.0, 2.0, 0.01)} | expected
    return Foresight(method, size, images, {path: Expected(*each) for path, each in seconds.items()}, {})


@pytest.mark.parametrize("edge", ["cut", "inside"])
@pytest.mark.parametrize(
    ("window", "stride"), [((8, 8), (4, 4)), ((7, 9), (3, 5)), ((8, 8), (1, 1)), ((40, 32), (8, 8))]
)
def test_windows_and_seconds_are_those_of_the_grid(window, stride, edge):
    found = foreseen(Occlusion(window=window, stride=stride, edge=edge))
    count = len(grid((40, 32), window, stride, edge))
    assert math.prod(found.windows()) == count
    assert found.seconds("full") == pytest.approx(2 * (1 + count * 0.5))
    assert found.seconds("incremental") == pytest.approx(30 + 2 * (2 + count * 0.01))
    assert found.windows(3) == foreseen(Occlusion(window=window, stride=3, edge=edge)).windows()


@pytest.mark.parametrize("budget", [0.1, 3.0, 8.0, 20.0, 33.0, 34.5, 36.0, 40.0, 1000.0])
@pytest.mark.parametrize("window", [8, (7, 9)])
def test_the_finest_stride_is_that_of_trying_each(budget, window):
    found = foreseen(Occlusion(window=window))
    fitting = [
        stride for stride in range(1, min(found.method.sizes(found.size)[0]) + 1)
        if min(found.seconds(path, stride) for path in found.expected) <= budget
    ]  # fmt: skip
    assert found.finest(budget) == min(fitting, default=None)


def test_the_soonest_path_depends_on_the_stride():
    found = foreseen(Occlusion(window=8))
    assert (found.soonest(8), found.soonest(1)) == ("full", "incremental")


def network():
    torch_layers = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*torch_layers, nn.Linear(8, 3)).eval()


def test_a_real_network_is_foreseen():
    model, images = eyeline.load(network(), input_size=(24, 24)), np.ones((2, 24, 24, 3), np.float32)
    found = foresee(model, images, Occlusion(window=6, stride=3, baseline=eyeline.Constant(0)))
    assert {"full", "incremental"} <= found.expected.keys()
    assert all(each.window >= 0 and each.image > 0 for each in found.expected.values())
    assert found.expected["incremental"].setup > 0
    full, left = found.multiply_adds
    assert full == 2 * 49 * (24 * 24 * 8 * 27 + 22 * 22 * 8 * 72 + 24)
    assert 0 < left < full
    assert found.dense_from == "3"
    assert found.kernels
    ran = eyeline.explain(model, images, window=6, stride=3, baseline=eyeline.Constant(0), engine="incremental")
    assert found.dense_from == ran.provenance["dense_from"]
    assert left / full == pytest.approx(ran.provenance["multiply_adds"], abs=1e-4)


def test_what_nobody_can_count_is_named():
    counted = network()
    counted.insert(3, nn.GroupNorm(2, 8))
    model, images = eyeline.load(counted.eval(), input_size=(24, 24)), np.ones((1, 24, 24, 3), np.float32)
    method = Occlusion(window=6, stride=3, engine="incremental")
    assert foresee(model, images, method).uncounted == ("aten.group_norm.default",)
    assert method(model, images).provenance["uncounted"] == "aten.group_norm.default"
    lines: list[str] = []
    planning.plan(model, None, method, None, lines.append)
    assert any(line.startswith("multiply-adds") and line.endswith("aten.group_norm.default") for line in lines)


@pytest.mark.parametrize("engine", ["full", "incremental", "folded"])
def test_only_the_path_that_is_asked_for_is_foreseen(engine):
    model = eyeline.load(network(), input_size=(24, 24))
    found = foresee(model, np.ones((1, 24, 24, 3), np.float32), Occlusion(window=6, stride=6, engine=engine))
    assert list(found.expected) == [engine]


def test_a_model_without_a_graph_is_foreseen_in_full():
    model, images = (
        eyeline.load(lambda images: images.mean(axis=(1, 2)), input_size=(8, 8)),
        np.ones((1, 8, 8, 3), np.float32),
    )
    found = foresee(model, images, Occlusion(window=4))
    assert list(found.expected) == ["full"]
    assert "whose graph can be read" in found.refused["incremental"]
    with pytest.raises(UnsupportedError, match="whose graph can be read"):
        foresee(model, images, Occlusion(window=4, engine="incremental"))
    double = foresee(eyeline.load(network().double(), input_size=(8, 8)), images, Occlusion(window=4))
    assert "float64" in double.refused["incremental"]


# --- the command ----------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the command in a folder with a module of models and a picture; return exit code and what it printed."""
    (tmp_path / "planned.py").write_text(TOY)
    Image.fromarray(np.full((24, 24, 3), 128, np.uint8)).save(tmp_path / "my cat.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("planned", None)

    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            cli.main([str(each) for each in arguments])
        printed = capsys.readouterr()
        return left.value.code, printed.out, printed.err

    yield call
    sys.modules.pop("planned", None)


SMALL = ["--input-size", "24", "--window", "6", "--baseline", "constant:0"]


def test_the_command_says_what_a_run_would_do(run):
    code, out, err = run("plan", "planned:network", "my cat.png", *SMALL, "--stride", "3", "--memory", "300")
    assert (code, err) == (0, "")
    heads = [line[:14].strip() for line in out.splitlines()[:-1]]
    assert heads[:2] == ["windows", "multiply-adds"]
    assert {"expected", "memory", "kernels"} <= set(heads)
    assert "49: 7 x 7 of 6 x 6, every 3 x 3 pixels" in out
    assert "whole maps from layer '3'" in out
    assert "of 300 MiB allowed" in out
    assert "expectations" in out.splitlines()[-1]


def test_the_proposed_command_runs(run):
    code, out, _ = run("plan", "planned:network", "my cat.png", *SMALL, "--budget", "5 min", "--keep")
    assert code == 0
    words = shlex.split(out.splitlines()[-1])
    assert words[:4] == ["eyeline", "explain", "planned:network", "my cat.png"]
    assert words[words.index("--stride") + 1] == "1"
    assert {"--keep", "--window", "--baseline", "--input-size", "--engine"} <= set(words)
    code, out, err = run(*words[1:], "--format", "csv")
    assert (code, err) == (0, "")
    assert "stride=[1, 1]" in out


def test_without_an_image_noise_of_the_models_size_does(run):
    code, out, _ = run("plan", "planned:network", *SMALL, "--engine", "full", "--budget", "10s")
    assert code == 0
    assert "explain planned:network IMAGE" in out
    assert "--engine full" in out


def test_a_time_that_is_too_short_is_said(run):
    code, out, _ = run("plan", "planned:network", *SMALL, "--engine", "full", "--budget", "0.0001ms")
    assert code == 0
    assert "is too short: even stride 6, windows side by side, is expected to take" in out
    assert "explain" not in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["planned:network", "--window", "6"], "must know the image's size, .* or pass --input-size"),
        (["planned:anything", "--input-size", "8"], "must know the image's number of channels, .* Name an image"),
        (
            ["planned:network", *SMALL, "--budget", "soon"],
            "--budget must be a time, for example 500ms, 30s or 2m, but got 'soon'",
        ),
        (["planned:network", *SMALL, "--stride", "9"], "stride must be at most the window"),
        (["planned:network", "nothing.png", *SMALL], "nothing.png"),
        (["planned:anything", "my cat.png", *SMALL, "--engine", "folded"], "whose graph can be read"),
    ],
)
def test_what_cannot_be_is_a_sentence(words, said, run):
    code, _, err = run("plan", *words)
    assert code == 2
    assert err.startswith("eyeline: ")
    assert re.search(said, err)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("500ms", 0.5), ("2m", 120), ("2 min", 120), ("1.5h", 5400), ("0.25s", 0.25), (None, None)],
)
def test_times_are_read(text, seconds):
    assert Planning(text).seconds() == seconds


@pytest.mark.parametrize("text", ["", "s", "30", "-3s", "0s", "3 days", "1e3s"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(InputError, match="--budget must be a time"):
        Planning(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0123, "12 ms"),
        (4.18, "4.2 s"),
        (31.4, "31 s"),
        (99.9, "1 min 40 s"),
        (200, "3 min 20 s"),
        (7199.9, "120 min 0 s"),
    ],
)
def test_times_are_written(seconds, text):
    assert planning.duration(seconds) == text
