"""The tables of README and docs are those of the committed benchmark records: no figure by hand, none out of date."""

import json
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import engine_bars
import engine_tables
import table

ROOT = Path(__file__).parents[1]
PAGES = {
    "full_path": ("docs/benchmarks.md",),
    "engine": ("docs/benchmarks.md", "README.md"),
    "choice": ("docs/benchmarks.md",),
    "gradient_family": ("docs/benchmarks.md",),
    "layer_family": ("docs/benchmarks.md",),
    "keras_family": ("docs/benchmarks.md",),
    "rise": ("docs/benchmarks.md",),
    "runs": ("docs/datasets.md",),
    "cluster": ("docs/datasets.md",),
    "planted": ("docs/right_reason.md",),
}
CASES = [(record, page) for record, pages in PAGES.items() for page in pages]


def recorded(name):
    return json.loads((ROOT / "benchmarks" / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "page"), CASES)
def test_a_page_says_what_was_measured(name, page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert table.filled(text, table.blocks(recorded(name))) == text, "run benchmarks/table.py, see its docstring"


@pytest.mark.parametrize(("name", "page"), CASES)
def test_a_figure_by_hand_is_seen(name, page):
    """Sabotage twin: one digit of any table of the page is changed."""
    text = (ROOT / page).read_text(encoding="utf-8")
    markers = "|".join(table.blocks(recorded(name)))
    block = re.search(rf"<!-- (?:{markers}) -->\n.*?<!-- end -->", text, re.DOTALL)
    digit = block.start() + re.search(r"\| (\d)", block[0]).start(1)
    changed = text[:digit] + str((int(text[digit]) + 1) % 10) + text[digit + 1 :]
    assert table.filled(changed, table.blocks(recorded(name))) == text != changed


def test_a_missed_bar_is_said():
    parts = recorded("engine")["parts"]
    measured = parts["peers"]["found"]
    for name in engine_bars.BARS.keys() & measured.keys():
        for key in engine_bars.BARS[name]:
            measured[name]["faster"][key] = {"median": 0.9, "low": 0.8, "high": 1.0}
    lost = engine_bars.missed(parts)
    assert all(any(line.startswith(f"{name}: 0.9") for line in lost) for name in engine_bars.BARS.keys() & measured)
    assert (
        "missed: the loop, batch 1; Captum, best setting"
        in engine_tables.blocks({**recorded("engine"), "parts": parts})["engine"]
    )
