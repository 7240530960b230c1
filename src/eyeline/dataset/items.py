"""What a run goes through: a folder, a CSV or arrays, as named items with labels, read one at a time."""

import csv
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from eyeline.errors import InputError, first_line
from eyeline.image import SUFFIXES

NAMED, LABELLED = ("image", "path", "file", "filename"), ("label", "class")
"""Columns of a CSV that hold the files and the labels; the first that is there counts."""


@dataclass(frozen=True)
class Item:
    """One image of a run.

    Args:
        name: says which it is: a path below the source, or "image 12".
        label: its true class, or None.
    """

    name: str
    label: str | None = None


class Source(Protocol):
    """Items in a fixed order; workers get a copy of it."""

    @property
    def origin(self) -> str:
        """Say where the items come from, so that a store can find them again; "" where that cannot be said."""
        ...

    @property
    def items(self) -> tuple[Item, ...]:
        """Every item."""
        ...

    def stamp(self, place: int) -> tuple[int, int]:
        """Return size and time of change of a file, by which a changed one is noticed; zeros where there is none."""
        ...

    def read(self, place: int) -> tuple[object, bytes]:
        """Return what `image.collect` takes, and the SHA-256 of the item's bytes.

        Raises:
            InputError: it cannot be read.
        """
        ...


@dataclass(frozen=True)
class Files:
    """Image files below a folder.

    Args:
        root: the folder.
        items: with names that are paths below it.
        origin: what they were found by.
    """

    root: Path
    items: tuple[Item, ...]
    origin: str

    def stamp(self, place: int) -> tuple[int, int]:
        """Return size and time of change."""
        try:
            found = (self.root / self.items[place].name).stat()
        except OSError:
            return 0, 0
        return found.st_size, found.st_mtime_ns

    def read(self, place: int) -> tuple[object, bytes]:
        """Return the path and the hash of the file."""
        path = self.root / self.items[place].name
        try:
            with path.open("rb") as file:
                return path, hashlib.file_digest(file, "sha256").digest()
        except OSError as error:
            raise InputError(
                f"the file must be readable, but {str(path)!r} is not ({error.strerror}). Check the path."
            ) from error


@dataclass(frozen=True)
class Arrays:
    """Images of one array, which may lie on disk.

    Args:
        images: (n, *space, channels), floats, in image space.
        items: one an image.
        origin: the file, or "" for an array in memory.
    """

    images: Any
    items: tuple[Item, ...]
    origin: str = ""

    def stamp(self, place: int) -> tuple[int, int]:
        """Return zeros: an array has no time of its own, so its hash is compared."""
        return 0, 0

    def read(self, place: int) -> tuple[object, bytes]:
        """Return one image with a leading 1, and the hash of its shape, type and bytes."""
        image = np.array(self.images[place : place + 1])
        return image, hashlib.sha256(f"{image.shape} {image.dtype.str} ".encode() + image.tobytes()).digest()

    def __getstate__(self) -> dict[str, Any]:
        """Send a file's name, not its content, to another process."""
        memory = isinstance(self.images, np.memmap) and self.origin.endswith(".npy")
        return {"images": None if memory else self.images, "items": self.items, "origin": self.origin}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if self.images is None:
            object.__setattr__(self, "images", np.load(self.origin, mmap_mode="r"))


def source(given: object, labels: object = None) -> Source:
    """Turn what a caller has into a source.

    Args:
        given: a folder, whose subfolders are classes; a .csv with a column "image" (or path, file, filename), its
            paths relative to it, and maybe "label" (or class); a .npy of images, a .npz with `images` and maybe
            `labels`; an array (n, *space, channels); or a source.
        labels: one an image, for arrays.

    Raises:
        InputError: nothing there, a table without the column, labels of another number.
    """
    if isinstance(given, str | os.PathLike):
        path = Path(given)
        if path.is_dir():
            return folder(path)
        readers: dict[str, Callable[[Path], Any]] = {".csv": table, ".npy": arrays, ".npz": arrays}
        if path.suffix.lower() not in readers or not path.is_file():
            raise InputError(
                f"the images must be a folder, a .csv, a .npy or a .npz that is there, but got {str(path)!r}. "
                "Check the path."
            )
        read: Source = readers[path.suffix.lower()](path)
        return read
    if hasattr(given, "__array__"):
        return _labelled(np.asarray(given), labels)
    if all(hasattr(given, name) for name in ("items", "read", "stamp", "origin")):
        return given  # type: ignore[return-value]
    raise InputError(
        f"the images must be a folder, a file or an array, but got {type(given).__name__}. "
        "Pass for example 'photos/', 'photos.csv' or an array of shape (n, rows, columns, channels)."
    )


