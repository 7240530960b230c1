"""Which path `auto` takes, from stated seconds: nothing here is timed but one real trial."""

import numpy as np
import pytest
from torch import nn

import eyeline
from eyeline.methods import choice as module
from eyeline.methods import trials
from eyeline.methods.batches import Batches
from eyeline.methods.choice import Choice
from eyeline.methods.covered import Covered
from eyeline.methods.kept import Kept
from eyeline.methods.paths import Full
from eyeline.models.torch import TorchModel
from eyeline.window import grid

SIZE = (24, 24)
IMAGES = np.random.default_rng(0).random((1, *SIZE, 3), dtype=np.float32)
COVERED = Covered(IMAGES, np.zeros_like(IMAGES), grid(SIZE, 4, 1), ("image 0",))
TOTAL = COVERED.total


class Stated:
    """A full path that takes a stated time and has none of it done."""

    def __init__(self, rate, done=0):
        self.rate, self.seconds = rate, 0.0
        self.done = np.arange(TOTAL) < done

    def run(self, positions):
        self.seconds += self.rate
        yield 1


@pytest.fixture
def chosen(monkeypatch):
    """Return a function that chooses where the full path, setting up and the windows' share are as stated."""

    def call(*, rate, setup=2.0, share=0.1, clean=None, spent=0.0, rates=None, timed=None, done=0, openvino=False):
        monkeypatch.setattr(TorchModel, "setup", lambda self, shape: setup)
        monkeypatch.setattr(TorchModel, "share", lambda self, ground, covered: share)
        monkeypatch.setattr(module, "work", lambda plan: {"dense_from": "", "multiply_adds": share})
        monkeypatch.setattr(module, "find_spec", lambda name: openvino)
        timed = {"folded": 9.0, "openvino": 9.0} | (timed or {})
        monkeypatch.setattr(trials, "windows", lambda *_: timed["incremental"])
        monkeypatch.setattr(
            trials, "passes", lambda model, run, covered, count: timed["folded" if run == "whole" else "openvino"]
        )
        kept = Kept((*SIZE, 3), 2**30, spent=spent, rates=rates or {})
        made = []
        monkeypatch.setattr(Kept, "plan", lambda self, model, boxes: made.append("graph"))
        monkeypatch.setattr(Kept, "make", lambda self, model: made.append("engine") or Whole())
        monkeypatch.setattr(Kept, "compile", lambda self, model: made.append("compiled") or "compiled")
        ran = {}
        model = eyeline.load(nn.Flatten(), input_size=SIZE)
        path = Choice(model, kept, COVERED, Stated(rate, done), rate if clean is None else clean, 1, ran)()
        return path, ran["why"], made

    return call


class Whole:
    whole = "whole"


def test_a_sweep_that_ends_before_an_engine_is_made_never_looks_for_one(chosen):
    path, why, made = chosen(rate=1.9 / TOTAL)
    assert (path, made) == ("full", [])
    assert why == "a short sweep, and an engine takes about 2.0 s to make"


def test_the_full_path_is_measured_not_guessed(chosen):
    """One image alone takes longer than one among many: only the pilot tells."""
    assert chosen(clean=10 / TOTAL, rate=2.1 / TOTAL)[0] == "full"
    assert chosen(clean=10 / TOTAL, rate=9.0 / TOTAL)[0] == "incremental"


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 0.9])
@pytest.mark.parametrize("seconds", [2.5, 4, 8, 20, 60])
def test_an_engine_is_made_only_where_it_pays_or_asking_is_harmless(chosen, share, seconds):
    """Whatever the forecast: what was spent for nothing is at most 2.5 % of the full path's time."""
    path, _, made = chosen(rate=seconds / TOTAL, share=share, timed={"incremental": share * seconds / TOTAL})
    if "graph" in made:
        assert 2.0 + share * seconds < seconds or 0.025 * seconds >= 2.0
    if (1 - share) * seconds * 0.99 > 1.3 * 2.0:
        assert path == "incremental"


def test_a_network_that_is_global_from_the_start_is_not_even_read(chosen):
    path, why, made = chosen(rate=20 / TOTAL, share=0.97)
    assert (path, made) == ("full", [])
    assert why == "about 97% of the multiply-adds would remain"


def test_a_few_heavy_positions_are_not_worth_a_question(chosen):
    """Estimating the share costs as much as two or three of them; where others have gone before, it is asked once."""
    assert chosen(rate=1.0, done=TOTAL - 40)[2] == []
    assert "graph" in chosen(rate=1.0, done=TOTAL - 60)[2]
    assert "graph" in chosen(rate=1.0, done=TOTAL - 40, spent=3.0)[2]


