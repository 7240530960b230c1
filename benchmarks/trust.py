"""The verdict of `eyeline check` on every method, with the bundled network and two photographs.

    .venv/bin/python benchmarks/trust.py                     # every method; minutes each
    .venv/bin/python benchmarks/trust.py --only gradient     # some, kept beside what was run before
    .venv/bin/python benchmarks/trust.py --table             # write the table into docs/trust.md

Settings that differ from a method's defaults make it cheaper, and stand in the table.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from measure import ROOT, limit_threads, machine, report, versions
from table import filled, rows

RECORD, PAGE = ROOT / "benchmarks" / "trust.json", ROOT / "docs" / "trust.md"
SETTINGS: dict[str, dict[str, Any]] = {
    "occlusion": {"window": 56, "stride": 28},
    "integratedgradients": {"steps": 20},
    "expectedgradients": {"samples": 8},
    "blurig": {"steps": 8},
    "guidedig": {"steps": 8},
    "smoothgrad": {"samples": 10},
    "smoothgradsquared": {"samples": 10},
    "vargrad": {"samples": 10},
    "rise": {"masks": 300},
    "scorecam": {"layer": "blocks"},
    "multiscale": {"inner": {"stride": 28}},
    "baselineagreement": {"inner": {"window": 56, "stride": 28}},
}
"""Where a method's defaults would take hours. `inner` are settings of the occlusion that a method runs."""

TESTS = {
    "random": "weights randomised",
    "shift": "moved elsewhere",
    "nudge": "nudged",
    "seed": "other seed",
    "sum": "sum",
}


def judged(name: str) -> dict[str, Any]:
    """The check of one method on both photographs."""
    import skimage.data
    import torch
    from PIL import Image

    import eyeline
    from eyeline.metrics.check import Check

    torch.set_num_threads(1)
    model = eyeline.load("bundled")
    pictures = [Image.fromarray(each) for each in (skimage.data.chelsea(), skimage.data.coffee())]
    began = time.perf_counter()
    attribution = eyeline.explain(model, pictures, name, **words(name))
    made = time.perf_counter()
    check = Check()(model, attribution)
    found = check.record()
    for image, picture in zip(found["images"], ("chelsea", "coffee"), strict=True):
        image["name"] = picture
    parts = {
        each.name: {key: part.tolist() for key, part in each.measured.parts.items() if key in ("rank", "similarity")}
        for each in check.tests
    }
    return {
        **found,
        "settings": settings(name),
        "parts": parts,
        "stages": list(check.tests[0].measured.stages),
        "seconds": {"maps": made - began, "check": time.perf_counter() - made},
    }


def settings(name: str) -> dict[str, Any]:
    """What is asked of a method, as far as it has such settings."""
    import dataclasses

    from eyeline.methods import METHODS

    known = {field.name for field in dataclasses.fields(METHODS[name])}
    return {key: value for key, value in SETTINGS.get(name, {}).items() if key in known}


def words(name: str) -> dict[str, Any]:
    """What `explain` is told: the same, with the inner method made."""
    import eyeline

    return {key: eyeline.Occlusion(**value) if key == "inner" else value for key, value in settings(name).items()}


def said(given: dict[str, Any]) -> str:
    """Settings as the table has them."""
    flat = {k: v for key, value in given.items() for k, v in (value if key == "inner" else {key: value}).items()}
    return ", ".join(f"{key}={value}" for key, value in flat.items())


def table(record: dict[str, Any]) -> str:
    """One row for each method, worst first; both photographs in a cell."""
    worst = ("failed", "doubtful", "passed")
    found = record["methods"]

    def rank(name: str) -> tuple[int, str]:
        return min(worst.index(image["verdict"]) for image in found[name]["images"]), name

    body = []
    for name in sorted(found, key=rank):
        each = found[name]
        told = said(each["settings"])
        cells = [
            " / ".join(
                f"{image['tests'][test]['value']:.2f}" if test in image["tests"] else "-" for image in each["images"]
            )
            for test in TESTS
        ]
        verdicts = " / ".join(image["verdict"] for image in each["images"])
        body.append((f"`{name}`{f' ({told})' if told else ''}", verdicts, *cells))
    limits = {
        test: image["tests"][test]["limits"]
        for each in found.values() for image in each["images"] for test in image["tests"]
    }  # fmt: skip
    head = []
    for test, words in TESTS.items():
        beyond, (doubtful, failed) = "<" if test == "seed" else ">", limits[test]
        head.append(f"{words}; doubtful {beyond} {doubtful:g}, failed {beyond}= {failed:g}")
    lines = rows(("method", "verdict: cat / cup", *head), *body)
    used = ", ".join(f"{name} {version}" for name, version in sorted(record["versions"].items()) if name != "eyeline")
    return "\n".join([*lines, f"{record['machine']['processor']}; {used}. `benchmarks/trust.py`{missing(record)}", ""])


def missing(record: dict[str, Any]) -> str:
    """Say which methods have no row."""
    left = ", ".join(f"`{name}`" for name in record.get("known", ()) if name not in record["methods"])
    return f". Not run: {left}." if left else "."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--table", action="store_true", help="write the table, run nothing")
    parser.add_argument("--record", type=Path, default=RECORD)
    arguments = parser.parse_args()
    record = json.loads(arguments.record.read_text(encoding="utf-8")) if arguments.record.exists() else {"methods": {}}
    limit_threads(1)
    from eyeline.methods import METHODS

    record["known"] = list(METHODS)
    if arguments.table:
        arguments.record.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    else:
        for name in arguments.only or METHODS:
            record["methods"][name] = judged(name)
            record |= {"machine": machine(), "versions": versions()}
            arguments.record.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            report(f"{name}: {[image['verdict'] for image in record['methods'][name]['images']]}")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(filled(page, {"trust": table(record)}), encoding="utf-8")


if __name__ == "__main__":
    main()
