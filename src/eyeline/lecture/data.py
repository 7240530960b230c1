"""The lecture's arrays: from a folder of class folders, from an .npz, or drawn on the spot."""

import os
import zipfile
import zlib
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
from jaxtyping import Float32, Int

from eyeline.errors import InputError
from eyeline.image import collect, files
from eyeline.lecture.drawn import PARTS, SIZE, draw

TRAIN, TEST = 2500, 400
"""Pictures that are drawn where there is no source."""

FIFTH = 5
"""Of a folder without train and test folders, the first of every five files of a class is the test part."""

SMALLEST = 16
"""Pixels a side: below, the network's blocks have nothing left to look at."""

ARRAYS = ("train_X", "train_classes", "test_X", "test_classes")


class Data(TypedDict):
    """What `load_data` returns.

    Images are (n, rows, columns, 3), float32 in 0..1; classes are one-hot rows, float32; `classes` names their
    columns. Where the pictures were drawn, the parts are boxes: rows start, stop, then columns start, stop, and
    zeros for a picture without a part.
    """

    train_X: Float32[np.ndarray, "n rows columns 3"]
    train_classes: Float32[np.ndarray, "n classes"]
    test_X: Float32[np.ndarray, "m rows columns 3"]
    test_classes: Float32[np.ndarray, "m classes"]
    classes: tuple[str, ...]
    train_parts: NotRequired[Int[np.ndarray, "n 2 2"]]
    test_parts: NotRequired[Int[np.ndarray, "m 2 2"]]


def load_data(source: str | os.PathLike[str] | None = None) -> Data:
    """Load images and one-hot classes, in a train and a test part.

    Args:
        source: None draws 2900 vessels whose classes differ in one part (a mug's handle, a teapot's spout), always
            the same. A folder holds one folder of image files per class, or `train` and `test` folders of such
            folders; images are squashed to 64 x 64, and without `train` and `test` the first of every five files of
            a class, by name, is the test part. An .npz file holds train_X, train_classes, test_X, test_classes,
            and `classes`, the names, where they are known.

    Returns:
        A dict of `train_X`, `train_classes`, `test_X`, `test_classes` and `classes`; drawn pictures have
        `train_parts` and `test_parts` too.

    Raises:
        InputError: no such folder or file, an image that cannot be read, fewer than two classes, arrays that are
            not floats in 0..1 or not one-hot.

    Examples:
        >>> data = load_data()
        >>> data["test_X"].shape, data["classes"]
        ((400, 64, 64, 3), ('goblet', 'jar', 'mug', 'teapot', 'tumbler'))
    """
    if source is None:
        return _drawn()
    path = Path(source).expanduser()
    if path.is_dir():
        return _folder(path)
    if path.suffix.lower() == ".npz" and path.is_file():
        return _archive(path)
    raise InputError(
        f"the data must be a folder of class folders or an .npz file, but got {str(path)!r}. Check the path, or leave "
        "the source out: then a data set is drawn."
    )


def _drawn() -> Data:
    train, test = draw(TRAIN, seed=0), draw(TEST, seed=1)
    hot = np.eye(len(PARTS), dtype=np.float32)
    return {
        "train_X": train.images, "train_classes": hot[train.classes], "train_parts": train.parts,
        "test_X": test.images, "test_classes": hot[test.classes], "test_parts": test.parts,
        "classes": tuple(PARTS),
    }  # fmt: skip


def _folder(path: Path) -> Data:
    names = _folders(path)
    if {"train", "test"} <= set(names):
        names, tested = _folders(path / "train"), _folders(path / "test")
        if names != tested:
            odd = sorted(set(names) ^ set(tested))[0]
            raise InputError(
                f"train and test must hold the same class folders, but got {odd!r} in one of them only "
                f"({str(path)!r}). Add the other one."
            )
        train = [files(path / "train" / name) for name in names]
        test = [files(path / "test" / name) for name in names]
    else:
        every = [files(path / name) for name in names]
        train = [tuple(file for i, file in enumerate(each) if i % FIFTH) for each in every]
        test = [each[::FIFTH] for each in every]
    if len(names) < 2 or not all(train):
        raise InputError(
            f"the folder must hold two class folders or more, each with two images or more, but got {len(names)} "
            f"({str(path)!r}). Put the images of each class into a folder with its name."
        )
    (train_images, train_classes), (test_images, test_classes) = _read(train), _read(test)
    return {
        "train_X": train_images, "train_classes": train_classes,
        "test_X": test_images, "test_classes": test_classes,
        "classes": tuple(names),
    }  # fmt: skip


