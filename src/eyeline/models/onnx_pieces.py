"""Parts of an ONNX graph as models of their own, run by onnxruntime as it runs them in the whole one."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from eyeline.models.onnx_files import session

Arrays = list[np.ndarray]
Names = dict[str, tuple[str, tuple[int, ...] | None]]
"""Layers by name: the output that holds each, and which of the engine's axes each axis of a map is."""

TRIED, SAME = 3, 1e-4
"""Images on which it is tried whether a piece treats each alone, and what is put down to rounding."""


class Piece:
    """Nodes that compute one of their outputs.

    Args:
        nodes: most often one.
        model: they stand in.
        constants: inputs that never change, by name.
        threads: of the session.
    """

    def __init__(
        self,
        nodes: Sequence[onnx.NodeProto],
        output: str,
        model: onnx.ModelProto,
        constants: Mapping[str, np.ndarray],
        threads: int,
    ) -> None:
        self._nodes, self._output, self._model, self._threads = nodes, output, model, threads
        self._constants = constants
        self._session: onnxruntime.InferenceSession | None = None

    def __call__(self, given: Mapping[str, np.ndarray]) -> np.ndarray:
        """Run on the other inputs, by name."""
        if self._session is None:
            self._session = session(self._alone(given), self._threads)
        feed = {name: np.asarray(array, order="C") for name, array in given.items()}
        found: np.ndarray = self._session.run([self._output], feed)[0]
        return found

    def _alone(self, given: Mapping[str, np.ndarray]) -> bytes:
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), None)
            for name, array in given.items()
        ]
        weights = [numpy_helper.from_array(array, name) for name, array in self._constants.items()]
        graph = helper.make_graph(self._nodes, "piece", inputs, [onnx.ValueInfoProto(name=self._output)], weights)
        opsets = self._model.opset_import
        found = helper.make_model(graph, opset_imports=opsets, ir_version=self._model.ir_version).SerializeToString()
        assert isinstance(found, bytes)
        return found


def in_batches(run: Callable[[Arrays], Arrays], arrays: Arrays, size: int | None) -> Arrays:
    """Run on batches of exactly `size` images, the last one filled up with its last image; None means on all at once.

    `arrays` have as many rows as there are images, and so has what `run` returns.

    Raises:
        ValueError: it has not.
    """
    if size is None:
        return run(arrays)
    parts = []
    for start in range(0, len(arrays[0]), size):
        some = [each[start : start + size] for each in arrays]
        count = len(some[0])
        filled = [np.concatenate([each, np.repeat(each[-1:], size - count, axis=0)]) for each in some]
        found = run(filled)
        if any(len(each) != size for each in found):
            raise ValueError("it does not have the images in front")
        parts.append([each[:count] for each in found])
    return [np.concatenate(each) for each in zip(*parts, strict=True)]


def sample(shape: tuple[int, ...], kind: np.dtype) -> np.ndarray:
    """Return the numbers of a few images, each darker than the one before, to try a piece on; whole numbers are 1."""
    if kind.kind != "f":
        return np.ones((TRIED, *shape), dtype=kind)
    scale = 0.5 ** np.arange(TRIED).reshape(-1, *[1] * len(shape))
    return (np.random.default_rng(0).random((TRIED, *shape)) * scale).astype(kind)


def alone(run: Callable[[Arrays], Arrays], arrays: Arrays, size: int | None) -> np.ndarray:
    """Return what a piece gives for a few images, having seen that each image's is the same without the others.

    Raises:
        ValueError: it is not, or the images do not stand in front.
    """
    (together,) = in_batches(run, arrays, size)
    parts = [in_batches(run, [each[one : one + 1] for each in arrays], size)[0] for one in range(TRIED)]
    apart = np.concatenate(parts)
    if together.shape == apart.shape == (TRIED, *parts[0].shape[1:]):
        reach = SAME * float(np.abs(np.nan_to_num(apart)).max(initial=0))
        if np.allclose(together, apart, rtol=SAME, atol=reach, equal_nan=True):
            return together
    raise ValueError("it mixes images, or does not have them in front")
