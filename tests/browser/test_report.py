"""The report in a real browser: every control, and the value under the pointer against the stored number."""

import dataclasses
import json

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

import eyeline
from eyeline.region import Labels

NASTY = "</script><img src=x onerror=alert(1)>.png"


@pytest.fixture
def opened(watched, tmp_path):
    """Open a report, and wait until it is drawn."""

    def open_(attributions, **settings):
        page = watched(eyeline.report(attributions, tmp_path / "report.html"), **settings)
        page.wait_for_function("document.getElementById('quantity').textContent !== ''")
        return page

    return open_


def model(classes=4):
    weights = np.random.default_rng(0).normal(0, 1, (40 * 32 * 3, classes)) / 50
    names = ("tabby", "tiger cat", "espresso", NASTY)
    return eyeline.load(lambda images: np.square(images.reshape(len(images), -1)) @ weights, classes=names)


def images(count=2):
    return np.random.default_rng(1).uniform(0, 1, (count, 40, 32, 3)).astype(np.float32)


def swept(count=1, target=None, **settings):
    return eyeline.explain(model(), images(count), target=target, **{"window": (11, 7), "stride": (5, 3), **settings})


def value_at(page, row, column):
    """Point at the middle of a pixel and read the number that the page holds for it."""
    box = page.locator("#canvas").bounding_box()
    rows, columns = 40, 32
    across, down = (column + 0.5) / columns, (row + 0.5) / rows  # inside a border of one pixel
    page.mouse.move(box["x"] + 1 + across * (box["width"] - 2), box["y"] + 1 + down * (box["height"] - 2))
    text = page.locator("#readout").text_content()
    assert text.startswith(f"Row {row}, column {column}: ")
    return np.float32(page.locator("#readout").get_attribute("data-value"))


PLACES = [(0, 0), (39, 31), (17, 5), (20, 30)]


@pytest.mark.parametrize(
    "settings",
    [{}, {"measure": "score"}, {"measure": "complement"}, {"overlap": "sum"}, {"edge": "inside"}, {"keep": True}],
    ids=str,
)
def test_the_value_under_the_pointer_is_the_stored_one(opened, settings):
    attribution = swept(**settings)
    page = opened(attribution)
    for row, column in PLACES:
        assert value_at(page, row, column) == attribution.maps[0, row, column]


def test_soft_windows_and_regions_are_laid_as_the_library_lays_them(opened):
    attribution = swept(mask=eyeline.GaussianMask(0.25))
    page = opened(attribution)
    for row, column in PLACES:
        assert value_at(page, row, column) == attribution.maps[0, row, column]
    page.locator("#class").select_option(label="espresso")
    assert value_at(page, 17, 5) == attribution.to(2).maps[0, 17, 5]
    labels = np.indices((40, 32)).sum(axis=0)[None] // 9
    regions = dataclasses.replace(
        attribution.sweep, regions=Labels(labels), scores=attribution.sweep.scores[:, : labels.max() + 1]
    )
    found = dataclasses.replace(attribution, sweep=regions).to(1)
    page = opened(found)
    for row, column in PLACES:
        assert value_at(page, row, column) == found.maps[0, row, column]
    page.get_by_label("Where the best class changes").check()
    assert value_at(page, 20, 30) == eyeline.flips(found).share[0, 20, 30]
    assert "region" in page.locator("#readout").text_content()


def test_several_sweeps_in_one_are_laid_as_the_library_lays_them(opened):
    attribution = eyeline.explain(model(), images(1), "multiscale")
    page = opened(attribution)
    for row, column in PLACES:
        assert value_at(page, row, column) == attribution.maps[0, row, column]
    page.locator("#class").select_option(label="espresso")
    for row, column in PLACES:
        assert value_at(page, row, column) == attribution.to(2).maps[0, row, column]
    page.get_by_label("deviation").check()
    assert value_at(page, 17, 5) == attribution.further["deviation"][0, 17, 5]


@pytest.mark.parametrize(("method", "settings"), [("rise", {"masks": 30, "cells": 3}), ("pairs", {"window": 16})])
def test_other_classes_where_a_class_is_a_whole_map(opened, method, settings):
    attribution = eyeline.explain(model(), images(1), method, target=0, **settings)
    page = opened(attribution)
    for row, column in PLACES:
        assert value_at(page, row, column) == attribution.maps[0, row, column]
    page.locator("#class").select_option(label="espresso")
    for row, column in PLACES:
        np.testing.assert_allclose(value_at(page, row, column), attribution.to(2).maps[0, row, column], rtol=1e-5)
    assert "espresso" in page.locator("#quantity").text_content()
    assert not page.get_by_label("Where the best class changes").is_visible()
    page.locator("#predictions button", has_text="tiger cat").click()
    np.testing.assert_allclose(value_at(page, 17, 5), attribution.to(1).maps[0, 17, 5], rtol=1e-5)


def test_a_wrong_value_is_seen(opened):
    """Sabotage twin: the page of a map shows other numbers than another map's."""
    page = opened(swept())
    other = swept(overlap="sum")
    assert any(value_at(page, row, column) != other.maps[0, row, column] for row, column in PLACES)


