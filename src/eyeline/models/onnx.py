"""ONNX files through onnxruntime on the CPU: scores only."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, final

import numpy as np
import onnx
import onnxruntime

from eyeline._typing import Images, Scores
from eyeline.attribution import Unit
from eyeline.errors import Error, InputError, ModelError, UnsupportedError, first_line
from eyeline.models.base import Options, check_classes, running, single

DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview.training", "com.microsoft"}
PICTURE = (1, 2, 3, 4)
"""Numbers of channels that tell where the channels stand."""


class Geometry(NamedTuple):
    """What the graph's input says, and `input_size` where it leaves the size open."""

    layout: Literal["first", "last"]
    batch: int | None
    space: tuple[int, ...] | None
    channels: int | None
    axes: int


@final
class OnnxModel:
    """A graph that maps (n, channels, *space) or (n, *space, channels) to scores.

    onnxruntime takes as many threads as the machine has cores; `OMP_NUM_THREADS` and torch's count do not bind it.

    Args:
        session: the opened graph.
        options: what `load` was told. `preprocess.layout` says where the channels stand, where the graph does not.

    Raises:
        UnsupportedError: several inputs, an input of integers, or one that is no image.
        InputError: the layout cannot be told, or `input_size` is not the graph's.
    """

    def __init__(self, session: onnxruntime.InferenceSession, options: Options) -> None:
        self._session, self._options = session, options
        self._input = _input(session, options)
        self._geometry = _geometry(self._input, options)
        self._output = options.scaled()
        self.input_size = self._geometry.space
        self.axes = self._geometry.axes
        self.channels = self._geometry.channels
        self.fit = options.fit
        self.classes = options.classes

    @property
    def unit(self) -> Unit | None:
        """Unit of the scores."""
        return self._output.unit

    def scores(self, images: Images) -> Scores:
        """Return one row of scores per image.

        Raises:
            ModelError: the graph refused the images.
            UnsupportedError: its output is not one row per image.
        """
        values = self._options.preprocess(images).astype(DTYPES[self._input.type], copy=False)
        if self._geometry.layout == "first":
            values = np.moveaxis(values, -1, 1)
        size = self._geometry.batch or len(values)
        with running(self._options, images.shape):
            pieces = [self._run(values[start : start + size], size) for start in range(0, len(values), size)]
        raw = np.concatenate(pieces)
        check_classes(self.classes, raw.shape[1])
        return self._output.convert(raw)

    def _run(self, piece: np.ndarray, size: int) -> np.ndarray:
        """Run one batch, filled up with its last image where the graph's batch is fixed."""
        filled = np.concatenate([piece, np.repeat(piece[-1:], size - len(piece), axis=0)])
        found = self._session.run(None, {self._input.name: np.ascontiguousarray(filled)})
        names = [each.name for each in self._session.get_outputs()]
        output = found[0] if len(found) == 1 else dict(zip(names, found, strict=True))
        raw = single(self._options.head(output) if self._options.head else output, size)
        return np.asarray(raw, dtype=np.float64).reshape(size, -1)[: len(piece)]

    def describe(self) -> dict[str, str]:
        """Say what was assumed."""
        return {
            "framework": f"onnxruntime {onnxruntime.__version__} (scores only)",
            "name": self._options.name,
            "device": "cpu",
            "dtype": np.dtype(DTYPES[self._input.type]).name,
            "layout": f"channels {self._geometry.layout}",
            "preprocess": str(self._options.preprocess),
            "output": self._output.describe(),
        }


def open_onnx(path: Path, options: Options) -> OnnxModel:
    """Open an `.onnx` file, looked at first: its weights lie inside its folder, its operations are ONNX's own.

    Raises:
        ModelError: a damaged file, weights outside the folder, or operations of an unknown library.
    """
    if options.device not in (None, "cpu"):
        raise InputError(f"device must be 'cpu' for ONNX files, but got {options.device!r}. Leave it out.")
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    try:
        graph = onnx.load(path, load_external_data=False)
        _check_weights(graph, path)
        _check_operations(graph, path)
        session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    except Error:
        raise
    except Exception as error:
        raise ModelError(
            f"an ONNX file must be whole and of a version that onnxruntime {onnxruntime.__version__} reads, but "
            f"{str(path)!r} is not ({type(error).__name__}: {first_line(error)}). Export it again."
        ) from error
    return OnnxModel(session, options)


def _check_weights(graph: onnx.ModelProto, path: Path) -> None:
    folder = path.resolve().parent
    for message in _messages(graph):
        if not isinstance(message, onnx.TensorProto) or message.data_location != onnx.TensorProto.EXTERNAL:
            continue
        for entry in message.external_data:
            file = folder / entry.value
            if entry.key == "location" and not (file.resolve().is_relative_to(folder) and file.is_file()):
                raise ModelError(
                    f"weights beside an ONNX file must lie in its folder, but {str(path)!r} asks for "
                    f"{entry.value!r}. Put model and weights into one folder, without links."
                )


def _check_operations(graph: onnx.ModelProto, path: Path) -> None:
    known = DOMAINS | {function.domain for function in graph.functions}
    for message in _messages(graph):
        if isinstance(message, onnx.NodeProto) and message.domain not in known:
            raise ModelError(
                f"an ONNX file must use ONNX's own operations, but {str(path)!r} uses "
                f"{message.domain}.{message.op_type}. Export it without custom operations, or pass a function that "
                "runs it with your own session."
            )


def _messages(message: Any) -> Iterator[Any]:
    """Walk through every part of a graph: subgraphs, functions and constants too."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in value if isinstance(value, list) or hasattr(value, "add") else [value]:
                yield from _messages(each)


def _input(session: onnxruntime.InferenceSession, options: Options) -> Any:
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(f"{each.name} {each.shape}" for each in inputs)
        raise UnsupportedError(
            f"an ONNX file must take one batch of images, but {options.name} takes {len(inputs)} inputs: {names}. "
            "Pass a function that runs your own session and fills in the others."
        )
    if inputs[0].type not in DTYPES or len(inputs[0].shape) not in (3, 4, 5):
        raise UnsupportedError(
            f"an ONNX file must take images of float32, float16 or float64 and of 3 to 5 axes, but {options.name} "
            f"takes {inputs[0].type} {inputs[0].shape}. Pass a function that runs your own session."
        )
    return inputs[0]


def _geometry(given: Any, options: Options) -> Geometry:
    shape = [each if isinstance(each, int) and each > 0 else None for each in given.shape]
    layout: Any = options.preprocess.layout
    if layout == "auto":
        first, last = shape[1] in PICTURE, shape[-1] in PICTURE
        if first == last:
            raise InputError(
                f"the place of the channels must be known, but the input of {options.name} has shape {given.shape}. "
                "Pass preprocess=eyeline.Preprocess(layout='first') for (n, channels, *space), or layout='last'."
            )
        layout = "first" if first else "last"
    channels, *space = shape[1:] if layout == "first" else [shape[-1], *shape[1:-1]]
    known = tuple(each for each in space if each is not None)
    size, asked = known if len(known) == len(space) else None, options.size(len(space))
    if size and asked not in (None, size):
        raise InputError(f"input_size must be the graph's, {size}, but got {asked}. Leave it out.")
    return Geometry(layout, shape[0], size or asked, channels, len(space))
