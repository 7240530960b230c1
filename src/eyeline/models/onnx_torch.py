"""Parts of an ONNX graph run by PyTorch, node by node, where derivatives are wanted: see `onnx_pieces` for the others.

What does not depend on the image is left to onnxruntime.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper
from torch import Tensor

from eyeline.errors import Error, UnsupportedError, first_line
from eyeline.models import onnx_torch_layers, onnx_torch_numbers, onnx_torch_shapes
from eyeline.models.onnx_pieces import Piece
from eyeline.models.onnx_torch_numbers import Step, tensor

TABLE: dict[str, Callable[[Step], Any]] = {
    **onnx_torch_numbers.TABLE,
    **onnx_torch_layers.TABLE,
    **onnx_torch_shapes.TABLE,
}
"""Name of the operation -> tensors from what is given and set."""

DOMAINS = ("", "ai.onnx")
THEIRS = ("Gelu",)
"""Operations of onnxruntime that are as ONNX's own."""


def headed(head: Callable[[Any], Any], output: Any) -> Tensor:
    """Return what a head makes of tensors.

    Raises:
        UnsupportedError: it needs arrays.
    """
    try:
        found = head(output)
    except Error:
        raise
    except Exception as error:
        raise _no_head(f"it raised {type(error).__name__}: {first_line(error)}") from error
    if not isinstance(found, Tensor):
        raise _no_head(f"it returned {type(found).__name__}")
    return found.reshape(len(found), -1)


def _no_head(what: str) -> UnsupportedError:
    return UnsupportedError(
        f"head= of an ONNX file must take tensors of PyTorch as well as arrays for gradients, but {what}. Use what "
        "both have: indices, arithmetic, .mean((2, 3)), .sum(1); or use method='occlusion', which needs scores only."
    )


class TorchPiece:
    """Nodes that compute one of their outputs, with derivatives.

    Args:
        nodes: in the order they run.
        model: they stand in.
        version: of ONNX's own operations.
    """

    def __init__(self, nodes: Sequence[onnx.NodeProto], output: str, model: onnx.ModelProto, version: int) -> None:
        self._nodes, self._output, self._model, self._version = nodes, output, model, version
        self._pieces: dict[str, Piece] = {}

    def __call__(self, given: Mapping[str, Any]) -> Tensor:
        """Run on tensors and arrays by name.

        Raises:
            UnsupportedError: an operation that is not known; the sentence names it.
        """
        held: dict[str, Any] = {"": None, **given}
        for node in self._nodes:
            inputs = [held[name] for name in node.input]
            if any(isinstance(each, Tensor) for each in inputs):
                found = self._read(node)(self._step(node, inputs))
                outputs = found if isinstance(found, tuple | list) else [found]
                held.update(zip(node.output, outputs, strict=False))
            else:
                held.update(self._constant(node, held))
        return tensor(held[self._output])

    def _read(self, node: onnx.NodeProto) -> Callable[[Step], Any]:
        known = node.domain in DOMAINS or (node.domain == "com.microsoft" and node.op_type in THEIRS)
        if known and node.op_type in TABLE:
            return TABLE[node.op_type]
        name = f" (node {node.name!r})" if node.name else ""
        raise UnsupportedError(
            f"an ONNX file must hold operations whose derivative is known for gradients, but got {node.op_type}{name}. "
            "Use method='occlusion', which needs scores only, or load the network in the framework it was made in."
        )

    def _step(self, node: onnx.NodeProto, inputs: list[Any]) -> Step:
        own = node.domain in DOMAINS
        version = self._version if own else onnx.defs.onnx_opset_version()
        schema = onnx.defs.get_schema(node.op_type, version, "")
        set_ = {name: each.default_value for name, each in schema.attributes.items() if each.default_value.name}
        set_ |= {each.name: each for each in node.attribute}
        words = {name: helper.get_attribute_value(each) for name, each in set_.items()}
        plain = {name: each.decode() if isinstance(each, bytes) else each for name, each in words.items()}
        return Step(inputs, plain, version, len(node.output))

    def _constant(self, node: onnx.NodeProto, held: Mapping[str, Any]) -> dict[str, np.ndarray]:
        given, found = {name: held[name] for name in node.input if name}, {}
        for name in filter(None, node.output):
            if name not in self._pieces:
                self._pieces[name] = Piece([node], name, self._model, {}, threads=1)
            found[name] = self._pieces[name](given)
        return found
