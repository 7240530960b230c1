"""Models of several inputs: all inputs of an example in one row, which any adapter takes; or one, the others held."""

import importlib
import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from eyeline._typing import Images, Scores, Weigh
from eyeline.attribution import Unit
from eyeline.errors import InputError, UnsupportedError, require
from eyeline.image import FitMode
from eyeline.models.base import Differentiable, Model, Options
from eyeline.models.output import as_head

Shapes = tuple[tuple[int, ...], ...]
"""Of one example of each input: (*space, channels), or (features,)."""


class Several:
    """A network of several inputs, whose example is one array for each.

    Args:
        names: of the inputs, in their order.
        join: a model of rows, (n, total, 1), in which the inputs of an example lie one behind the other.
    """

    def __init__(self, names: tuple[str, ...], join: Callable[[Shapes], Model]) -> None:
        self.names, self._join = names, join
        self._joined: dict[Shapes, Model] = {}

    def joined(self, shapes: Shapes) -> Model:
        """Return the network as a model of rows that hold all inputs."""
        if shapes not in self._joined:
            self._joined = {shapes: self._join(shapes)}
        return self._joined[shapes]

    def alone(self, name: str, given: object) -> "Alone":
        """Return one input as the image of a model that any method of scores or gradients explains, the others held.

        Args:
            name: of the input.
            given: one example of every input, as for `explain`: arrays with n = 1.

        Raises:
            InputError: an input is missing, the name is none of theirs, or there are more examples than one.

        Examples:
            >>> import numpy as np, torch, eyeline
            >>> model = eyeline.several(torch.nn.Bilinear(4, 1, 1, bias=False))
            >>> given = (np.ones((1, 4), dtype=np.float32), np.ones((1, 1), dtype=np.float32))
            >>> eyeline.Rise(masks=40, cells=2)(model.alone("input1", given), given[0][..., None], 0).maps.shape
            (1, 4)
        """
        parts = self.parts(given)
        if name not in self.names:
            raise InputError(f"the input must be one of {_listed(self.names)}, but got {name!r}. Pass its name.")
        if len(parts[0]) != 1:
            raise InputError(
                f"one example must be held, but got {len(parts[0])} of each input. Pass arrays of length 1, and "
                "explain example by example."
            )
        shapes: Shapes = tuple(each.shape[1:] for each in parts)
        row, place = np.concatenate([each.reshape(-1) for each in parts]), self.names.index(name)
        return Alone(self.joined(shapes), row, starts(shapes)[place], shapes[place])

    def parts(self, given: object) -> tuple[np.ndarray, ...]:
        """Return the arrays of the inputs in their order, (n, ...), float32.

        Raises:
            InputError: an input is missing, has another name or length, or is no array of floats.
        """
        if isinstance(given, Mapping):
            other = [name for name in given if name not in self.names]
            missing = [name for name in self.names if name not in given]
            if other or missing:
                got = f"no {missing[0]!r}" if missing else f"{other[0]!r} as well"
                raise InputError(f"the inputs must be {_listed(self.names)}, but got {got}. Pass one array for each.")
            given = tuple(given[name] for name in self.names)
        if not isinstance(given, tuple | list) or len(given) != len(self.names):
            count = f"{len(given)}" if isinstance(given, tuple | list) else type(given).__name__
            raise InputError(
                f"there must be one array for each of the inputs {_listed(self.names)}, but got {count}. "
                "Pass a tuple in this order, or a dict by their names."
            )
        found = tuple(_part(name, each) for name, each in zip(self.names, given, strict=True))
        lengths = [len(each) for each in found]
        if len(set(lengths)) > 1:
            raise InputError(
                f"the inputs must hold as many examples each, but got {lengths} ({_listed(self.names)}). "
                "Pass arrays of one length."
            )
        return found


