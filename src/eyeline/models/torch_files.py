"""PyTorch's files: weights with an architecture, TorchScript and exported programs, opened without running code."""

import copy
import dataclasses
import inspect
import pickle
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.export.passes import move_to_device_pass

from eyeline.errors import Error, InputError, ModelError, UnsupportedError, first_line
from eyeline.models import torch_guard
from eyeline.models.base import Options
from eyeline.models.torch import TorchModel
from eyeline.models.torch_checks import place

ZIP_OR_PICKLE = (b"PK", *(bytes([0x80, protocol]) for protocol in range(2, 6)))
WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training scripts keep the weights."""


def open_torch(path: Path, options: Options, architecture: Any = None) -> TorchModel:
    """Open a `.pt`, `.pth` or similar file by what it holds: TorchScript, an exported program, or weights.

    Raises:
        ModelError: a damaged file, weights that do not fit, or code without `options.trust`.
        InputError: weights without an architecture, or an architecture for a file that holds its own.
    """
    names = _reading(path, lambda: set(torch_guard.records(path)))
    own = "archive_format" in names or any(name.startswith("code/") for name in names)
    if own and architecture is not None:
        raise InputError(f"architecture= goes with a file of weights, but {str(path)!r} holds its own. Leave it out.")
    if "archive_format" in names:
        return open_program(path, options)
    if own:
        return _open_script(path, options)
    try:
        found = torch.load(path, map_location="cpu", weights_only=not options.trust)
    except Exception as error:
        if isinstance(error, pickle.UnpicklingError) and _start(path) in ZIP_OR_PICKLE:
            raise torch_guard.refused(path, f"holds {torch_guard.pickled(error)}") from error
        raise _damaged(path, error) from error
    if isinstance(found, torch.nn.Module) and architecture is None:
        return TorchModel(place(found, options.device), options, kind="pickled module")
    return _fill(path, options, architecture, found)


def open_safetensors(path: Path, options: Options, architecture: Any = None) -> TorchModel:
    """Fill an architecture with `.safetensors` weights, a format that cannot hold code."""
    from safetensors.torch import load_file

    weights = _reading(path, lambda: load_file(path))
    return _fill(path, options, architecture, weights)


def open_program(source: Path | torch.export.ExportedProgram, options: Options) -> TorchModel:
    """Open an exported program, from a `.pt2` file or live. Its batch may be fixed: it then runs in pieces.

    Raises:
        ModelError: a damaged file, or one that would run code and `options.trust` is not set.
        UnsupportedError: exported in training mode, or with several inputs.
        InputError: `options.input_size` is not the program's.
    """
    if isinstance(source, Path):
        path = source
        if not options.trust:
            _reading(path, lambda: torch_guard.check_program(path))
        program = _reading(path, lambda: torch.export.load(path))
        if options.device is not None:
            place(torch.nn.Linear(1, 1), options.device)  # so that a device that is not here has its own sentence
            program = _reading(path, lambda: move_to_device_pass(program, options.device))
    else:
        program = source
    _evaluates(program, options)
    placeholder = _input(program, options)
    size, sizes = _sizes(placeholder.shape, program, options)
    channels = placeholder.shape[1]
    fixed = all(isinstance(each, int) for each in placeholder.shape[1:])
    module = _reading(options.name, program.module)
    for each in module.modules():
        each.training = False  # what it does is fixed; and eval() refuses
    return TorchModel(
        module,
        dataclasses.replace(options, input_size=size),
        sizes=sizes,
        axes=placeholder.ndim - 2,
        channels=channels if isinstance(channels, int) else None,
        kind="exported program",
        program=program if fixed and options.head is None else None,
    )


def _open_script(path: Path, options: Options) -> TorchModel:
    if not options.trust:
        _reading(path, lambda: torch_guard.check_script(path))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        module = _reading(path, lambda: torch.jit.load(path, map_location="cpu"))
    if not options.trust:
        torch_guard.check_graphs(module, path)
    return TorchModel(place(module, options.device), options, kind="TorchScript")


def _fill(path: Path, options: Options, architecture: Any, found: Any) -> TorchModel:
    if architecture is None:
        raise InputError(
            f"a file of weights must come with its architecture, but got {str(path)!r} alone. Pass architecture=, "
            "a torch.nn.Module, a function that builds one, or its name 'package.module:function'."
        )
    if isinstance(architecture, torch.nn.Module):
        network = copy.deepcopy(architecture)
    else:
        network = _built(architecture)
    if not isinstance(network, torch.nn.Module):
        raise InputError(
            f"architecture must be or build a torch.nn.Module, but got {type(network).__name__}. "
            "Pass a function without parameters that returns the network."
        )
    weights = _weights(found)
    if weights is None:
        raise ModelError(
            f"a file of weights must hold a table of tensors, but {str(path)!r} holds {type(found).__name__}. "
            "Save network.state_dict()."
        )
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:4]]
        raise ModelError(
            f"the weights must fit the architecture, but {str(path)!r} and {type(network).__name__} differ: "
            f"{' '.join(lines)[:400]} Pass the architecture that they were trained in."
        ) from error
    return TorchModel(place(network, options.device).eval(), options, kind="weights")


def _built(architecture: Any) -> Any:
    try:
        inspect.signature(architecture).bind()
    except TypeError as error:
        raise InputError(
            f"architecture must be a torch.nn.Module, or a function without parameters that builds one, but got "
            f"{getattr(architecture, '__name__', repr(architecture))} ({error}). Pass lambda: build(10), for example."
        ) from error
    except ValueError:  # built in: it does not say what it takes
        pass
    return architecture()


def _weights(found: Any) -> dict[str, torch.Tensor] | None:
    """Find the table of tensors, also under a training script's key, without DataParallel's prefix."""
    if not isinstance(found, Mapping):
        return None
    for key in WRAPPERS:
        if isinstance(found.get(key), Mapping):
            return _weights(found[key])
    if not found or not all(isinstance(each, torch.Tensor) for each in found.values()):
        return None
    wrapped = all(name.startswith("module.") for name in found)
    return {name.removeprefix("module.") if wrapped else name: values for name, values in found.items()}


def _evaluates(program: torch.export.ExportedProgram, options: Options) -> None:
    """Refuse a program that would drop out at random or change its own buffers."""
    training = bool(program.graph_signature.buffers_to_mutate)
    for node in program.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        for index, argument in enumerate(schema.arguments if schema else ()):
            if argument.name in ("train", "training"):
                given = node.args[index] if index < len(node.args) else node.kwargs.get(argument.name)
                training = training or given is True
    if training:
        raise UnsupportedError(
            f"the program must be exported in evaluation mode, but {options.name} trains: it drops out or changes "
            "its own buffers. Export network.eval() again."
        )


def _input(program: torch.export.ExportedProgram, options: Options) -> Any:
    names = program.graph_signature.user_inputs
    found = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    if len(found) != 1 or not 3 <= getattr(found[0], "ndim", 0) <= 5:
        shapes = [tuple(getattr(each, "shape", ())) for each in found]
        raise UnsupportedError(
            f"the program must take one batch of images, (n, channels, *space), but {options.name} takes {shapes}. "
            "Export a torch.nn.Module whose forward takes the images and fills in the others."
        )
    return found[0]


def _sizes(
    shape: Any, program: torch.export.ExportedProgram, options: Options
) -> tuple[tuple[int, ...] | None, tuple[int, int | None]]:
    """Return pixels per axis, and the smallest and largest batch."""
    space = tuple(shape[2:])
    fixed, asked = all(isinstance(each, int) for each in space), options.size(len(space))
    if fixed and asked not in (None, space):
        raise InputError(
            f"input_size must be the program's, {space}, but got {asked}. Leave it out, or export with dynamic sizes."
        )
    batch = shape[0]
    if isinstance(batch, int):
        return (space if fixed else asked), (batch, batch)
    limits = program.range_constraints.get(batch.node.expr)
    high = int(limits.upper) if limits is not None and limits.upper.is_Integer else None
    return (space if fixed else asked), (int(limits.lower) if limits is not None else 1, high)


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(2)


def _reading(path: Path | str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except Error:
        raise
    except Exception as error:
        raise _damaged(path, error) from error


def _damaged(path: Path | str, error: Exception) -> ModelError:
    return ModelError(
        f"a model file must be whole and of a version that PyTorch {torch.__version__} reads, but {str(path)!r} is "
        f"not ({type(error).__name__}: {first_line(error, 160)}). Save it again."
    )
