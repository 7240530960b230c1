"""The tables of docs/trust.md are those of the committed records: no figure by hand, none out of date."""

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

from eyeline.methods import METHODS

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
localisation, trust, table = (importlib.import_module(name) for name in ("localisation", "trust", "table"))
filled = table.filled

PAGE = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("module", [trust, localisation], ids=lambda module: module.__name__)
def test_the_page_says_what_was_measured(module):
    record = json.loads(module.RECORD.read_text(encoding="utf-8"))
    text = module.table(record)
    assert filled(PAGE, {module.__name__: text}) == PAGE, "run the benchmark with --table"
    block = re.search(rf"<!-- {module.__name__} -->\n.*?<!-- end -->", PAGE, re.DOTALL)[0]
    changed = PAGE.replace(block, re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), block, count=1))
    assert filled(changed, {module.__name__: text}) == PAGE != changed


@pytest.mark.parametrize("module", [trust, localisation], ids=lambda module: module.__name__)
def test_no_method_is_missing(module):
    """Every method has a row, with a number or a verdict for every image; one that is left out is noticed."""
    record = json.loads(module.RECORD.read_text(encoding="utf-8"))
    assert set(METHODS) <= set(record["methods"])
    text = module.table(record)
    assert "Not run" not in text
    for name in METHODS:
        assert f"\n| `{name}`" in text
    del record["methods"]["rise"]
    record["known"] = list(METHODS)
    assert "Not run: `rise`." in module.table(record)


@pytest.mark.parametrize("module", [trust, localisation], ids=lambda module: module.__name__)
def test_settings_that_are_not_the_defaults_stand_in_the_table(module):
    record = json.loads(module.RECORD.read_text(encoding="utf-8"))
    for name in METHODS:
        given = record["methods"][name]["settings"]
        row = next(line for line in module.table(record).splitlines() if line.startswith(f"| `{name}`"))
        for value in given.values():
            for part in value.items() if isinstance(value, dict) else [(None, value)]:
                assert f"={part[1]}" in row


def test_the_centre_and_a_random_map_stand_beside_the_methods():
    found = json.loads(localisation.RECORD.read_text(encoding="utf-8"))["methods"]
    assert {name for name in found if name.startswith("a ")} == {"a guess: the centre", "a random map, mean of 50"}


def test_guided_backpropagation_fails_and_the_record_says_why():
    found = json.loads(trust.RECORD.read_text(encoding="utf-8"))["methods"]["guidedbackpropagation"]
    for image in found["images"]:
        assert image["verdict"] == "failed"
        assert image["tests"]["random"]["verdict"] == "failed"
    ranks = found["parts"]["random"]["rank"]
    assert all(row[0] > 0.99 for row in ranks)  # the last layer alone changes nothing