def several(
    source: object, *, head: Callable[[Any], Any] | None = None, output: Any = "auto", scores: Any = "raw",
    classes: tuple[str, ...] | None = None,
) -> Several:  # fmt: skip
    """Open a network of several inputs: a live PyTorch module or Keras model, or an ONNX file.

    Args:
        source: the network. Arrays are handed to it as they are, channels first where its framework wants them.
        head: as for `load`.
        output: as for `load`.
        scores: as for `load`.
        classes: as for `load`.

    Raises:
        UnsupportedError: another kind of model, or one of a single input.

    Examples:
        >>> import numpy as np, torch, eyeline
        >>> model = eyeline.several(torch.nn.Bilinear(1, 1, 1, bias=False))
        >>> model.names
        ('input1', 'input2')
        >>> three, two = np.array([[3.0]], dtype=np.float32), np.array([[2.0]], dtype=np.float32)
        >>> first, second = eyeline.explain(model, (three, two), "gradient", 0, channels="sum")
        >>> round(float(first.maps.item() / second.maps.item()), 4)  # d(w a b)/da : d(w a b)/db
        0.6667
    """
    name = str(source) if isinstance(source, str | Path) else type(source).__name__
    options = Options(classes=classes, output=output, scores=scores, head=as_head(head), name=name)
    keras, torch = sys.modules.get("keras"), sys.modules.get("torch")
    if isinstance(source, str | Path) and str(source).endswith(".onnx"):
        if not Path(source).is_file():
            raise InputError(f"a model must exist, but got {name!r} (no such file). Pass the path of an ONNX file.")
        require("onnxruntime", "onnx")
        kind = "onnx"
    elif keras is not None and isinstance(source, keras.Model):
        kind = "keras"
    elif torch is not None and isinstance(source, torch.nn.Module):
        kind = "torch"
    else:
        raise UnsupportedError(
            f"a model of several inputs must be a PyTorch module, a Keras model or an ONNX file, but got {source!r}. "
            "Pass one of these, or load a function of one input that fills in the others."
        )
    made: Several = importlib.import_module(f"eyeline.models.{kind}_joined").several(source, options)
    if len(made.names) < 2:
        found = f"only {_listed(made.names)}" if made.names else "none that it names (*args)"
        raise UnsupportedError(
            f"a model of several inputs must have two or more, but {name} has {found}. Use eyeline.load, or wrap a "
            "network that takes a dict or a list in one whose inputs stand side by side."
        )
    return made


def told(options: Options, names: Sequence[str], shapes: Shapes) -> Options:
    """Return the options with the names and shapes of the inputs, for what a network says that refuses them."""
    words = [f"{name} (n, {', '.join(map(str, shape))})" for name, shape in zip(names, shapes, strict=True)]
    return replace(options, inputs=f"inputs of the shapes {', '.join(words)}")


@dataclass(eq=False)
class Alone:
    """One input as the image of a model, for one example: the other inputs are held.

    Args:
        joined: the model of rows.
        held: the example's row.
        start: of the input in the row.
        shape: of the input.
    """

    joined: Model
    held: np.ndarray
    start: int
    shape: tuple[int, ...]
    fit: FitMode = "squash"

    def __post_init__(self) -> None:
        self.axes = max(len(self.shape) - 1, 1)
        self.input_size: tuple[int, ...] | None = self.shape[: self.axes]
        self.channels: int | None = self.shape[-1] if len(self.shape) > 1 else 1
        self.classes = self.joined.classes

    @property
    def unit(self) -> Unit | None:
        """Unit of the scores."""
        return self.joined.unit

    def scores(self, images: Images) -> Scores:
        """Return one row of scores per image."""
        return self.joined.scores(self._rows(images))

    def gradient(self, images: Images, weigh: Weigh) -> tuple[Scores, Images]:
        """Return the scores and the derivative with respect to this input."""
        assert isinstance(self.joined, Differentiable)
        scores, found = self.joined.gradient(self._rows(images), weigh)
        return scores, found[:, self.start : self._stop].reshape(images.shape)

    def describe(self) -> dict[str, str]:
        """Say what was assumed."""
        return self.joined.describe()

    @property
    def _stop(self) -> int:
        return self.start + math.prod(self.shape)

    def _rows(self, images: Images) -> Images:
        rows = np.repeat(self.held[None], len(images), axis=0)
        rows[:, self.start : self._stop] = images.reshape(len(images), -1)
        return rows[..., None]


def starts(shapes: Sequence[tuple[int, ...]]) -> list[int]:
    """Return where each input begins in a row, and the row's length."""
    found = [0]
    for each in shapes:
        found.append(found[-1] + math.prod(each))
    return found


def required(function: Any) -> tuple[str, ...]:
    """Name the inputs that a function has no default for."""
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return tuple(each.name for each in parameters if each.default is each.empty and each.kind not in kinds)


def _part(name: str, given: Any) -> np.ndarray:
    tensor = getattr(sys.modules.get("torch"), "Tensor", ())
    if isinstance(given, tensor):
        given = given.detach().cpu().numpy()
        given = np.moveaxis(given, 1, -1) if given.ndim > 2 else given
    found = np.asarray(given)
    if found.dtype.kind != "f" or found.ndim < 2 or not np.isfinite(found).all() or not len(found):
        raise InputError(
            f"an input must be an array of finite floats, (n, *space, channels) or (n, features), but {name!r} is "
            f"{found.dtype} of shape {found.shape}. Pass np.asarray(numbers, dtype=np.float32)."
        )
    return np.ascontiguousarray(found, dtype=np.float32)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
