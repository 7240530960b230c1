"""Every path gives the same map, a wrong one is found out and named, and what was made is kept while it is true."""

import gc
import importlib.util
import random
import re
import weakref

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import eyeline
from eyeline.errors import InputError, MissingDependencyError, ModelError, OutOfMemoryError, UnsupportedError
from eyeline.incremental.kernels import kernels as choose
from eyeline.incremental.run import Engine
from eyeline.methods import kept, sweeps
from eyeline.methods.batches import Batches
from eyeline.methods.choice import Choice
from eyeline.methods.covered import Covered
from eyeline.models import torch_graph, torch_operations
from eyeline.models.torch import TorchModel

SIZE = (20, 16)
IMAGES = np.random.default_rng(0).random((2, *SIZE, 3), dtype=np.float32)
QUICK = ["incremental", "folded"] + ["openvino"] * (importlib.util.find_spec("openvino") is not None)


def network(*layers):
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), *layers, nn.MaxPool2d(2))
    nn.init.uniform_(body[1].running_mean)
    nn.init.uniform_(body[1].running_var, 0.5, 2)
    return nn.Sequential(body, nn.Conv2d(8, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)).eval()


def load(module=None, **settings):
    return eyeline.load(module or network(), input_size=SIZE, **settings)


def explain(model, engine, images=IMAGES, **settings):
    return eyeline.Occlusion(window=5, stride=3, engine=engine, **settings)(model, images)


@pytest.fixture
def eager(monkeypatch):
    """Networks of tests are too quick for `auto`: here it goes to the engine as soon as there is one."""

    def soonest(choice):
        choice.kept.make(choice.model)
        choice.ran |= kept.work(choice.kept.plan(choice.model, choice.covered.boxes))
        return "incremental"

    monkeypatch.setattr(Choice, "_doubt", lambda choice: "")
    monkeypatch.setattr(Choice, "_soonest", soonest)


# --- the same map ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", QUICK)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"keep": True, "measure": "score"},
        {"edge": "inside", "baseline": eyeline.Constant(0.5)},
        {"baseline": eyeline.Noise(seed=3), "measure": "complement", "batch": 7},
    ],
    ids=str,
)
@pytest.mark.parametrize("given", [{}, {"preprocess": "imagenet", "scores": "probability", "output": "logit"}], ids=str)
def test_every_path_gives_the_same_map(settings, given, engine):
    model = load(**given)
    full, quick = explain(model, "full", **settings), explain(model, engine, **settings)
    np.testing.assert_allclose(quick.sweep.scores, full.sweep.scores, atol=2e-6)
    np.testing.assert_allclose(quick.maps, full.maps, atol=2e-6)
    assert full.provenance["engine"] == "full"
    assert quick.provenance["engine"] == engine
    assert quick.provenance["error"] <= quick.provenance["allowed"]
    assert bool(quick.provenance.get("kernels")) == (engine == "incremental")


def test_a_head_and_training_mode_are_as_on_the_full_path():
    module = network(nn.Dropout(0.9)).train()
    model = load(module, head=lambda output: output[:, :2] * 3)
    full, quick = explain(model, "full"), explain(model, "incremental")
    np.testing.assert_allclose(quick.sweep.scores, full.sweep.scores, atol=2e-6)
    assert all(each.training for each in module.modules())


@pytest.mark.parametrize("engine", ["full", *QUICK])
def test_windows_of_several_boxes(engine):
    """The engine must cover them together, as the plainest loop does."""
    model = load()
    draw = np.random.default_rng(1)
    starts = draw.integers(0, 12, (9, 3, 2))
    boxes = np.stack([starts, starts + draw.integers(0, 5, (9, 3, 2))], axis=-1)
    covered = Covered(IMAGES, np.zeros_like(IMAGES), boxes, ("a", "b"))
    swept = sweeps.Sweeper(model, Batches(4, 512), engine, 0.0)(covered, model.scores(IMAGES))
    for image, scores in zip(IMAGES, swept, strict=True):
        for window, found in zip(boxes, scores, strict=True):
            hidden = image.copy()
            for (top, bottom), (left, right) in window:
                hidden[top:bottom, left:right] = 0
            np.testing.assert_allclose(found, model.scores(hidden[None])[0], atol=2e-6)


# --- auto -----------------------------------------------------------------------------------------------------


