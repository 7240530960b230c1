"""Opening Keras files without running code from them: the backend is chosen, the file looked into, then read.

A `.keras` file is a zip archive of a JSON description and HDF5 weights; an `.h5` file is HDF5 with the same JSON
as an attribute. The description names classes and functions, which Keras imports and calls: those that are not
Keras' own, or that carry code or read files, are refused before Keras sees the file.
"""

import importlib
import importlib.util
import io
import json
import os
import re
import sys
import zipfile
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from eyeline.errors import Error, MissingDependencyError, ModelError, first_line, require
from eyeline.models.base import Options, check_device

BACKENDS = ("tensorflow", "torch", "jax")
"""In the order in which one is chosen; TensorFlow is Keras' own default."""

MEMBERS = frozenset({"config.json", "metadata.json", "model.weights.h5"})
"""What `model.save` puts into a `.keras` file; anything else would be weights in pickles, or layers' own files."""

MODULE = re.compile(
    r"(tf_)?keras(\.src)?(\.engine|\.backend\.(tensorflow|jax|torch))?"
    r"(\.(layers|models|sequential|functional|activations|initializers|regularizers|constraints|dtype_policies|"
    r"quantizers|random|ops|mixed_precision|losses|metrics|optimizers)(\.\w+)*)?"
)
"""Where the parts of a network live. Not utils, saving, datasets, applications: those read, write and download."""

PLAIN = frozenset(
    {"__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__", "__keras_tensor__", "__tuple__", "function"}
)
"""Entries that are values, or the name of one of Keras' own functions."""

REFUSED = frozenset(
    {"Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer", "TensorFlowOpLayer"}
    | {"ClassMethod", "InstanceMethod", "InstanceProperty", "StringLookup", "IntegerLookup", "TextVectorization"}
)
"""Layers that carry code, call what the description names, or read a file that it names."""

CALLS = re.compile(r"(math|nn|__operators__)\.\w+|cast|concat|expand_dims|reshape|squeeze|stack|transpose")
"""TensorFlow functions that Keras 2 wrote into a network by name (TFOpLambda): arithmetic alone."""

INFLATION, FLOOR = 100, 1 << 26
"""Weights hardly compress: a file that declares more than this many times its own size, above 64 MB, is a bomb."""


def open_file(path: Path, options: Options) -> tuple[Any, str]:
    """Read a `.keras`, `.h5` or `.hdf5` file; return the model, and how the backend was chosen.

    Raises:
        ModelError: no such file, not a Keras model, or one that needs `trust`.
        MissingDependencyError: Keras, h5py or every backend is missing.
        InputError: no such device here.
    """
    if not path.is_file():
        raise ModelError(f"the model file must exist, but got {str(path)!r}. Check the path.")
    require("h5py", "keras")
    try:
        inspect(path, trust=options.trust)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile) as error:
        if isinstance(error, Error):
            raise
        raise _unreadable(path, error) from error
    note = choose_backend()
    keras = require("keras", "keras")
    if options.device is not None:
        check_device(options.device, keras.device, keras.ops.zeros)
    try:
        with keras.device(options.device) if options.device else nullcontext():
            return keras.models.load_model(path, compile=False, safe_mode=not options.trust), note
    except Exception as error:
        return _keras2(path, options, error), note


def choose_backend() -> str:
    """Choose an installed backend where Keras would take one that is not there, and say so.

    Keras takes KERAS_BACKEND, else what its keras.json says, else TensorFlow; it writes that file itself, with
    TensorFlow in it, whatever it runs on.

    Raises:
        MissingDependencyError: no backend is installed, or not the one that KERAS_BACKEND names.
    """
    if "keras" in sys.modules:
        return ""
    installed = [name for name in BACKENDS if _installed(name)]
    asked = os.environ.get("KERAS_BACKEND")
    if not installed or (asked in BACKENDS and asked not in installed):
        raise MissingDependencyError(
            f"Keras must have a backend to run on, but {asked or 'any of ' + ', '.join(BACKENDS)} was not found. "
            f"pip install 'eyeline[{'tensorflow' if asked == 'tensorflow' else 'torch'}]'",
            name=asked or BACKENDS[0],
        )
    if asked or _configured() in installed:
        return ""
    os.environ["KERAS_BACKEND"] = installed[0]
    return f"backend {installed[0]} was chosen, as {_configured()} is not installed"


def _installed(package: str) -> bool:
    """A folder of that name in the working directory is no package: it has no origin."""
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None


def _configured() -> str:
    folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        return str(json.loads((folder / "keras.json").read_text())["backend"])
    except (OSError, ValueError, KeyError, TypeError):
        return "tensorflow"


