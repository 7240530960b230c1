"""ONNX files: what one would read or run when it is opened is looked at first; its weights are read when needed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import onnx.inliner
import onnxruntime

from eyeline.errors import Error, ModelError, UnsupportedError, first_line

DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview.training", "com.microsoft"}


class OnnxFile:
    """A file whose weights lie inside its folder and whose operations are ONNX's own.

    Raises:
        ModelError: a damaged file, weights outside the folder, or operations of an unknown library.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._whole = path, False
        try:
            self._graph = onnx.load(path, load_external_data=False)
            self._beside = _check_weights(self._graph, path)
            _check_operations(self._graph, path)
            self.session = session(path)
        except Error:
            raise
        except Exception as error:
            raise ModelError(
                f"an ONNX file must be whole and of a version that onnxruntime {onnxruntime.__version__} reads, but "
                f"{str(path)!r} is not ({type(error).__name__}: {first_line(error)}). Export it again."
            ) from error

    def graph(self) -> onnx.ModelProto:
        """Return the graph with its weights, functions written out.

        Raises:
            UnsupportedError: weights beside the file that changed since it was opened, or that onnx does not read.
        """
        if self._whole:
            return self._graph
        try:
            onnx.load_external_data_for_model(self._graph, str(self._path.resolve().parent))
            if self._graph.functions:
                self._graph = onnx.inliner.inline_local_functions(self._graph)
            changed = [str(file) for file, stamp in self._beside.items() if stamp != _stamp(file)]
        except Exception as error:
            raise UnsupportedError(
                f"weights beside an ONNX file must be files that onnx {onnx.__version__} reads for the incremental "
                f"engine, but got {type(error).__name__}: {first_line(error)}. Use engine='full'."
            ) from error
        if changed:
            raise UnsupportedError(
                f"weights beside an ONNX file must stay as they were when it was opened, but {changed[0]!r} changed "
                "since. Load the file again."
            )
        self._whole = True
        return self._graph


def session(source: Path | bytes, threads: int = 0) -> onnxruntime.InferenceSession:
    """Open a session on the CPU; 0 threads means as many as onnxruntime takes."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4 if threads else 3
    settings.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(source, settings, providers=["CPUExecutionProvider"])


def _stamp(file: Path) -> tuple[int, ...]:
    found = file.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _check_weights(graph: onnx.ModelProto, path: Path) -> dict[Path, tuple[int, ...]]:
    """Return the files beside the model, and what tells whether they change."""
    folder = path.resolve().parent
    found = {}
    for message in _messages(graph):
        if not isinstance(message, onnx.TensorProto) or message.data_location != onnx.TensorProto.EXTERNAL:
            continue
        for entry in message.external_data:
            file = folder / entry.value
            if entry.key != "location":
                continue
            if not (file.resolve().is_relative_to(folder) and file.is_file()):
                raise ModelError(
                    f"weights beside an ONNX file must lie in its folder, but {str(path)!r} asks for "
                    f"{entry.value!r}. Put model and weights into one folder, without links."
                )
            found[file] = _stamp(file)
    return found


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
