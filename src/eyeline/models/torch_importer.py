"""Turns an exported PyTorch program into the engine's graph, one operation at a time.

In-place operations become values: what is read afterwards under the old name is the new value. Layouts are followed,
not executed: a permuted map is the same map. What is not known is carried as the framework's own operation and sees
whole tensors.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx

from eyeline.errors import UnsupportedError
from eyeline.incremental.graph import Affine, Graph, Input, Node, Operation, Unknown, prune
from eyeline.models import torch_operations
from eyeline.models.torch_values import FIRST, Value, refused

Entry = tuple[Sequence[float], Sequence[float]] | None
"""A factor and a summand per channel."""


class CountedError(UnsupportedError):
    """An operation that is carried along has a number of images written into it."""


@dataclass(eq=False)
class _Cell:
    """What a name stands for now; in-place operations change it. Views of one memory share a family."""

    value: Value | Tensor
    names: list[fx.Node] = field(default_factory=list)
    family: list["_Cell"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.family.append(self)


class Importer:
    """Turns an exported program into nodes, one operation at a time."""

    def __init__(self, program: torch.export.ExportedProgram, entry: Entry) -> None:
        self._program, self._entry = program, entry
        self._cells: dict[fx.Node, _Cell] = {}
        self._order = {node: place for place, node in enumerate(program.graph.nodes)}
        self.nodes: list[Node] = []

    def graph(self) -> Graph:
        """Return the graph, without what the output does not need."""
        self._bind_inputs()
        for node in self._program.graph.nodes:
            if node.op == "call_function":
                self._import(node)
            elif node.op not in ("placeholder", "output") and node.users:
                raise refused("be one straight graph", f"{node.op} {node.target}")
        outputs = [self._cells[each].value for each in self._outputs()]
        fitting = [each for each in outputs if isinstance(each, Value) and len(self.nodes[each.place].shape) in (0, 1)]
        if len(fitting) != 1:
            raise refused("return one row of scores an image", f"{len(outputs)} outputs")
        return prune(self.nodes, fitting[0].place)

    def add(
        self, operation: Operation, inputs: Iterable[Value], shape: tuple[int, ...], order: tuple[int, ...] | None
    ) -> Value:
        """Append a node."""
        self.nodes.append(Node(operation, tuple(each.place for each in inputs), shape, self._name))
        return Value(len(self.nodes) - 1, shape, order)

    def _bind_inputs(self) -> None:
        constants = {**self._program.state_dict, **self._program.constants}
        placeholders = [node for node in self._program.graph.nodes if node.op == "placeholder"]
        for node, spec in zip(placeholders, self._program.graph_signature.input_specs, strict=True):
            if spec.kind == torch.export.graph_signature.InputKind.USER_INPUT:
                self._batch = node.meta["val"].shape[0]
                channels, rows, columns = (int(each) for each in node.meta["val"].shape[1:])
                self._name = "image"
                image = self.add(Input(), (), (rows, columns, channels), FIRST)
                if self._entry is not None:
                    image = self.add(Affine(*map(torch.tensor, self._entry)), (image,), image.shape, FIRST)
                self._cells[node] = _Cell(image, [node])
            else:
                found = constants[spec.target] if spec.target is not None else constants[node.name]
                self._cells[node] = _Cell(found.detach())

    def _outputs(self) -> list[fx.Node]:
        (output,) = (node for node in self._program.graph.nodes if node.op == "output")
        kind = torch.export.graph_signature.OutputKind.USER_OUTPUT
        if any(spec.kind != kind for spec in self._program.graph_signature.output_specs):
            raise refused("leave its buffers alone", "a forward that changes them")
        found = [each for each in output.args[0] if isinstance(each, fx.Node)]
        return [each for each in found if self.shape(each) is not None and len(each.meta["val"].shape) in (1, 2)]

    def _import(self, node: fx.Node) -> None:
        schema = getattr(node.target, "_schema", None)
        mutates = schema is not None and schema.is_mutable
        if isinstance(node.meta.get("val"), torch.SymInt) or not (node.users or mutates):
            return
        if schema is None and not str(getattr(node.target, "__name__", "")) == "getitem":
            raise refused("be one straight graph", f"a nested {node.target}")
        if getattr(getattr(node.meta.get("val"), "dtype", None), "is_complex", False):
            raise refused("be of real numbers", f"complex ones from {node.target}")
        self._name = _layer(node)
        cells = [self._cells[each] for each in node.all_input_nodes if each in self._cells]
        if not any(isinstance(cell.value, Value) for cell in cells) and not self._sizes(node):
            if mutates:
                raise refused("leave its parameters alone", f"a forward that changes them by {node.target}")
            _check_seeded(node)
            value = node.target(*self._filled(node.args, {}, 1), **self._filled(node.kwargs, {}, 1))
            self._cells[node] = _Cell(value)
            return
        found = torch_operations.recognise(self, node) or self._unknown(node)
        if mutates:
            self._overwrite(node, found)
        else:
            self._cells[node] = _Cell(found, [node], self._family(node, found))

    def _family(self, node: fx.Node, found: Value) -> list[_Cell]:
        """Return the cells that may lie in the same memory: a view's, or those of what handed its input on."""
        source = self._cells.get(node.args[0]) if node.args and isinstance(node.args[0], fx.Node) else None
        if source is None:
            return []
        schema = getattr(node.target, "_schema", None)
        view = schema is None or any(each.alias_info for each in schema.returns)
        handed = (
            isinstance(source.value, Value) and source.value.place == found.place and "clone" not in str(node.target)
        )
        return source.family if view or handed else []

    def _overwrite(self, node: fx.Node, found: Value) -> None:
        """Let every name of what an in-place operation changes stand for the result."""
        cell = self._cells.get(node.args[0])
        here = self._order[node]
        others = [name for each in (cell.family if cell else []) if each is not cell for name in each.names]
        read = any(self._order[user] > here for name in others for user in name.users)
        if cell is None or not isinstance(cell.value, Value) or read:
            raise refused("not write into a view that is read elsewhere, or into its parameters", f"{node.target}")
        cell.value = found
        cell.names.append(node)
        self._cells[node] = cell

    # what `torch_operations` asks

    def value(self, node: object) -> Any:
        """Return what an argument stands for: a Value, a constant tensor, or itself."""
        return self._cells[node].value if isinstance(node, fx.Node) and node in self._cells else node

    def shape(self, node: fx.Node) -> tuple[int, ...] | None:
        """Return the output's shape without the images, in the framework's order; None if they are not in front."""
        first, *rest = getattr(node.meta.get("val"), "shape", ()) or (None,)
        if first is None or str(first) != str(self._batch) or not all(isinstance(each, int) for each in rest):
            return None
        return tuple(int(each) for each in rest)

    def _sizes(self, node: fx.Node) -> bool:
        return any(isinstance(each.meta.get("val"), torch.SymInt) for each in node.all_input_nodes)

    def _unknown(self, node: fx.Node) -> Value:
        """Carry the framework's own operation."""
        _check_seeded(node)
        if isinstance(self._batch, int):
            error = refused("take any number of images", f"{node.target} with a number of images written into it")
            raise CountedError(str(error))
        sources = [each for each in node.all_input_nodes if isinstance(self.value(each), Value)]
        values = [self.value(each) for each in sources]
        shape = self.shape(node)
        is_map = shape is not None and len(shape) == 3
        target, fills = node.target, getattr(getattr(node.target, "_schema", None), "is_mutable", False)

        def call(images: int, *tensors: Tensor) -> Any:
            given = {}
            for source, value, tensor in zip(sources, values, tensors, strict=True):
                theirs = tensor.permute(value.order) if value.order else tensor
                given[source] = theirs.clone() if fills else theirs
            output = target(*self._filled(node.args, given, images), **self._filled(node.kwargs, given, images))
            return output.movedim(1, -1).contiguous() if is_map else output

        operation = Unknown(str(target), call)
        if is_map and shape is not None:
            return self.add(operation, values, (*shape[1:], shape[0]), FIRST)
        return self.add(operation, values, shape or (), None)

    def _filled(self, arguments: Any, given: dict[fx.Node, Tensor], images: int) -> Any:
        """Replace names by tensors, and sizes that count images by numbers."""

        def fill(node: fx.Node) -> Any:
            if node in given:
                return given[node]
            size = node.meta.get("val")
            if isinstance(size, torch.SymInt):
                return int(size.node.expr.subs(dict.fromkeys(size.node.expr.free_symbols, images)))
            return self.value(node)

        return fx.node.map_arg(arguments, fill)


def _layer(node: fx.Node) -> str:
    """Return the module that a node came from, as its network names it."""
    stack = node.meta.get("nn_module_stack") or {}
    names = [str(path) for path, _ in stack.values()]
    return names[-1].removeprefix("module.") if names and names[-1] not in ("", "module") else str(node.name)


def _check_seeded(node: fx.Node) -> None:
    """Refuse an operation that draws random numbers; one that may, attention for example, can be told not to."""
    if torch.Tag.nondeterministic_seeded not in getattr(node.target, "tags", ()):
        return
    given = {}
    for place, argument in enumerate(node.target._schema.arguments):
        held = node.args[place] if place < len(node.args) else node.kwargs.get(argument.name, argument.default_value)
        given[argument.name] = held
    probabilities, modes = ("dropout_p", "dropout"), ("train", "training")
    quiet = any(given.get(name) == 0 for name in probabilities) or any(given.get(name) is False for name in modes)
    if not quiet:
        raise refused("give the same numbers on every call", f"{node.target}, which draws random ones")
