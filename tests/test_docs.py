"""Every example of README, docs and docstrings is run, in a folder that holds the files they speak of."""

import copy
import dataclasses
import doctest
import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path

import pytest

import eyeline
from eyeline.command.flags import documented
from eyeline.methods import METHODS

sys.path.insert(0, str(Path(__file__).parents[1] / "docs" / "making"))
import check
import comparison

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with photographs, and a Keras and a torch model of the reader's own."""
    import keras
    import skimage.data
    import torch
    from PIL import Image

    for name, picture in {"cat": skimage.data.chelsea(), "cup": skimage.data.coffee()}.items():
        Image.fromarray(picture).save(tmp_path / f"{name}.jpg")
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((64, 64, 3)), layers.Conv2D(8, 3, activation="relu"), layers.MaxPooling2D(4),
            layers.Flatten(), layers.Dense(4, activation="softmax"),
        ]
    )  # fmt: skip
    network.save(tmp_path / "mine.keras")
    (tmp_path / "mine.py").write_text(
        "import torch\n\ndef network():\n    return torch.nn.Sequential("
        "torch.nn.Conv2d(3, 4, 3, stride=2), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), "
        "torch.nn.Linear(4, 5))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    torch.save(importlib.import_module("mine").network().state_dict(), tmp_path / "mine.pth")
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.usefixtures("desk")
def test_the_python_of_a_page_runs(page):
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    space = {"__name__": "__main__"}
    for block in blocks:
        exec(compile(block, page.name, "exec"), space)


def modules():
    names = [each.name for each in pkgutil.walk_packages(eyeline.__path__, "eyeline.")]
    return [name for name in names if "._native" not in name]  # plain C libraries, no modules


@pytest.mark.parametrize("name", modules())
def test_the_examples_of_docstrings_run(name):
    needs = {"eyeline.models.savedmodel": "tensorflow"}
    if name in needs and importlib.util.find_spec(needs[name]) is None:
        return  # has no examples; its framework is not part of this environment
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert failed == 0


def public():
    """Every public name with its docstring: the top's, the methods', those of pictures, figures and the lecture."""
    from eyeline import lecture, picture, plot

    named = {name: getattr(eyeline, name) for name in eyeline.__all__}
    named |= {kind.__name__: kind for kind in METHODS.values()}
    named |= {f"picture.{name}": getattr(picture, name) for name in ("draw", "panel", "save")}
    named |= {f"lecture.{name}": getattr(lecture, name) for name in lecture.__all__ if name != "Data"}
    return {**named, "plot.plot": plot.plot}


@pytest.mark.parametrize("name", public())
def test_a_public_name_says_what_it_does_with_an_example(name):
    text = inspect.getdoc(public()[name])
    examples = doctest.DocTestParser().get_examples(text)
    assert examples, "a public name has an executed example of at most six lines"
    assert not any(doctest.SKIP in each.options for each in examples)
    assert sum(len(each.source.splitlines()) for each in examples) <= 6


@pytest.mark.parametrize("method", METHODS)
def test_a_method_names_its_source_its_settings_and_its_errors(method):
    kind = METHODS[method]
    text = inspect.getdoc(kind)
    assert "\nReferences:\n" in text
    assert "\nRaises:\n" in text
    assert [field.name for field in dataclasses.fields(kind)] == list(documented(kind))


def test_every_page_is_in_the_tree_of_the_site():
    """A page that no `toctree` names cannot be found, and the build of the site warns of it."""
    named = set()
    for page in PAGES[1:]:
        for tree in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
            entries = [re.sub(r".*<(.*)>", r"\1", line) for line in tree.splitlines()]
            named |= {(page.parent / f"{entry}.md").resolve() for entry in entries if entry and entry[0] != ":"}
    missing = sorted(str(page.relative_to(ROOT)) for page in PAGES[1:] if page.resolve() not in named)
    assert missing == ["docs/index.md"], "put the page into the toctree of docs/ideas/index.md, or where it belongs"


def test_no_figure_of_the_pages_is_missing():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} points to {target}"


@pytest.mark.parametrize("page", comparison.PAGES)
def test_the_comparison_is_that_of_its_data(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert comparison.filled(text, comparison.texts(comparison.data())) == text, "run docs/making/comparison.py"
    changed = copy.deepcopy(comparison.data())
    changed["row"][4]["has"].remove("Captum")
    assert comparison.filled(text, comparison.texts(changed)) != text


def test_eyeline_has_what_the_comparison_says():
    known = comparison.data()
    for row in known["row"]:
        assert {*row.get("has", ()), *row.get("partly", ())} <= known["versions"].keys(), row["what"]
        for proof in row.get("proof", ()):
            assert comparison.holds(proof), f"{row['what']}: {proof}"
    for missing in ("method:lime", "setting:occlusion.windw", "command:train", "module:eyeline.lime", "eyeline:Lime"):
        assert not comparison.holds(missing)


def test_loads_from_elsewhere_are_seen():
    """Sabotage twin of `docs/making/check.py`, which looks the built pages over."""
    alien = "https://elsewhere.example/a"
    parts = (
        f'<script src="{alien}"></script>',
        f'<link rel="stylesheet" href="{alien}">',
        f'<img src="{alien}">',
        f"<style>p {{ background: url({alien}) }}</style>",
        '<iframe src="//elsewhere.example/a">',
    )
    for part in parts:
        assert len(check.loads(part)) == 1, part
    assert not check.loads(
        f'<a href="{alien}">a link is no load</a><img src="own.png"><style>p {{ color: red }}</style>'
    )
