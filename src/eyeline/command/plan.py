"""What `eyeline plan` prints: what a run would do and take, and the finest stride for a time."""

import math
import shlex
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from eyeline.command.flags import option
from eyeline.errors import InputError
from eyeline.methods.occlusion import Occlusion
from eyeline.methods.paths import Path
from eyeline.methods.planning import Foresight, foresee
from eyeline.models.base import Model

Say = Callable[[str], None]


def plan(model: Model, image: str | None, method: Occlusion, budget: float | None, say: Say) -> tuple[int, Path] | None:
    """Print what a run is expected to do and take.

    Args:
        model: as `load` returned it.
        image: a file; None means noise of the model's size.
        method: with what was given of its settings.
        budget: seconds; None means that no stride is proposed.
        say: takes a line for the reader.

    Returns:
        The stride and the path to propose for the budget, or None where there is none.

    Raises:
        InputError: no image, and a model that does not say its size; what the method refuses.
    """
    foresight = foresee(model, _noise(model) if image is None else image, method)
    for name, line in _lines(foresight):
        say(f"{name:<14}{line}")
    say("Seconds are expectations, from timing a few windows of each path; other work on the machine changes them.")
    if budget is None:
        return None
    stride = foresight.finest(budget)
    if stride is not None:
        path = foresight.soonest(stride)
        say(
            f"{'budget':<14}{duration(budget)}: stride {stride} at the finest, {math.prod(foresight.windows(stride))} "
            f"windows in {duration(foresight.seconds(path, stride))} by the path {path}"
        )
        return stride, path
    widest = min(foresight.method.sizes(foresight.size)[0])
    least = foresight.seconds(foresight.soonest(widest), widest)
    say(
        f"{'budget':<14}{duration(budget)} is too short: even stride {widest}, windows side by side, is expected to "
        f"take {duration(least)}. Take a larger --window, or more time."
    )
    return None


def command(model: str, image: str, given: Mapping[str, Any], stride: int, path: Path) -> str:
    """Return the command line that explains with a proposed stride and path, and with every flag that was given."""
    words = ["eyeline", "explain", model, image]
    for name, value in {**given, "stride": str(stride), "engine": path}.items():
        if isinstance(value, bool):
            words.append(option(name) if value else f"--no-{option(name)[2:]}")
        elif value is not None:
            words += [option(name), str(value)]
    return shlex.join(words)


def duration(seconds: float) -> str:
    """Write a time as one reads it: 35 ms, 4.2 s, 31 s, 3 min 20 s."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms" if seconds >= 0.01 else f"{1000 * seconds:.2g} ms"
    if seconds < 99.5:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def _lines(foresight: Foresight) -> list[tuple[str, str]]:
    """Word each part of what is foreseen."""
    windows, method = foresight.windows(), foresight.method
    laid = f"{_times(windows)} of {_times(method.window)}, every {_times(method.stride)} pixels"
    lines = [("windows", f"{math.prod(windows)}: {laid}")]
    if foresight.multiply_adds is not None:
        full, left = foresight.multiply_adds
        dense = f"; whole maps from layer {foresight.dense_from!r}" if foresight.dense_from else ""
        rest = f"; not counted: {', '.join(foresight.uncounted)}" if foresight.uncounted else ""
        line = f"{full:.3g} in full, {left:.3g} incrementally ({left / max(full, 1):.1%}){dense}{rest}"
        lines.append(("multiply-adds", line))
    for path in sorted(foresight.expected, key=foresight.seconds):
        found = foresight.expected[path]
        preparing = f"{duration(found.setup)} to prepare, " if found.setup else ""
        lines.append(
            ("expected", f"{path} {duration(foresight.seconds(path))}: {preparing}{duration(found.window)} a window")
        )
    lines += [("refused", f"{path}: {why}") for path, why in foresight.refused.items()]
    if foresight.memory is not None:
        engine, maps = foresight.memory
        lines.append(("memory", f"engine {engine} MiB, maps of an image {maps} MiB, of {method.memory} MiB allowed"))
        lines.append(("kernels", foresight.kernels))
    else:
        lines.append(("memory", f"a batch may grow the process by {method.memory} MiB"))
    return lines


def _times(sizes: Any) -> str:
    return " x ".join(str(each) for each in sizes)


def _noise(model: Model) -> np.ndarray:
    if model.input_size is None or model.channels is None:
        missing, way = ("size", ", or pass --input-size") if model.input_size is None else ("number of channels", "")
        raise InputError(f"plan must know the image's {missing}, but the model does not say it. Name an image{way}.")
    return np.random.default_rng(0).random((1, *model.input_size, model.channels), dtype=np.float32)
