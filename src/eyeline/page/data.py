"""What the report's page is made from: plain lists and texts, arrays as base64 of little-endian numbers.

A method that keeps a sweep brings the scores of its windows, from which the page lays the map of any class as `lay`
does, or, where that is too much for a page, the maps of the best classes; other methods bring their map. Numbers are
float32, as they are stored.
"""

import base64
import hashlib
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from eyeline.attribution import Attribution
from eyeline.colour import AGAINST, FOR, diverging, sequential, to_bytes
from eyeline.errors import InputError, UnsupportedError
from eyeline.picture.legend import plain, probability
from eyeline.picture.view import visible
from eyeline.region import Labels, Regions, SoftWindows, Together, Windows
from eyeline.sweep import Sweep

TOP = 10
"""How many of the best classes can be chosen, beside those that were asked for."""

FEW = 5
"""And where a class is a whole map."""

Record = dict[str, Any]


class Gathered:
    """Entries of images, a layer for each method, as attributions come; the attributions themselves are let go."""

    def __init__(self) -> None:
        self._images: dict[tuple[str, bytes], Record] = {}

    def __len__(self) -> int:
        return len(self._images)

    def add(self, attribution: Attribution) -> None:
        """Add the maps of one attribution; those of an image that is there already become its layers.

        Raises:
            InputError: channels that are no colours.
            UnsupportedError: signals or volumes.
        """
        if attribution.images.ndim != 4:
            raise UnsupportedError(
                f"a report must be of pictures with two spatial axes, but got {attribution.images.ndim - 2}. "
                "Draw signals with eyeline.plot.plot, and planes of volumes with eyeline.picture.panel."
            )
        for index, name in enumerate(attribution.names):
            key = (name, hashlib.sha256(attribution.images[index].tobytes()).digest())
            if key not in self._images:
                self._images[key] = _image(attribution, index)
            self._images[key]["layers"] += _layers(attribution, index)

    def payload(self) -> Record:
        """Return everything that the page shows.

        Raises:
            InputError: nothing to show.
        """
        if not self._images:
            raise InputError("a report must have an attribution, but got none. Pass what explain returned.")
        return {"images": list(self._images.values()), "colours": colours()}


def payload(attributions: Sequence[Attribution]) -> Record:
    """Return everything that the page of these attributions shows; errors as those of `Gathered`."""
    gathered = Gathered()
    for attribution in attributions:
        gathered.add(attribution)
    return gathered.payload()


def _image(attribution: Attribution, index: int) -> Record:
    pixels, notes = visible(attribution.images[index])
    best = np.argsort(-attribution.scores[index], kind="stable")[:TOP]
    return {
        "name": plain(attribution.names[index]),
        "rows": pixels.shape[0],
        "columns": pixels.shape[1],
        "picture": encoded(Image.fromarray(to_bytes(pixels))),
        "notes": notes,
        "unit": attribution.unit,
        "predictions": [_prediction(attribution, index, int(each)) for each in best],
        "layers": [],
    }


def _prediction(attribution: Attribution, index: int, which: int) -> Record:
    score = float(attribution.scores[index, which])
    shown: Record = {"class": which, "name": _class(attribution, which), "score": score}
    if attribution.unit != "score":
        shown["probability"] = probability(score) if attribution.unit == "log-odds" else score
    return shown


def _layers(attribution: Attribution, index: int) -> list[Record]:
    """Return one layer, or one for each channel where the maps have them."""
    values = attribution.maps[index]
    settings = {key: value for key, value in attribution.method.items() if key != "name" and value is not None}
    layer = {
        "method": attribution.method["name"],
        "quantity": plain(attribution.quantity),
        "unit": attribution.unit,
        "target": plain(attribution.targets[index]),
        "weights": _weights(attribution, index),
        "settings": {key: plain(str(value)) for key, value in settings.items()},
        "provenance": _told(attribution.provenance),
    }
    sweep = attribution.sweep
    if sweep is not None and sweep.reference.ndim == 2 and _is_laid(sweep.regions):
        layers = [layer | {"sweep": _sweep(attribution, sweep, index)}]
    elif values.ndim == 2:
        laid = {"laid": _laid(attribution, sweep, index)} if sweep is not None and _is_shared(sweep.regions) else {}
        layers = [layer | {"map": numbers(values, "<f4"), **laid}]
    else:
        channels = range(values.shape[2])
        layers = [layer | {"channel": each, "map": numbers(values[..., each], "<f4")} for each in channels]
    further = {name: maps[index] for name, maps in attribution.further.items() if maps.ndim == 3}
    return layers + [
        layer | {"further": plain(name.replace("_", " ")), "map": numbers(each, "<f4")}
        for name, each in further.items()
    ]


