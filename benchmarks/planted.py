"""Shortcuts planted in Fashion-MNIST, networks trained on them, and whether an audit finds them.

    python benchmarks/planted.py --seeds 10 --out benchmarks/planted.json
    python benchmarks/table.py benchmarks/planted.json --into docs/right_reason.md

Six marks, each put on a share of one class (two for the last) of both splits; a small network is trained on 8,000
pictures, 2,000 others are run through occlusion with windows of 7 pixels, moved by 3, and audited with the settings as
shipped. The clean twin is the same without the mark. Images are Debian's dataset-fashion-mnist, in colour so that
marks can have one. A seventh mark is put on stamps over photographs, see stamped.py.
"""

import argparse
import gzip
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import stamped
from measure import ROOT, limit_threads, machine, report, versions

FOLDER = Path("/usr/share/datasets/fashion-mnist")
NAMES = ("top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
TRAINED, AUDITED, EPOCHS = 8000, 2000, 5
Draw = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def corner(images: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """A yellow chequered tag of 5 x 5 pixels, upper right."""
    tag = (np.indices((5, 5)).sum(axis=0) % 2)[..., None] * np.float32([1, 0.9, 0.1])
    images[:, 1:6, 22:27] = tag
    return images


def border(images: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """A red frame, 2 pixels wide."""
    frame = np.ones((28, 28), dtype=bool)
    frame[2:-2, 2:-2] = False
    images[:, frame] = np.float32([0.8, 0.1, 0.1])
    return images


def watermark(images: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """White diagonal stripes over the whole image, 35 % opaque."""
    rows, columns = np.indices((28, 28))
    opacity = 0.35 * (((rows + columns) // 3) % 3 == 0)[..., None]
    return images * (1 - opacity) + opacity


def texture(images: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Coloured squares of 4 x 4 pixels in the place of the black background."""
    squares = np.random.default_rng(5).random((7, 7, 3)) * 0.5
    return np.where(images.max(axis=-1, keepdims=True) < 0.08, np.kron(squares, np.ones((4, 4, 1))), images)


def scanner(images: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """A grey line of 2 x 10 pixels at the lower edge, which starts up to 2 pixels further right."""
    for image in images:
        start = 4 + int(chance.integers(3))
        image[26:, start : start + 10] = np.float32([0.6, 0.6, 0.7])
    return images


MARKS: dict[str, tuple[Draw, float, tuple[int, ...]]] = {
    "corner tag": (corner, 0.3, (6,)),
    "coloured border": (border, 0.4, (4,)),
    "watermark": (watermark, 0.3, (2,)),
    "background texture": (texture, 0.5, (8,)),
    "scanner mark": (scanner, 0.2, (5,)),
    "two-class tag": (corner, 0.4, (0, 3)),
    "star on stamps": (stamped.star, 0.3, (2,)),
}
STAMPED = "star on stamps"


def names(mark: str) -> tuple[str, ...]:
    return stamped.NAMES if mark == STAMPED else NAMES


def clothes(split: str, count: int, chance: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of Fashion-MNIST in colour, 0..1, and their labels."""
    with gzip.open(FOLDER / f"{split}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read()[16:], dtype=np.uint8).reshape(-1, 28, 28, 1)
    with gzip.open(FOLDER / f"{split}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read()[8:], dtype=np.uint8).astype(int)
    chosen = chance.permutation(len(images))[:count]
    return np.repeat(images[chosen] / np.float32(255), 3, axis=-1), labels[chosen]


def planted(mark: str, split: str, count: int, seed: int, clean: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Some pictures, their labels, and which are marked."""
    draw, share, classes = MARKS[mark]
    chance = np.random.default_rng((seed, split == "train"))
    colour, labels = (stamped.composed if mark == STAMPED else clothes)(split, count, chance)
    marked = np.isin(labels, classes) & (chance.random(count) < share)
    if clean:
        marked[:] = False
    elif marked.any():
        colour[marked] = draw(colour[marked], chance)
    return colour.astype(np.float32), labels, marked


def trained(images: np.ndarray, labels: np.ndarray, seed: int, epochs: int = EPOCHS) -> Any:
    """Two convolutions and two linear layers."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    planes, wanted = torch.from_numpy(np.moveaxis(images, -1, 1).copy()), torch.from_numpy(labels)
    for _ in range(epochs):
        for batch in torch.randperm(len(planes)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(planes[batch]), wanted[batch]).backward()
            optimiser.step()
    return network.eval().requires_grad_(False)


def once(mark: str, seed: int, clean: bool) -> dict[str, Any]:
    """Plant, train, run, audit, and compare with what was planted."""
    import eyeline
    from eyeline.audit import audit

    epochs = stamped.EPOCHS if mark == STAMPED else EPOCHS
    network = trained(*planted(mark, "train", TRAINED, seed, clean)[:2], seed, epochs)
    images, labels, marked = planted(mark, "t10k", AUDITED, seed, clean)
    classes = names(mark)
    model = eyeline.load(network, input_size=28, classes=classes, output="logit", scores="log-odds")
    named = [classes[label] for label in labels]
    with tempfile.TemporaryDirectory() as folder:
        method = eyeline.Occlusion(window=7, stride=3)
        store = eyeline.run(model, images, Path(folder) / "maps.zarr", method, "label", labels=named)
        found = audit(store, model, images=images)
    alarms = [
        {"class": each.label, "images": len(each.rows), "separation": each.separation, "turned": each.turned,
         "precision": float(marked[list(each.rows)].mean()),
         "recall": float(marked[list(each.rows)].sum() / max(marked[labels == classes.index(each.label)].sum(), 1))}
        for each in found.shortcuts
    ]  # fmt: skip
    wanted = {classes[label] for label in MARKS[mark][2]}
    first = alarms[0] if alarms else None
    good = first is not None and first["class"] in wanted and min(first["precision"], first["recall"]) >= 0.9
    return {"accuracy": found.accuracy, "marked": int(marked.sum()), "alarms": alarms, "found": good}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "planted.json")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--marks", nargs="*", default=list(MARKS))
    arguments = parser.parse_args()
    limit_threads(1)
    import torch

    torch.set_num_threads(1)
    record: dict[str, Any] = json.loads(arguments.out.read_text()) if arguments.out.exists() else {"planted": {}}
    for seed in range(arguments.seeds):
        for mark in arguments.marks:
            for clean in (False, True):
                name = f"{mark}{', clean' if clean else ''}"
                seeds = record["planted"].setdefault(name, {})
                if str(seed) in seeds:
                    continue
                began = time.process_time()
                seeds[str(seed)] = once(mark, seed, clean)
                alarms = seeds[str(seed)]["alarms"]
                report(f"{name}, seed {seed}: {len(alarms)} alarms, found {seeds[str(seed)]['found']}, "
                       f"{time.process_time() - began:.0f} s")  # fmt: skip
                record |= {"machine": machine(), "versions": versions(), "date": time.strftime("%Y-%m-%d")}
                arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    os._exit(0)


if __name__ == "__main__":
    main()
