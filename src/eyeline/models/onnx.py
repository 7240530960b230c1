"""ONNX files through onnxruntime on the CPU: scores, and the graph for the incremental engine."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, final

import numpy as np
import onnx
import onnxruntime

from eyeline._typing import Images, Scores
from eyeline.attribution import Unit
from eyeline.errors import InputError, MissingDependencyError, UnsupportedError, require
from eyeline.models.base import Options, check_classes, running, single
from eyeline.models.onnx_files import OnnxFile, session
from eyeline.models.onnx_pieces import Arrays, Names, in_batches

if TYPE_CHECKING:
    from eyeline.incremental.graph import Graph

DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
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
        file: the opened graph.
        options: what `load` was told. `preprocess.layout` says where the channels stand, where the graph does not.

    Raises:
        UnsupportedError: several inputs, an input of integers, or one that is no image.
        InputError: the layout cannot be told, or `input_size` is not the graph's.
    """

    def __init__(self, file: OnnxFile, options: Options) -> None:
        self._file, self._session, self._options = file, file.session, options
        self._input = _input(self._session, options)
        self._geometry = _geometry(self._input, options)
        self._output = options.scaled()
        self._names: Names | None = None
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
        with running(self._options, images.shape):
            (raw,) = in_batches(self._rows, [self._entered(images)], self._geometry.batch)
        check_classes(self.classes, raw.shape[1])
        return self._output.convert(raw)

    def graph(self, shape: tuple[int, ...]) -> "Graph":
        """Return the network on one image of (rows, columns, channels), from image space to raw outputs.

        Raises:
            UnsupportedError: it cannot be read: see `onnx_graph.capture`; PyTorch, on which the engine computes, is
                not installed.
        """
        if len(shape) != 3:
            raise UnsupportedError(
                f"images must have two spatial axes for the incremental engine, but got {len(shape) - 1}. "
                "Use engine='full'."
            )
        try:
            require("torch", "torch")
        except MissingDependencyError as error:
            raise UnsupportedError(
                "PyTorch must be installed for the incremental engine, but it was not found. "
                "pip install 'eyeline[torch]', or use engine='full'."
            ) from error
        from eyeline.models.onnx_graph import capture
        from eyeline.models.onnx_importer import Source

        entry = self._options.preprocess.affine(shape[2])
        source = Source(shape, self._geometry.layout, self._geometry.batch, entry, self._options.head)
        graph, self._names = capture(self._file.graph(), source)
        return graph

    def convert(self, raw: Scores) -> Scores:
        """Turn raw outputs into scores."""
        return self._output.convert(raw)

    def fingerprint(self) -> str:
        """Say what `graph` was read from: the file as it was opened, which does not change."""
        return self._options.name

    def activations(self, images: Images, names: Collection[str]) -> dict[str, np.ndarray]:
        """Return what named nodes make of whole images: (n, rows, columns, channels), or (n, features).

        Raises:
            UnsupportedError: the graph cannot be read.
        """
        if self._names is None:
            self.graph(images.shape[1:])
        assert self._names is not None
        known = {name: self._names[name] for name in names if name in self._names}
        outputs = [output for output, _ in known.values()]
        inside = self._inside(outputs)

        def run(arrays: Arrays) -> Arrays:
            found: Arrays = inside.run(outputs, {self._input.name: arrays[0]})
            return found

        with running(self._options, images.shape):
            found = in_batches(run, [self._entered(images)], self._geometry.batch)
        return {
            name: each.transpose([order.index(axis) for axis in range(4)]) if order else each
            for (name, (_, order)), each in zip(known.items(), found, strict=True)
        }

    def _inside(self, outputs: list[str]) -> onnxruntime.InferenceSession:
        """Open the same graph with more outputs."""
        copy = onnx.ModelProto()
        copy.CopyFrom(self._file.graph())
        del copy.graph.output[:]
        copy.graph.output.extend(onnx.ValueInfoProto(name=each) for each in outputs)
        return session(copy.SerializeToString())

    def _entered(self, images: Images) -> np.ndarray:
        """Bring images into the graph's space, layout and numbers."""
        values = self._options.preprocess(images).astype(DTYPES[self._input.type], copy=False)
        return np.ascontiguousarray(np.moveaxis(values, -1, 1) if self._geometry.layout == "first" else values)

    def _rows(self, arrays: Arrays) -> Arrays:
        """Return one row of raw outputs an image."""
        found = self._session.run(None, {self._input.name: arrays[0]})
        names = [each.name for each in self._session.get_outputs()]
        output = found[0] if len(found) == 1 else dict(zip(names, found, strict=True))
        raw = single(self._options.head(output) if self._options.head else output, len(arrays[0]))
        return [np.asarray(raw, dtype=np.float64).reshape(len(raw), -1)]

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
    return OnnxModel(OnnxFile(path), options)


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
