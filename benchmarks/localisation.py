"""Do the maps lie on the object? Stamps with an exact mask, composed over photographs, with the bundled network.

    apt-get install tuxpaint-stamps-default                 # GPL: read here, never shipped
    .venv/bin/python benchmarks/localisation.py             # every method
    .venv/bin/python benchmarks/localisation.py --only gradient
    .venv/bin/python benchmarks/localisation.py --table     # write the table into docs/trust.md

The explained class is the best one of the composition, where the stamp made it so: it is not that of the photograph
alone, and its odds have risen at least a hundredfold. So the stamp is what the network has seen, whatever it takes it
for.
"""

import argparse
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from measure import ROOT, limit_threads, machine, report, versions
from table import filled, rows
from trust import missing, said, settings, words

RECORD, PAGE = ROOT / "benchmarks" / "localisation.json", ROOT / "docs" / "trust.md"
STAMPS = Path("/usr/share/tuxpaint/stamps/animals")
SIDE, LONGEST, WANTED, RISE, DRAWS = 224, 128, 16, np.log(100), 50


def composed(seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, str]]:
    """Photograph with a stamp, the photograph alone, the mask, and what it is; endless."""
    import skimage.data
    from PIL import Image

    photographs = [
        np.asarray(Image.fromarray(each).convert("RGB").resize((SIDE, SIDE)), dtype=np.float32) / 255
        for each in (skimage.data.chelsea(), skimage.data.coffee(), skimage.data.camera())
    ]
    stamps = sorted(path for path in STAMPS.rglob("*.png") if "cartoon" not in path.parts)
    generator = np.random.default_rng(seed)
    for number in generator.permutation(len(stamps)):
        stamp = Image.open(stamps[number]).convert("RGBA")
        scale = LONGEST / max(stamp.size)
        stamp = stamp.resize((max(1, round(stamp.width * scale)), max(1, round(stamp.height * scale))))
        pixels = np.asarray(stamp, dtype=np.float32) / 255
        height, width = pixels.shape[:2]
        top, left = generator.integers(0, SIDE - height + 1), generator.integers(0, SIDE - width + 1)
        ground = photographs[generator.integers(len(photographs))]
        made, mask = ground.copy(), np.zeros((SIDE, SIDE), dtype=bool)
        place = (slice(top, top + height), slice(left, left + width))
        alpha = pixels[..., 3:]
        made[place] = alpha * pixels[..., :3] + (1 - alpha) * made[place]
        mask[place] = alpha[..., 0] > 0.5
        yield made, ground, mask, stamps[number].stem


def seen(model: Any) -> tuple[np.ndarray, np.ndarray, list[int], list[str], int]:
    """Compositions whose stamp the network has seen: images, masks, classes, names, and how many were tried."""
    images, masks, classes, names, tried = [], [], [], [], 0
    for made, ground, mask, name in composed():
        tried += 1
        with_it, without = model.scores(np.stack([made, ground]))
        raised = int(with_it.argmax())
        if raised != without.argmax() and with_it[raised] - without[raised] >= RISE:
            images.append(made)
            masks.append(mask)
            classes.append(raised)
            names.append(name)
        if len(images) == WANTED:
            break
    return np.stack(images), np.stack(masks), classes, names, tried


def judged(found: Any, model: Any, masks: np.ndarray) -> dict[str, list[float | None]]:
    """Pointing game, with and without the paper's tolerance, and evidence inside, image by image."""
    from eyeline.metrics import EvidenceInside, PointingGame, Region

    region = Region(mask=masks)
    metrics = {"hit": PointingGame(region), "near": PointingGame(region, 15), "inside": EvidenceInside(region)}
    return {
        name: [float(value) if np.isfinite(value) else None for value in metric(model, found).values]
        for name, metric in metrics.items()
    }


def guesses(attribution: Any, model: Any, masks: np.ndarray) -> dict[str, dict[str, list[float | None]]]:
    """What maps reach that know nothing: the middle, and the mean over many maps of noise."""
    row, column = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    n = len(attribution.maps)
    middle = np.exp(-(row**2 + column**2) / (2 * (SIDE / 6) ** 2)).astype(np.float32)
    noise = np.random.default_rng(1).random((DRAWS, n, SIDE, SIDE), dtype=np.float32)

    def of(maps: np.ndarray) -> dict[str, list[float | None]]:
        return judged(dataclasses.replace(attribution, maps=maps), model, masks)

    drawn = [of(maps) for maps in noise]
    means = {name: np.mean([each[name] for each in drawn], axis=0).tolist() for name in drawn[0]}
    return {"a guess: the centre": of(np.repeat(middle[None], n, axis=0)), f"a random map, mean of {DRAWS}": means}


def mean(values: list[float | None]) -> str:
    known = [each for each in values if each is not None]
    return f"{np.mean(known):.2f}" if known else "-"


def table(record: dict[str, Any]) -> str:
    """Best evidence inside first."""
    found = record["methods"]
    order = sorted(found, key=lambda name: -float(mean(found[name]["inside"])))
    head = ("method", "pointing game", "within 15 pixels", "evidence inside")
    body = []
    for name in order:
        told = said(found[name].get("settings", {}))
        label = name if name.startswith("a ") else f"`{name}`{f' ({told})' if told else ''}"
        body.append((label, *(mean(found[name][each]) for each in ("hit", "near", "inside"))))
    area = f"{np.mean(record['area']):.2f}"
    note = (
        f"{len(record['names'])} compositions of {record['tried']} tried; the stamps have {area} of the image. "
        f"{record['machine']['processor']}. `benchmarks/localisation.py`{missing(record)}"
    )
    return "\n".join([*rows(head, *body), note, ""])


def run(names: list[str], record: dict[str, Any], path: Path) -> None:
    import torch

    import eyeline

    torch.set_num_threads(1)
    model = eyeline.load("bundled")
    images, masks, classes, stamps, tried = seen(model)
    record |= {"names": stamps, "tried": tried, "area": masks.mean(axis=(1, 2)).tolist()}
    record |= {"classes": [model.classes[each] for each in classes], "machine": machine(), "versions": versions()}
    report(", ".join(f"{a}: {b}" for a, b in zip(stamps, record["classes"], strict=True)))
    record["methods"] |= guesses(eyeline.explain(model, images, "gradient", classes), model, masks)
    for name in names:
        attribution = eyeline.explain(model, images, name, classes, **words(name))
        record["methods"][name] = {**judged(attribution, model, masks), "settings": settings(name)}
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        report(f"{name}: " + ", ".join(mean(record["methods"][name][each]) for each in ("hit", "near", "inside")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--table", action="store_true", help="write the table, run nothing")
    arguments = parser.parse_args()
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {"methods": {}}
    limit_threads(1)
    from eyeline.methods import METHODS

    record["known"] = list(METHODS)
    if arguments.table:
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    else:
        run(arguments.only or list(METHODS), record, RECORD)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(filled(page, {"localisation": table(record)}), encoding="utf-8")


if __name__ == "__main__":
    main()
