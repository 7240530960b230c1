"""What the report's page is made from: plain lists and texts, arrays as base64 of little-endian numbers.

A method that keeps a sweep brings the scores of its windows, from which the page lays the map of any class as `lay`
does; other methods bring their map. Numbers are float32, as they are stored.
"""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from eyeline.attribution import Attribution
from eyeline.colour import AGAINST, FOR, diverging, sequential, to_bytes
from eyeline.errors import InputError, UnsupportedError
from eyeline.picture.legend import plain, probability
from eyeline.picture.view import visible
from eyeline.region import Windows
from eyeline.sweep import Sweep

TOP = 10
"""How many of the best classes can be chosen, beside those that were asked for."""

Record = dict[str, Any]


def payload(attributions: Sequence[Attribution]) -> Record:
    """Return everything that the page shows: one entry for each image, with a layer for each method.

    Raises:
        InputError: nothing to show, or channels that are no colours.
        UnsupportedError: signals or volumes.
    """
    if not attributions:
        raise InputError("a report must have an attribution, but got none. Pass what explain returned.")
    images: dict[tuple[str, bytes], Record] = {}
    for attribution in attributions:
        if attribution.images.ndim != 4:
            raise UnsupportedError(
                f"a report must be of pictures with two spatial axes, but got {attribution.images.ndim - 2}. "
                "Draw signals with eyeline.plot.plot, and planes of volumes with eyeline.picture.panel."
            )
        for index, name in enumerate(attribution.names):
            pixels = attribution.images[index]
            key = (name, pixels.tobytes())
            record = images.setdefault(key, _image(attribution, index))
            record["layers"] += _layers(attribution, index)
    return {"images": list(images.values()), "colours": colours()}


def _image(attribution: Attribution, index: int) -> Record:
    pixels, notes = visible(attribution.images[index])
    held = io.BytesIO()
    Image.fromarray(to_bytes(pixels)).save(held, format="PNG", optimize=True)
    best = np.argsort(-attribution.scores[index], kind="stable")[:TOP]
    return {
        "name": plain(attribution.names[index]),
        "rows": pixels.shape[0],
        "columns": pixels.shape[1],
        "picture": base64.b64encode(held.getvalue()).decode("ascii"),
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
    if attribution.sweep is not None and isinstance(attribution.sweep.regions, Windows):
        return [layer | {"sweep": _sweep(attribution, attribution.sweep, index)}]
    if values.ndim == 2:
        return [layer | {"map": numbers(values, "<f4")}]
    return [
        layer | {"channel": channel, "map": numbers(values[..., channel], "<f4")} for channel in range(values.shape[2])
    ]


def _weights(attribution: Attribution, index: int) -> list[tuple[int, float]]:
    row = attribution.weights[index]
    return [(int(each), float(row[each])) for each in np.flatnonzero(row)]


def _sweep(attribution: Attribution, sweep: Sweep, index: int) -> Record:
    """Return the windows and their scores of the best classes and those that were asked for."""
    asked = np.flatnonzero(attribution.weights[index])
    best = np.argsort(-attribution.scores[index], kind="stable")[:TOP]
    held = np.unique(np.concatenate([best, asked]))
    winners = sweep.scores[index].argmax(axis=1)
    return {
        "boxes": numbers(sweep.boxes, "<i4"),
        "classes": [{"class": int(each), "name": _class(attribution, int(each))} for each in held],
        "scores": numbers(sweep.scores[index][:, held], "<f4"),
        "reference": numbers(sweep.reference[index][held], "<f4"),
        "measure": sweep.measure,
        "overlap": sweep.overlap,
        "keep": sweep.keep,
        "top": int(attribution.scores[index].argmax()),
        "winners": numbers(winners, "<i4"),
        "winnerNames": {str(each): _class(attribution, int(each)) for each in np.unique(winners)},
    }


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