def test_a_short_sweep_is_run_in_full():
    found = explain(load(), "auto").provenance
    assert found["engine"] == "full"
    assert found["why"].startswith("a short sweep")  # longer ones add what an engine takes


def test_auto_goes_to_the_engine(eager):
    found = explain(load(), "auto").provenance
    assert (found["engine"], found["dense_from"]) == ("incremental", "2")
    assert 0 < found["multiply_adds"] < 1


class Branching(nn.Module):
    def forward(self, images):
        return images.mean((2, 3)) if images.sum() > 0 else images.amax((2, 3))


class Column(nn.Module):
    def __init__(self, axes):
        super().__init__()
        self.layer = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1](3, 2, 3)

    def forward(self, images):
        return self.layer(images).flatten(2).mean(2)


WITHOUT_GRAPH = {
    "branching": (
        Branching,
        SIZE,
        r"must be captured by torch\.export .* but got a way that hangs on the numbers in the image",
    ),
    "one axis": (lambda: Column(1), (20,), "must take images of two axes .* but got 1"),
    "three axes": (lambda: Column(3), (8, 7, 6), "must take images of two axes .* but got 3"),
    "float64": (lambda: network().double(), SIZE, "must be of float32 numbers .* but got float64"),
    "TorchScript": (lambda: torch.jit.trace(network(), torch.ones(1, 3, *SIZE)), SIZE, "but got TorchScript"),
    "function": (lambda: lambda images: images.mean(axis=(1, 2)), SIZE, "whose graph can be read, but got .*function"),
}


@pytest.mark.parametrize("kind", WITHOUT_GRAPH)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_has_no_graph_runs_in_full_under_auto_alone(kind, monkeypatch):
    monkeypatch.setattr(Choice, "_doubt", lambda choice: choice.kept.setup(choice.model) and "")
    build, size, said = WITHOUT_GRAPH[kind]
    model = eyeline.load(build(), input_size=size)
    images = np.random.default_rng(0).random((1, *size, 3), dtype=np.float32)
    found, full = explain(model, "auto", images), explain(model, "full", images)
    np.testing.assert_allclose(found.maps, full.maps, atol=1e-6)
    assert found.provenance["engine"] == "full"
    assert re.search(said, found.provenance["why"])
    for engine in ("incremental", "folded", "openvino"):
        with pytest.raises((UnsupportedError, MissingDependencyError)) as raised:
            explain(model, engine, images)
        assert re.search(f"{said}.* Use engine='full'|openvino must be installed", str(raised.value))


def test_a_refusal_is_remembered(eager, monkeypatch):
    """Trying to read a network takes seconds, each time."""
    tries = []
    right = torch_graph.capture
    monkeypatch.setattr(torch_graph, "capture", lambda *given: tries.append(1) or right(*given))
    model = load(Branching())
    first, second = explain(model, "auto").provenance, explain(model, "auto").provenance
    assert first["why"] == second["why"]
    assert len(tries) == 1


def test_engines_that_are_not_there_are_said():
    with pytest.raises(InputError, match="engine must be one of auto, full, folded, incremental, openvino"):
        explain(load(), "fast")
    with pytest.raises(InputError, match=r"verify must be 1 or more, .* but got 0"):
        explain(load(), "auto", verify=0)
    if importlib.util.find_spec("openvino") is None:
        with pytest.raises(MissingDependencyError, match="openvino must be installed"):
            explain(load(), "openvino")


# --- the proof ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verify", "count"), [(1, 1), (7, 7), (10**6, 60)])
def test_as_many_positions_are_verified_as_are_asked_for(verify, count):
    model = load()
    found = explain(model, "incremental", verify=verify).provenance
    assert found["windows"] * len(IMAGES) == 60
    assert found["verified"] == count
    assert found["error"] <= found["allowed"]
    assert "image" in found["proved"]


@pytest.mark.parametrize("engine", ["auto", "incremental"])
def test_an_engine_that_errs_is_found_out_and_the_map_is_right(engine, eager, monkeypatch):
    """Sabotage twin of the proof: its scores are shifted, no layer is to blame."""
    expected = explain(load(), "full")
    right = Engine.run
    monkeypatch.setattr(Engine, "run", lambda *given: ((start, raw + 0.01) for start, raw in right(*given)))
    with pytest.warns(
        RuntimeWarning, match=r"'incremental' must agree .* differs by 0.01 .* no layer alone .*full path"
    ):
        found = explain(load(), engine)
    np.testing.assert_allclose(found.maps, expected.maps, atol=1e-6)
    assert found.provenance["engine"] == "full"
    assert "no layer alone parts from the network's" in found.provenance["why"]


