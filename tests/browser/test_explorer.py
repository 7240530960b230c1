"""The explorer in a real browser, with the bundled network: every control, and how soon dragging is answered."""

import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

import eyeline

SLOW = 60_000
DRAGGED = float(os.environ.get("EYELINE_DRAG_LIMIT", "100"))
"""Milliseconds within which 95 of 100 places of a dragged mask are answered; measured on an idle machine."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The command, in a process and a folder of its own."""
    folder = tmp_path_factory.mktemp("explorer")
    command = [str(Path(sys.executable).parent / "eyeline"), "serve", "--no-show", "--port", "0"]
    running = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    line = running.stdout.readline()
    yield re.search(r"http://127\.0\.0\.1:\d+/", line)[0]
    running.send_signal(2)
    running.wait(20)
    running.stdout.close()
    assert list(folder.iterdir()) == []


@pytest.fixture
def visit(browser, server):
    """Open the page; it may ask of nothing but its own server, and say nothing on the console."""
    opened = []

    def open_(**settings):
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 1000}, **settings})
        page = context.new_page()
        page.set_default_timeout(SLOW)
        opened.append((context, said := []))
        own = (server, server.replace("http", "ws"), "data:", "blob:")
        page.on("console", lambda message: "status of 400" in message.text or said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: request.url.startswith(own) or said.append(request.url))
        page.on("websocket", lambda socket: socket.url.startswith(own) or said.append(socket.url))
        page.goto(server)
        page.wait_for_selector(".examples button")
        return page

    yield open_
    for context, said in opened:
        context.close()
        assert said == []


def pick(page, name="coffee"):
    page.get_by_role("button", name=name).click()
    page.wait_for_selector(".bars button")
    return page


def finished(page, panel=0, word="Done"):
    page.wait_for_function(f"document.getElementById('state-{panel}').textContent.startsWith('{word}')")


def setting(page, label, panel=0):
    return page.get_by_role("group", name=("First map", "Second map")[panel]).get_by_label(label, exact=True)


def test_dragging_is_answered_within_a_tenth_of_a_second(visit, capsys):
    page = pick(visit())
    assert page.locator(".bars .label").first.text_content() == "espresso"
    box = page.locator("#cover").bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 40)
    page.mouse.down()
    for step in range(100):
        page.mouse.move(box["x"] + 40 + 3 * step, box["y"] + 40 + 2 * step)
        page.wait_for_timeout(30)
    page.mouse.up()
    page.wait_for_function("document.querySelector('[role=status]').textContent.startsWith('With the part covered')")
    spans = page.evaluate(
        "['probe', 'drag'].map((name) => performance.getEntriesByName(name).map((each) => each.duration))"
    )
    answer, drag = (np.array(each) for each in spans)
    told = ", ".join(
        f"{name}: median {np.median(each):.0f} ms, 95 of 100 within {np.percentile(each, 95):.0f} ms"
        for name, each in (("one answer", answer), ("from the pointer's move to the bars", drag))
    )
    with capsys.disabled():
        print(f"\ndragging over {len(answer)} places: {told}; load average {os.getloadavg()[0]:.1f}")
    assert len(answer) >= 10
    if os.getloadavg()[0] < os.cpu_count():
        assert np.percentile(answer, 95) < DRAGGED
    assert re.search(r"\(was .* %\)", page.locator(".bars .number").first.text_content())


