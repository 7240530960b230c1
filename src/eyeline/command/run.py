"""One run of `eyeline explain`: read, explain, write, say. A refused image never stops the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from eyeline import picture
from eyeline.attribution import Attribution
from eyeline.colour import SIDES, Style
from eyeline.command import rows
from eyeline.command.places import bases, beside, expanded, prepared
from eyeline.command.settings import Writing
from eyeline.command.words import finding
from eyeline.errors import Error, InputError, MissingDependencyError, UnsupportedError
from eyeline.image import collect, original
from eyeline.limits import Limits, limits
from eyeline.methods import Method
from eyeline.models.base import Model
from eyeline.page import Report
from eyeline.picture.legend import default_style
from eyeline.picture.view import check

Say = Callable[[str], None]

ALL = "comparison"
"""What the picture of several methods is called."""

REPORT = "report.html"
"""What the page of all images and methods is called."""


@dataclass(frozen=True)
class Done:
    """An image that was explained: what each method found, and the files that say so.

    The attributions hold what a picture needs; the scores of the windows would fill the memory of a long run.
    """

    path: str
    named: dict[str, Path]
    attributions: dict[str, Attribution]
    found: dict[str, str]
    files: dict[str, list[Path]]


@dataclass(frozen=True)
class Run:
    """Goes through the images of one run.

    Args:
        model: as `load` returned it.
        methods: settings, ready to be called, by the name that files have. Several are drawn side by side.
        target: as for `explain`.
        writing: what is written.
        say: takes a line for the reader.
        refuse: takes a sentence about an image that was refused.
        report: gathers what its page shows, where that is written.
    """

    model: Model
    methods: dict[str, Method]
    target: object
    writing: Writing
    say: Say
    refuse: Say
    report: Report = field(default_factory=Report)

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
        model, assumed, count, read = self.model, set[str](), 0, 0
        waiting: list[Done] = []
        try:
            for path, named in zip(paths, self._bases(paths), strict=True):
                batch = None
                try:
                    batch = collect(
                        path, input_size=model.input_size, axes=model.axes, channels=model.channels, fit=model.fit
                    )
                    read += 1
                    found = {name: method(model, batch, self.target) for name, method in self.methods.items()}
                except (UnsupportedError, MissingDependencyError):
                    raise
                except Error as error:
                    self.refuse(f"{path}: {error}")
                    if read == 1 and batch is not None and isinstance(error, InputError):
                        return 2  # a setting, which the other images would be refused for too
                    continue
                for attribution in found.values():
                    if (line := attribution.assumptions()) not in assumed:
                        self.say(line)
                        assumed.add(line)
                waiting.append(self._data(path, named, found))
                count += 1
                if self.writing.is_apart:
                    self._finish([waiting.pop()])
        finally:
            try:
                self._finish(waiting)
            finally:
                self._page()
        if count == len(paths):
            return 0
        return 2 if read and not count else 1

    def _bases(self, paths: Sequence[str]) -> list[dict[str, Path]]:
        """Return, for each image, the names of its files by method, and that of the picture of all of them."""
        names = [*self.methods, ALL] if len(self.methods) > 1 else [*self.methods]
        columns = (bases(paths, name, self.writing.out) for name in names)
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def _data(self, path: str, named: dict[str, Path], found: dict[str, Attribution]) -> Done:
        """Write the numbers as soon as they are there."""
        formats, made = self.writing.format, Done(path, named, {}, {}, {})
        for name, attribution in found.items():
            if "png" in formats:
                check(attribution, 0)
            made.files[name] = []
            if "npz" in formats:
                made.files[name].append(attribution.save(beside(named[name], "npz")))
            if "csv" in formats:
                made.files[name].append(rows.save(attribution, beside(named[name], "csv")))
            if "html" in formats:
                self.report.add(attribution)
            fit, words = attribution.fits[0], str(finding(attribution, 0))
            made.found[name] = words + (f" ({'; '.join(fit.notes)})" if fit is not None and fit.notes else "")
            made.attributions[name] = _slim(attribution)
        return made

    def _finish(self, done: Sequence[Done]) -> None:
        """Draw the maps that share a scale and say what was found; the first picture that fails stops no other.

        Raises:
            InputError: a picture could not be drawn or written.
        """
        failed: Error | None = None
        looks: dict[str, tuple[Style, Limits]] = {}
        for each in done:
            drawn: list[Path] = []
            if "png" in self.writing.format:
                try:
                    looks = looks or self._looks(done)
                    drawn.append(self._picture(each, looks))
                except Error as error:
                    failed = failed or error
            self._tell(each, drawn)
        if failed is not None:
            raise failed

    def _page(self) -> None:
        if len(self.report):
            self.say(f"All on one page: {self.report.write(self.writing.out / REPORT)}")

    def _looks(self, done: Sequence[Done]) -> dict[str, tuple[Style, Limits]]:
        """Choose style and scale for each quantity, from all maps of it."""
        every, looks = [found for each in done for found in each.attributions.values()], {}
        for quantity in dict.fromkeys(each.quantity for each in every):
            alike = [each for each in every if each.quantity == quantity]
            style = self.writing.style or default_style(*alike)
            looks[quantity] = style, limits([each.maps[0] for each in alike], self.writing.scale, sides=SIDES[style])
        return looks

    def _picture(self, done: Done, looks: dict[str, tuple[Style, Limits]]) -> Path:
        # Side by side where the quantity is one, so that they share a bar.
        names = sorted(done.attributions, key=lambda name: list(looks).index(done.attributions[name].quantity))
        attributions = [done.attributions[name] for name in names]
        seen = Image.fromarray(original(done.path)) if attributions[0].fits[0] is not None else None
        drawn = picture.panel(
            *attributions,
            styles={quantity: style for quantity, (style, _) in looks.items()},
            scale={quantity: scale for quantity, (_, scale) in looks.items()},
            originals=[seen],
            titles=names if len(names) > 1 else None,
        )
        return picture.save(drawn, beside(done.named.get(ALL, done.named[names[0]]), "png"))

    def _tell(self, done: Done, drawn: list[Path]) -> None:
        several = len(done.found) > 1
        for name, found in done.found.items():
            files = ", ".join(map(str, done.files[name] + ([] if several else drawn)))
            said = f"{done.path}, {name}: {found}" if several else f"{done.path}: {found}"
            self.say(f"{said} -> {files or 'no file'}" if files or not several else said)
        if several and "png" in self.writing.format:
            self.say(f"{done.path}: side by side -> {drawn[0] if drawn else 'no file'}")


def _slim(attribution: Attribution) -> Attribution:
    """Leave the windows out; what they measured stays, as the legend says it."""
    return attribution if attribution.sweep is None else replace(attribution, sweep=attribution.sweep.slim())
