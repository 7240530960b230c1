"""Plain callables as models: scores only."""

from collections.abc import Callable
from typing import Any, final

import numpy as np

from eyeline._typing import Images, Scores
from eyeline.attribution import Unit
from eyeline.errors import ModelError, first_line
from eyeline.models.base import Options, check_classes, running, single


@final
class FunctionModel:
    """A function that takes preprocessed images, (n, *space, channels) float32, and returns (n, classes) or (n,).

    With `Preprocess(layout="first")` it takes (n, channels, *space). It may return an array or a tensor of any
    framework.
    """

    def __init__(self, function: Callable[[Any], Any], options: Options) -> None:
        self._function, self._options = function, options
        self._output = options.scaled()
        self.input_size = options.size()
        self.axes = len(self.input_size or (0, 0))
        self.channels: int | None = None
        self.fit = options.fit
        self.classes = options.classes

    @property
    def unit(self) -> Unit | None:
        """Unit of the scores."""
        return self._output.unit

    def scores(self, images: Images) -> Scores:
        """Return one row of scores per image.

        Raises:
            ModelError: the function raised, or returned something else than numbers.
            UnsupportedError: it returned another shape than (n, classes) or (n,).
        """
        values = self._options.preprocess(images)  # a new array: the function may write into it
        if self._options.preprocess.layout == "first":
            values = np.ascontiguousarray(np.moveaxis(values, -1, 1))
        with running(self._options, images.shape):
            output = self._function(values)
            output = self._options.head(output) if self._options.head else output
        raw = self._numbers(single(self._whole(output), len(images)))
        check_classes(self.classes, raw.shape[1])
        return self._output.convert(raw)

    def _whole(self, output: Any) -> Any:
        """Make one array of a list."""
        try:
            return np.array(output) if isinstance(output, list) else output
        except Exception as error:  # NumPy's for rows, a framework's own for what the rows hold
            raise ModelError(
                f"{self._options.name} must return rows of numbers of one length, but its list is no array "
                f"({first_line(error, 160)}). Return an array (n, classes)."
            ) from error

    def _numbers(self, output: Any) -> Scores:
        plain = output.detach().cpu() if hasattr(output, "detach") else output
        array = np.asarray(plain)
        if array.dtype.kind not in "fiub":
            raise ModelError(
                f"{self._options.name} must return numbers, but got an array of {array.dtype}. "
                "Return one row of scores per image."
            )
        return array.reshape(len(array), -1).astype(np.float64)

    def describe(self) -> dict[str, str]:
        """Say what was assumed."""
        return {
            "framework": "function (scores only)",
            "name": self._options.name,
            "dtype": "float32",
            "layout": f"channels {'first' if self._options.preprocess.layout == 'first' else 'last'}",
            "preprocess": str(self._options.preprocess),
            "output": self._output.describe(),
        }
