"""The report of an audit as HTML: what it says, in which order, how much of it, and that names stay text."""

import base64
import io
import re
from html.parser import HTMLParser

import many
import numpy as np
import pytest
from PIL import Image
from test_audit import LABELS, METHOD, SIDE, model, pictures

import eyeline
from eyeline.audit import Audit, audit, report
from eyeline.audit.drawn import around, outline
from eyeline.errors import InputError, UnsupportedError

NASTY = "</figcaption><img src=x onerror=alert(1)>"


class Reader(HTMLParser):
    """What is on a page: its text by element, its pictures, and every address."""

    def __init__(self, text):
        super().__init__()
        self.headings, self.pictures, self.addresses, self.figures = [], [], [], 0
        self._inside = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self._inside.append(tag)
        self.figures += tag == "figure"
        self.pictures += [given] if tag == "img" else []
        self.addresses += [value for name, value in attributes if name in ("src", "href", "srcset", "action")]

    def handle_data(self, data):
        if self._inside and self._inside[-1] in ("h1", "h2", "h3"):
            self.headings.append(data)

    def handle_endtag(self, tag):
        self._inside.append("")


def made(path, weight=4.0, given=None, **words):
    given = pictures() if given is None else given
    network = model(weight)
    store = eyeline.run(network, given, path / "maps.zarr", METHOD, "label", labels=LABELS, chunk=40)
    found = audit(store, network, images=given, **words)
    return report(found, store, network, path / "audit.html", images=given).read_text(encoding="utf-8"), found


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """A page with one shortcut, and what was found."""
    return made(tmp_path_factory.mktemp("marked"), region=0.5)


def test_the_worst_comes_first_and_nothing_is_asked_of_a_network(marked):
    text, found = marked
    page = Reader(text)
    assert page.headings[:3] == ["Is the model right for the right reason?", "How to read the pictures",
                                 "Suspected shortcut 1: “1”"]  # fmt: skip
    assert page.headings.index("What to do") < page.headings.index("Right for the wrong reason")
    assert page.headings.index("Every class") > page.headings.index("Groups that were tested and are no shortcut")
    assert "Suspected shortcuts in 1 of 3 classes: “1”." in text
    assert "12 of 20 images. First those" in text
    assert f"{100 * found.shortcuts[0].turned:.3g} % of them into “1”" in text
    assert all(each.startswith(("data:image/png;base64,", "#")) for each in page.addresses)
    assert "default-src &#x27;none&#x27;" in text or "default-src 'none'" in text
    assert all(each["alt"] for each in page.pictures)
    assert "rows 1 to 3 and columns 12 to 14" in text
    classes = [each for each in page.headings if each in ("0", "1", "2")]
    assert classes[0] == "1"


def test_the_pictures_are_the_images(marked):
    """The first card of the sheet: an image of the group with its mark, pixel by pixel."""
    text, found = marked
    card = re.search(
        r"Images that have it.*?<figure>.*?<img src=\"data:image/png;base64,(.*?)\" alt=\"image (\d+)\"",
        text,
        re.DOTALL,
    )
    with Image.open(io.BytesIO(base64.b64decode(card[1]))) as file:
        shown = np.asarray(file)
    assert shown.shape == (SIDE, SIDE, 3)
    assert int(card[2]) in found.shortcuts[0].rows
    assert (shown[1:4, 12:15] == 255).all()


def test_a_clean_run_says_that_this_proves_nothing(tmp_path):
    text, _ = made(tmp_path, given=pictures(mark=False))
    assert "No shortcut was found in 3 classes. That does not prove that there is none." in text
    assert "Suspected shortcut" not in text
    assert "no region was given" in text


def test_names_stay_text(tmp_path):
    given = many.images(24)
    names = ("0", NASTY, "2")
    network = eyeline.load(many.scores, input_size=many.SIDE, classes=names)
    labels = [names[i % 3] for i in range(24)]
    store = eyeline.run(network, given, tmp_path / "m", many.METHOD, "label", labels=labels, chunk=8)
    found = audit(store, network, images=given, region=0.5)
    text = report(found, store, network, tmp_path / "a.html", images=given).read_text(encoding="utf-8")
    assert "<img src=x" not in text
    assert "&lt;/figcaption&gt;&lt;img src=x onerror=alert(1)&gt;" in text


def test_a_region_for_each_row_and_classes_with_too_few_images(tmp_path):
    labels = [*["0"] * 12, *["1"] * 12, *["2"] * 3]
    given = many.images(27)
    inside = np.zeros((27, many.SIDE, many.SIDE), dtype=bool)
    inside[:, 2:5] = True
    network = eyeline.load(many.scores, input_size=many.SIDE)
    store = many.run(tmp_path / "m", given, labels=labels, target="label")
    found = audit(store, network, images=given, region=inside)
    text = report(found, store, network, tmp_path / "a.html", images=given).read_text(encoding="utf-8")
    assert "Too few images to be compared: 2." in text
    assert "Too few images to be clustered." in text