@pytest.mark.parametrize("verify", [60, 10**6])
def test_one_wrong_position_is_found_where_all_are_verified(verify, monkeypatch):
    right = Engine.run

    def one_off(*given):
        for start, raw in right(*given):
            raw[(np.arange(start, start + len(raw)) == 17), 0] += 0.1
            yield start, raw

    monkeypatch.setattr(Engine, "run", one_off)
    with pytest.warns(RuntimeWarning, match=r"window 16: rows .*differs|differs .*window 16: rows"):
        found = explain(load(), "incremental", verify=verify)
    np.testing.assert_allclose(found.maps, explain(load(), "full").maps, atol=1e-6)


def test_a_misread_layer_is_named(monkeypatch):
    """The importer takes another epsilon: the graph parts from the network at its batch normalisation."""
    right = torch_operations.TABLE["batch_norm"]

    def another_epsilon(call):
        call.given["eps"] = 0.5
        return right(call)

    monkeypatch.setitem(torch_operations.TABLE, "batch_norm", another_epsilon)
    for engine in QUICK:
        with pytest.warns(RuntimeWarning, match=r"the graph that was read parts from the network at layer '0\.1'"):
            found = explain(load(), engine)
        np.testing.assert_allclose(found.maps, explain(load(), "full").maps, atol=1e-6)
        assert found.provenance["engine"] == "full"


def test_a_layer_whose_windows_err_is_named(monkeypatch):
    kernels = choose()
    right = kernels.max_pool
    monkeypatch.setattr(kernels, "max_pool", lambda *given, **named: right(*given, **named) + 0.1)
    with pytest.warns(RuntimeWarning, match=r"the windows part from the whole image at layer '0\.3'"):
        found = explain(load(), "incremental")
    assert found.provenance["engine"] == "full"
    assert "at layer '0.3'" in found.provenance["why"]
    np.testing.assert_allclose(found.maps, explain(load(), "full").maps, atol=1e-6)


def test_after_a_failed_proof_auto_stays_away(eager, monkeypatch):
    right = Engine.run
    monkeypatch.setattr(Engine, "run", lambda *given: ((start, raw + 0.01) for start, raw in right(*given)))
    model = load()
    with pytest.warns(RuntimeWarning, match="must agree"):
        first = explain(model, "auto").provenance
    assert explain(model, "auto").provenance["why"] == first["why"]


class Restless(nn.Module):
    """Draws a number with each call; the exporter takes the first for a constant."""

    def __init__(self):
        super().__init__()
        self.network, self.draw = network(), random.Random(0)

    def forward(self, images):
        return self.network(images) * self.draw.uniform(0.9, 1.1)


@pytest.mark.parametrize("engine", ["auto", "incremental", "folded"])
def test_a_network_that_is_never_the_same_runs_in_full(engine, eager):
    with pytest.warns(RuntimeWarning, match="the model's own scores of one image change from call to call"):
        found = explain(load(Restless()), engine)
    assert found.provenance["engine"] == "full"
    assert "change from call to call" in found.provenance["why"]


