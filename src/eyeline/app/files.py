"""What a visitor takes home: a picture, the numbers, or the report."""

import tempfile
from pathlib import Path

from eyeline import picture
from eyeline.app import answers, uploads
from eyeline.app.answers import Answer
from eyeline.app.visits import Visit
from eyeline.errors import InputError
from eyeline.page import page

KINDS = {"png": "image/png", "npz": "application/octet-stream", "html": "text/html; charset=utf-8"}
"""Endings, and what they are on the web."""


def made(visit: Visit, panel: int, kind: str, question: Answer, folder: Path) -> tuple[str, bytes]:
    """Return a file's name and content; the report holds the maps of both panels.

    Raises:
        InputError: no map that is done, a class that does not exist, or another kind.
    """
    done = visit.results()
    if kind not in KINDS or (panel not in done and not (kind == "html" and done)):
        raise InputError("a map must be done before it is downloaded, but this one is not. Wait for its end.")
    if kind == "html":
        found = list(done.values())
        return uploads.saved(found[0].names[0], "report", kind), page(found).encode("utf-8")
    attribution = answers.asked(done[panel], question)
    with tempfile.TemporaryDirectory(dir=folder) as own:
        path = Path(own) / f"map.{kind}"
        if kind == "png":
            picture.save(picture.panel(attribution), path)
        else:
            attribution.save(path)
        return uploads.saved(attribution.names[0], attribution.method["name"], kind), path.read_bytes()
