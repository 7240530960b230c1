"""Draws the picture of docs/right_reason.md: runs the page's own example, and looks at its report in Chromium.

Run it as `make screens`: it needs .venv-browser and chromium.
"""

import os
import re
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

PAGE = Path(__file__).parent / "right_reason.md"


def main() -> None:
    """Run the blocks of Python up to the report, and write the picture of its top."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    space = {"__name__": "__main__"}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for block in blocks:
            exec(compile(block, PAGE.name, "exec"), space)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 960, "height": 700})
            page.goto((Path(folder) / "report.html").as_uri())
            bottom = page.get_by_role("heading", name="The figures").bounding_box()
            assert bottom is not None
            drawn = page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": 960, "height": bottom["y"]})
            (PAGE.parent / "pictures" / "audit_report.png").write_bytes(drawn)
            browser.close()


if __name__ == "__main__":
    main()
