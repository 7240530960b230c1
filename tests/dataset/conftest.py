"""The tests' own modules can be imported here, and in the processes that the tests start."""

import os
import sys
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _path(monkeypatch):
    here = str(Path(__file__).parent)
    monkeypatch.syspath_prepend(here)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]))
    assert here in sys.path