def test_other_classes_contrasts_and_flips_come_from_the_sweep(opened):
    attribution = swept(target=0)
    page = opened(attribution)
    page.locator("#class").select_option(label="espresso")
    assert value_at(page, 17, 5) == attribution.to(2).maps[0, 17, 5]
    page.get_by_label("Why one class rather than another").check()
    page.locator("#other").select_option(label="tiger cat")
    assert value_at(page, 20, 30) == attribution.to(eyeline.Contrast(2, 1)).maps[0, 20, 30]
    page.get_by_label("Where the best class changes").check()
    found = eyeline.flips(attribution)
    for row, column in PLACES:
        assert value_at(page, row, column) == found.share[0, row, column]
    page.get_by_role("button", name="tabby").click()
    assert value_at(page, 17, 5) == attribution.maps[0, 17, 5]


def test_a_contrast_that_was_asked_for_is_shown_first(opened):
    attribution = swept(target=eyeline.Contrast("tabby", "espresso"))
    page = opened(attribution)
    assert page.locator("#class option:checked").text_content() == "tabby"
    assert page.locator("#other option:checked").text_content() == "espresso"
    assert value_at(page, 17, 5) == attribution.maps[0, 17, 5]


def test_layers_opacity_and_scale(opened):
    attribution = swept(2)
    other = swept(2, baseline=eyeline.Constant(0), window=8, stride=8)
    page = opened([attribution, other])
    page.get_by_label("window 8 × 8").check()
    assert value_at(page, 17, 5) == other.maps[0, 17, 5]
    own = page.locator("#high").text_content()
    page.get_by_label("one for all images").check()
    peak = float(np.abs(other.maps).max())
    assert float(page.locator("#high").text_content().split()[0]) == pytest.approx(peak, rel=1e-3)
    assert "one scale for all 2 maps" in page.locator("#quantity").text_content()
    assert float(own.split()[0]) == pytest.approx(float(np.abs(other.maps[0]).max()), rel=1e-3)
    assert page.locator("#percent").text_content() == "100 %"
    page.locator("#opacity").fill("0")
    grey = page.evaluate("[...document.getElementById('canvas').getContext('2d').getImageData(5, 5, 1, 1).data]")
    assert np.abs(np.array(grey[:3]) / 255 - images()[0, 0, 0]).max() < 0.01


def test_a_scale_that_few_large_values_do_not_rule(opened):
    """The picture's scale "p99": the same end, and the same words for what lies beyond it."""
    attribution = eyeline.explain(model(), images(2), target=0)
    few = np.where((np.arange(32) == 5) & (np.arange(40)[:, None] % 13 == 0), 1, 1 / 50)
    spiked = dataclasses.replace(attribution, maps=np.float32(attribution.maps * few), sweep=None)
    page = opened(spiked)
    assert "99 % of the values lie below a third" in page.locator("#quantity").text_content()
    ends = []
    for shown in (spiked.maps[:1], spiked.maps):
        page.locator("#most").check()
        ends.append(float(page.locator("#high").text_content().split()[0]))
        assert ends[-1] == pytest.approx(np.percentile(np.abs(shown), 99), rel=1e-3)
        words = page.locator("#quantity").text_content()
        assert f"percentile 99 of {'this map' if len(shown) == 1 else 'all 2 maps'}; values beyond (up to " in words
        page.locator("#most").uncheck()
        assert "percentile" not in page.locator("#quantity").text_content()
        page.get_by_label("one for all images").check()
    assert ends[0] != ends[1]
    assert value_at(page, 13, 5) == spiked.maps[0, 13, 5]


def test_many_images_are_filtered_and_chosen(opened):
    page = opened(swept(3))
    assert page.locator("#found").text_content() == "3 of 3 images"
    page.locator("#filter").fill("image 2")
    assert page.locator("#found").text_content() == "1 of 3 images"
    page.get_by_role("button", name="image 2").click()
    page.wait_for_function("document.getElementById('name').textContent === 'image 2'")


def test_keys_alone(opened):
    attribution = swept()
    page = opened(attribution)
    page.locator("#canvas").focus()
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowUp"):
        page.keyboard.press(key)
    assert page.locator("#readout").text_content().startswith("Row 10, column 18: ")
    assert np.float32(page.locator("#readout").get_attribute("data-value")) == attribution.maps[0, 10, 18]
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "opacity"


def test_names_stay_text(opened):
    page = opened(dataclasses.replace(swept(), names=(NASTY,)))
    assert page.locator("#name").text_content() == NASTY
    assert page.locator("img").count() == 0
    assert json.loads(page.locator("#data").text_content())["images"][0]["name"] == NASTY


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_down_only(opened, scheme):
    page = opened(swept(2), color_scheme=scheme)
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_finding_of_axe(opened, scheme):
    page = opened(swept(2), color_scheme=scheme, bypass_csp=True)
    assert Axe().run(page).response["violations"] == []


def test_axe_sees_a_control_without_a_label(opened):
    """Sabotage twin."""
    page = opened(swept(2), bypass_csp=True)
    page.evaluate("document.querySelector('#filter').parentElement.replaceWith(document.querySelector('#filter'))")
    assert [each["id"] for each in Axe().run(page).response["violations"]] == ["label"]
