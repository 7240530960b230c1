"""What a store is of: everything that its numbers depend on, fixed when the run is first started."""

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from eyeline.errors import InputError
from eyeline.incremental.library import LibraryError, choose
from eyeline.models.base import Model, Traceable

VERSION = 2


@dataclass(frozen=True)
class Manifest:
    """What fixes the numbers of a store. Seconds, folders and the order of work are not in it.

    Args:
        method: its name and all its settings, as they were asked for.
        engine: the path that stands for "auto".
        batch: images a pass, in the place of a measured number.
        target: in words.
        weights: hash of the model's weights, or "" where they cannot be seen.
        model: what was assumed of it.
        classes: names, or None.
        unit: of the scores.
        quantity: what a number of a map is.
        image: shape of an image in image space, channels last.
        map: shape of a map.
        scores: how many classes.
        windows: boxes of the sweep, in raster order; () for methods without one.
        chunk: images that are computed and written together.
        threads: of each process, where the framework can be told.
        backend: what computes beside the model's framework, see `backend`.
        fit: how files are brought to the model's size.
        version: of this table.
    """

    method: dict[str, Any]
    engine: str
    batch: int
    target: str
    weights: str
    model: dict[str, str]
    classes: tuple[str, ...] | None
    unit: str
    quantity: str
    image: tuple[int, ...]
    map: tuple[int, ...]
    scores: int
    windows: tuple[Any, ...]
    chunk: int
    threads: int
    backend: dict[str, str]
    fit: str
    version: int = VERSION

    def text(self) -> str:
        """Write it as JSON."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def parse(cls, text: str) -> "Manifest":
        """Read what `text` wrote.

        Raises:
            InputError: another version, or no manifest.
        """
        try:
            found = json.loads(text)
            if found.get("version") != VERSION:
                raise InputError(
                    f"the store must be of version {VERSION}, but got {found.get('version')}. "
                    "Open it with the eyeline that wrote it, or start a new one."
                )
            for name in ("classes", "image", "map", "windows"):
                found[name] = None if found[name] is None else tuple(found[name])
            return cls(**found)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"the store's manifest must be whole, but it is not ({error}). Start a new one.") from None

    def check(self, asked: dict[str, Any]) -> None:
        """Compare with what another start asks for.

        Raises:
            InputError: something differs; the sentence names it.
        """
        for name, value in asked.items():
            own = getattr(self, name)
            if value == own:
                continue
            if isinstance(value, dict) and isinstance(own, dict):
                name, own, value = next(
                    (f"{name}'s {key}", own.get(key), value.get(key))
                    for key in {**own, **value}
                    if own.get(key) != value.get(key)
                )
            raise InputError(
                f"a store must go on as it was begun, but its {name} is {str(own)[:60]!r} and this run's is "
                f"{str(value)[:60]!r}. Pass another store, or the settings that it was begun with."
            )

    def check_model(self, model: Model) -> None:
        """Compare what computes here with what the store was begun with; a file may have another name since.

        Raises:
            InputError: something differs, a framework's version for example.
        """
        described = {**model.describe(), "name": self.model.get("name", "")}
        self.check({"unit": model.unit, "classes": model.classes, "model": described, "backend": backend()})


def backend() -> dict[str, str]:
    """Return the version of eyeline, and its kernels, which also say how wide the processor's vectors are."""
    try:
        kernels = choose()[1]
    except LibraryError:
        kernels = "torch operations"
    return {"eyeline": version("eyeline"), "kernels": kernels}


def fingerprint(model: Model, source: object) -> str:
    """Hash what the model is: the bytes of the file or folder it was opened from, or the weights of a live one.

    "" where neither can be seen: a plain function.
    """
    if isinstance(source, str | os.PathLike) and Path(source).exists():
        return _bytes(Path(source))
    return model.fingerprint() if isinstance(model, Traceable) else ""


def _bytes(path: Path) -> str:
    digest = hashlib.sha256()
    for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if each.is_file():
            digest.update(f"{each.relative_to(path).as_posix()} {each.stat().st_size} ".encode())
            with each.open("rb") as file:
                while block := file.read(2**20):
                    digest.update(block)
    return digest.hexdigest()
