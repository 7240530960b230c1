"""The demo: its pictures, its page, its lines. Larger windows than the real one's keep it short."""

import socket
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyeline import cli, demo
from eyeline.baseline import Blur
from eyeline.demo.page import _outline, _safe
from eyeline.methods import Occlusion
from eyeline.window import Box, Span

pytest.importorskip("torch")
pytest.importorskip("skimage")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Run the demo once, without a network and with few windows; return its folder and its lines."""
    out, lines = tmp_path_factory.mktemp("demo"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "OCCLUSION", Occlusion(window=112, stride=56, baseline=Blur(12)))
        patch.setattr(socket, "socket", lambda *_, **__: pytest.fail("the demo opened a connection"))
        demo.run(out, lines.append)
    return out, lines


def test_each_photograph_gets_a_line_with_class_probability_and_region(made):
    _, lines = made
    for name, target in {"coffee": "espresso", "camera": "tripod", "chelsea": "Egyptian cat"}.items():
        [line] = [line for line in lines if line.startswith(f"{name}.png: ")]
        assert line.startswith(f"{name}.png: {target}, probability 0.")
        assert "covering this window costs" in line
        assert "rows" in line
        assert "log-odds" in line


def test_every_picture_that_a_line_names_exists_and_opens(made):
    out, lines = made
    named = [Path(each.strip()) for line in lines if line.startswith("    ") for each in line.split(",")]
    assert len(named) == 4 * len(demo.PHOTOGRAPHS)
    assert {each.name for each in named} == {each.name for each in out.glob("*.png")}
    for each in named:
        with Image.open(each) as picture:
            picture.load()
            assert picture.info["Description"]


def test_the_cup_is_found(made):
    """The espresso's evidence lies in its cup: rows and columns that a person points at."""
    _, lines = made
    [line] = [line for line in lines if line.startswith("coffee.png: ")]
    assert "upper" in line or "centre" in line


class Reader(HTMLParser):
    """Collects what a browser would fetch, what it would run, and the text; fails on tags that do not match."""

    VOID = ("meta", "img")

    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.tags, self.text = [], [], [], ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href", "srcset", "action", "data")]
        assert not any(name.startswith("on") for name, _ in attributes)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text += data


def test_the_page_needs_nothing_but_itself(made):
    out, _ = made
    html = (out / "index.html").read_text(encoding="utf-8")
    read = Reader(html)
    assert len(read.sources) == 5 * len(demo.PHOTOGRAPHS)
    assert all(source.startswith("data:image/") for source in read.sources)
    assert "script" not in read.tags
    assert "link" not in read.tags
    for word in ("http:", "https:", "//", "@import", "url("):
        assert word not in "".join(part for part in html.split('"') if not part.startswith("data:image/"))
    assert 'name="viewport"' in html


def test_the_page_says_sign_unit_and_scale_of_every_picture(made):
    out, _ = made
    text = " ".join(Reader((out / "index.html").read_text(encoding="utf-8")).text.split())
    assert text.count("blue parts count against it") == len(demo.PHOTOGRAPHS)
    assert text.count("the sign is left out") == len(demo.PHOTOGRAPHS)
    assert text.count("in all photographs, so that their colours compare") == len(demo.PHOTOGRAPHS)
    assert text.count("log-odds per step from black to white") == 2 * len(demo.PHOTOGRAPHS)
    assert "preprocess" in text
    assert text.count("A window of 112 × 112 pixels was blurred") == len(demo.PHOTOGRAPHS)
    assert "{" not in text


def test_the_shared_scale_is_the_same_number_in_every_photograph(made):
    out, _ = made
    text = (out / "index.html").read_text(encoding="utf-8")
    ends = {part.split(" log-odds")[0] for part in text.split("full colour is ±")[1:]}
    assert len(ends) == 1


def test_names_cannot_write_into_the_page():
    assert _safe("<script>'\"&\x1b") == "&lt;script&gt;&#x27;&quot;&amp;\\x1b"


def test_the_frame_lies_on_the_window():
    box = Box((Span(56, 112), Span(0, 224)))
    assert _outline(box, (224, 224)) == "top: 25.00%; height: 25.00%; left: 0.00%; width: 100.00%"


def test_a_folder_that_cannot_be_made_is_said_before_the_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(demo, "load", lambda *_: pytest.fail("the work began"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as left:
        cli.main(["demo", "--out", str(tmp_path / "file")])
    assert left.value.code == 2
    assert "--out must be a folder" in capsys.readouterr().err


def test_photographs_are_there_without_a_download():
    for path in demo.photographs():
        with Image.open(path) as picture:
            assert np.asarray(picture).std() > 10