class Dropping(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = network()

    def forward(self, images):
        return self.network(functional.dropout(images, 0.5, training=True))


@pytest.mark.parametrize("engine", ["auto", "full"])
@pytest.mark.parametrize("module", [Restless, Dropping])
@pytest.mark.parametrize("keep", [False, True])
def test_a_long_sweep_in_full_says_that_a_network_is_never_the_same(module, engine, keep):
    """No other path runs beside it, so nothing else would: the map would be taken for the network's."""
    given = {"window": 4, "stride": 1, "baseline": eyeline.Constant(0.5), "keep": keep}
    with pytest.warns(
        RuntimeWarning, match="the same scores on every call, but .* 'image 0': the map holds that noise"
    ):
        found = eyeline.explain(load(module()), IMAGES, target=0, engine=engine, **given).provenance
    assert found["engine"] == "full"
    assert found["restless"] > 0


def test_a_network_that_is_the_same_is_asked_once_more_and_nothing_is_said():
    asked = []

    def scores(images):
        asked.append(len(images))
        return images.mean(axis=(1, 2)) + 1e-7 * len(images)  # rounding that follows the batch's size

    found = eyeline.explain(eyeline.load(scores, input_size=SIZE), IMAGES, target=0, window=4, stride=1).provenance
    assert "restless" not in found
    assert sum(asked) == 2 + 2 * found["windows"] + 1


def test_a_network_that_drops_out_in_evaluation_too_is_not_read(eager):
    found = explain(load(Dropping()), "auto").provenance
    assert found["engine"] == "full"
    assert re.search("must give the same numbers on every call .* which draws random ones", found["why"])


def test_a_network_that_changes_while_it_runs_is_said(monkeypatch):
    module = network()
    right = Engine.run

    def train(*given):
        yield from right(*given)
        with torch.no_grad():
            module[-1].weight.mul_(2)

    monkeypatch.setattr(Engine, "run", train)
    with pytest.warns(RuntimeWarning, match="the model has changed since its graph was read"):
        found = explain(load(module), "incremental")
    assert found.provenance["engine"] == "full"


def test_scores_that_are_not_finite_name_the_window():
    class Dividing(nn.Module):
        def forward(self, images):
            return 1 / images.amax((2, 3))

    model = load(nn.Sequential(network()[0][:3], Dividing()))
    with torch.no_grad():
        model._module[0][0].bias.fill_(-100.0)  # nothing passes the ReLU
        model._module[0][1].running_mean.zero_()
    with pytest.raises(ModelError, match=r"the clean image|window \d+"):
        explain(model, "incremental")


def test_an_infinity_that_the_network_clips_is_left_to_the_full_path():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 32, 3), nn.Conv2d(32, 32, 3), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with torch.no_grad():
        module[0].bias.fill_(3e38)  # Winograd's first step overflows
        module[1].weight.fill_(1e-3)
    full, found = explain(load(module.eval()), "full"), explain(load(module), "incremental")
    np.testing.assert_allclose(found.maps, full.maps, atol=1e-6)
    assert "must give finite numbers" in found.provenance["why"]


# --- what is kept ---------------------------------------------------------------------------------------------


@pytest.fixture
def captures(monkeypatch):
    """Counts how often a graph is read."""
    seen = []
    right = TorchModel.graph
    monkeypatch.setattr(TorchModel, "graph", lambda self, shape: seen.append(shape) or right(self, shape))
    return seen


def test_an_engine_is_kept_until_the_model_changes(captures):
    module = network()
    model = load(module)
    for _ in range(3):
        explain(model, "incremental")
    assert len(captures) == 1
    with torch.no_grad():
        module[1].weight.mul_(1.5)
    changed = explain(model, "incremental")
    assert len(captures) == 2
    np.testing.assert_allclose(changed.maps, explain(model, "full").maps, atol=2e-6)
    explain(model, "folded")
    explain(model, "incremental", memory=200)
    assert len(captures) == 3, "the memory is part of an engine"


def test_a_stale_engine_would_be_found_out(monkeypatch):
    """Sabotage twin of the fingerprint: the proof stands behind it."""
    module = network()
    model = load(module)
    explain(model, "incremental")
    monkeypatch.setattr(TorchModel, "fingerprint", lambda self: "always the same")
    explain(model, "incremental")
    with torch.no_grad():
        module[1].weight.mul_(1.5)
    with pytest.warns(RuntimeWarning, match="must agree"):
        assert explain(model, "incremental").provenance["engine"] == "full"


def test_an_engine_goes_with_its_model():
    model = load()
    explain(model, "incremental")
    engine = weakref.ref(kept.kept(model, (*SIZE, 3), 1024 * 2**20).engine)
    assert engine() is not None
    del model
    gc.collect()
    assert engine() is None


def test_many_short_sweeps_pay_for_an_engine(captures, monkeypatch):
    """A folder of small pictures: the set-up is taken once the sweeps so far have cost more than it."""
    monkeypatch.setattr(TorchModel, "setup", lambda self, shape: 0.05)
    monkeypatch.setattr(Choice, "_pilot", lambda choice: None)
    monkeypatch.setattr(Choice, "_soonest", lambda choice: choice.kept.make(choice.model) and "full")
    model, spent = load(), 0.0
    for _ in range(200):
        done = explain(model, "auto", IMAGES[:1]).provenance
        spent += done["seconds"]
        if captures:
            break
    assert captures
    assert spent > 0.05
    explain(model, "auto", IMAGES[:1])
    assert len(captures) == 1