def test_a_very_long_sweep_may_ask_whatever_the_forecast(chosen):
    assert chosen(rate=100 / TOTAL, share=1.0)[2] == ["graph", "engine"]


def test_what_short_sweeps_have_spent_pays_for_an_engine(chosen):
    assert chosen(rate=1 / TOTAL, spent=1.0)[0] == "full"
    assert chosen(rate=1 / TOTAL, spent=2.5)[0] == "incremental"
    assert chosen(rate=1 / TOTAL, spent=2.5, share=0.5)[0] == "full"
    assert chosen(rate=1 / TOTAL, spent=90.0, share=0.97)[2] == ["graph", "engine"]


@pytest.mark.parametrize("rate", [0.5, 1.5])
def test_where_much_remains_the_windows_are_timed(chosen, rate):
    """Shares of 0.5 may be slower or quicker than they look: the trial decides."""
    each = 30 / TOTAL
    path, why, _ = chosen(rate=each, share=0.5, timed={"incremental": rate * each, "folded": 9.0})
    assert path == ("incremental" if rate < 0.95 else "full")
    assert f"full {1000 * each:.3g}" in why


def test_another_path_must_be_clearly_sooner(chosen):
    each = 1000 / TOTAL
    for folded, path in ((0.97, "full"), (0.9, "folded")):
        assert chosen(rate=each, share=0.96, timed={"folded": folded * each})[0] == path


def test_the_soonest_of_the_whole_passes(chosen):
    each = 1000 / TOTAL
    timed = {"incremental": 0.8 * each, "folded": 0.7 * each, "openvino": 0.4 * each}
    path, why, made = chosen(rate=each, share=0.8, timed=timed, openvino=True)
    assert path == "openvino"
    assert all(word in why for word in ("full", "incremental", "folded", "openvino"))
    assert "compiled" in made
    assert chosen(rate=each, share=0.8, timed=timed)[0] == "folded"


def test_many_short_sweeps_let_openvino_be_tried(chosen):
    each, timed = 20 / TOTAL, {"folded": 9.0, "openvino": 0.5 * 20 / TOTAL}
    given = {"rate": each, "share": 0.97, "timed": timed}
    assert chosen(**given, openvino=True, spent=10.0)[0] == "full"
    assert chosen(**given, openvino=True, spent=25.0)[0] == "openvino"
    path, why, made = chosen(**given, openvino=False, spent=25.0)
    assert (path, made) == ("full", [])
    assert why == "about 97% of the multiply-adds would remain"


def test_a_sweep_is_asked_about_again_when_twice_as_much_is_spent():
    kept = Kept((*SIZE, 3), 2**30, spent=3.0)
    kept.settle(COVERED, "much remains", 2.0)
    assert kept.why_full(COVERED) == "much remains"
    assert kept.why_full(COVERED.of(0, np.arange(5))) == ""
    kept.spent = 10.5
    assert kept.why_full(COVERED) == ""


def test_positions_that_are_done_count_for_the_full_path(chosen):
    assert chosen(rate=10 / TOTAL, share=0.2)[0] == "incremental"
    assert chosen(rate=10 / TOTAL, share=0.2, done=TOTAL - 10, spent=50.0)[0] == "full"


def test_what_was_measured_before_is_taken(chosen):
    each = 10 / TOTAL
    known = {"full": each, "incremental": 3 * each}
    assert chosen(rate=each, share=0.2, rates=known)[0] == "incremental"
    assert chosen(rate=each, share=0.2, rates=known | {"incremental": 6 * each})[0] == "full"


def test_real_trials():
    """Windows of one image, timed by the engine and by whole passes: both are seconds, and more is slower."""
    layers = [nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.Flatten(), nn.Linear(16 * 400, 3)]
    model = eyeline.load(nn.Sequential(*layers), input_size=SIZE)
    model.scores(IMAGES)
    kept = Kept((*SIZE, 3), 2**30)
    assert 0 <= trials.windows(model, kept, COVERED, 4) < 1
    assert 0 < trials.passes(model, kept.make(model).whole, COVERED) < 1


def test_the_pilot_runs_positions_that_stay():
    model = eyeline.load(lambda images: images.mean(axis=(1, 2)), input_size=SIZE)
    full = Full(model, Batches(None, 512), COVERED)
    choice = Choice(model, Kept((*SIZE, 3), 2**30), COVERED, full, 0.0, 1, {})
    choice._pilot()
    done = full.done.copy()
    assert done.any()
    assert full.rate < 1
    list(full.run(np.flatnonzero(~full.done)))
    np.testing.assert_allclose(full.scores, model.scores(COVERED.images(np.arange(TOTAL))), atol=1e-6)
