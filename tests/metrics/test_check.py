"""The check: verdicts from values and limits, words, what is left out, and the command."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from measured_networks import IMAGES, SIZE, convolutional, linear
from typer.testing import CliRunner

import eyeline
from eyeline import cli
from eyeline.errors import InputError, UnsupportedError
from eyeline.methods import METHODS
from eyeline.metrics import METRICS, MaxSensitivity, Metric, Region, base, check
from eyeline.metrics.check import Check, Judged
from eyeline.metrics.limits import Limits

FEW = Limits(shift_doubtful=0.25)
QUICK = {"stages": 2, "shifts": 3, "points": 3, "nudges": 1, "limits": FEW}


def judged(name, value, direction):
    found = base.Measured(np.array([value]), "unit", direction, "", "", {}, "gradient", ("image 0",))
    return check._judge(name, found, Limits())


@pytest.mark.parametrize(
    ("name", "direction", "value", "verdict"),
    [
        ("random", "lower", 0.3, "passed"),
        ("random", "lower", 0.31, "doubtful"),
        ("random", "lower", 0.5, "failed"),
        ("random", "lower", -0.4, "passed"),
        ("shift", "lower", 1 / 20, "passed"),
        ("shift", "lower", 2 / 20, "doubtful"),
        ("shift", "lower", 10 / 20, "failed"),
        ("nudge", "lower", np.inf, "failed"),
        ("seed", "higher", 0.5, "passed"),
        ("seed", "higher", 0.49, "doubtful"),
        ("seed", "higher", 0.3, "failed"),
        ("sum", "lower", np.nan, "doubtful"),
    ],
)
def test_a_value_and_its_limits_make_a_verdict(name, direction, value, verdict):
    found = judged(name, value, direction)
    assert found.verdicts == (verdict,)
    assert found.reasons[0].startswith(check.REASONS[name][check.ORDER.index(verdict)])


def test_the_verdict_is_the_worst_test_and_says_why():
    model = linear()
    attribution = eyeline.GradientInput()(model, IMAGES, 0)
    found = eyeline.check(model, attribution, **QUICK)
    assert [each.name for each in found.tests] == ["random", "shift", "nudge"]
    for index in range(2):
        grades = [check.ORDER.index(each.verdicts[index]) for each in found.tests]
        assert check.ORDER.index(found.verdicts[index]) == max(grades)
        assert len(found.reasons(index)) == grades.count(max(grades))
    assert set(found.left_out) == {"seed", "sum"}
    assert "(not tested: seed, sum)" in found.line()


def test_a_map_of_edges_alone_fails_in_words():
    """Whatever the weights are: the test of model randomisation names it."""

    @dataclasses.dataclass(frozen=True)
    class Edges:
        def __call__(self, model, images, target=None):
            found = eyeline.Gradient()(model, images, target)
            return dataclasses.replace(found, maps=np.abs(np.gradient(found.images.mean(axis=-1), axis=2)))

    model = convolutional()
    found = Check(**QUICK, method=Edges())(model, Edges()(model, IMAGES, 0))
    assert found.verdicts == ("failed", "failed")
    assert "the map hardly changes when the weights are randomised" in found.line()


def test_limits_are_settings():
    model = convolutional()
    attribution = eyeline.Gradient("sum")(model, IMAGES, 0)
    strict = Limits(random_doubtful=0, random_failed=0, shift_doubtful=0.25, shift_failed=0.25)
    assert eyeline.check(model, attribution, **{**QUICK, "limits": strict}).verdicts == ("failed", "failed")
    assert Limits().pair("seed") == (0.5, 0.3)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"random_failed": 0.2}, "random_failed must lie beyond random_doubtful, but got 0.2 and 0.3"),
        ({"seed_failed": 0.6}, "seed_failed must lie beyond seed_doubtful, but got 0.6 and 0.5"),
        ({"nudge_failed": "x"}, "nudge_failed must be a number"),
    ],
)
def test_limits_in_the_wrong_order(given, sentence):
    with pytest.raises(InputError, match=sentence):
        Limits(**given)


def test_a_function_is_judged_without_the_tests_it_does_not_allow():
    model = eyeline.load(lambda images: images[:, :5, :5].mean(axis=(1, 2)), input_size=SIZE)
    found = eyeline.check(model, eyeline.explain(model, IMAGES, window=4, stride=2, target=0), **QUICK)
    assert [each.name for each in found.tests] == ["shift", "nudge"]
    assert "PyTorch, Keras or ONNX network" in found.left_out["random"]


def test_completeness_and_seeds_are_tested_where_they_are_promised():
    model = convolutional()
    found = eyeline.check(model, eyeline.ExpectedGradients(samples=2)(model, IMAGES, 0), **QUICK)
    assert [each.name for each in found.tests] == ["random", "shift", "nudge", "seed", "sum"]
    assert found.left_out == {}


def test_nothing_is_changed_in_the_model_or_the_result():
    model = convolutional()
    attribution = eyeline.SmoothGrad(samples=2)(model, IMAGES, 0)
    maps, scores = attribution.maps.copy(), model.scores(IMAGES)
    one, other = (eyeline.check(model, attribution, **QUICK).record() for _ in range(2))
    assert one == other
    np.testing.assert_array_equal(attribution.maps, maps)
    np.testing.assert_array_equal(model.scores(IMAGES), scores)


def test_every_metric_says_what_it_is():
    regional = {"region": Region(box=((0, 2), (0, 2)))}
    for name, kind in METRICS.items():
        metric = kind(**(regional if name in ("pointinggame", "evidenceinside") else {}))
        assert isinstance(metric, Metric)
        assert name == kind.__name__.lower()
        assert metric.DIRECTION in ("higher", "lower")
        assert metric.UNIT
        assert metric.DEFINITION
        assert metric.PAPER
        hash(metric)


def test_what_is_no_model_and_no_result():
    model = convolutional()
    attribution = eyeline.Gradient()(model, IMAGES)
    with pytest.raises(UnsupportedError, match=r"model must be one that eyeline\.load returned"):
        eyeline.check(convolutional, attribution)
    with pytest.raises(InputError, match=r"attribution must be what eyeline\.explain returned, but got ndarray"):
        eyeline.check(model, attribution.maps)
    broken = dataclasses.replace(attribution, maps=attribution.maps * np.float32(np.nan))
    with pytest.raises(InputError, match="maps must be finite"):
        eyeline.check(model, broken)
    with pytest.raises(InputError, match="stages must be a whole number, 1 or more, but got 0"):
        eyeline.check(model, attribution, stages=0)


def test_too_few_moved_copies_for_the_limit():
    with pytest.raises(InputError, match=r"3 moved copies cannot say less than 0\.25, so no map could pass"):
        Check(shifts=3)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "judged.py").write_text(
        "import torch\n\ndef network():\n    torch.manual_seed(0)\n    return torch.nn.Sequential(\n"
        "        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(),\n"
        "        torch.nn.Linear(16, 5)).eval()\n"
    )
    for name, values in zip("ab", IMAGES, strict=True):
        Image.fromarray(np.uint8(values * 255)).save(tmp_path / f"{name}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    return tmp_path


QUICK_FLAGS = [
    "--stages",
    "2",
    "--shifts",
    "3",
    "--points",
    "3",
    "--nudges",
    "1",
    "--shift-doubtful",
    "0.25",
    "--input-size",
    "16",
]


@pytest.mark.usefixtures("folder")
def test_several_methods_are_judged_one_after_the_other():
    done = run("a.png", "--method", "gradient:channels=sum,gradientinput")
    assert done.exit_code == 0, done.output
    assert [line.split(": ")[1] for line in done.stdout.splitlines() if line[0] != " "] == ["gradient", "gradientinput"]


def run(*words):
    return CliRunner().invoke(cli.app, ["check", "judged:network", *words, *QUICK_FLAGS])


@pytest.mark.usefixtures("folder")
def test_the_command_prints_the_verdict_and_its_tests():
    done = run("a.png", "b.png", "--method", "smoothgrad", "--samples", "2")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].rpartition(": ")[2] in check.ORDER
    assert lines[0].startswith("a.png: smoothgrad: ")
    assert lines[1].split() == ["test", "value", "unit", "doubtful", "failed", "verdict", "reason"]
    assert lines[2].startswith("  weights randomised")
    assert "> 0.3" in lines[2]
    assert ">= 0.5" in lines[2]
    assert "rank correlation" in lines[2]
    left_out = "  adds up: not tested: the method must promise that its maps add up, but 'smoothgrad' does not"
    assert left_out in lines


@pytest.mark.usefixtures("folder")
def test_the_command_prints_json():
    done = run("a.png", "--json", "--target", "1")
    (record,) = json.loads(done.stdout)
    image = record["images"][0]
    assert record["method"] == "gradient"
    assert set(image["tests"]) == {"random", "shift", "nudge"}
    assert image["tests"]["random"]["limits"] == [0.3, 0.5]
    assert image["verdict"] in check.ORDER
    assert image["tests"]["random"]["metric"]["stages"] == 2


@pytest.mark.usefixtures("folder")
def test_a_refused_image_does_not_stop_the_others():
    done = run("broken.png", "a.png", "--random-failed", "0.9")
    assert done.exit_code == 1
    assert "broken.png" in done.stderr
    assert "a.png: gradient: " in done.stdout
    assert ">= 0.9" in done.stdout


@pytest.mark.usefixtures("folder")
def test_a_bad_limit_is_a_sentence():
    done = run("a.png", "--random-failed", "0.1")
    assert done.exit_code == 2
    assert "random_failed must lie beyond random_doubtful" in done.stderr


def test_a_test_that_turns_verdicts_round_is_noticed(monkeypatch):
    """Sabotage twin: a map of edges would pass."""
    found = check._judge

    def turned(name, measured, limits):
        made = found(name, measured, limits)
        return Judged(name, made.measured, tuple(check.ORDER[2 - check.ORDER.index(each)] for each in made.verdicts),
                      made.reasons)  # fmt: skip

    monkeypatch.setattr(check, "_judge", turned)
    with pytest.raises(AssertionError):
        test_a_map_of_edges_alone_fails_in_words()


CHEAP = {
    "rise": {"masks": 50}, "integratedgradients": {"steps": 8}, "blurig": {"steps": 8}, "guidedig": {"steps": 4},
    "expectedgradients": {"samples": 4}, "superpixels": {"segments": 6},
    **{name: {"samples": 3} for name in ("smoothgrad", "smoothgradsquared", "vargrad")},
}  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_every_method_can_be_checked(method):
    """Of an image that uses the whole range, so that a nudge leads beyond what mid grey allows."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(4, 6, 3, padding=1), torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Linear(96, 4),
    )  # fmt: skip
    model = eyeline.load(network, input_size=16)
    image = np.random.default_rng(0).random((1, 16, 16, 3), dtype=np.float32)
    image[0, 0, :2] = [[0], [1]]
    found = eyeline.check(model, eyeline.explain(model, image, method, **CHEAP.get(method, {})), **QUICK)
    assert {"random", "shift", "nudge"} <= {each.name for each in found.tests}
    assert all(np.isfinite(each.measured.values).all() for each in found.tests)


