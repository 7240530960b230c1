"""Browser tests run in Debian's Chromium, in an environment of their own: `make test-browser`."""

import importlib.util
import shutil

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("playwright") and shutil.which("chromium") else ["test_*.py"]


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
        yield chromium
        chromium.close()
