"""One run of `eyeline explain`: read, explain, write, say. A refused image never stops the others."""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from PIL import Image

from eyeline import picture
from eyeline.attribution import Attribution
from eyeline.colour import SIDES, Style
from eyeline.command import rows
from eyeline.command.settings import Format, Writing
from eyeline.command.words import finding
from eyeline.errors import Error, InputError, MissingDependencyError, UnsupportedError
from eyeline.image import collect, files, original
from eyeline.limits import Limits, limits
from eyeline.methods import Method
from eyeline.models.base import Model
from eyeline.picture.legend import default_style
from eyeline.picture.view import check

Say = Callable[[str], None]

LONGEST = 200
"""Bytes of an image's name that results keep: most file systems take 255, and the method and a number follow."""


@dataclass(frozen=True)
class Done:
    """An image that was explained: what was found, and the files that say so.

    The attribution holds what a picture needs; the scores of the windows would fill the memory of a long run.
    """

    path: str
    base: Path
    attribution: Attribution
    found: str
    files: list[Path]


@dataclass(frozen=True)
class Run:
    """Goes through the images of one run.

    Args:
        model: as `load` returned it.
        method: settings, ready to be called.
        name: of the method, for file names.
        target: as for `explain`.
        writing: what is written.
        say: takes a line for the reader.
        refuse: takes a sentence about an image that was refused.
    """

    model: Model
    method: Method
    name: str
    target: object
    writing: Writing
    say: Say
    refuse: Say

    def __call__(self, paths: Sequence[str]) -> int:
        """Explain every image and return the exit code.

        0: done. 1: an image was refused, the others are done. 2: none is done, and a setting or the model is to blame.
        What is done when the run is broken off is drawn and said all the same.

        Raises:
            UnsupportedError: the model cannot do what the method asks.
            InputError: the folder cannot be written, or the scale cannot be drawn.
        """
        paths = expanded(paths)
        prepared(self.writing.out)
        model, assumed = self.model, set[str]()
        count = read = 0
        waiting: list[Done] = []
        try:
            for path, base in zip(paths, bases(paths, self.name, self.writing.out), strict=True):
                batch = None
                try:
                    batch = collect(
                        path, input_size=model.input_size, axes=model.axes, channels=model.channels, fit=model.fit
                    )
                    read += 1
                    attribution = self.method(model, batch, self.target)
                except (UnsupportedError, MissingDependencyError):
                    raise
                except Error as error:
                    self.refuse(f"{path}: {error}")
                    if read == 1 and batch is not None and isinstance(error, InputError):
                        return 2  # a setting, which the other images would be refused for too
                    continue
                if (line := attribution.assumptions()) not in assumed:
                    self.say(line)
                    assumed.add(line)
                waiting.append(self._data(path, base, attribution))
                count += 1
                if self.writing.is_apart:
                    self._finish([waiting.pop()])
        finally:
            self._finish(waiting)
        if count == len(paths):
            return 0
        return 2 if read and not count else 1

    def _data(self, path: str, base: Path, attribution: Attribution) -> Done:
        """Write the numbers as soon as they are there."""
        formats, made = self.writing.format, []
        if "png" in formats:
            check(attribution, 0)
        if "npz" in formats:
            made.append(attribution.save(_with(base, "npz")))
        if "csv" in formats:
            made.append(rows.save(attribution, _with(base, "csv")))
        fit, found = attribution.fits[0], str(finding(attribution, 0))
        notes = f" ({'; '.join(fit.notes)})" if fit is not None and fit.notes else ""
        return Done(path, base, _slim(attribution), found + notes, made)

    def _finish(self, done: Sequence[Done]) -> None:
        """Draw the maps that share a scale and say what was found; the first picture that fails stops no other.

        Raises:
            InputError: a picture could not be drawn or written.
        """
        failed: Error | None = None
        scale: Limits | None = None
        style = self.writing.style or default_style(*(each.attribution for each in done))
        for each in done:
            if "png" in self.writing.format:
                try:
                    scale = scale or limits(
                        [other.attribution.maps[0] for other in done], self.writing.scale, sides=SIDES[style]
                    )
                    each.files.append(self._picture(each, style, scale))
                except Error as error:
                    failed = failed or error
            files = ", ".join(str(file) for file in each.files)
            self.say(f"{each.path}: {each.found} -> {files or 'no file'}")
        if failed is not None:
            raise failed

    def _picture(self, done: Done, style: Style, scale: Limits) -> Path:
        seen = Image.fromarray(original(done.path)) if done.attribution.fits[0] is not None else None
        drawn = picture.panel(done.attribution, styles=[style], scale=scale, originals=[seen])
        return picture.save(drawn, _with(done.base, "png"))


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
        while {_key(_with(base, ending)) for ending in get_args(Format)} & taken:
            number += 1
            base = folder / f"{stem}-{number}.{method}"
        taken |= {_key(_with(base, ending)) for ending in get_args(Format)}
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


def _slim(attribution: Attribution) -> Attribution:
    """Leave the windows out; what they measured stays, as the legend says it."""
    return attribution if attribution.sweep is None else replace(attribution, sweep=attribution.sweep.slim())


def _with(base: Path, ending: str) -> Path:
    return base.with_name(f"{base.name}.{ending}")


def _key(path: Path) -> str:
    return os.path.realpath(path).casefold()
