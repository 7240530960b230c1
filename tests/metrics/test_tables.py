"""The tables of docs/trust.md are those of the committed records: no figure by hand, none out of date."""

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

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


def test_guided_backpropagation_fails_and_the_record_says_why():
    found = json.loads(trust.RECORD.read_text(encoding="utf-8"))["methods"]["guidedbackpropagation"]
    for image in found["images"]:
        assert image["verdict"] == "failed"
        assert image["tests"]["random"]["verdict"] == "failed"
    ranks = found["parts"]["random"]["rank"]
    assert all(row[0] > 0.99 for row in ranks)  # the last layer alone changes nothing
