"""Draw the figures of the engine's benchmark: docs/pictures/speed.svg and growth.svg.

python benchmarks/charts.py benchmarks/engine.json
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator

from engine_bars import PEERS
from measure import ROOT

FOLDER = ROOT / "docs" / "pictures"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "svg.hashsalt": "eyeline",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "axes.axisbelow": True,
    "legend.frameon": False,
}
COLOURS = {"captum": "#c44e52", "dense": "#dd8452", "openvino": "#8c8c8c"}
PATHS = {"incremental": ("the engine", "#1f5fa8", "o"), "full": ("full path", "#dd8452", "s")}
LINES = ("-", "--", ":")
"""One for each network."""

COLUMNS = 3
AXES = {
    "side": "image side (pixels)",
    "stride": "stride (pixels)",
    "window": "window (pixels), stride half of it",
    "classes": "classes",
    "images": "images",
}


def speed(found: dict[str, Any]) -> plt.Figure:
    """How many times faster than each peer, network by network, the largest gain on top."""
    names = sorted(found, key=lambda name: found[name]["auto_faster"]["captum"]["median"])
    figure, axes = plt.subplots(figsize=(9, 0.8 + 0.62 * len(names)), layout="constrained")
    for place, (key, colour) in enumerate(COLOURS.items()):
        ratios = [found[name]["auto_faster"][key] for name in names]
        middles = [ratio["median"] for ratio in ratios]
        heights = [index + 0.27 * (1 - place) for index in range(len(names))]
        spread = [[r["median"] - r["low"] for r in ratios], [r["high"] - r["median"] for r in ratios]]
        axes.barh(
            heights,
            middles,
            0.25,
            color=colour,
            label=PEERS[key],
            xerr=spread,
            error_kw={"lw": 0.8, "ecolor": "#555555"},
        )
        for height, ratio in zip(heights, ratios, strict=True):
            axes.annotate(
                f"{ratio['median']:.1f}",
                (ratio["high"], height),
                (4, 0),
                textcoords="offset points",
                va="center",
                size=9,
            )
    axes.axvline(1, color="black", lw=1)
    axes.set_yticks(range(len(names)), names)
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0)
    axes.set_xlabel("times faster: the peer's time / eyeline's (1: equally fast)")
    axes.legend(title="than", loc="lower right")
    return figure


def growth(found: dict[str, Any]) -> plt.Figure:
    """One panel a setting: seconds of all maps on logarithmic axes, every network on both paths."""
    networks = list(dict.fromkeys(item.split(", ")[0] for item in found))
    settings = [key for key in AXES if any(item.endswith(f", {key}") for item in found)]
    rows = -(-len(settings) // COLUMNS)
    figure, panels = plt.subplots(rows, COLUMNS, figsize=(9.6, 3.2 * rows), layout="constrained", squeeze=False)
    for axes, setting in zip(panels.flat, settings, strict=False):
        for name, line in zip(networks, LINES, strict=False):
            panel(axes, setting, name, line, found.get(f"{name}, {setting}", {"values": {}})["values"])
    for axes in panels[:, 0]:
        axes.set_ylabel("seconds, all positions and images")
    for axes in panels.flat[len(settings) :]:
        axes.axis("off")
    place = panels.flat[-1] if len(settings) < panels.size else figure
    place.legend(*panels.flat[0].get_legend_handles_labels(), loc="center")
    return figure


def panel(axes: Axes, setting: str, name: str, line: str, series: dict[str, Any]) -> None:
    """Both paths over one setting; the full path is measured on few positions and carried on to all."""
    values = [int(value) for value in series]
    for key, (label, colour, marker) in PATHS.items():
        took = [
            each["seconds"][key]["median"] * each["positions"] * each["settings"]["images"] for each in series.values()
        ]
        axes.plot(values, took, line, color=colour, marker=marker, ms=5, label=f"{name}, {label}")
    axes.set(xscale="log", yscale="log", xlabel=AXES[setting])
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter("{x:g}")


def main() -> None:
    record = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with matplotlib.rc_context(STYLE):
        for name, draw in {"peers": speed, "growth": growth}.items():
            if name not in record["parts"]:
                continue
            path = FOLDER / f"{'speed' if name == 'peers' else name}.svg"
            draw(record["parts"][name]["found"]).savefig(path, metadata={"Date": None}, facecolor="white")
            print(path)


if __name__ == "__main__":
    main()