def _keras2(path: Path, options: Options, error: Exception) -> Any:
    """Try tf_keras, which reads what Keras 2 wrote and Keras 3 does not; the first error says more than its own."""
    if _installed("tf_keras"):
        with suppress(Exception):
            models = importlib.import_module("tf_keras").models
            return models.load_model(path, compile=False, safe_mode=not options.trust)
    raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ModelError:
    return ModelError(
        f"the model file must be one that Keras can read, but {str(path)!r} is not "
        f"({type(error).__name__}: {first_line(error)}). "
        "A file of Keras 2 may need tf-keras: pip install tf-keras tensorflow. Or load the model yourself and pass it."
    )


def inspect(path: Path, *, trust: bool) -> None:
    """Look into a Keras file, whatever its name says it is; a file can be two kinds at once.

    Raises:
        ModelError: it is neither kind, holds weights alone, or could run code or read files and `trust` is not set.
    """
    import h5py

    archive, hdf5 = zipfile.is_zipfile(path), h5py.is_hdf5(path)
    if not archive and not hdf5:
        raise ValueError("it is neither a zip archive nor HDF5")
    if hdf5:
        with h5py.File(path, "r") as file:
            if not archive and "model_config" not in file.attrs:
                raise ModelError(
                    f"the model file must hold a whole model, but {path.name!r} holds weights alone. Build the model, "
                    "call its load_weights with this file and pass the model."
                )
            if not trust:
                _inspect_weights(file, path.stat().st_size, path.name)
                if "model_config" in file.attrs:
                    _inspect_config(json.loads(file.attrs["model_config"]), path.name)
    if archive and not trust:
        _inspect_archive(path)


def _inspect_archive(path: Path) -> None:
    import h5py

    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        odd = sorted(set(names) - MEMBERS) or [name for name in MEMBERS if names.count(name) > 1]
        if odd:
            raise _refused(f"only a description and HDF5 weights, but got {odd[0]!r}", path.name)
        size = sum(info.file_size for info in archive.infolist())
        if size > max(FLOOR, INFLATION * path.stat().st_size):
            raise _refused(f"about as many bytes as it unpacks to, but got {size} of them", path.name)
        config = json.loads(archive.read("config.json"))
        config.pop("compile_config", None)  # not read without compiling
        _inspect_config(config, path.name)
        weights = archive.read("model.weights.h5")
        with h5py.File(io.BytesIO(weights), "r") as file:
            _inspect_weights(file, len(weights), path.name)


def _inspect_config(config: object, name: str) -> None:
    """Refuse classes and functions other than Keras' own, wherever they stand in the description."""
    waiting = [config]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, dict):
            if "class_name" in entry:
                _inspect_entry(entry, name)
            waiting.extend(entry.values())
        elif isinstance(entry, list):
            waiting.extend(entry)


def _inspect_entry(entry: dict[str, Any], name: str) -> None:
    kind, module, registered = entry["class_name"], entry.get("module"), entry.get("registered_name")
    where = (f"{module}.{kind}" if module else str(kind))[:200]
    own = isinstance(kind, str) and (kind in PLAIN or re.fullmatch(r"[A-Z]\w*", kind))
    if module is not None and not (kind == "function" and module == "builtins"):
        own = own and isinstance(module, str) and bool(MODULE.fullmatch(module))
    if registered is not None:
        own = own and ">" not in str(registered)
    if not own:
        raise _refused(f"Keras' own classes and functions alone, but got {where!r}", name)
    if kind in REFUSED:
        raise _refused(f"no layer that carries code or reads other files, but got {where!r}", name)
    if kind in ("TFOpLambda", "SlicingOpLambda"):
        function = str((entry.get("config") or {}).get("function"))[:200]
        if not CALLS.fullmatch(function):
            raise _refused(f"calls of arithmetic alone, but got {function!r}", name)


def _inspect_weights(file: Any, size: int, name: str) -> None:
    """Refuse links to other files, and data sets that are declared larger than the file can hold."""
    import h5py

    declared, seen, waiting = 0, set(), [file]
    while waiting:
        group = waiting.pop()
        for key in group:
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise _refused(f"its weights itself, but got a link at {group.name!r}", name)
            item = group[key]
            if isinstance(item, h5py.Dataset):
                if item.external or item.is_virtual:
                    raise _refused(f"its weights itself, but got data of another file at {item.name!r}", name)
                declared += item.nbytes
            elif isinstance(item, h5py.Group) and (address := h5py.h5o.get_info(item.id).addr) not in seen:
                seen.add(address)
                waiting.append(item)
    if declared > max(FLOOR, INFLATION * size):
        raise _refused(f"about as many bytes as it declares, but got {declared} of them", name)


def _refused(rule: str, name: str) -> ModelError:
    return ModelError(
        f"a Keras file must hold {rule} ({name!r}). Opening it could run code or read files on this machine: if you "
        "trust whoever made it, pass trust=True."
    )
