"""How many covered images of each image a method asks the scores of, before it runs."""

import dataclasses
import math
from typing import Any

from eyeline.methods.occlusion import Occlusion
from eyeline.methods.pairs import Pairs
from eyeline.methods.rise import Rise
from eyeline.methods.superpixels import Superpixels
from eyeline.methods.together import BaselineAgreement, MultiScale
from eyeline.window import default_window, per_axis


def positions(method: Any, size: tuple[int, ...]) -> int:
    """Count the covered images that a map of an image of so many pixels per axis takes; 0 for methods that cover none.

    For superpixels it is the number wanted. What a method wraps counts as often as it is run.

    Raises:
        InputError: windows that do not fit the image.
    """
    match method:
        case Occlusion():
            windows, strides = method.sizes(size)
            spans = zip(size, windows, strides, strict=True)
            return math.prod(math.ceil(max(length - wide, 0) / step) + 1 for length, wide, step in spans)
        case Rise():
            return method.masks
        case Superpixels():
            return method.count
        case Pairs():
            window = default_window(size) if method.window is None else per_axis(method.window, len(size), "window")
            alone = math.prod(math.ceil(length / wide) for length, wide in zip(size, window, strict=True))
            return alone * (alone + 1) // 2
        case MultiScale():
            return sum(positions(each, size) for each in method.inners(size))
        case BaselineAgreement():
            return len(method.baselines) * positions(method.inner, size)
    fields = {field.name for field in dataclasses.fields(method)}
    return getattr(method, "samples", 1) * positions(method.inner, size) if "inner" in fields else 0
