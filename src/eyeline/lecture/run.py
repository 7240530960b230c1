"""The lecture from top to bottom: data, a network, both maps, the pictures, and a page that shows them.

`run(folder)` leaves in the folder: `multiclass.keras`, the trained network; three PNG files per chosen picture
(the picture with its part framed, and the lecture's two red-channel pictures); `index.html`, the page.
"""

import html
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from eyeline import picture
from eyeline._files import writing
from eyeline.colour import to_bytes
from eyeline.command.printed import printable
from eyeline.lecture import load_data, network, red_overlay
from eyeline.lecture.data import Data
from eyeline.lecture.drawn import PARTS
from eyeline.lecture.measure import Look, look, sentence, verdict
from eyeline.models.base import Model
from eyeline.models.load import load

SHOWN, MEASURED = 10, 50  # test pictures
GOOD = 0.9  # share of the test part
LARGE = 384  # pixels of a picture's longer side in the files, where it is smaller


@dataclass(frozen=True)
class Shown:
    """One picture of the page: its class, what the maps found, and its files."""

    truth: str
    sentence: str
    files: tuple[Path, Path, Path]


@dataclass(frozen=True)
class Summary:
    """What a run found and wrote.

    Args:
        accuracy: share of the test part that the network gets right.
        model: the network's file.
        page: the page's file.
        shown: the chosen pictures.
        verdict: how well the maps found the parts, over more pictures than are shown.
        seconds: that the run took.
    """

    accuracy: float
    model: Path
    page: Path
    shown: tuple[Shown, ...]
    verdict: str
    seconds: float


def run(out: Path, source: str | Path | None = None, say: Callable[[str], None] = print) -> Summary:
    """Go through the lecture: load data, train, save and reopen the network, make both maps and their pictures.

    Shown are the first test pictures of each class, whatever the maps find there.

    Args:
        out: folder for everything that is written.
        source: as for `load_data`.
        say: takes a line for the reader.

    Raises:
        InputError: the data cannot be read, or the folder cannot be written.
        MissingDependencyError: Keras or a backend for it is missing.
    """
    began = time.perf_counter()

    def tell(line: str) -> None:
        say(printable(line))

    _writable(out)
    data = load_data(source)
    tell(_said(data))
    trained = network.train(data, tell)
    accuracy = network.right(trained, data["test_X"], data["test_classes"])
    saved = network.save(trained, out / "multiclass.keras")
    doubt = "" if accuracy >= GOOD else "; the maps of a network that errs so often show its errors too"
    tell(f"{accuracy:.1%} of the test pictures are right{doubt}; wrote {saved}")
    model = load(saved, classes=data["classes"])
    looks = [_look(model, data, i) for i in _in_turn(data)[:MEASURED]]
    shown = []
    for number, each in enumerate(looks[:SHOWN], start=1):
        shown.append(Shown(each.truth, sentence(each), _pictures(each, out, number)))
        tell(f"{number}. {shown[-1].sentence}")
    found = verdict(looks)
    tell(found)
    page = _page(out / "index.html", shown, found, accuracy)
    summary = Summary(accuracy, saved, page, tuple(shown), found, time.perf_counter() - began)
    tell(f"wrote {page} and {3 * len(shown)} pictures beside it, in {summary.seconds:.0f} s")
    return summary


def _writable(out: Path) -> None:
    """Fail before the training, not after it."""
    probe = out / ".writable"
    with writing(probe):
        pass
    probe.unlink()


def _said(data: Data) -> str:
    rows, columns = data["train_X"].shape[1:3]
    names = ", ".join(data["classes"][:12]) + (", ..." if len(data["classes"]) > 12 else "")
    drawn = ""
    if "train_parts" in data:
        drawn = "; drawn: " + ", ".join(f"a {part} makes a {name}" for name, part in PARTS.items() if part)
    return (
        f"{len(data['train_X'])} pictures to train and {len(data['test_X'])} to test, {rows} x {columns}, "
        f"{len(data['classes'])} classes: {names}{drawn}"
    )


def _in_turn(data: Data) -> list[int]:
    """Order the test pictures: the first of each class, then the second of each, and so on."""
    classes = data["test_classes"].argmax(axis=1)
    turns = data["test_classes"].cumsum(axis=0)[np.arange(len(classes)), classes]
    return [int(i) for i in np.lexsort((classes, turns))]


def _look(model: Model, data: Data, i: int) -> Look:
    truth = int(data["test_classes"][i].argmax())
    name, part = None, None
    if "test_parts" in data:
        name, part = PARTS[data["classes"][truth]], data["test_parts"][i]
    return look(model, data["test_X"][i : i + 1], truth, data["classes"], name, part)


def _pictures(seen: Look, out: Path, number: int) -> tuple[Path, Path, Path]:
    """Write the picture, and the lecture's two: red where covering hurts, and where the gradient is large."""
    slug = re.sub(r"[^a-z0-9]+", "-", seen.truth.lower()).strip("-")[:40]
    name = f"{number:02}-{slug}" if slug else f"{number:02}"
    framed = _enlarged(seen.image[0])
    if seen.part is not None:
        scale = framed.width // seen.image.shape[2]
        (top, bottom), (left, right) = seen.part.spans
        box = (left * scale, top * scale, right * scale - 1, bottom * scale - 1)
        ImageDraw.Draw(framed).rectangle(box, outline=(255, 0, 255), width=2)
    return (
        picture.save(framed, out / f"{name}-picture.png"),
        picture.save(_enlarged(red_overlay(seen.image, seen.evidence)[0]), out / f"{name}-occlusion.png"),
        picture.save(_enlarged(red_overlay(seen.image, seen.saliency)[0]), out / f"{name}-saliency.png"),
    )


def _enlarged(pixels: np.ndarray) -> Image.Image:
    """Repeat every pixel, so that a small picture can be looked at."""
    scale = max(1, LARGE // max(pixels.shape[:2]))
    return Image.fromarray(np.kron(to_bytes(pixels), np.ones((scale, scale, 1), dtype=np.uint8)))


def _page(path: Path, shown: list[Shown], found: str, accuracy: float) -> Path:
    columns = ("the picture, its part framed", "occlusion: red where covering a square lowers the score",
               "saliency: red where the score's gradient is large")  # fmt: skip
    figures = "".join(
        "<section><div>"
        + "".join(
            f'<figure><img src="{html.escape(file.name)}" alt="{html.escape(each.truth)}: {words}">'
            f"<figcaption>{words}</figcaption></figure>"
            for file, words in zip(each.files, columns, strict=True)
        )
        + f"</div><p>{html.escape(each.sentence)}</p></section>\n"
        for each in shown
    )
    whole = f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>What a small network looks at</title>
<style>
body {{ font: 16px/1.5 sans-serif; max-width: 1200px; margin: 2em auto; padding: 0 1em; color: #1c1c1e }}
div {{ display: flex; flex-wrap: wrap; gap: 12px }}
figure {{ margin: 0; flex: 1 1 240px; max-width: {LARGE}px }}
img {{ width: 100%; image-rendering: pixelated }}
figcaption {{ color: #5c5c62; font-size: 14px }}
section {{ margin: 2em 0 }}
</style>
<h1>What a small network looks at</h1>
<p>It gets {accuracy:.1%} of the test pictures right. {html.escape(found)}</p>
<p>In both kinds of picture the red channel is replaced by a map: 1 - score with that square covered in grey, or the
size of the score's derivative by that pixel. Without red a picture looks blue-green; what matters turns red.</p>
{figures}</html>
"""
    with writing(path) as file:
        file.write(whole.encode("utf-8"))
    return path
