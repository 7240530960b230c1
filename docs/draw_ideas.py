"""Draw the pictures of the pages on ideas, of the lecture and of the how-to pages, from the code that they show.

make pictures

Photographs are the two of scikit-image that are CC0; everything else is drawn.
"""

import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import skimage.data
import torch
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle
from PIL import Image

import eyeline
from eyeline.attribution import Attribution
from eyeline.models.base import Model
from eyeline.picture import draw, panel, save

HERE = Path(__file__).parent
FOLDER = HERE / "pictures"
INK, BLUE, RED = "#1c1c1e", "#1f6fb5", "#b5301f"
WINDOW = (70, 82, 126, 138)
"""Rows 70..125 and columns 82..137: the coffee of the photograph, at the model's size."""


def photograph(name: str) -> Image.Image:
    """Return one of the photographs."""
    return Image.fromarray(getattr(skimage.data, name)())


def tiles(titles: list[str], pixels: list[np.ndarray], columns: int, file: str, side: float = 2.9) -> None:
    """Save pictures side by side, each under its title."""
    rows = -(-len(pixels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(side * columns, (side + 0.62) * rows), layout="constrained")
    for axis in np.ravel(axes):
        axis.set_axis_off()
    for axis, title, each in zip(np.ravel(axes), titles, pixels, strict=False):
        axis.imshow(each)
        axis.set_title(title, fontsize=14, color=INK)
    done(figure, file)


def done(figure: plt.Figure, file: str) -> None:
    """Save a figure."""
    figure.savefig(FOLDER / file, dpi=100, facecolor="white")
    plt.close(figure)
    print(FOLDER / file)


def covered(image: np.ndarray, baseline: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the image with the window covered."""
    top, left, bottom, right = WINDOW
    made = image.copy()
    made[top:bottom, left:right] = baseline(image[None])[0, top:bottom, left:right]
    return made


def framed(image: np.ndarray) -> np.ndarray:
    """Return the image with the window's frame drawn on it."""
    top, left, bottom, right = WINDOW
    made = image.copy()
    for inner, colour in ((0, (1, 1, 1)), (2, (0.1, 0.4, 0.9))):
        for rows, columns in (
            (slice(top + inner, top + inner + 2), slice(left + inner, right - inner)),
            (slice(bottom - inner - 2, bottom - inner), slice(left + inner, right - inner)),
            (slice(top + inner, bottom - inner), slice(left + inner, left + inner + 2)),
            (slice(top + inner, bottom - inner), slice(right - inner - 2, right - inner)),
        ):
            made[rows, columns] = colour
    return made


def occlusion(model: Model, cup: Attribution) -> None:
    """Show one window, its drop, and the map of all windows."""
    image, column = cup.images[0], int(cup.weights[0].argmax())
    hidden = covered(image, eyeline.Blur(12))
    before, after = (float(model.scores(each[None])[0, column]) for each in (image, hidden))
    name = cup.targets[0]
    titles = [
        f"one window\n{name}: {before:.2f} log-odds",
        f"it is covered: {after:.2f}\nthe drop: {before - after:.2f}",
        "the drops of all windows\nred: down, blue: up",
    ]
    tiles(titles, [framed(image), hidden, np.asarray(draw(cup))], 3, "idea_occlusion.png", 3.4)


def saliency() -> None:
    """Show the slope of a score along one pixel's value, where it is steep and where it is flat."""
    figure, axis = plt.subplots(figsize=(8.5, 4.2), layout="constrained")
    values = np.linspace(0, 1, 200)

    def score(value: np.ndarray | float) -> np.ndarray:
        return np.asarray(1 / (1 + np.exp(-12 * (value - 0.4))))

    axis.plot(values, score(values), color=INK, linewidth=2.5)
    for at, colour, words in ((0.4, BLUE, "steep: large saliency"), (0.9, RED, "flat: saliency near 0 (saturation)")):
        slope = 12 * score(at) * (1 - score(at))
        near = np.array([at - 0.12, at + 0.12])
        axis.plot(near, score(at) + slope * (near - at), color=colour, linewidth=3)
        axis.plot([at], [score(at)], "o", color=colour, markersize=9)
        place = {"ha": "left" if at < 0.5 else "right", "color": colour, "fontsize": 14}
        axis.text(at + (0.03 if at < 0.5 else 0.05), float(score(at)) - 0.22, words, **place)
    axis.set(xlim=(0, 1), ylim=(0, 1.08))
    axis.set_xlabel("value of one pixel (0 black, 1 white)", fontsize=13)
    axis.set_ylabel("score", fontsize=13)
    done(figure, "idea_saliency.png")


def baselines(model: Model, cup: Attribution) -> None:
    """Show one window covered by each baseline, with the drop that this makes."""
    image, column = cup.images[0], int(cup.weights[0].argmax())
    other = np.asarray(photograph("chelsea").resize((224, 224)), dtype=np.float32) / 255
    chosen = {
        "Blur(12)": eyeline.Blur(12), "Constant()": eyeline.Constant(), "Mean()": eyeline.Mean(),
        "Noise(0)": eyeline.Noise(0), "Image(a cat)": eyeline.Image(other),
    }  # fmt: skip
    before = float(model.scores(image[None])[0, column])
    titles, pixels = [f"the photograph\n{cup.targets[0]}: {before:.2f}"], [framed(image)]
    for name, baseline in chosen.items():
        pixels.append(covered(image, baseline))
        drop = before - float(model.scores(pixels[-1][None])[0, column])
        titles.append(f"{name}\n{f'drop {drop:.2f}'.replace('-', '−')} log-odds")
    tiles(titles, pixels, 3, "idea_baselines.png", 3.2)


def odds() -> None:
    """Show that a probability hardly moves near 1, while log-odds do."""
    figure, axis = plt.subplots(figsize=(8.5, 4.2), layout="constrained")
    values = np.linspace(-4, 8, 300)
    axis.plot(values, 1 / (1 + np.exp(-values)), color=INK, linewidth=2.5)
    for at in (0, 3, 6):
        probability = 1 / (1 + np.exp(-at))
        axis.plot([at, at], [0, probability], ":", color=BLUE, linewidth=1.5)
        axis.plot([-4, at], [probability, probability], ":", color=BLUE, linewidth=1.5)
        axis.plot([at], [probability], "o", color=BLUE, markersize=9)
        axis.annotate(f"{at} log-odds\np = {probability:.3f}", (at, probability), (at + 0.15, probability - 0.19),
                      color=BLUE, fontsize=13)  # fmt: skip
    axis.set(xlim=(-4, 8), ylim=(0, 1.08))
    axis.set_xlabel("log-odds = ln(p / (1 - p))", fontsize=13)
    axis.set_ylabel("probability p", fontsize=13)
    done(figure, "idea_odds.png")


def differences(model: Model, cat: Attribution) -> None:
    """Show five questions about one photograph, each with a scale of its own."""
    image = cat.images[0]
    grey = eyeline.explain(model, image, window=56, stride=14, baseline=eyeline.Constant())
    alone = eyeline.explain(model, image, window=56, stride=14, baseline=eyeline.Blur(12), keep=True)
    gradient = eyeline.explain(model, image, "gradient")
    rather = cat.to(eyeline.Contrast("Egyptian cat", "tabby"))
    titles = ["the photograph", "needed?\na blurred window", "needed?\na grey window",
              "enough alone?\nkeep=True", "Egyptian cat, not tabby?\na contrast",
              "sensitive?\nthe gradient"]  # fmt: skip
    drawn = [draw(cat), draw(grey), draw(alone), draw(rather), draw(gradient, style="map", scale="p99")]
    tiles(titles, [image, *map(np.asarray, drawn)], 3, "idea_differences.png", 3.2)


def reading(cup: Attribution) -> None:
    """Show a picture as eyeline makes it, with the order in which to read it."""
    made = np.asarray(panel(cup, size=336))
    rows, columns = made.shape[:2]
    figure, axis = plt.subplots(figsize=(11, 11 * rows / (columns + 290)), layout="constrained")
    axis.imshow(made)
    axis.set(xlim=(0, columns + 290), ylim=(rows, 0))
    axis.set_axis_off()
    steps = {"1  what was explained": 0.06, "6  now the picture": 0.25, "5  how fine: the window": 0.5,
             "2  how large, 4  which sign": 0.80, "3  unit and scale": 0.93}  # fmt: skip
    for words, share in steps.items():
        axis.annotate(words, (columns - 10, rows * share), (columns + 25, rows * share), fontsize=15, color=BLUE,
                      va="center", arrowprops={"arrowstyle": "->", "color": BLUE, "linewidth": 2})  # fmt: skip
    axis.add_patch(Rectangle((0, 0), columns - 1, rows - 1, fill=False, edgecolor="#cccccc"))
    done(figure, "idea_reading.png")


def lectures(folder: Path) -> None:
    """Show three test pictures of a run of the lecture."""
    from eyeline.lecture.run import run

    summary = run(folder, say=lambda line: None)
    columns = ("part framed", "occlusion", "saliency")
    shown = [each for each in summary.shown if "drawn at" in each.sentence][:3]
    titles = [f"{each.truth}: {words}" for each in shown for words in columns]
    pixels = [np.asarray(Image.open(file)) for each in shown for file in each.files]
    tiles(titles, pixels, 3, "lecture.png", 2.6)


def pages(folder: Path) -> None:
    """Run the code of the page on volumes, and keep the picture that it writes."""
    text = (HERE / "howto" / "volume.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        exec(compile(block.replace('"volume.png"', f'r"{folder / "volume.png"}"'), "volume.md", "exec"), SPACE)
    print(save(Image.open(folder / "volume.png"), FOLDER / "volume.png"))


SPACE: dict[str, object] = {"__name__": "__main__"}


def main() -> None:
    """Draw all of them, or those named on the command line."""
    torch.set_num_threads(1)
    model = eyeline.load("bundled")
    settings = {"window": 56, "stride": 14, "baseline": eyeline.Blur(12)}
    cup = eyeline.explain(model, photograph("coffee"), **settings)
    cat = eyeline.explain(model, photograph("chelsea"), **settings)
    with tempfile.TemporaryDirectory() as folder:
        made = {
            "occlusion": lambda: occlusion(model, cup), "saliency": saliency, "odds": odds,
            "baselines": lambda: baselines(model, cup),
            "differences": lambda: differences(model, cat), "reading": lambda: reading(cup),
            "lecture": lambda: lectures(Path(folder) / "lecture"), "volume": lambda: pages(Path(folder)),
        }  # fmt: skip
        for name in sys.argv[1:] or made:
            made[name]()


if __name__ == "__main__":
    main()