def test_a_map_fills_in_and_stops_and_runs_to_its_end(visit):
    page = pick(visit(), "cat")
    setting(page, "stride").fill("4")
    setting(page, "window").fill("56")
    page.locator("#start-0").click()
    page.wait_for_function("/^\\d+ of \\d+, about/.test(document.getElementById('state-0').textContent)")
    page.locator("#stop-0").click()
    finished(page, word="Stopped")
    assert page.locator("#map-0").is_visible()
    assert page.get_by_role("link", name="numbers (NPZ)").count() == 0
    setting(page, "stride").fill("28")
    page.locator("#start-0").click()
    finished(page)
    page.locator("#map-0").hover()
    said = page.locator("#readout-0").text_content()
    assert re.match(r"Row \d+, column \d+: .* log-odds; \d+ windows are on it, the nearest: rows", said), said
    page.locator(".bars button").nth(1).click()
    second = page.locator(".bars .label").nth(1).text_content()
    page.wait_for_function(f"document.querySelector('[role=group]').textContent.includes('for {second}')")
    page.get_by_label("Why one class rather than another", exact=True).check()
    page.wait_for_function("document.querySelector('[role=group]').textContent.includes(' - ')")
    page.get_by_label("Where the best class changes", exact=True).check()
    page.wait_for_function("document.querySelector('[role=group]').textContent.includes('share of the windows')")


def test_what_is_downloaded_is_the_librarys_map(visit, tmp_path):
    page = pick(visit())
    for label, value in (("window", "112"), ("stride", "56")):
        setting(page, label).fill(value)
    page.locator("#start-0").click()
    finished(page)
    page.locator("#two-maps").check()
    page.locator("#start-1").click()
    finished(page, 1)
    page.locator("#map-0").hover()
    assert page.locator("#readout-1").text_content().startswith(page.locator("#readout-0").text_content()[:12])
    shown = np.float32(page.locator("#readout-0").get_attribute("data-value"))
    row, column = map(int, re.findall(r"\d+", page.locator("#readout-0").text_content())[:2])
    saved = {}
    for name, link in (("npz", "numbers (NPZ)"), ("png", "picture (PNG)"), ("html", "report (HTML)")):
        with page.expect_download() as found:
            page.get_by_role("group", name="First map").get_by_role("link", name=link).click()
        saved[name] = tmp_path / found.value.suggested_filename
        found.value.save_as(saved[name])
    attribution = eyeline.Attribution.load(saved["npz"])
    assert attribution.maps[0, row, column] == shown
    import skimage

    photograph = Path(skimage.__file__).parent / "data" / "coffee.png"
    own = eyeline.explain("bundled", photograph, window=112, stride=56)
    np.testing.assert_allclose(attribution.maps, own.maps, atol=1e-3)
    with Image.open(saved["png"]) as drawn:
        assert drawn.size[0] > 300
    text = saved["html"].read_text(encoding="utf-8")
    assert len(text) < 1.5e6
    layers = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])["images"][0]["layers"]
    assert [each["method"] for each in layers] == ["occlusion", "gradient"]


def test_a_scale_that_few_large_values_do_not_rule(visit, tmp_path):
    """The picture's scale "p99" by numpy, for one map and for both; a flip map keeps its own end."""
    page = pick(visit())
    setting(page, "method").select_option("gradient")
    page.locator("#start-0").click()
    finished(page)
    first = page.get_by_role("group", name="First map")
    largest = float(first.locator(".ends span").last.text_content().split()[0])
    told = "99 % of the values lie below a third" in first.text_content()
    page.get_by_label("to the 99th percentile").check()
    with page.expect_download() as found:
        first.get_by_role("link", name="numbers (NPZ)").click()
    found.value.save_as(tmp_path / "map.npz")
    maps = np.abs(eyeline.Attribution.load(tmp_path / "map.npz").maps)
    assert largest == pytest.approx(maps.max(), rel=1e-3)
    assert told == (np.mean(maps > maps.max() / 3) <= 0.01)
    high = float(first.locator(".ends span").last.text_content().split()[0])
    assert high == pytest.approx(np.percentile(maps, 99), rel=1e-3)
    assert "percentile 99 of this map; values beyond (up to " in first.text_content()
    page.locator("#two-maps").check()
    page.locator("#one-scale").check()
    setting(page, "channels", 1).select_option("l2")
    page.locator("#start-1").click()
    finished(page, 1)
    page.screenshot(path=os.environ.get("EYELINE_SHOT", tmp_path / "shot.png"), full_page=True)
    setting(page, "method", 1).select_option("occlusion")
    setting(page, "window", 1).fill("112")
    setting(page, "stride", 1).fill("112")
    page.locator("#start-1").click()
    finished(page, 1)
    page.get_by_label("Where the best class changes", exact=True).check()
    second = page.get_by_role("group", name="Second map")
    page.wait_for_function("document.querySelectorAll('[role=group]')[1].textContent.includes('share of the windows')")
    assert second.locator(".ends span").last.text_content().strip() == "1"


