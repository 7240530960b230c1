"""The demo's page: one HTML file that needs nothing else, neither files beside it nor a network."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from PIL import Image

from eyeline.colour import to_bytes
from eyeline.command.printed import printable
from eyeline.command.words import Finding
from eyeline.limits import short
from eyeline.picture.legend import Legend
from eyeline.window import Box

Pixels = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Part:
    """One drawn map: its file, the drawing for the page, and the words beside it."""

    name: str
    file: Path
    drawn: Image.Image
    key: Legend
    found: Finding


@dataclass(frozen=True, eq=False)
class Photograph:
    """A photograph with its maps."""

    name: str
    picture: Image.Image
    found: Finding
    parts: list[Part]


TITLES = {
    "occlusion": "Occlusion",
    "occlusion.red": "Occlusion, as red channel",
    "gradient": "Saliency",
    "gradient.red": "Saliency, as red channel",
}

READING = {
    "occlusion": (
        "A window of {window} pixels was blurred, place by place: red parts support “{target}”, as its score falls "
        "without them; blue parts count against it. The unit is log-odds, where a loss of 0.7 halves the odds; "
        "full colour is ±{high} log-odds in all photographs, so that their colours compare."
    ),
    "occlusion.red": (
        "The same map in the place of the photograph's red channel: the redder, the more “{target}” loses when the "
        "part is covered; where it loses nothing, all red is gone. Full red is a loss of {high} log-odds, the "
        "largest in this photograph; its colours do not compare with those of another."
    ),
    "gradient": (
        "How much the score of “{target}” changes when one pixel changes a little: the darker, the more, up or down "
        "(the sign is left out). The unit is log-odds per step from black to white; full colour is {high}, which 1 "
        "pixel in 100 of this photograph exceeds."
    ),
    "gradient.red": (
        "The same map in the place of the photograph's red channel: the redder a pixel, the more a small "
        "change of it moves the score of “{target}”. Full red is {high} log-odds per step from black to white, which 1 "
        "pixel in 100 of this photograph exceeds."
    ),
}
"""Two sentences for each picture: what the colours mean with their sign, then unit and scale."""

STYLE = """
:root { color-scheme: light dark; --faint: #6a6a70; --line: #8884; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; } h2 { font-size: 1.25rem; margin: 0; }
section { border-top: 1px solid var(--line); padding: 1.25rem 0; }
.pictures { display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); }
figure { margin: 0; } figcaption { font-size: .9rem; } h3 { font-size: 1rem; margin: .4rem 0 .2rem; }
p { margin: .3rem 0 .8rem; max-width: 46rem; } figcaption p { margin: .2rem 0; }
img { display: block; width: 100%; height: auto; } .seen { position: relative; }
.box { position: absolute; border: 3px solid #fff; outline: 2px solid #000; box-sizing: border-box; }
.bar { height: .8rem; margin-top: .4rem; border: 1px solid var(--line); }
.ends { display: flex; justify-content: space-between; gap: .6em; font-size: .8rem; }
.faint, .ends { color: var(--faint); } code { overflow-wrap: anywhere; font-size: .85rem; }
@media (prefers-color-scheme: dark) { :root { --faint: #a5a5ad; } }
"""

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(photographs: Sequence[Photograph], assumptions: str, size: Pixels, window: Pixels) -> str:
    """Return the page's HTML. The image as the model sees it has `size` pixels, of which `window` were covered."""
    sections = "\n".join(_section(each, size, window) for each in photographs)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>eyeline: what a network looks at</title>
<style>{STYLE}</style>
</head>
<body>
<h1>What a network looks at</h1>
<p>EfficientNet-Lite0, trained on ImageNet's 1,000 classes, named each photograph by itself; the maps show which
parts made it say so. Occlusion covers a part and looks what that costs; saliency asks how much each single pixel
could change the answer. They answer different questions, and need not agree.</p>
{sections}
<section><h2>What was assumed</h2><p><code>{_safe(assumptions)}</code></p></section>
</body>
</html>
"""


def _section(photograph: Photograph, size: Pixels, window: Pixels) -> str:
    found = photograph.found
    figures = "\n".join(_figure(part, window) for part in photograph.parts)
    return f"""<section>
<h2>{_safe(found.target)}</h2>
<p>{_safe(photograph.name)}: {_safe(found.score)}. {_safe(_carried(found))}</p>
<div class="pictures">
<figure>
<div class="seen"><img src="{_data(photograph.picture)}" alt="the photograph {_safe(photograph.name)}">
<div class="box" style="{_outline(found.box, size)}"></div></div>
<figcaption><h3>The photograph</h3><p>The frame is the window whose covering costs most: {_safe(found.box)} of
{_by(size)} pixels, as the network sees it.</p></figcaption>
</figure>
{figures}
</div>
</section>"""


def _figure(part: Part, window: Pixels) -> str:
    high = short(part.key.scale.high)
    words = READING[part.name].format(target=part.found.target, high=high, window=_by(window))
    where = f" {_carried(part.found)}" if part.name == "gradient" else ""
    return f"""<figure>
<img src="{_data(part.drawn)}" alt="{_safe(TITLES[part.name])} of {_safe(part.found.target)}">
<figcaption>
<div class="bar" style="background: {_gradient(part.key)}"></div>
<div class="ends"><span>{_safe(short(part.key.scale.low))}</span><span>{_safe(part.key.quantity)}</span>
<span>{_safe(high)}</span></div>
<h3>{_safe(TITLES[part.name])}</h3>
<p>{_safe(words)}{_safe(where)}</p>
<p class="faint"><code>{_safe(part.file.name)}</code></p>
</figcaption>
</figure>"""


def _carried(found: Finding) -> str:
    return f"{found.place[:1].upper()}{found.place[1:]}: {found.effect}."


def _by(pixels: Pixels) -> str:
    return " × ".join(str(each) for each in pixels)


def _outline(box: Box, size: Pixels) -> str:
    (top, bottom), (left, right) = box.spans
    rows, columns = size
    return (
        f"top: {top / rows:.2%}; height: {(bottom - top) / rows:.2%}; "
        f"left: {left / columns:.2%}; width: {(right - left) / columns:.2%}"
    )


def _gradient(key: Legend) -> str:
    colours = (f"rgb({red}, {green}, {blue})" for red, green, blue in to_bytes(key.colours(17)))
    return f"linear-gradient(to right, {', '.join(colours)})"


def _data(picture: Image.Image) -> str:
    held = io.BytesIO()
    small = picture.convert("RGB")
    small.thumbnail((640, 640))
    small.save(held, format="JPEG", quality=88)
    return f"data:image/jpeg;base64,{base64.b64encode(held.getvalue()).decode('ascii')}"


def _safe(text: object) -> str:
    return escape(printable(text))
