"""Stores whose every number is laid by hand."""

import hashlib

import numpy as np

from eyeline.dataset.items import Item
from eyeline.dataset.manifest import Manifest
from eyeline.dataset.store import DONE, REFUSED, Block, create, open_store

CLASSES = ("a", "b", "c")


def manifest(size, count, **changes):
    words = {
        "method": {"name": "gradient", "channels": "signed"}, "engine": "", "batch": 1, "target": "label",
        "weights": "", "model": {"name": "laid"}, "classes": CLASSES, "unit": "score", "quantity": "by hand",
        "image": (*size, 1), "map": size, "scores": len(CLASSES), "windows": (), "chunk": 2, "threads": 1,
        "fit": "squash", "backend": {},
    }  # fmt: skip
    return Manifest(**{**words, "scores": count, **changes})


def store(path, maps, scores, explained=None, labels=None, names=None, refused=(), contents=None, **changes):
    """A store of these maps; `refused` rows have none, `contents` stand for the images' bytes."""
    maps, scores = np.asarray(maps, dtype=np.float32), np.asarray(scores, dtype=np.float32)
    n = len(maps)
    names = [f"image {row}" for row in range(n)] if names is None else names
    labels = [None] * n if labels is None else labels
    explained = [0] * n if explained is None else explained
    items = tuple(Item(name, label) for name, label in zip(names, labels, strict=True))
    made = create(path, manifest(maps.shape[1:], scores.shape[1], **changes), items, "", sweep=False)
    weights = np.eye(scores.shape[1], dtype=np.float32)[explained]
    digests = [hashlib.sha256(str(each).encode()).digest() for each in (contents or names)]
    made.write(
        Block(
            rows=tuple(range(n)),
            status=np.array([REFUSED if row in refused else DONE for row in range(n)], dtype=np.uint8),
            digests=np.array([list(each) for each in digests], dtype=np.uint8),
            stamps=np.zeros((n, 2), dtype=np.int64),
            arrays={"maps": maps, "scores": scores, "weights": weights},
            said=tuple("it cannot be read" if row in refused else "" for row in range(n)),
        )
    )
    return open_store(path)
