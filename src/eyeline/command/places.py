"""Where the results of a run lie: their folder, and names that take the place of nothing."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from eyeline.command.settings import Format
from eyeline.errors import InputError
from eyeline.image import files

LONGEST = 200
"""Bytes of an image's name that results keep: most file systems take 255, and the method and a number follow."""


def bases(paths: Sequence[str], method: str, folder: Path) -> list[Path]:
    """Return one name per image, without its ending: `<stem>.<method>`, numbered where two would meet.

    A name that would put a result in the place of one of the images is passed over too. Capitals do not tell
    names apart, as some file systems do not.
    """
    taken = {_key(Path(path)) for path in paths}
    made = []
    for path in paths:
        stem = "".join(each if each.isprintable() else "_" for each in Path(path).stem) or "image"
        stem = stem.encode()[:LONGEST].decode(errors="ignore")
        number, base = 1, folder / f"{stem}.{method}"
        while {_key(beside(base, ending)) for ending in get_args(Format)} & taken:
            number += 1
            base = folder / f"{stem}-{number}.{method}"
        taken |= {_key(beside(base, ending)) for ending in get_args(Format)}
        made.append(base)
    return made


def expanded(paths: Sequence[str]) -> list[str]:
    """Put the pictures of a folder, by name, in its place; one without pictures stays, to be refused in its turn."""
    made: list[str] = []
    for path in paths:
        try:
            made += [str(each) for each in files(path)] if os.path.isdir(path) else [path]
        except InputError:
            made.append(path)
    return made


def prepared(folder: Path) -> Path:
    """Make the folder and try it, before the work starts that would be lost without it.

    Raises:
        InputError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"--out must be a folder that can be made and written, but got {str(folder)!r} ({error.strerror}). "
            "Choose another place."
        ) from error
    return folder


def beside(base: Path, ending: str) -> Path:
    """Return a result's file, of the name that `bases` gave."""
    return base.with_name(f"{base.name}.{ending}")


def _key(path: Path) -> str:
    return os.path.realpath(path).casefold()