def test_mid_grey_is_the_same_number_for_a_nudged_image(monkeypatch):
    """Half of the image is black and half white: with the grey named the value is the same to the last digit."""
    model = eyeline.load(lambda images: images.sum(axis=(1, 2)), input_size=8)
    image = np.zeros((1, 8, 8, 1), dtype=np.float32)
    image[:, 4:] = 1
    values = [
        MaxSensitivity(samples=2)(model, eyeline.explain(model, image, window=2, stride=2, baseline=grey)).values
        for grey in (eyeline.Constant(), eyeline.Constant(0.5))
    ]
    np.testing.assert_array_equal(values[0], values[1])
    monkeypatch.setattr("eyeline.metrics.again.with_grey", lambda method, images: method)
    with pytest.raises(InputError, match="must lie within"):
        MaxSensitivity(samples=2)(model, eyeline.explain(model, image, window=2, stride=2, baseline=eyeline.Constant()))


@pytest.mark.usefixtures("folder")
def test_the_command_measures_what_is_named():
    """The numbers are those of the metrics in Python; each says its unit, which way is better, and what it is."""
    words = ("--metrics", "deletion:step=4,road,evidenceinside,seedagreement", "--region", "0.5")
    done = run("a.png", "--method", "gradient:channels=sum", *words)
    assert done.exit_code == 0, done.output
    model = eyeline.load("judged:network", input_size=16)
    found = eyeline.explain(model, "a.png", "gradient", channels="sum")
    inside = np.zeros(found.images.shape[1:3], dtype=bool)
    inside[4:12, 4:12] = True
    metrics = {
        "deletion": METRICS["deletion"](step=4), "road": METRICS["road"](),
        "evidenceinside": METRICS["evidenceinside"](Region(mask=inside)),
    }  # fmt: skip
    for name, metric in metrics.items():
        value = f"{metric(model, found).values[0]:.4g}"
        (line,) = (each for each in done.stdout.splitlines() if each.startswith(f"  {name}: "))
        assert line.startswith(f"  {name}: {value} ")
        assert f"; {metric.DIRECTION} is better; {metric.DEFINITION}" in line
    assert "  seedagreement: not measured: the method must have a seed" in done.stdout
    record = json.loads(run("a.png", "--json", "--metrics", "road,seedagreement").stdout)[0]
    assert record["measured"]["road"]["paper"] == METRICS["road"].PAPER
    assert list(record["not_measured"]) == ["seedagreement"]


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("deletio",), "must name metrics, but got 'deletio'. Did you mean 'deletion'"),
        (("deletion:stp=4",), "what stands behind deletion must be its settings, but got 'stp'. Did you mean 'step'"),
        (("deletion:step=0",), "step must be a whole number, 1 or more"),
        (("maxsensitivity:method=gradient",), "must be its settings, but got 'method'"),
        (("pointinggame",), "pointinggame must have a region"),
        (("road", "--region", "0.5"), "--region must come with a metric that has one"),
        (("pointinggame", "--region", "1.5"), "centre must be a share"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_metrics_that_cannot_be(words, match):
    done = run("a.png", "--metrics", *words)
    assert match in done.stderr
    assert done.exit_code in (1, 2)


def test_every_metric_is_listed():
    done = CliRunner().invoke(cli.app, ["metrics"], terminal_width=500)
    for name, metric in METRICS.items():
        assert f"{name}: " in done.stdout
        assert f"unit {metric.UNIT}; {metric.DIRECTION} is better" in done.stdout
