"""The job of docs/howto/gate.md, line by line, on small networks and pictures."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyeline import cli

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "gate.md").read_text(encoding="utf-8")


def block(kind):
    return re.search(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[1]


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Two networks of one kind, and pictures in class folders."""
    import keras

    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("before", "after")):
        keras.utils.set_random_seed(seed)
        layers = [keras.Input((16, 16, 3)), keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.Flatten()]
        keras.Sequential([*layers, keras.layers.Dense(2, activation="softmax")]).save(f"{name}.keras")
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)):
        folder = Path("photos") / str(number % 2)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    Path("gate.toml").write_text(block("toml"))


def test_the_job_of_the_page_runs(job, capsys):
    codes = []
    for line in block("sh").splitlines():
        with pytest.raises(SystemExit) as end:
            cli.main(shlex.split(line)[1:])
        codes.append(end.value.code)
    said, refused = capsys.readouterr()
    assert codes[0] == codes[2] == 0, refused
    assert {codes[1], codes[3]} <= {0, 1}, refused
    assert len(re.findall("limits not kept", said)) == 2
    for name in ("gate.json", "changes.csv", "changes.html"):
        assert Path(name).stat().st_size
