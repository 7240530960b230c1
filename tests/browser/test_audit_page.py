"""The report of an audit in a real browser: nothing is loaded, nothing overflows, axe finds nothing."""

import functools

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

import eyeline
from eyeline.audit import Audit, Change, Finding, report
from eyeline.audit.clusters import Clusters

NASTY = "</script><b>cat</b>"
CLASSES = ("cat", NASTY, "dog")
WEIGHTS = np.random.default_rng(1).standard_normal((16 * 16 * 3, 3)).astype(np.float32)


def scores(images):
    return images.reshape(len(images), -1) @ WEIGHTS / 16


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A page of findings made by hand: what is drawn, not what is found, is looked at here."""
    folder = tmp_path_factory.mktemp("audit")
    images = np.random.default_rng(0).random((30, 16, 16, 3), dtype=np.float32)
    model = eyeline.load(scores, input_size=16, classes=CLASSES)
    method = eyeline.Occlusion(window=8, stride=4, baseline=eyeline.Constant(0), batch=16)
    labels = [CLASSES[i % 3] for i in range(30)]
    store = eyeline.run(model, images, folder / "maps.zarr", method, "label", labels=labels, chunk=8)
    rows, others = tuple(range(1, 30, 3)), (0, 2, 3)
    pattern = np.zeros((16, 16, 3), dtype=np.float32)
    pattern[1:4, 11:14] = 0.5
    pasted = Change(others, 1, np.array([0, 2, 0]), np.array([1, 1, 0]))
    covered = Change(rows, 1, np.ones(10, dtype=int), np.arange(10) % 2)
    means = images[1::6].mean(axis=0), images[4::6].mean(axis=0)
    words = {"pasted": pasted, "stability": 1.0, "means": means}
    shortcut = Finding(NASTY, rows[::2], 0.5, 9.0, "maps", pattern, 0.6, 0.0, (1.0, 0.4), covered=covered, **words)
    other = Finding("cat", (0, 3, 6, 9, 12), 0.5, 2.0, "images", pattern, 0.1, 0.0, (1.0, 0.9), **words)
    clusters = Clusters(NASTY, rows, np.arange(10) % 2, np.array([0, 0.1, 0.5]), 0.9, np.arange(10) / 10)
    inside = np.zeros((16, 16), dtype=bool)
    inside[4:12, 4:12] = True
    found = Audit((shortcut, other), np.linspace(0, 1, 30), tuple(range(29, 3, -1)), 0.5, (), (clusters,), inside)
    return report(found, store, model, folder / "audit.html", images=images)


@pytest.fixture
def opened(watched, path):
    return functools.partial(watched, path)


def test_it_is_read_from_the_verdict_down(opened):
    page = opened()
    assert page.locator(".verdict").text_content().startswith(f"Suspected shortcuts in 1 of 3 classes: “{NASTY}”.")
    tops = [page.get_by_role("heading", name=name).bounding_box()["y"]
            for name in ("Suspected shortcut 1", "Right for the wrong reason", "Every class")]  # fmt: skip
    assert tops == sorted(tops)
    assert page.locator("b").count() == 0
    assert page.get_by_text("was cat, is now").count() == 1


def test_pictures_are_seen_and_outlines_lie_on_them(opened):
    page = opened()
    assert all(page.evaluate("[...document.images].map((each) => each.naturalWidth > 0)"))
    outlined = page.locator(".shot:has(svg)").first
    picture, line = (outlined.locator(name).bounding_box() for name in ("img", "use >> nth=1"))
    middle = [line[at] + line[length] / 2 - picture[at] for at, length in (("x", "width"), ("y", "height"))]
    # The pattern's rows 1 to 3 and columns 11 to 13 with a pixel about them: 0 to 4 and 10 to 14 of 16.
    assert middle == pytest.approx([12.5 / 16 * picture["width"], 2.5 / 16 * picture["height"]], abs=2)


def test_a_group_that_is_no_shortcut_opens_by_key(opened):
    page = opened()
    first = page.locator("details summary").first
    assert not page.locator("details table").first.is_visible()
    first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details table").first.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_and_axe_of_the_audit(opened, scheme):
    page = opened(color_scheme=scheme, bypass_csp=True)
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert Axe().run(page).response["violations"] == []
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(22, 22, 26)")


def test_axe_sees_a_picture_without_words(opened):
    """Sabotage twin."""
    page = opened(bypass_csp=True)
    page.evaluate("document.querySelector('figure img').removeAttribute('alt')")
    assert [each["id"] for each in Axe().run(page).response["violations"]] == ["image-alt"]