def test_what_was_found_to_pay_in_full_is_not_asked_again(monkeypatch):
    """The same windows on another image: neither fingerprint nor plan, which may take as long as some windows."""
    monkeypatch.setattr(Choice, "_doubt", lambda choice: "")
    monkeypatch.setattr("eyeline.methods.choice.SOONER", 0.0)
    model = load()
    first = explain(model, "auto").provenance
    monkeypatch.setattr(TorchModel, "fingerprint", lambda self: pytest.fail("asked again"))
    assert explain(model, "auto").provenance["why"] == first["why"]
    assert "would remain; milliseconds a position" in first["why"]
    monkeypatch.undo()
    monkeypatch.setattr(Choice, "_doubt", lambda choice: "")
    assert explain(model, "auto", overlap="sum").provenance["why"] == first["why"]


# --- memory ---------------------------------------------------------------------------------------------------


def short(*_, **__):
    raise OutOfMemoryError("the engine must fit into 1 MiB, but it needs 9. Pass a larger memory=.")


@pytest.mark.parametrize("engine", ["auto", "incremental", "folded"])
def test_an_engine_that_cannot_be_made_leaves_it_to_the_full_path(engine, eager, monkeypatch):
    monkeypatch.setattr(Engine, "__init__", short)
    found = explain(load(), engine).provenance
    assert found["engine"] == "full"
    assert found["why"] == "the engine must fit into 1 MiB, but it needs 9. Pass a larger memory=."


@pytest.mark.parametrize("engine", ["auto", "incremental"])
def test_an_engine_of_more_than_the_memory_leaves_it_to_the_full_path(engine, eager):
    wide = nn.Sequential(*(nn.Conv2d(3 if not place else 128, 128, 3, padding=1) for place in range(4)))
    model = load(nn.Sequential(wide, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval())
    found = explain(model, engine, IMAGES[:1], memory=2).provenance
    assert found["engine"] == "full"
    needed = int(re.search(r"Pass memory=(\d+) or more", found["why"])[1])
    assert needed > 2
    assert explain(model, engine, IMAGES[:1], memory=needed).provenance["engine"] == "incremental"


@pytest.mark.parametrize("error", [short, lambda *_: (_ for _ in ()).throw(RuntimeError("can't allocate memory"))])
@pytest.mark.parametrize("engine", ["auto", "incremental"])
def test_memory_that_ends_in_a_sweep_leaves_it_to_the_full_path(error, engine, eager, monkeypatch):
    monkeypatch.setattr(Engine, "run", error)
    found, full = explain(load(), engine), explain(load(), "full")
    assert found.provenance["engine"] == "full"
    assert "memory" in found.provenance["why"]
    np.testing.assert_allclose(found.maps, full.maps, atol=1e-6)


def test_a_whole_pass_that_does_not_fit_is_halved(monkeypatch):
    right = Engine.whole

    def at_most_three(engine, images):
        if len(images) > 3:
            raise MemoryError
        return right(engine, images)

    monkeypatch.setattr(Engine, "whole", at_most_three)
    model = load()
    found = explain(model, "folded", batch=16)
    assert found.provenance["engine"] == "folded"
    np.testing.assert_allclose(found.maps, explain(model, "full").maps, atol=2e-6)


def test_other_errors_of_an_engine_are_not_hidden(monkeypatch):
    monkeypatch.setattr(Engine, "run", lambda *_: (_ for _ in ()).throw(RuntimeError("sizes differ")))
    with pytest.raises(RuntimeError, match="sizes differ"):
        explain(load(), "incremental")


# --- the kernels ----------------------------------------------------------------------------------------------


def test_missing_kernels_are_said_once_after_a_long_sweep(monkeypatch, recwarn):
    monkeypatch.setattr("eyeline.incremental.kernels.reason", lambda *_: "there is no library")
    sweeps._say_kernels.cache_clear()
    explain(load(), "incremental")
    assert not recwarn.list, "a short sweep is quick enough"
    monkeypatch.setattr(sweeps, "LONG", 0.0)
    with pytest.warns(RuntimeWarning, match="torch operations serve in their place: there is no library"):
        explain(load(), "incremental")
    explain(load(), "incremental")
    assert not recwarn.list
    sweeps._say_kernels.cache_clear()
