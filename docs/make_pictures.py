"""Draw the pictures of README and docs, from the two photographs of scikit-image that are CC0.

make pictures
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import skimage.data
import torch
from matplotlib import pyplot as plt
from matplotlib.patches import Patch, Rectangle
from PIL import Image

import eyeline
from eyeline._typing import Boxes
from eyeline.incremental.graph import Node
from eyeline.incremental.plan import Plan, multiply_adds
from eyeline.incremental.run import Engine
from eyeline.metrics import Deletion, Insertion
from eyeline.models.base import Model, Traceable
from eyeline.picture import panel, save
from eyeline.plot import curves
from eyeline.window import Box, grid

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from networks import resnet18

FOLDER = Path(__file__).parent / "pictures"
SIZE, WINDOW, STRIDE = (224, 224), 32, 16
STEP = 14 * SIZE[1]
FINE = 56
"""Most pixels along a side that are drawn one by one."""
SHOWN = {
    "stem.3": "after the first convolution",
    "blocks.2": "after block 3 of 16",
    "blocks.4": "after block 5",
    "blocks.6": "after block 7",
    "blocks.10": "after block 11",
}
CHANGED, SAME = "#1f6fb5", "#e3e7ea"


def main() -> None:
    """Draw and save them."""
    torch.set_num_threads(1)
    model = eyeline.load("bundled")
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / "coffee.png", Path(folder) / "chelsea.png"]
        for file, pixels in zip(files, (skimage.data.coffee(), skimage.data.chelsea()), strict=True):
            Image.fromarray(pixels).save(file)
        occlusion = eyeline.explain(model, files, window=56, stride=14, baseline=eyeline.Blur(12))
        saliency = eyeline.explain(model, files, "gradient")
        drawn = panel(occlusion, saliency, scale="p99", size=300, originals=files, titles=("occlusion", "gradient"))
        trusted = trust(model, files[0])
    print(save(drawn, FOLDER / "demo.png"))
    networks = {"EfficientNet-Lite0": model, "ResNet18": eyeline.load(resnet18().eval())}
    plans = {name: planned(network) for name, network in networks.items()}
    for name, figure in {
        "engine_windows": growth(plans["EfficientNet-Lite0"], occlusion.images[1]),
        "engine_work": work(plans),
        "curves": trusted,
    }.items():
        figure.savefig(FOLDER / f"{name}.png", dpi=100)
        print(FOLDER / f"{name}.png")


def trust(model: Model, file: Path) -> plt.Figure:
    """Show deletion and insertion of three maps of one photograph."""
    maps = [eyeline.explain(model, file, method) for method in ("gradient", "guidedbackpropagation", "gradcam")]
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained", sharey=True)
    metrics = {
        "deletion: strongest pixels replaced first, lower is better": Deletion(step=STEP),
        "insertion: strongest pixels brought back first, higher is better": Insertion(step=STEP),
    }
    for axis, (words, metric) in zip(axes, metrics.items(), strict=True):
        curves(*(metric(model, attribution) for attribution in maps), ax=axis)
        axis.set_title(words, fontsize=11)
    return figure


def planned(model: Traceable) -> Plan:
    """Return what the engine would do for a sweep over a photograph."""
    return Engine(model.graph((*SIZE, 3))).plan(grid(SIZE, WINDOW, STRIDE))


def growth(plan: Plan, photograph: np.ndarray) -> plt.Figure:
    """Show which pixels of a few layers' maps one window can change."""
    window = plan.positions // 2
    figure, axes = plt.subplots(2, 3, figsize=(11, 8.8), layout="constrained")
    places = [0, *(place for place, node in enumerate(plan.graph.nodes) if node.name in SHOWN)]
    for number, (axis, place) in enumerate(zip(axes.flat, places, strict=True), start=1):
        node, boxes = plan.graph.nodes[place], plan.boxes[place]
        assert boxes is not None
        rows, columns = node.shape[:2]
        (top, bottom), (left, right) = Box.of(boxes[window]).spans
        axis.set(xlim=(0, columns), ylim=(rows, 0), aspect="equal", xticks=[], yticks=[], facecolor=SAME)
        if not place:
            axis.imshow(photograph, extent=(0, columns, rows, 0))
        axis.add_patch(Rectangle((left, top), right - left, bottom - top, facecolor=CHANGED))
        if rows <= FINE:
            axis.vlines(range(1, columns), 0, rows, color="white", linewidth=28 / rows)
            axis.hlines(range(1, rows), 0, columns, color="white", linewidth=28 / rows)
        name = f"{number}. {SHOWN.get(node.name, 'the image and one window')}"
        share = f"{(bottom - top) * (right - left) / (rows * columns):.0%}".replace("%", " %")
        sizes = f"{bottom - top} x {right - left} of {rows} x {columns} pixels"
        axis.set_title(f"{name}\n{sizes}: {share}", fontsize=14)
    keys = [
        Patch(color=CHANGED, label="covered, then what that can change"),
        Patch(color=SAME, label="stays as it was"),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=2, fontsize=14)
    return figure


def work(plans: dict[str, Plan]) -> plt.Figure:
    """Show which share of each layer's multiply-adds remains, each layer as wide as its part of the network's work."""
    figure, axes = plt.subplots(len(plans), 1, figsize=(11, 3.7 * len(plans)), layout="constrained", sharex=True)
    for axis, (name, plan) in zip(axes, plans.items(), strict=True):
        whole = np.array([multiply_adds(plan.graph, node) for node in plan.graph.nodes], dtype=float)
        share = np.array([remaining(*each) for each in zip(plan.graph.nodes, plan.boxes, strict=True)])
        widths = 100 * whole / whole.sum()
        lefts = np.cumsum(widths) - widths
        axis.bar(lefts, 100, widths, align="edge", color=SAME, label="kept from the clean image")
        axis.bar(lefts, 100 * share, widths, align="edge", color=CHANGED, label="computed again")
        axis.vlines(lefts, 0, 100, color="white", linewidth=0.6)
        axis.set_title(f"{name}: {share @ widths:.0f} % of the multiply-adds remain (the blue area)", fontsize=14)
        axis.set_ylabel("share of a layer, %", fontsize=13)
        axis.tick_params(labelsize=12)
        axis.set(xlim=(0, 100), ylim=(0, 100))
    axes[-1].set_xlabel(
        "layers, first to last, each as wide as its part of the network's multiply-adds, %", fontsize=13
    )
    axes[0].legend(loc="upper left", fontsize=13, framealpha=1)
    return figure


def remaining(node: Node, boxes: Boxes | None) -> float:
    """Return the share of a layer's output that is computed again, mean over the windows."""
    if boxes is None:
        return 1.0
    return float((boxes[..., 1] - boxes[..., 0]).prod(axis=1).mean() / np.prod(node.shape[:2]))


if __name__ == "__main__":
    main()
