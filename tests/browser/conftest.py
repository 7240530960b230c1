"""Browser tests run in Debian's Chromium, in an environment of their own: `make test-browser`."""

import importlib.util
import shutil

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("playwright") and shutil.which("chromium") else ["test_*.py"]


@pytest.fixture
def watched(browser):
    """Open files in pages of their own; nothing may be asked of a network, and nothing may be said on the console."""
    contexts = []

    def open_(path, **settings):
        context = browser.new_context(viewport={"width": 1100, "height": 900}, **settings)
        page = context.new_page()
        contexts.append((context, said := []))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or said.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_
    for context, said in contexts:
        context.close()
        assert said == []


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
        yield chromium
        chromium.close()
