"""A second occlusion, written from the definition alone in plain loops: no code shared with the package.

`A(p) = mean over the windows W that cover pixel p of s(x) - s(x with W := baseline)`.
"""

import itertools
import math
from collections.abc import Callable

import numpy as np
from scipy import ndimage

Function = Callable[[np.ndarray], np.ndarray]


def windows(size, window, stride, edge="cut"):
    """All windows in raster order, each a list of (start, stop) per axis."""
    per_axis = []
    for pixels, width, step in zip(size, window, stride, strict=True):
        count = math.ceil((pixels - width) / step) + 1
        spans = [(k * step, min(k * step + width, pixels)) for k in range(count)]
        if edge == "inside":
            spans = [(k * step, k * step + width) for k in range(count) if k * step + width <= pixels]
        per_axis.append(spans)
    return [list(spans) for spans in itertools.product(*per_axis)]


def inside(pixel, box):
    return all(start <= place < stop for place, (start, stop) in zip(pixel, box, strict=True))


def perturbed(image, covered, box, keep):
    """The image with the box covered, or with everything but the box covered."""
    result = np.empty_like(image)
    for pixel in np.ndindex(image.shape[:-1]):
        hidden = inside(pixel, box) != keep
        result[pixel] = covered[pixel] if hidden else image[pixel]
    return result


def occlusion(
    function: Function,
    images: np.ndarray,
    covered: np.ndarray,
    weights: np.ndarray,
    *,
    window: tuple[int, ...],
    stride: tuple[int, ...],
    measure: str = "drop",
    overlap: str = "mean",
    edge: str = "cut",
    keep: bool = False,
) -> np.ndarray:
    """One image, one window, one pixel at a time. `function` maps one image to its row of scores."""
    size = images.shape[1:-1]
    boxes = windows(size, window, stride, edge)
    maps = np.zeros(images.shape[:-1])
    for n, image in enumerate(images):
        reference = float(weights[n] @ function(covered[n] if keep else image))
        values = []
        for box in boxes:
            score = float(weights[n] @ function(perturbed(image, covered[n], box, keep)))
            drop = score - reference if keep else reference - score
            values.append({"drop": drop, "score": score, "complement": 1 - score}[measure])
        for pixel in np.ndindex(size):
            over = [value for value, box in zip(values, boxes, strict=True) if inside(pixel, box)]
            if over:
                maps[(n, *pixel)] = sum(over) / (len(over) if overlap == "mean" else 1)
    return maps


def blur(images: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian over the spatial axes, image by image and channel by channel."""
    result = np.empty_like(images)
    for n in range(len(images)):
        for channel in range(images.shape[-1]):
            plane = images[n, ..., channel].astype(np.float64)
            result[n, ..., channel] = ndimage.gaussian_filter(plane, sigma, mode="nearest", truncate=4)
    return result


def mean(images: np.ndarray) -> np.ndarray:
    result = np.empty_like(images)
    for n in range(len(images)):
        for channel in range(images.shape[-1]):
            result[n, ..., channel] = images[n, ..., channel].astype(np.float64).mean()
    return result


def mean_of_windows(drops, window, stride):
    """What a linear model's map must be: per pixel the mean over its windows of the sum of drops within."""
    total, count = np.zeros(drops.shape), np.zeros(drops.shape)
    for box in windows(drops.shape, window, stride):
        within = tuple(slice(*span) for span in box)
        total[within] += drops[within].sum()
        count[within] += 1
    return total / count
