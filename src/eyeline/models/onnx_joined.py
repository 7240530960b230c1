"""ONNX files of several inputs as one of rows that hold them all."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from eyeline.errors import InputError
from eyeline.models.base import Options
from eyeline.models.onnx import OnnxModel
from eyeline.models.onnx_files import OnnxFile
from eyeline.models.several import Several, Shapes, starts, told
from eyeline.preprocess import Preprocess

ROWS = "eyeline_rows"


def several(path: str | Path, options: Options) -> Several:
    """Return an ONNX file of several inputs, named as they are."""
    file = OnnxFile(Path(path))
    names = tuple(each.name for each in file.session.get_inputs())

    def join(shapes: Shapes) -> OnnxModel:
        sized = replace(told(options, names, shapes), preprocess=Preprocess(layout="first"))
        with tempfile.TemporaryDirectory() as folder:
            onnx.save(_joined(file.graph(), names, shapes), Path(folder) / "rows.onnx")
            return OnnxModel(OnnxFile(Path(folder) / "rows.onnx"), sized)

    return Several(names, join)


def _joined(model: onnx.ModelProto, names: tuple[str, ...], shapes: Shapes) -> onnx.ModelProto:
    """Return the graph with one input, (n, 1, total), that is cut into the others."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    inputs = {each.name: each for each in copy.graph.input}
    bounds, nodes, constants = starts(shapes), [], {f"{ROWS}_axis": np.array([2])}
    for start, name, shape in zip(bounds, names, shapes, strict=False):
        own = [each.dim_value or None for each in inputs[name].type.tensor_type.shape.dim]
        first = _first(name, own, shape)
        stop = start + int(np.prod(shape))
        part = f"{ROWS}_{name}"
        constants |= {f"{part}_a": np.array([start]), f"{part}_b": np.array([stop])}
        constants[f"{part}_shape"] = np.array([-1, *shape])
        cut = [ROWS, f"{part}_a", f"{part}_b", f"{ROWS}_axis"]
        nodes.append(helper.make_node("Slice", cut, [f"{part}_cut"]))
        nodes.append(helper.make_node("Reshape", [f"{part}_cut", f"{part}_shape"], [f"{part}_laid" if first else name]))
        if first:
            turn = [0, len(shape), *range(1, len(shape))]
            nodes.append(helper.make_node("Transpose", [f"{part}_laid"], [name], perm=turn))
    kept = [each for each in copy.graph.input if each.name not in names]
    del copy.graph.input[:]
    batch = inputs[names[0]].type.tensor_type.shape.dim[0].dim_value or "n"
    copy.graph.input.extend(
        [helper.make_tensor_value_info(ROWS, onnx.TensorProto.FLOAT, [batch, 1, bounds[-1]]), *kept]
    )
    nodes += list(copy.graph.node)
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    copy.graph.initializer.extend(numpy_helper.from_array(each, name) for name, each in constants.items())
    return copy


def _first(name: str, own: list[int | None], shape: tuple[int, ...]) -> bool:
    """Say whether the graph has an input's channels first.

    Raises:
        InputError: its shape is not that of what was given.
    """
    for first in (True, False):
        wanted = (shape[-1], *shape[:-1]) if first and len(shape) > 1 else shape
        known = len(own) == len(wanted) + 1
        if known and all(one in (None, each) for one, each in zip(own[1:], wanted, strict=True)):
            return first and len(shape) > 1
    raise InputError(
        f"the input {name!r} must have the graph's shape, {own}, but got examples of {shape}. "
        "Pass (n, *space, channels), or (n, features)."
    )
