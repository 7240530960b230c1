"""ONNX files: scores by onnxruntime on the CPU; their graph, for the incremental engine and for gradients."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np
import onnx
import onnxruntime

from eyeline._typing import Images, Scores, Weigh
from eyeline.attribution import Unit
from eyeline.errors import InputError, MissingDependencyError, UnsupportedError, require
from eyeline.models import onnx_foresight
from eyeline.models.base import Options, check_classes, running, single
from eyeline.models.layered import Layer, Rule, Values, choose
from eyeline.models.onnx_files import OnnxFile, session
from eyeline.models.onnx_input import DTYPES, geometry, taken
from eyeline.models.onnx_pieces import Arrays, Names, in_batches
from eyeline.models.output import by_name

if TYPE_CHECKING:
    from eyeline.incremental.graph import Graph
    from eyeline.models.onnx_derivative import Derivative


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
        self._input = taken(self._session, options)
        self._geometry = geometry(self._input, options)
        self._output = options.scaled()
        self._names: Names | None = None
        self._derivatives: dict[tuple[int, ...], Derivative] = {}
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
        raw = self._raw(images)
        check_classes(self.classes, raw.shape[1])
        return self._output.convert(raw)

    def gradient(self, images: Images, weigh: Weigh) -> tuple[Scores, Images]:
        """Return the scores and the gradient in image space; PyTorch runs the graph.

        Raises:
            UnsupportedError: an operation whose derivative is not known, numbers other than float32, no PyTorch; no
                derivative reaches the image.
            ModelError: what PyTorch makes of the first image is not what onnxruntime does.
        """
        return self._derivative(images[:1]).gradient(images, weigh)

    def ruled(self, images: Images, weigh: Weigh, rule: Rule) -> tuple[Scores, Images]:
        """Return what `gradient` returns, with `rule` at every ReLU, or raise what `torch_rules.exchange` does."""
        return self._derivative(images[:1]).gradient(images, weigh, rule)

    def layers(self, shape: tuple[int, ...]) -> tuple[Layer, ...]:
        """List the nodes that run for an image of (*space, channels), in their order."""
        return self._derivative(np.zeros((1, *shape), dtype=np.float32)).layers()

    def layer(self, images: Images, weigh: Weigh, name: str) -> tuple[Scores, Values, Values]:
        """Return the scores, what a node gives, and the derivatives with respect to that.

        Raises:
            UnsupportedError: no derivative comes back to the node.
        """
        chosen = choose(self.layers(images.shape[1:]), name, self._options.name)
        return self._derivative(images[:1]).layer(images, weigh, chosen.name)

    def _derivative(self, image: Images) -> "Derivative":
        """Return the graph run by PyTorch, for images of one shape; at first it is compared on one image."""
        shape = image.shape[1:]
        if shape not in self._derivatives:
            try:
                graph = self._read(shape)
            except UnsupportedError as error:
                raise underivable(error) from error
            from eyeline.models.onnx_derivative import Derivative

            raw = self._raw(image)
            check_classes(self.classes, raw.shape[1])
            kinds = {name: each.op_type for each in self._file.graph().graph.node for name in (each.name, *each.output)}
            first = self._geometry.layout == "first"
            made = Derivative(graph, self._geometry.batch, self._output, self._options, kinds, first)
            made.prove(image, raw)
            self._derivatives = {shape: made}
        return self._derivatives[shape]

    def graph(self, shape: tuple[int, ...]) -> "Graph":
        """Return the network on one image of (rows, columns, channels), from image space to raw outputs.

        Raises:
            UnsupportedError: it cannot be read: see `onnx_graph.capture`; PyTorch, on which the engine computes, is
                not installed.
        """
        onnx_foresight.check_axes(shape)
        return self._read(shape)

    def setup(self, shape: tuple[int, ...]) -> float:
        """Foresee the seconds that reading the graph and laying out its weights take.

        Raises:
            UnsupportedError: it is plain that it cannot be read.
        """
        onnx_foresight.check_axes(shape)
        return onnx_foresight.setup(self._file.graph())

    def share(self, ground: Images, covered: Images) -> float:
        """Count which share of the multiply-adds a change of the first image reaches; reading the graph is cheap.

        Raises:
            UnsupportedError: it cannot be read.
        """
        graph = self.graph(ground.shape[1:])
        return onnx_foresight.share(graph, ground[0], covered[0])

    def _read(self, shape: tuple[int, ...]) -> "Graph":
        try:
            require("torch", "torch")
        except MissingDependencyError as error:
            raise UnsupportedError(
                "PyTorch must be installed for the incremental engine, but it was not found. "
                "pip install 'eyeline[torch]', or use engine='full'."
            ) from error
        from eyeline.models.onnx_graph import capture
        from eyeline.models.onnx_importer import Source

        entry = self._options.preprocess.affine(shape[-1])
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

    def _raw(self, images: Images) -> Scores:
        with running(self._options, images.shape):
            (raw,) = in_batches(self._rows, [self._entered(images)], self._geometry.batch)
        return raw

    def _rows(self, arrays: Arrays) -> Arrays:
        """Return one row of raw outputs an image."""
        found = self._session.run(None, {self._input.name: arrays[0]})
        names = [each.name for each in self._session.get_outputs()]
        output = by_name(names, found)
        raw = single(self._options.head(output) if self._options.head else output, len(arrays[0]))
        return [np.asarray(raw, dtype=np.float64).reshape(len(raw), -1)]

    def describe(self) -> dict[str, str]:
        """Say what was assumed."""
        return {
            "framework": f"onnxruntime {onnxruntime.__version__}",
            "name": self._options.name,
            "device": "cpu",
            "dtype": np.dtype(DTYPES[self._input.type]).name,
            "layout": f"channels {self._geometry.layout}",
            "preprocess": str(self._options.preprocess),
            "output": self._output.describe(),
        }


def underivable(error: UnsupportedError) -> UnsupportedError:
    """Word why a file has no gradients."""
    why = str(error).replace(" for the incremental engine", "").removesuffix(" Use engine='full'.")
    why = why.removesuffix(", or use engine='full'.").rstrip(".")
    return UnsupportedError(
        f"an ONNX file must have a graph that PyTorch can run for gradients, but it has not: {why}. "
        "Use method='occlusion', which needs scores only, or load the network in the framework it was made in."
    )


def open_onnx(path: Path, options: Options) -> OnnxModel:
    """Open an `.onnx` file, looked at first: its weights lie inside its folder, its operations are ONNX's own.

    Raises:
        ModelError: a damaged file, weights outside the folder, or operations of an unknown library.
    """
    if options.device not in (None, "cpu"):
        raise InputError(f"device must be 'cpu' for ONNX files, but got {options.device!r}. Leave it out.")
    return OnnxModel(OnnxFile(path), options)
