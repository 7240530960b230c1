"""One image under one cover after another: the same scores as the network's own, whatever the cover's shape."""

import numpy as np
import pytest
import torch
from torch import nn

import eyeline
from eyeline.errors import ModelError
from eyeline.incremental.one import One
from eyeline.methods.covering import Covering

SIZE = (24, 20)
IMAGE = np.random.default_rng(0).random((1, *SIZE, 3), dtype=np.float32)


def model():
    torch.manual_seed(0)
    body = (nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.ReLU())
    network = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)).eval()
    return eyeline.load(network, input_size=SIZE, output="logit", scores="log-odds")


def masks():
    rows, columns = np.indices(SIZE)
    disc = np.hypot(rows - 9, columns - 7) < 5
    apart = np.zeros(SIZE, dtype=bool)
    apart[0, 0] = apart[-1, -1] = apart[5, 11:14] = True
    return {"disc": disc, "apart": apart, "all": np.ones(SIZE, dtype=bool), "pixel": (rows == 3) & (columns == 19)}


@pytest.mark.parametrize("shape", masks())
def test_a_cover_of_any_shape_gives_the_networks_own_scores(shape):
    opened, mask = model(), masks()[shape]
    patch = eyeline.Blur(3)(IMAGE)
    covering = Covering(opened, IMAGE)
    assert covering.why == ""
    covered = IMAGE.copy()
    covered[0][mask] = patch[0][mask]
    np.testing.assert_allclose(covering(mask, patch), opened.scores(covered), atol=2e-5)


def test_no_cover_is_the_image_itself():
    opened = model()
    covering = Covering(opened, IMAGE)
    np.testing.assert_array_equal(covering(np.zeros(SIZE, dtype=bool), IMAGE), opened.scores(IMAGE))


def test_an_engine_that_errs_is_not_used(monkeypatch):
    """Sabotage twin: the network itself answers where the engine is found out."""
    right = One.covered
    monkeypatch.setattr(One, "covered", lambda one, patch, box: right(one, patch, box) + np.eye(4)[0] / 100)
    opened, mask = model(), masks()["disc"]
    covering = Covering(opened, IMAGE)
    assert "differs from the network" in covering.why
    black = np.zeros_like(IMAGE)
    np.testing.assert_array_equal(covering(mask, black), opened.scores(np.where(mask[..., None], 0, IMAGE)))


def test_a_function_runs_in_full_and_scores_must_be_finite():
    opened = eyeline.load(lambda images: 1 / images.sum(axis=(1, 2)), input_size=SIZE)
    covering = Covering(opened, IMAGE)
    assert "cannot be read" in covering.why
    with pytest.raises(ModelError, match="under the mask"), np.errstate(divide="ignore"):
        covering(masks()["all"], np.zeros_like(IMAGE))
