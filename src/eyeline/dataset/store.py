"""Maps of many images on disk: a zarr group that any reader of zarr opens, written so that no kill can damage it.

A chunk is written array by array, `status` last, each file under a temporary name first: what `status` calls done is
there. One process writes; a lock says so to others. The times of files, by which a changed one is noticed, and what
else may differ between two runs of the same work, stay outside of `content`.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eyeline._files import writing
from eyeline.dataset.items import Item
from eyeline.dataset.manifest import Manifest
from eyeline.dataset.places import clear, writable
from eyeline.errors import InputError, first_line, require

MISSING, DONE, REFUSED = 0, 1, 2
"""Of a row: not computed yet; its map is there; the image was refused, and the sentence is there."""

SENTENCE = 512
"""Bytes that are kept of the sentence of a refused image."""


@dataclass(frozen=True)
class Block:
    """What was found for some rows, to be written together.

    Args:
        rows: places of the images.
        status: DONE or REFUSED.
        digests: SHA-256 of each image's bytes; zeros where they could not be read.
        stamps: size and time of change of each file.
        arrays: by name, of the rows; zeros for refused ones.
        said: sentences of refused images, "" for the others.
        fell_back: images whose path was found out and replaced by the full one.
    """

    rows: tuple[int, ...]
    status: np.ndarray
    digests: np.ndarray
    stamps: np.ndarray
    arrays: dict[str, np.ndarray]
    said: tuple[str, ...]
    fell_back: int = 0


class Store:
    """An open store.

    The arrays `maps` (rows, *space), `scores` (rows, classes), `weights` and, where windows' scores were kept,
    `windows` (rows, windows, classes) are zarr arrays: indexing reads the chunks that it needs and no others.
    """

    def __init__(self, path: Path, group: Any, manifest: Manifest, items: tuple[Item, ...], origin: str) -> None:
        self.path, self.manifest, self.items, self.origin = path, manifest, items, origin
        self._group = group

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays that a row has numbers in."""
        return tuple(name for name in ("maps", "scores", "weights", "windows") if name in self._group)

    def __getitem__(self, name: str) -> Any:
        """Return one of the arrays, as zarr has it."""
        return self._group[name]

    @property
    def status(self) -> np.ndarray:
        """Return MISSING, DONE or REFUSED for each row."""
        return np.asarray(self._group["status"][: len(self.items)])

    def sentences(self) -> dict[int, str]:
        """Return why images were refused, by row."""
        rows = np.flatnonzero(self.status == REFUSED)
        said = self._group["said"]
        return {int(row): bytes(said[row]).rstrip(b"\0").decode(errors="ignore") for row in rows}

    def write(self, block: Block) -> None:
        """Write some rows, which lie in one chunk or fill several.

        Raises:
            InputError: no room, or no right to write.
        """
        rows = np.asarray(block.rows)
        said = np.zeros((len(rows), SENTENCE), dtype=np.uint8)
        for row, text in zip(said, block.said, strict=True):
            encoded = np.frombuffer(text.encode()[:SENTENCE], dtype=np.uint8)
            row[: len(encoded)] = encoded
        arrays = {**block.arrays, "said": said, "digests": block.digests, "stamps": block.stamps}
        with writable(self.path):
            for name, values in arrays.items():
                _put(self._group[name], rows, values)
            _put(self._group["status"], rows, block.status)

    def unchanged(self, stamps: np.ndarray) -> np.ndarray:
        """Say for each row whether it is finished and its file has the size and time that it had then."""
        found = np.asarray(self._group["stamps"][: len(self.items)])
        return np.asarray((self.status != MISSING) & (found == stamps).all(axis=1))

    def digest(self, row: int) -> bytes:
        """Return the SHA-256 of the image's bytes when it was explained."""
        return bytes(self._group["digests"][row])

    def content(self) -> str:
        """Hash everything that another run of the same work must give too: all but the files' times."""
        digest = hashlib.sha256(self.manifest.text().encode())
        digest.update(json.dumps([[item.name, item.label] for item in self.items]).encode())
        for name in (*self.names, "digests", "said", "status"):
            array = self._group[name]
            digest.update(f"{name} {array.shape} {array.dtype}".encode())
            for start in range(0, array.shape[0], self.manifest.chunk):
                digest.update(np.ascontiguousarray(array[start : start + self.manifest.chunk]).tobytes())
        return digest.hexdigest()

    def relist(self, items: tuple[Item, ...], origin: str) -> None:
        """Take the items of another start: those of before in their places, maybe with other labels, then new ones.

        Raises:
            InputError: no room, or no right to write.
        """
        with writable(self.path):
            for name in (*self.names, "digests", "stamps", "said", "status"):
                array = self._group[name]
                array.resize((len(items), *array.shape[1:]))
        _list(self.path, items, origin)
        self.items, self.origin = items, origin


