"""Where the progress bar shows: in notebooks, told by the shell that IPython runs."""

import sys
from types import SimpleNamespace

import pytest

from eyeline.methods import progress as bar


def shell(name):
    return type(name, (), {})()


@pytest.mark.parametrize(
    ("ipython", "expected"),
    [
        (None, False),
        (SimpleNamespace(get_ipython=lambda: None), False),
        (SimpleNamespace(get_ipython=lambda: shell("TerminalInteractiveShell")), False),
        (SimpleNamespace(get_ipython=lambda: shell("ZMQInteractiveShell")), True),
    ],
)
def test_a_notebook_is_known_by_its_shell(monkeypatch, ipython, expected):
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert bar._in_notebook() is expected


def test_without_ipython_nothing_is_imported_for_the_answer(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert bar._in_notebook() is False
    assert "IPython" not in sys.modules


def test_a_notebook_gets_the_bar_without_a_terminal(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell("ZMQInteractiveShell")))
    assert not sys.stderr.isatty()
    with bar.progress(4, "occlusion") as advance:
        advance(4)
        assert advance.__closure__ is not None, "the silent one holds no bar"
