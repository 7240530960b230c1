"""Every example of README, docs and docstrings is run, in a folder that holds the files they speak of."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import eyeline

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
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


def test_no_figure_of_the_pages_is_missing():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} points to {target}"