def create(path: Path, manifest: Manifest, items: tuple[Item, ...], origin: str, *, sweep: bool) -> Store:
    """Make an empty store.

    Raises:
        InputError: the folder cannot be written.
        MissingDependencyError: zarr is not installed.
    """
    zarr = require("zarr", "run")
    clear(path)
    n, chunk = len(items), manifest.chunk
    shapes: dict[str, tuple[tuple[int, ...], str]] = {
        "maps": (manifest.map, "float32"),
        "scores": ((manifest.scores,), "float32"),
        "weights": ((manifest.scores,), "float32"),
        "digests": ((32,), "uint8"),
        "stamps": ((2,), "int64"),
        "said": ((SENTENCE,), "uint8"),
        "status": ((), "uint8"),
    }
    if sweep and manifest.windows:
        shapes["windows"] = (len(manifest.windows), manifest.scores), "float32"
    with writable(path):
        group = zarr.create_group(store=str(path), attributes={"eyeline": manifest.text()})
        for name, (shape, kind) in shapes.items():
            group.create_array(name, shape=(n, *shape), chunks=(chunk, *shape), dtype=kind, fill_value=0)
    _list(path, items, origin)
    return Store(path, group, manifest, items, origin)


def exists(path: Path) -> bool:
    """Say whether a store was made here, wholly."""
    return (path / "items.json").is_file()


def open_store(path: str | Path, *, write: bool = False) -> Store:
    """Open a store that `run` made.

    Raises:
        InputError: there is none, or it is damaged.
        MissingDependencyError: zarr is not installed.

    Examples:
        >>> import numpy as np, tempfile, torch, eyeline
        >>> images = np.random.default_rng(0).random((3, 2, 2, 1), dtype=np.float32)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     made = eyeline.run(torch.nn.Flatten(), images, f"{folder}/maps", eyeline.Gradient(), input_size=(2, 2))
        ...     eyeline.open_store(f"{folder}/maps").names
        ('maps', 'scores', 'weights')
    """
    zarr, path = require("zarr", "run"), Path(path)
    if not exists(path):
        raise InputError(f"the store must be a folder that eyeline run made, but {str(path)!r} is not. Check the path.")
    try:
        group = zarr.open_group(store=str(path), mode="r+" if write else "r")
        manifest = Manifest.parse(str(group.attrs["eyeline"]))
        listed = json.loads((path / "items.json").read_text(encoding="utf-8"))
        items = tuple(Item(name, label) for name, label in listed["items"])
        return Store(path, group, manifest, items, str(listed["origin"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"the store must be whole, but {str(path)!r} is not ({first_line(error)}). Start a new one."
        ) from error


def _put(array: Any, rows: np.ndarray, values: np.ndarray) -> None:
    """Write rows; those that follow each other without reading their chunk first."""
    if rows[-1] - rows[0] == len(rows) - 1:
        array[int(rows[0]) : int(rows[-1]) + 1] = values
    else:
        array.oindex[rows] = values


def _list(path: Path, items: Sequence[Item], origin: str) -> None:
    with writing(path / "items.json") as file:
        file.write(json.dumps({"origin": origin, "items": [[each.name, each.label] for each in items]}).encode())