def _folders(path: Path) -> list[str]:
    try:
        return sorted(each.name for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))
    except OSError as error:
        raise InputError(
            f"the folder must be readable, but {str(path)!r} is not ({error.strerror}). Check its rights."
        ) from error


def _read(parts: list[tuple[Path, ...]]) -> tuple[np.ndarray, np.ndarray]:
    paths = [file for part in parts for file in part]
    classes = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    images = collect(paths, input_size=(SIZE, SIZE), channels=3).images
    return images, np.eye(len(parts), dtype=np.float32)[classes]


def _archive(path: Path) -> Data:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            given: dict[str, Any] = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"the data must be an .npz file of plain arrays, but {path.name!r} is not ({error}). "
            "Write it with np.savez(path, train_X=..., train_classes=..., test_X=..., test_classes=...)."
        ) from error
    missing = [name for name in ARRAYS if name not in given]
    if missing:
        raise InputError(
            f"the data must hold {', '.join(ARRAYS)}, but {missing[0]!r} is missing ({path.name!r} holds "
            f"{', '.join(given) or 'nothing'}). Write it with np.savez."
        )
    train, test = _images(given, "train"), _images(given, "test")
    train_classes, test_classes = _one_hot(given, "train"), _one_hot(given, "test")
    width = train_classes.shape[1]
    names = tuple(map(str, given.get("classes", [f"class {i}" for i in range(width)])))
    if train.shape[1:] != test.shape[1:] or test_classes.shape[1] != width or len(names) != width:
        raise InputError(
            f"both parts must have one image size and one number of classes, but got {train.shape[1:]} with {width} "
            f"classes, {test.shape[1:]} with {test_classes.shape[1]} and {len(names)} names ({path.name!r}). "
            "Make both parts alike."
        )
    return {
        "train_X": train, "train_classes": train_classes, "test_X": test, "test_classes": test_classes,
        "classes": names,
    }  # fmt: skip


def _images(given: dict[str, Any], part: str) -> Float32[np.ndarray, "n rows columns 3"]:
    images = given[f"{part}_X"]
    if images.ndim != 4 or images.shape[-1] != 3 or not len(images) or min(images.shape[1:3]) < SMALLEST:
        raise InputError(
            f"{part}_X must have shape (n, rows, columns, 3) with {SMALLEST} rows and columns or more, but got "
            f"{images.shape}. Stack RGB images, channels last."
        )
    if images.dtype.kind != "f":
        raise InputError(
            f"{part}_X must hold floats in 0..1, but got {images.dtype}. Divide 8-bit pixels by 255 before np.savez."
        )
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= 1):  # also where they are NaN
        raise InputError(
            f"{part}_X must hold floats in 0..1, but got values within {low:.4g}..{high:.4g}. "
            "Scale them before np.savez."
        )
    return np.asarray(images, dtype=np.float32)


def _one_hot(given: dict[str, Any], part: str) -> Float32[np.ndarray, "n classes"]:
    classes, n = given[f"{part}_classes"], len(given[f"{part}_X"])
    hot = classes.ndim == 2 and classes.shape[1] >= 2 and classes.dtype.kind in "fiub"
    if (
        not hot
        or len(classes) != n
        or not ((classes == 0) | (classes == 1)).all()
        or not (classes.sum(axis=1) == 1).all()
    ):
        raise InputError(
            f"{part}_classes must be one-hot, one row per image of {part}_X ({n}) with a single 1 among two columns or "
            f"more, but got shape {classes.shape} of {classes.dtype}. Pass np.eye(number_of_classes)[labels]."
        )
    return np.asarray(classes, dtype=np.float32)
