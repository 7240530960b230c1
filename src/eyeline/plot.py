"""Figures by matplotlib: a map on its image, or behind its signal, on axes that the caller may give.

Nothing of matplotlib's state is changed: no parameters, no `show`, nothing closed.
"""

import textwrap
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize

from eyeline.attribution import Attribution
from eyeline.colour import Style, shade
from eyeline.errors import InputError
from eyeline.metrics.base import Measured
from eyeline.picture.legend import Legend, Scale, caption, default_style, known, legend
from eyeline.picture.paint import painted
from eyeline.picture.view import Original, Plane, check, spread, view

LIGHT = 0.95  # the grey level behind a signal
SMALL = 8  # points of the legend's words


def plot(
    attribution: Attribution,
    index: int = 0,
    ax: Axes | None = None,
    *,
    style: Style | None = None,
    scale: Scale = "shared",
    smooth: bool = False,
    original: Original | None = None,
    plane: Plane | None = None,
) -> Axes:
    """Draw one map on its image, with a title and a colour bar in the map's unit.

    A signal (one spatial axis) is drawn as a line with its map behind it.

    Args:
        attribution: what a method returned.
        index: which image.
        ax: where to draw; None makes a figure with pyplot. Figures with layout="constrained" leave room for the
            words below.
        style: "signed", "unsigned", "spotlight", "red" or "map", as for `eyeline.picture.draw`; signals take
            "signed", "unsigned" and "map".
        scale: as for `eyeline.picture.draw`.
        smooth: as for `eyeline.picture.draw`.
        original: as for `eyeline.picture.draw`.
        plane: for volumes: (axis, position).

    Returns:
        The axes drawn on.

    Raises:
        InputError: no such image, plane, style or scale; one map per channel; another original.

    Examples:
        >>> import numpy as np, eyeline
        >>> model = eyeline.load(lambda images: images[:, :2, :2].mean(axis=(1, 2)), input_size=(4, 4))
        >>> image = np.ones((4, 4, 3), dtype=np.float32)
        >>> attribution = eyeline.explain(model, image, window=2, stride=2, baseline=eyeline.Constant(0))
        >>> from matplotlib.figure import Figure
        >>> plot(attribution, ax=Figure().subplots()).get_title().splitlines()[0]
        'class 0'
    """
    check(attribution, index)
    key = legend(attribution, index, known(style) or default_style(attribution), scale)
    signal = attribution.images.ndim == 3
    if signal and (original is not None or plane is not None or key.style in ("spotlight", "red")):
        raise InputError(
            "a signal must be drawn as 'signed', 'unsigned' or 'map', without original or plane, "
            f"but got style {key.style!r}. Leave the others out."
        )
    seen = None
    if not signal:
        seen = view(attribution, index, smooth=smooth, original=original, plane=plane)
    if ax is None:
        from matplotlib import pyplot

        ax = pyplot.subplots(layout="constrained")[1]
    if seen is None:
        key = replace(key, notes=("interpolated",) if smooth else ())
        _signal(ax, attribution, index, key, smooth)
    else:
        key = replace(key, notes=(*seen.map_notes, *seen.image_notes))
        ax.imshow(np.clip(painted(attribution, index, seen, key), 0, 1), interpolation="antialiased")
        ax.set_axis_off()
    title, value = caption(attribution, index)
    ax.set_title(f"{textwrap.shorten(title, 80, placeholder='…')}\n{value}", fontsize="medium", parse_math=False)
    _bar(ax, key, LIGHT if signal else None)
    return ax


def curves(*measured: Measured, index: int = 0, ax: Axes | None = None) -> Axes:
    """Draw the curves of one image: s over the share of its pixels that are replaced or brought back.

    Args:
        measured: what Deletion, Insertion, Road or ShiftTest found; one unit, one image; several maps side by side.
        index: which image.
        ax: where to draw; None makes a figure with pyplot.

    Returns:
        The axes drawn on; the legend gives each value, which for deletion and insertion is the area under the curve.

    Raises:
        InputError: nothing to draw, several units, a metric without curves, or no such image.

    Examples:
        >>> axes = curves(Deletion()(model, attribution))  # doctest: +SKIP
    """
    if not measured or any(not each.curves.size for each in measured):
        raise InputError(
            "curves() must get what Deletion, Insertion, Road or ShiftTest found, but got none or another."
        )
    if len({each.curve_unit for each in measured}) > 1:
        units = ", ".join(dict.fromkeys(each.curve_unit for each in measured))
        raise InputError(f"curves of one figure must have one unit, but got {units}. Draw one figure for each.")
    if any(not 0 <= index < len(each.curves) for each in measured):
        raise InputError(f"index must be that of an image, but got {index!r}. Counting starts at 0.")
    if ax is None:
        from matplotlib import pyplot

        ax = pyplot.subplots(layout="constrained")[1]
    for each in measured:
        label = f"{each.method}, {each.metric['name']}: {each.values[index]:.3g}"
        ax.plot(100 * each.fractions, each.curves[index], marker=".", markersize=3, linewidth=1.5, label=label)
    ax.set(xlabel="pixels replaced or brought back, %", ylabel=measured[0].curve_unit, xlim=(0, 100))
    ax.set_title(measured[0].names[index], fontsize="medium", parse_math=False)
    ax.grid(color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.legend(fontsize=SMALL)
    return ax


def _signal(ax: Axes, attribution: Attribution, index: int, key: Legend, smooth: bool) -> None:
    """Draw the samples as lines, the map as colours behind them."""
    samples, values = attribution.images[index], attribution.maps[index].astype(np.float64)
    if smooth:
        values = spread(attribution, values)
    background = np.full((len(values), 3), LIGHT)
    colours = np.clip(shade(key.style, background, values, key.scale), 0, 1)
    ax.plot(np.arange(len(samples)), samples, color="black", linewidth=1)
    low, high = ax.get_ylim()
    extent = (-0.5, len(samples) - 0.5, low, high)
    ax.imshow(colours[None], aspect="auto", interpolation="nearest", extent=extent, zorder=-1)
    ax.set_xlim(*extent[:2])
    ax.set_ylim(low, high)
    ax.set_xlabel("sample")


def _bar(ax: Axes, key: Legend, level: float | None) -> None:
    low, high = (key.scale.low, key.scale.high) if key.scale.high else (-1.0, 1.0)
    colours = ScalarMappable(Normalize(low, high), ListedColormap(np.clip(key.colours(level=level), 0, 1)))
    bar = ax.figure.colorbar(colours, ax=ax, location="bottom", fraction=0.05, pad=0.06 if level is None else 0.2)
    ticks = key.ticks()
    bar.set_ticks([value for value, _ in ticks], labels=[words for _, words in ticks])
    heading, scale = key.lines()
    fitting = max(24, int(ax.get_window_extent().width / (0.6 * SMALL * ax.figure.get_dpi() / 72)))
    words = "\n".join((textwrap.fill(heading, fitting), textwrap.fill(scale, fitting)))
    bar.set_label(words, fontsize=SMALL, parse_math=False)
