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


class Display:
    """What a notebook shows, one entry for each time it is drawn."""

    def __init__(self):
        self.drawn = []
        self.HTML = str

    def display(self, text, display_id):
        assert display_id is True
        self.update(text)
        return self

    def update(self, text):
        self.drawn.append(text)


def test_a_notebook_gets_a_bar_of_its_own_that_goes_at_the_end(monkeypatch, capsys):
    shown = Display()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell("ZMQInteractiveShell")))
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    monkeypatch.setattr("eyeline.methods.cell.EVERY", 0.0)
    with bar.progress(4, "<b>occlusion") as advance:
        advance(1)
        advance(3)
    first, quarter, whole, last = shown.drawn
    assert "&lt;b&gt;occlusion: 0 of 4 " in first
    assert "1 of 4, about 0 s left" in quarter
    assert 'value="4" max="4"' in whole
    assert last == ""
    assert capsys.readouterr() == ("", "")


def test_the_bar_of_a_cell_goes_where_a_run_breaks_off(monkeypatch):
    shown = Display()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell("ZMQInteractiveShell")))
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    with pytest.raises(KeyboardInterrupt), bar.progress(4, "occlusion"):
        raise KeyboardInterrupt
    assert shown.drawn[-1] == ""
