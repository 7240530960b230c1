"""The page: one NiceGUI element that draws everything, and the life of a visit, which ends when the page is closed."""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

from nicegui import ui
from nicegui.element import Element

from eyeline.app import form
from eyeline.app.examples import Example
from eyeline.app.visits import Visit, Visits
from eyeline.errors import InputError
from eyeline.models.base import Model
from eyeline.page.data import colours
from eyeline.picture.legend import plain

RECONNECT = 3.0
"""Seconds for which a page that has lost its connection may come back, before its visit is over."""

NAMED = 3000
"""Classes whose names are offered while one types."""


class Stage(Element, component="stage.js"):  # type: ignore[call-arg,misc]  # mypy does not follow nicegui
    """Everything that is seen; stage.js draws it."""

    def __init__(self, setup: dict[str, Any]) -> None:
        super().__init__()
        self._props["setup"] = setup


def setup(model: Model, examples: dict[str, Example]) -> dict[str, Any]:
    """Return what the page needs to know of the model, its methods and their settings."""
    described = model.describe()
    return {
        "model": plain(", ".join(f"{key} {value}" for key, value in described.items())),
        "examples": [{"name": name, "picture": each.thumbnail} for name, each in examples.items()],
        "methods": form.methods(),
        "cover": form.cover(),
        "classes": [plain(name) for name in (model.classes or ())[:NAMED]],
        "colours": colours(),
        "views": VIEWS,
    }


VIEWS = {
    "class": "What speaks for a class: positive numbers support it, negative ones count against it.",
    "contrast": "Why one class rather than another: the score of the first minus the score of the second.",
    "flips": "Where covering changes the best class, and to what: the share of the windows on a pixel that do.",
}


def register(model: Model, visits: Visits, examples: dict[str, Example]) -> None:
    """Let the server answer "/" with the page."""
    known = setup(model, examples)
    style = files("eyeline.app").joinpath("stage.css").read_text(encoding="utf-8")

    @ui.page("/", title="eyeline", dark=None, language="en-US", reconnect_timeout=RECONNECT)  # type: ignore[untyped-decorator]
    def explorer() -> None:
        ui.add_head_html(f"<style>{style}</style><script src='/files/common.js'></script>")
        try:
            visit = visits.open()
        except InputError as error:
            ui.label(str(error))
            return
        ui.context.client.on_delete(_closing(visits, visit))
        Stage({**known, "token": visit.token})


def _closing(visits: Visits, visit: Visit) -> Callable[[], None]:
    return lambda: visits.close(visit)
