"""How results show themselves in a notebook: a picture and a table, or the whole report in a frame."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from eyeline.attribution import Attribution
from eyeline.errors import Error
from eyeline.page import page
from eyeline.picture import panel
from eyeline.picture.legend import caption, heading, plain

SHOWN = 8
"""Images of a result that are drawn; the others are counted."""


@dataclass(frozen=True, eq=False)
class Embedded:
    """A report that a notebook shows in a frame of its own, which reaches nothing outside it.

    Args:
        text: the report's HTML.
        height: of the frame, in pixels of the screen.
    """

    text: str
    height: int = 900

    def _repr_html_(self) -> str:
        frame = f'sandbox="allow-scripts" style="width: 100%; height: {self.height}px; border: 0"'
        # Line ends are spelled out: whoever indents this HTML would change the script, and its digest would not fit.
        text = escape(self.text).replace("\n", "&#10;")
        return f'<iframe title="eyeline report" srcdoc="{text}" {frame}></iframe>'


def view(attributions: Attribution | Sequence[Attribution], height: int = 900) -> Embedded:
    """Show the report below a notebook's cell, without writing a file.

    Args:
        attributions: as for `report`.
        height: of the frame, in pixels of the screen.

    Raises:
        InputError, UnsupportedError: as for `report`.

    Examples:
        >>> import numpy as np, eyeline
        >>> model = eyeline.load(lambda images: images[:, :2, :2].mean(axis=(1, 2)), input_size=(4, 4))
        >>> image = np.ones((4, 4, 3), dtype=np.float32)
        >>> attribution = eyeline.explain(model, image, window=2, stride=2, baseline=eyeline.Constant(0))
        >>> eyeline.view(attribution, height=600).height
        600
    """
    return Embedded(page(attributions), height)


def display(attribution: Attribution) -> str:
    """Return a result as HTML: picture, a row of words for each image, and what was assumed."""
    drawn = range(min(len(attribution.maps), SHOWN))
    rows = "".join(_row(attribution, index) for index in drawn)
    left = len(attribution.maps) - len(drawn)
    more = f"<p>and {left} more; eyeline.view(attribution) shows all.</p>" if left else ""
    head = "<tr><th>image</th><th></th><th>explained</th><th>its value</th></tr>"
    return f"{_picture(attribution, drawn)}<table>{head}{rows}</table>{more}<p>{escape(plain(attribution.line()))}</p>"


def _row(attribution: Attribution, index: int) -> str:
    cells = (*heading(attribution, index), *caption(attribution, index))
    return f"<tr>{''.join(f'<td>{escape(each)}</td>' for each in cells)}</tr>"


def _picture(attribution: Attribution, drawn: range) -> str:
    try:
        made = panel(attribution, indices=drawn)
    except Error as error:  # signals, volumes, maps per channel: the words say how to draw them
        return f"<p>{escape(str(error))}</p>"
    held = io.BytesIO()
    made.save(held, format="PNG")
    words = escape(made.info["Description"])
    return f'<img alt="{words}" src="data:image/png;base64,{base64.b64encode(held.getvalue()).decode("ascii")}">'