def test_many_classes_are_counted_and_the_page_stays_small(tmp_path):
    count, classes = 90, 30  # three images each: too few for clusters
    chance = np.random.default_rng(0)
    given = chance.random((count, 120, 120, 3), dtype=np.float32)
    weights = chance.standard_normal((64, classes)).astype(np.float32)
    network = eyeline.load(lambda images: images[:, ::15, ::15, 0].reshape(len(images), -1) @ weights, input_size=120)
    labels = [str(i % classes) for i in range(count)]
    method = eyeline.Occlusion(window=60, stride=60, baseline=eyeline.Constant(0), batch=64)
    store = eyeline.run(network, given, tmp_path / "m", method, "label", labels=labels, chunk=64)
    found = audit(store, network, images=given, region=0.5)
    path = report(found, store, network, tmp_path / "a.html", images=given)
    text = path.read_text(encoding="utf-8")
    assert "20 of 30 classes are shown." in text
    assert path.stat().st_size < 4e6
    with Image.open(io.BytesIO(base64.b64decode(re.search(r"data:image/jpeg;base64,(.*?)\"", text)[1]))) as file:
        assert max(file.size) == 112


@pytest.mark.parametrize("shape", [(8,), (4, 4, 4)])
def test_signals_and_volumes_have_no_report(tmp_path, shape):
    given = np.random.default_rng(0).random((24, *shape, 1), dtype=np.float32)
    network = eyeline.load(lambda images: images.reshape(len(images), -1)[:, :3], input_size=shape)
    method = eyeline.Occlusion(window=2, stride=2, baseline=eyeline.Constant(0), batch=8)
    store = eyeline.run(network, given, tmp_path / "m", method, "label", labels=["0", "1", "2"] * 8, chunk=8)
    with pytest.raises(UnsupportedError, match="two spatial axes, but the store's images have"):
        report(None, store, network, tmp_path / "a.html", images=given)


def test_channels_that_are_no_colours(tmp_path):
    given = np.random.default_rng(0).random((24, 4, 4, 5), dtype=np.float32)
    network = eyeline.load(lambda images: images.reshape(len(images), -1)[:, :3], input_size=4)
    method = eyeline.Occlusion(window=2, stride=2, baseline=eyeline.Constant(0), batch=8)
    store = eyeline.run(network, given, tmp_path / "m", method, "label", labels=["0", "1", "2"] * 8, chunk=8)
    found = audit(store, network, images=given)
    with pytest.raises(InputError, match="1 or 3 channels, but the store's images have 5"):
        report(found, store, network, tmp_path / "a.html", images=given)


def test_a_report_must_be_html_in_a_folder_that_can_be_written(tmp_path):
    given, network = pictures(), model(4.0)
    store = eyeline.run(network, given, tmp_path / "maps.zarr", METHOD, "label", labels=LABELS, chunk=40)
    found = Audit((), None, (), 1.0, ())
    with pytest.raises(InputError, match=r"must end in \.html"):
        report(found, store, network, tmp_path / "audit.pdf", images=given)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="must be writable"):
        report(found, store, network, tmp_path / "file" / "audit.html", images=given)
    with pytest.raises(InputError, match="array in memory"):
        report(found, store, network, tmp_path / "audit.html")


def test_an_outline_goes_round_a_region():
    inside = np.zeros((4, 8), dtype=bool)
    inside[1:3, 2:4] = True
    assert outline(inside) == "M0.25 0.25H0.5M0.25 0.75H0.5M0.25 0.25V0.75M0.5 0.25V0.75"
    assert outline(np.ones((4, 8), dtype=bool)) == "M0 0H1M0 1H1M0 0V1M1 0V1"


def test_a_region_with_room_about_it_closes_its_gaps():
    chequered = np.zeros((28, 28), dtype=bool)
    chequered[10:15, 10:15] = np.indices((5, 5)).sum(axis=0) % 2 == 0
    expected = np.zeros((28, 28), dtype=bool)
    expected[9:16, 9:16] = True
    np.testing.assert_array_equal(around(chequered), expected)
    at_the_edge, expected = np.roll(chequered, 12, axis=1), np.zeros((28, 28), dtype=bool)
    expected[9:16, 21:28] = True
    np.testing.assert_array_equal(around(at_the_edge), expected)


def test_the_command_writes_the_report_and_looks_at_its_name_first(tmp_path, capsys, monkeypatch):
    from eyeline import cli

    np.savez(tmp_path / "some.npz", images=pictures(), labels=LABELS)
    eyeline.run(model(4.0), tmp_path / "some.npz", tmp_path / "maps.zarr", METHOD, "label", chunk=40)
    monkeypatch.setattr("eyeline.cli.many.load", lambda *source, **words: model(4.0))

    def command(*words):
        with pytest.raises(SystemExit) as left:
            cli.main(["audit", str(tmp_path / "maps.zarr"), "mine:network", *map(str, words)])
        return left.value.code

    assert command("--out", tmp_path / "audit.html") == 1
    assert "Suspected shortcut 1: “1”" in (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert "maps in" not in capsys.readouterr().out
    monkeypatch.setattr("eyeline.command.audits.STABLE", -1)
    command()
    assert re.search(r"1: maps in \d clusters, stability 0\.\d\d", capsys.readouterr().out)
    monkeypatch.setattr("eyeline.command.audits.audit", None)  # refused before it is asked for
    assert command("--out", tmp_path / "audit.pdf") == 2
    assert "--out must end in .html or .json" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert command("--out", tmp_path / "file" / "audit.html") == 2
    assert "must be writable" in capsys.readouterr().err
    assert command("--region", tmp_path / "none.png") == 2
    assert "none.png" in capsys.readouterr().err
