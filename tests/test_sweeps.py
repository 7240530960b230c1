"""Which path a sweep takes, that both give the same map, and that a wrong engine is found out."""

import numpy as np
import pytest
import torch
from torch import nn

import eyeline
from eyeline.errors import ModelError, UnsupportedError
from eyeline.methods import sweeps

SIZE = (20, 16)
IMAGES = np.random.default_rng(0).random((2, *SIZE, 3), dtype=np.float32)


def network(*layers):
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), *layers, nn.MaxPool2d(2))
    return nn.Sequential(body, nn.Conv2d(8, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)).eval()


def load(module=None, **settings):
    return eyeline.load(module or network(), input_size=SIZE, **settings)


def explain(model, engine, **settings):
    return eyeline.Occlusion(window=5, stride=3, engine=engine, **settings)(model, IMAGES)


@pytest.fixture
def no_setup(monkeypatch):
    """Networks of tests are too quick for `auto`."""
    monkeypatch.setattr(sweeps, "SETUP", 0.0)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"keep": True, "measure": "score"},
        {"edge": "inside", "baseline": eyeline.Constant(0.5)},
        {"baseline": eyeline.Noise(seed=3), "measure": "complement"},
    ],
    ids=str,
)
@pytest.mark.parametrize("given", [{}, {"preprocess": "imagenet", "scores": "probability", "output": "logit"}], ids=str)
def test_both_paths_give_the_same_map(settings, given):
    model = load(**given)
    full, quick = explain(model, "full", **settings), explain(model, "incremental", **settings)
    np.testing.assert_allclose(quick.sweep.scores, full.sweep.scores, atol=2e-6)
    np.testing.assert_allclose(quick.maps, full.maps, atol=2e-6)
    assert full.provenance["engine"] == "full"
    assert quick.provenance["engine"] == "incremental"
    assert quick.provenance["kernels"]
    assert quick.provenance["error"] <= quick.provenance["allowed"]


def test_a_head_and_training_mode_are_as_on_the_full_path():
    module = network(nn.Dropout(0.9)).train()
    model = load(module, head=lambda output: output[:, :2] * 3)
    full, quick = explain(model, "full"), explain(model, "incremental")
    np.testing.assert_allclose(quick.sweep.scores, full.sweep.scores, atol=2e-6)
    assert all(each.training for each in module.modules())


def test_a_short_sweep_is_run_in_full():
    found = explain(load(), "auto").provenance
    assert (found["engine"], found["why"]) == ("full", "a short sweep")


def test_auto_takes_the_engine_where_little_remains(no_setup, monkeypatch):
    monkeypatch.setattr(sweeps, "LITTLE", 0.9)
    assert explain(load(), "auto").provenance["engine"] == "incremental"


def test_auto_times_both_where_much_remains(no_setup, monkeypatch):
    monkeypatch.setattr(sweeps, "LITTLE", 0.0)
    for sooner, engine in ((True, "incremental"), (False, "full")):
        monkeypatch.setattr(sweeps.Sweeper, "_sooner", lambda *_, sooner=sooner: sooner)
        assert explain(load(), "auto").provenance["engine"] == engine


def test_auto_decides_by_a_real_trial(no_setup, monkeypatch):
    monkeypatch.setattr(sweeps, "LITTLE", 0.0)
    assert explain(load(), "auto").provenance["engine"] in ("full", "incremental")


def test_auto_leaves_a_network_that_is_global_from_the_start(no_setup):
    module = nn.Sequential(nn.GroupNorm(1, 3), network()).eval()
    found = explain(load(module), "auto").provenance
    assert found["engine"] == "full"
    assert "multiply-adds would remain" in found["why"]


class Branching(nn.Module):
    def forward(self, images):
        return images.mean((2, 3)) if images.sum() > 0 else images.amax((2, 3))


def test_a_graph_that_cannot_be_read_runs_in_full_under_auto_alone(no_setup):
    found = explain(load(Branching()), "auto").provenance
    assert found["engine"] == "full"
    assert "must be captured" in found["why"]
    with pytest.raises(UnsupportedError, match=r"must be captured by torch\.export"):
        explain(load(Branching()), "incremental")


def test_a_function_has_no_graph(no_setup):
    model = eyeline.load(lambda images: images.sum(axis=(1, 2)), input_size=SIZE)
    assert explain(model, "auto").provenance["engine"] == "full"
    with pytest.raises(UnsupportedError, match=r"a PyTorch network on images of two axes, .*Use engine='auto'"):
        explain(model, "incremental")


@pytest.mark.parametrize("engine", ["auto", "incremental"])
def test_an_engine_that_errs_is_found_out_and_the_map_is_right(engine, no_setup, monkeypatch):
    """Sabotage twin of the proof."""
    from eyeline.incremental.run import Engine

    monkeypatch.setattr(sweeps, "LITTLE", 0.9)
    expected = explain(load(), "full")
    right = Engine.run
    monkeypatch.setattr(Engine, "run", lambda *given: ((start, raw + 0.01) for start, raw in right(*given)))
    with pytest.warns(RuntimeWarning, match="must agree with the full path to .*The full path runs instead"):
        found = explain(load(), engine)
    np.testing.assert_array_equal(found.maps, expected.maps)
    assert found.provenance["engine"] == "full"
    assert "differed by 0.01" in found.provenance["why"]


def test_scores_that_are_not_finite_name_the_window():
    class Dividing(nn.Module):
        def forward(self, images):
            return 1 / images.amax((2, 3))

    model = load(nn.Sequential(network()[0][:3], Dividing()))
    with torch.no_grad():
        model._module[0][0].bias.fill_(-100.0)  # nothing passes the ReLU
    with pytest.raises(ModelError, match=r"the clean image|window \d+"):
        explain(model, "incremental")


def test_an_engine_of_another_name_is_refused():
    with pytest.raises(eyeline.errors.InputError, match="engine must be one of"):
        explain(load(), "fast")


def test_an_infinity_that_the_network_clips_is_left_to_the_full_path():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 32, 3), nn.Conv2d(32, 32, 3), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with torch.no_grad():
        module[0].bias.fill_(3e38)  # Winograd's first step overflows
        module[1].weight.fill_(1e-3)
    full, found = explain(load(module.eval()), "full"), explain(load(module), "incremental")
    np.testing.assert_array_equal(found.maps, full.maps)
    assert found.provenance["why"] == "numbers that are not finite"
