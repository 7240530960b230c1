"""Draws the pictures of docs/explorer.md: the explorer in Chromium, on photographs that are in the public domain.

Run it as `make screens`: it needs .venv-browser and chromium.
"""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

PICTURES = Path(__file__).parent / "pictures"
COLOURS = 128
"""Of a picture: enough for these photographs, and each file stays under 200 kB."""


def main() -> None:
    """Serve the bundled network, use the page, and write the pictures."""
    command = [str(Path(sys.executable).parent / "eyeline"), "serve", "--no-show", "--port", "0"]
    serving = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        assert serving.stdout is not None
        found = re.search(r"http://\S+/", serving.stdout.readline())
        assert found is not None
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1000, "height": 700})
            page.set_default_timeout(120_000)
            page.goto(found[0])
            page.add_style_tag(content="section { padding: 0 .6rem .6rem; }")
            use(page)
            browser.close()
    finally:
        serving.send_signal(2)
        serving.wait()


def use(page: Page) -> None:
    """Drag a mask, let a map fill in, put two maps side by side."""
    page.get_by_role("button", name="coffee").click()
    page.wait_for_selector(".bars button")
    box = page.locator("#cover").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 90, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.47 * box["width"], box["y"] + 0.35 * box["height"], steps=8)
    page.mouse.up()
    page.get_by_text("With the part covered").wait_for()
    page.wait_for_timeout(1500)
    part(page, "two", "explorer_drag")

    page.get_by_role("button", name="cat").click()
    page.get_by_text("chelsea.png:").wait_for()
    first = page.get_by_role("group", name="First map")
    first.get_by_label("window", exact=True).fill("56")
    first.get_by_label("stride", exact=True).fill("7")
    page.locator("#start-0").click()
    page.wait_for_function("document.querySelector('progress').value > 0.55 * document.querySelector('progress').max")
    part(page, "three", "explorer_fill")

    page.get_by_role("button", name="coffee").click()
    page.get_by_text("coffee.png:").wait_for()
    first.get_by_label("stride", exact=True).fill("14")
    page.locator("#two-maps").check()
    for panel in ("0", "1"):
        page.locator(f"#start-{panel}").click()
        page.wait_for_function(f"document.getElementById('state-{panel}').textContent.startsWith('Done')")
    page.locator("#map-0").focus()
    page.keyboard.press("ArrowLeft")
    part(page, "three", "explorer_two")


def part(page: Page, heading: str, name: str) -> None:
    """Write the picture of one section."""
    drawn = page.locator(f"section[aria-labelledby={heading}]").screenshot()
    with Image.open(io.BytesIO(drawn)) as image:
        small = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.FLOYDSTEINBERG)
        small.save(PICTURES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