def test_an_own_picture_a_painted_mask_and_an_error(visit, tmp_path):
    page = visit()
    wrong = tmp_path / "wrong.png"
    wrong.write_text("<svg onload=alert(1)>")
    page.locator("#file").set_input_files(wrong)
    page.get_by_role("alert").get_by_text("must be a PNG").wait_for()
    own = tmp_path / "<b>mine<b>.png"
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(own)
    page.locator("#file").set_input_files(own)
    page.wait_for_selector(".bars button")
    assert page.locator(".error p").count() == 0
    assert page.locator("b").count() == 0
    page.get_by_label("shape", exact=True).select_option("painted")
    box = page.locator("#cover").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 160, steps=6)
    page.mouse.up()
    page.wait_for_selector("h3:has-text('with the part covered')")
    page.locator("#wipe").click()
    page.wait_for_selector("h3:has-text('with the part covered')", state="detached")
    setting(page, "window").fill("many")
    page.locator("#start-0").click()
    page.get_by_role("alert").get_by_text("whole numbers of pixels").wait_for()


def test_a_picture_is_dropped_on_the_page(visit):
    page = visit()
    held = io.BytesIO()
    Image.new("RGB", (50, 40), "red").save(held, "PNG")
    page.evaluate(
        """(bytes) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
            document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
        }""",
        list(held.getvalue()),
    )
    page.get_by_text("dropped.png:").wait_for()


def test_keys_alone(visit):
    page = visit()
    page.get_by_role("button", name="coffee").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".bars button")
    page.locator("#cover").focus()
    for _ in range(3):
        page.keyboard.press("Shift+ArrowUp")
    page.wait_for_selector("h3:has-text('with the part covered')")
    page.wait_for_function("document.getElementById('cover').getAttribute('aria-label').includes('row 82')")
    assert "row 82, column 112" in page.locator("#cover").get_attribute("aria-label")
    setting(page, "stride").fill("56")
    page.locator("#start-0").focus()
    page.keyboard.press("Enter")
    finished(page)
    page.locator("#map-0").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#readout-0").text_content().startswith("Row 112, column 113: ")


def test_every_control_has_its_definition_one_click_away(visit):
    page = pick(visit())
    controls = page.locator(".field:visible, .choice:visible")
    assert controls.count() >= 9
    for control in controls.all():
        assert control.locator("details.what summary").count() == 1
        assert len(control.locator("details.what p").text_content()) > 20
    first = page.locator("details.what").first
    first.locator("summary").click()
    assert first.locator("p").is_visible()


def test_visitors_do_not_see_each_other_and_a_closed_page_stops(visit, server):
    one, other = pick(visit()), visit()
    assert other.locator(".bars button").count() == 0
    setting(one, "stride").fill("2")
    one.locator("#start-0").click()
    one.wait_for_function("/^\\d+ of/.test(document.getElementById('state-0').textContent)")
    one.goto("about:blank")
    pick(other, "cat")
    setting(other, "stride").fill("28")
    began = time.monotonic()
    other.locator("#start-0").click()
    finished(other)
    assert time.monotonic() - began < 40
    assert other.locator(".bars .label").first.text_content() != "espresso"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_and_axe(visit, scheme):
    page = pick(visit(color_scheme=scheme, bypass_csp=True))
    setting(page, "stride").fill("56")
    page.locator("#start-0").click()
    finished(page)
    found = Axe().run(page).response["violations"]
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(22, 22, 26)")