def folder(root: Path) -> Files:
    """List the image files below a folder by name; the first folder on the way to a file is its label.

    Raises:
        InputError: there is none.
    """
    found: list[Path] = []
    for base, folders, names in os.walk(root):
        folders[:] = [each for each in folders if not each.startswith(".")]
        pictures = [name for name in names if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES]
        found += [(Path(base) / name).relative_to(root) for name in pictures]
    if not found:
        raise InputError(
            f"the folder must hold image files ({', '.join(SUFFIXES)}), in class folders or not, but {str(root)!r} "
            "holds none. Pass another folder."
        )
    paths = sorted(found, key=lambda path: path.parts)
    items = tuple(Item(path.as_posix(), path.parts[0] if len(path.parts) > 1 else None) for path in paths)
    return Files(root.absolute(), items, str(root.absolute()))


def table(path: Path) -> Files:
    """Read files and labels from a CSV.

    Raises:
        InputError: it cannot be read, or has no column of files; a row without one (the line is said).
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"the table must be a readable CSV in UTF-8, but {str(path)!r} is not ({first_line(error)}). Write it anew."
        ) from error
    columns = {(name or "").strip().lower(): name for name in (rows[0] if rows else {}) if isinstance(name, str)}
    named = next((columns[each] for each in NAMED if each in columns), None)
    labelled = next((columns[each] for each in LABELLED if each in columns), None)
    if named is None:
        raise InputError(
            f"the table must have a row and a column named {', '.join(NAMED[:-1])} or {NAMED[-1]}, but {str(path)!r} "
            f"has {', '.join(map(repr, columns)) or 'none'}. Name the column of the files 'image'."
        )
    items = []
    for line, row in enumerate(rows, start=2):
        if not row[named]:
            raise InputError(f"each row must name a file, but row {line} of {str(path)!r} does not. Take it out.")
        items.append(Item(row[named], (row[labelled] or None) if labelled is not None else None))
    return Files(path.absolute().parent, tuple(items), str(path.absolute()))


def arrays(path: Path) -> Arrays:
    """Open an array on disk; of a .npy only what is asked for is read.

    Raises:
        InputError: it cannot be read, or a .npz has no `images`.
    """
    try:
        found = np.load(path, mmap_mode="r" if path.suffix.lower() == ".npy" else None, allow_pickle=False)
        images, labels = found, None
        if not isinstance(found, np.ndarray):
            images, labels = found["images"], found["labels"] if "labels" in found.files else None
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(
            f"the file must hold an array of images, in a .npz under the name 'images', but {str(path)!r} does not "
            f"({first_line(error)}). Write it with numpy.save or numpy.savez."
        ) from error
    return _labelled(images, labels, str(path.absolute()))


def _labelled(images: Any, labels: object, origin: str = "") -> Arrays:
    if getattr(images, "ndim", 0) < 2 or not len(images):
        raise InputError(
            f"images must be an array (n, *space, channels) with n of 1 or more, but got shape {np.shape(images)}. "
            "Give one image as image[None]."
        )
    told: list[Any] = [None] * len(images) if labels is None else np.asarray(labels).tolist()
    if len(told) != len(images):
        raise InputError(
            f"labels must be one an image ({len(images)}), but got {len(told)}. Pass labels of the same images."
        )
    items = (Item(f"image {i}", None if each is None else str(each)) for i, each in enumerate(told))
    return Arrays(images, tuple(items), origin)
