"""What the page is told: plain lists and texts, arrays as base64 of little-endian numbers."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from eyeline import flip
from eyeline._typing import Boxes, Scores
from eyeline.app.runs import Run
from eyeline.attribution import Attribution, Unit
from eyeline.colour import to_bytes
from eyeline.errors import InputError
from eyeline.page.data import numbers
from eyeline.picture.legend import plain, probability
from eyeline.picture.view import visible
from eyeline.target import Class, Contrast, Target, index, name
from eyeline.window import coverage

BEST, NEW = 6, 2
"""Classes whose bars are always shown, and how many that have come up under the mask may join them."""

Answer = dict[str, Any]
Classes = tuple[str, ...] | None


def picture(images: np.ndarray) -> tuple[str, list[str]]:
    """Return the picture that the network sees, as a data address, and what was done to show it."""
    pixels, notes = visible(images[0])
    held = io.BytesIO()
    Image.fromarray(to_bytes(pixels)).save(held, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode('ascii')}", notes


def predictions(scores: Scores, clean: Scores, unit: Unit, classes: Classes) -> list[Answer]:
    """Return the best classes of the clean image, in their order, and what has come up beside them."""
    before, now = (np.argsort(-each[0], kind="stable")[:BEST].tolist() for each in (clean, scores))
    return [
        {
            "class": which,
            "name": plain(name(which, classes)),
            "score": float(scores[0, which]),
            "clean": float(clean[0, which]),
            "share": _share(float(scores[0, which]), unit),
            "cleanShare": _share(float(clean[0, which]), unit),
        }
        for which in [*before, *(each for each in now[:NEW] if each not in before)]
    ]


def target(question: Answer, classes: Classes, width: int) -> Target:
    """Return what a question explains.

    Raises:
        InputError: no such class.
    """
    first = _which(question.get("first"), classes, width)
    if question.get("view") == "contrast":
        return Contrast(first, _which(question.get("second"), classes, width))
    return Class(first)


def state(run: Run) -> Answer:
    """Return how far a run is."""
    return {"state": run.state, "done": run.done, "total": run.total, "left": run.left, "words": plain(run.words)}


def shown(run: Run, question: Answer) -> Answer:
    """Return a run's map for a question, and while a sweep runs which pixels its windows have reached.

    Raises:
        InputError: a class that does not exist; a map with channels.
    """
    told, attribution = state(run), run.attribution()
    if attribution is None:
        return told
    if attribution.maps.ndim != 3:
        raise InputError("a map must have one number a pixel to be shown here. Choose other channels than none.")
    boxes = _boxes(attribution)
    if attribution.sweep is not None and question.get("view") == "flips":
        told |= _flips(attribution)
    else:
        attribution = asked(attribution, question)
        told |= _map(attribution, attribution.maps[0])
    if told["state"] != "done" and boxes is not None:
        told["reached"] = numbers(coverage(boxes, attribution.images.shape[1:-1]) > 0, "u1")
    return told | {
        "target": plain(attribution.targets[0]),
        "method": attribution.method["name"],
        "line": plain(attribution.line()) if run.state == "done" else "",
        "boxes": "" if boxes is None else numbers(boxes, "<i4"),
        "sweep": attribution.sweep is not None,
        "measure": attribution.sweep.measure if attribution.sweep is not None else "",
    }


def asked(attribution: Attribution, question: Answer) -> Attribution:
    """Return the result for the question on the screen.

    Raises:
        InputError: a class that does not exist.
    """
    if attribution.sweep is None or question.get("view") == "flips" or not question:
        return attribution
    return attribution.to(target(question, attribution.classes, attribution.scores.shape[1]))


def _flips(attribution: Attribution) -> Answer:
    found = flip.flips(attribution)
    told = _map(attribution, found.share[0])
    told |= {"high": 1.0, "quantity": "share of the windows on a pixel that change the best class", "unit": ""}
    names = {str(each): plain(name(int(each), attribution.classes)) for each in np.unique(found.to) if each >= 0}
    return told | {"to": numbers(found.to[0], "<i4"), "names": names}


def _map(attribution: Attribution, maps: np.ndarray) -> Answer:
    """Return a map; the colours' end is chosen on the page, but for shares (`high`)."""
    unit = attribution.unit if attribution.sweep is not None else ""
    return {"map": numbers(maps, "<f4"), "high": None, "quantity": plain(attribution.quantity), "unit": unit}


def _boxes(attribution: Attribution) -> Boxes | None:
    """Return the windows that were covered, where it is windows."""
    sweep = attribution.sweep
    return None if sweep is None or sweep.regions.word != "window" else sweep.regions.boxes_of(0)


def _which(given: object, classes: Classes, width: int) -> int:
    text = str(given).strip()[:200]
    return index(int(text) if text.isdecimal() else text, width, classes)


def _share(score: float, unit: Unit) -> float | None:
    if unit == "score":
        return None
    return probability(score) if unit == "log-odds" else score
