"""Watching a run: what is told is what the run finds, in raster order, and what the watcher raises ends it."""

import importlib.util

import numpy as np
import pytest
import torch
from torch import nn

import eyeline
from eyeline.methods.watch import TOGETHER, WATCH, watched

SIZE = (20, 16)
IMAGES = np.random.default_rng(0).random((2, *SIZE, 3), dtype=np.float32)
PATHS = ["full", "incremental", "folded"] + ["openvino"] * (importlib.util.find_spec("openvino") is not None)


class StoppedError(Exception):
    pass


class Notes:
    """Keeps what it is told; raises at the `last` call of `found`."""

    def __init__(self, last=None):
        self.last, self.parts, self.counts = last, [], []

    def advanced(self, what, done, total):
        self.counts.append((what, done, total))

    def found(self, covered, reference, start, scores):
        self.parts.append((start, scores.copy()))
        if len(self.parts) == self.last:
            raise StoppedError


def model():
    torch.manual_seed(0)
    return eyeline.load(
        nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)).eval(),
        input_size=SIZE,
    )


@pytest.mark.parametrize("engine", PATHS)
def test_what_is_told_is_what_is_found_in_raster_order(engine):
    notes = Notes()
    with watched(notes):
        attribution = eyeline.explain(model(), IMAGES, window=5, stride=2, batch=4, engine=engine)
    assert WATCH.get() is None
    starts = [start for start, _ in notes.parts]
    assert starts == np.cumsum([0, *(len(rows) for _, rows in notes.parts)])[:-1].tolist()
    assert max(len(rows) for _, rows in notes.parts) <= TOGETHER
    told = np.concatenate([rows for _, rows in notes.parts])
    np.testing.assert_array_equal(told, attribution.sweep.scores.reshape(-1, 4).astype(told.dtype))
    assert notes.counts[-1][1] == notes.counts[-1][2]


@pytest.mark.parametrize("engine", PATHS)
def test_a_watcher_ends_a_run_and_the_next_one_is_whole(engine):
    opened = model()
    whole = eyeline.explain(opened, IMAGES, window=5, stride=2, engine=engine)
    with watched(Notes(last=2)), pytest.raises(StoppedError):
        eyeline.explain(opened, IMAGES, window=5, stride=2, batch=4, engine=engine)
    again = eyeline.explain(opened, IMAGES, window=5, stride=2, engine=engine)
    np.testing.assert_allclose(again.maps, whole.maps, atol=2e-6)


def test_methods_without_windows_say_how_far_they_are():
    notes = Notes()
    with watched(notes):
        eyeline.explain(model(), IMAGES, "integratedgradients", steps=4)
    assert notes.parts == []
    done = [each for _, each, _ in notes.counts]
    assert done == sorted(done)
    assert notes.counts[-1][1] == notes.counts[-1][2]