def _weights(attribution: Attribution, index: int) -> list[tuple[int, float]]:
    row = attribution.weights[index]
    return [(int(each), float(row[each])) for each in np.flatnonzero(row)]


def _sweep(attribution: Attribution, sweep: Sweep, index: int) -> Record:
    """Return the windows and their scores of the best classes and those that were asked for."""
    held = _held(attribution, index, TOP)
    winners = sweep.scores[index].argmax(axis=1)
    return {
        **_regions(sweep.regions, index),
        "classes": _named(attribution, held),
        "scores": numbers(sweep.scores[index][:, held], "<f4"),
        "reference": numbers(sweep.reference[index][held], "<f4"),
        "measure": sweep.measure,
        "overlap": sweep.overlap,
        "keep": sweep.keep,
        "top": int(attribution.scores[index].argmax()),
        "winners": numbers(winners, "<i4"),
        "winnerNames": {str(each): _class(attribution, int(each)) for each in np.unique(winners)},
    }


def _laid(attribution: Attribution, sweep: Sweep, index: int) -> Record:
    """Return the maps of the best classes and those that were asked for, each laid as `to` would."""
    held = _held(attribution, index, FEW)
    scores, reference = (
        np.moveaxis(each[index][..., held], -1, 0)[..., None] for each in (sweep.scores, sweep.reference)
    )
    alone = replace(sweep, scores=scores, reference=reference)  # a class stands where an image would
    maps = alone.maps(np.ones((len(held), 1), dtype=np.float32), attribution.maps.shape[1:])
    return {"classes": _named(attribution, held), "maps": numbers(maps, "<f4")}


def _held(attribution: Attribution, index: int, count: int) -> np.ndarray:
    """Return the best classes of an image, and those that were asked for."""
    best = np.argsort(-attribution.scores[index], kind="stable")[:count]
    return np.unique(np.concatenate([best, np.flatnonzero(attribution.weights[index])]))


def _named(attribution: Attribution, held: np.ndarray) -> list[Record]:
    return [{"class": int(each), "name": _class(attribution, int(each))} for each in held]


def _is_laid(regions: Regions) -> bool:
    """Say whether the page can lay values of these regions itself; elsewhere it has the map that was asked for."""
    if isinstance(regions, Together):
        return all(map(_is_laid, regions.parts))
    return isinstance(regions, Windows | SoftWindows | Labels)


def _is_shared(regions: Regions) -> bool:
    """Say whether every image has the same."""
    if isinstance(regions, Together):
        return all(map(_is_shared, regions.parts))
    return not isinstance(regions, Labels)


def _regions(regions: Regions, index: int) -> Record:
    """Return what was covered, and how its values are laid."""
    boxes = regions.boxes_of(index)
    assert boxes is not None
    told: Record = {"word": regions.word, "boxes": numbers(boxes, "<i4"), "count": len(regions)}
    if isinstance(regions, SoftWindows):
        told |= {"share": numbers(regions.share, "<f8"), "width": regions.share.shape[1]}
    if isinstance(regions, Labels):
        told["labels"] = numbers(regions.pixels[index], "<i4")
    if isinstance(regions, Together):
        told["parts"] = [_regions(part, index) for part in regions.parts]
    return told


def _class(attribution: Attribution, which: int) -> str:
    return plain(attribution.classes[which]) if attribution.classes else f"class {which}"


def _told(provenance: Record) -> list[tuple[str, str]]:
    """Return the provenance in the order it was written, nested entries one a line."""
    lines: list[tuple[str, str]] = []
    for key, value in provenance.items():
        if isinstance(value, dict):
            lines += [(f"{key}: {inner}", plain(str(each))) for inner, each in value.items()]
        else:
            lines.append((key, plain(", ".join(map(str, value)) if isinstance(value, list) else str(value))))
    return lines


def encoded(picture: Image.Image, kind: str = "PNG") -> str:
    """Return a picture as base64 of a PNG, or of a JPEG."""
    held = io.BytesIO()
    picture.save(held, format=kind, optimize=True, **({"quality": 88} if kind == "JPEG" else {}))
    return base64.b64encode(held.getvalue()).decode("ascii")


def numbers(values: np.ndarray, kind: str) -> str:
    """Return an array as base64 of its bytes."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode("ascii")


def colours() -> Record:
    """Return the colour tables of the pictures, so that page and pictures show one value in one colour."""
    return {
        "diverging": numbers(to_bytes(diverging(np.linspace(-1, 1, 513))), "u1"),
        "sequential": numbers(to_bytes(sequential(np.linspace(0, 1, 513))), "u1"),
        "for": list(FOR),
        "against": list(AGAINST),
    }
