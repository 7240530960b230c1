"""The tests' own modules can be imported here."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _path(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
