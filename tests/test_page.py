"""The report without a browser: what stands in the file, and that nothing in a name can become code."""

import base64
import dataclasses
import hashlib
import html
import json
import re

import numpy as np
import pytest

import eyeline
from eyeline.errors import InputError, UnsupportedError
from eyeline.page.data import FEW, TOP, payload

NASTY = "</script><script>alert(1)</script>\u202e.png"


def model(classes=12):
    rng = np.random.default_rng(0)
    weights = rng.normal(0, 1, (8 * 9 * 3, classes))
    names = tuple(f"class <b>{each}</b>" for each in range(classes))
    return eyeline.load(lambda images: images.reshape(len(images), -1) @ weights, classes=names)


def images(count=2):
    return np.random.default_rng(1).uniform(0, 1, (count, 8, 9, 3)).astype(np.float32)


def explained(target=None, **settings):
    settings = {"window": (3, 4), "stride": (2, 3), **settings}
    return eyeline.explain(model(), images(), target=target, **settings)


def data_of(text):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found[1])


def array(text, kind):
    return np.frombuffer(base64.b64decode(text), dtype=kind)


def test_the_page_holds_the_sweep_of_the_best_classes_and_those_asked_for():
    attribution = explained(11)
    layer = payload([attribution])["images"][1]["layers"][0]
    held = [each["class"] for each in layer["sweep"]["classes"]]
    assert set(held) == {*np.argsort(-attribution.scores[1])[:TOP].tolist(), 11}
    scores = array(layer["sweep"]["scores"], "<f4").reshape(-1, len(held))
    np.testing.assert_array_equal(scores, attribution.sweep.scores[1][:, held].astype(np.float32))
    np.testing.assert_array_equal(array(layer["sweep"]["boxes"], "<i4").reshape(-1, 2, 2), attribution.sweep.boxes)
    np.testing.assert_array_equal(array(layer["sweep"]["winners"], "<i4"), attribution.sweep.scores[1].argmax(axis=1))


def test_methods_of_one_image_are_its_layers():
    attribution = explained()
    found = payload([attribution, explained(0, measure="score")])
    assert [len(each["layers"]) for each in found["images"]] == [2, 2]
    assert len(payload([attribution, eyeline.explain(model(), images(1) / 2)])["images"]) == 3


def test_a_map_per_channel_is_a_layer_per_channel():
    import torch

    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(8 * 9 * 3, 4))
    attribution = eyeline.explain(eyeline.load(network), images(1), "gradient", channels=None)
    layers = payload([attribution])["images"][0]["layers"]
    assert [each["channel"] for each in layers] == [0, 1, 2]
    np.testing.assert_array_equal(array(layers[2]["map"], "<f4").reshape(8, 9), attribution.maps[0, ..., 2])


def test_the_file_is_whole_and_asks_for_nothing(tmp_path):
    written = eyeline.report(explained(), tmp_path / "map.html").read_text(encoding="utf-8")
    assert "://" not in re.sub(r"<script type=.*?</script>", "", written, flags=re.DOTALL)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', written)[1]
    assert policy.startswith("default-src 'none'; img-src data:;")
    for kind in ("style", "script"):
        text = re.search(rf"<{kind}>(.*?)</{kind}>", written, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "@" not in re.sub(r"<(style|script).*?</\1>", "", written, flags=re.DOTALL)


def test_names_cannot_become_code(tmp_path):
    attribution = dataclasses.replace(explained(), names=(NASTY, "@SCRIPT@"))
    written = eyeline.report(attribution, tmp_path / "map.html").read_text(encoding="utf-8")
    assert written.count("</script>") == 2
    assert "alert(1)</script>" not in written
    names = [each["name"] for each in data_of(written)["images"]]
    assert names == [NASTY.replace("\u202e", "\ufffd"), "@SCRIPT@"]


@pytest.mark.parametrize(
    ("given", "name", "words"),
    [(None, "map.png", "must end in .html"), ([], "map.html", "must have an attribution")],
)
def test_what_cannot_be_written_is_refused(tmp_path, given, name, words):
    with pytest.raises(InputError, match=words):
        eyeline.report(explained() if given is None else given, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_volumes_are_refused(tmp_path):
    volume = eyeline.load(lambda images: images.sum(axis=(1, 2, 3)), input_size=(4, 4, 4))
    attribution = eyeline.explain(volume, np.ones((1, 4, 4, 4, 1), dtype=np.float32))
    with pytest.raises(UnsupportedError, match="two spatial axes"):
        eyeline.report(attribution, tmp_path / "map.html")


def test_a_result_shows_itself_in_a_notebook():
    attribution = dataclasses.replace(explained(), names=(NASTY, "second"))
    shown = attribution._repr_html_()
    assert shown.count("<td>") == 8
    assert "<script>" not in shown
    assert base64.b64decode(re.search(r"base64,([^\"]*)", shown)[1]).startswith(b"\x89PNG")
    assert "and 3 more" in explained_many(11)._repr_html_()


def explained_many(count):
    return eyeline.explain(model(), images(count), window=8, stride=8)


def test_what_cannot_be_drawn_says_so_in_a_notebook():
    signal = eyeline.load(lambda images: images.sum(axis=1), input_size=(6,))
    shown = eyeline.explain(signal, np.ones((1, 6, 2), dtype=np.float32))._repr_html_()
    assert "eyeline.plot.plot" in shown
    assert "<table>" in shown


def test_the_view_is_the_report_in_a_frame():
    attribution = explained()
    frame = eyeline.view(attribution)._repr_html_()
    held = re.search(r'srcdoc="([^"]*)"', frame)[1]
    assert data_of(html.unescape(held)) == json.loads(json.dumps(payload([attribution])))
    assert 'sandbox="allow-scripts"' in frame


@pytest.mark.parametrize(
    ("method", "kind"),
    [("superpixels", "labels"), ("multiscale", "parts"), ("rise", None), ("pairs", None), ("gradient", None)],
)
def test_methods_of_every_kind_are_shown(method, kind):
    import torch

    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16 * 16 * 3, 4))
    given = np.random.default_rng(1).uniform(0, 1, (2, 16, 16, 3)).astype(np.float32)
    attribution = eyeline.explain(eyeline.load(network), given, method)
    layers = payload([attribution])["images"][1]["layers"]
    assert len(layers) == 1 + len(attribution.further)
    if kind is not None:
        assert kind in layers[0]["sweep"]
        return
    np.testing.assert_array_equal(array(layers[0]["map"], "<f4").reshape(16, 16), attribution.maps[1])
    if attribution.sweep is not None:
        maps = array(layers[0]["laid"]["maps"], "<f4").reshape(-1, 16, 16)
        assert [each["class"] for each in layers[0]["laid"]["classes"]] == [0, 1, 2, 3]
        for which, laid in enumerate(maps):
            np.testing.assert_allclose(laid, attribution.to(which).maps[1], rtol=1e-5, atol=1e-6)
        if method == "rise":  # of pairs a linear network has none
            assert np.abs(maps[0] - attribution.to(1).maps[1]).max() > 1e-3


def test_a_map_of_each_class_for_the_best_of_them_and_those_asked_for():
    attribution = eyeline.explain(model(), images(1), "rise", eyeline.Contrast(11, 3), masks=20, cells=2)
    layer = payload([attribution])["images"][0]["layers"][0]
    held = {each["class"] for each in layer["laid"]["classes"]}
    assert held == {*np.argsort(-attribution.scores[0])[:FEW].tolist(), 11, 3}
