"""`load`: from an object, a path or a name to a model."""

import importlib
import inspect
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from eyeline._numbers import plain, whole
from eyeline.errors import InputError, nearest, require
from eyeline.image import FitMode
from eyeline.models.base import Model, Options
from eyeline.models.openers import OPENERS, Opener
from eyeline.models.output import Kind, Scale, as_head
from eyeline.preprocess import as_preprocess, size_of


def load(
    source: object,
    *,
    preprocess: object = None,
    classes: object = None,
    scores: str | None = None,
    output: str = "auto",
    head: Callable[[Any], Any] | None = None,
    architecture: object = None,
    fit: str = "squash",
    input_size: int | tuple[int, ...] | None = None,
    device: str | None = None,
    trust: bool = False,
) -> Model:
    """Open a model.

    Args:
        source: a live model, a file, a SavedModel folder, "bundled", a function, or "package.module:name". The named
            object is what `load` gets; a function without parameters is called for it. A function takes
            preprocessed images, (n, *space, channels) float32, and returns (n, classes).
        preprocess: image space -> the network's input: a name, a `Preprocess`, or a transform of torchvision, timm
            or Hugging Face. None leaves images as they are ("bundled" brings its own).
        classes: names or {index: name}, also from a .json file, or a .txt file with one name per line.
        scores: "raw", what the model returns; "probability" or "log-odds". None means "raw", and "log-odds" for
            "bundled".
        output: what the network's outputs are: "probability", "logit", "raw" (neither), or "auto", decided on
            the first ones.
        head: a function of the network's raw output that returns (n, k), inside the framework.
        architecture: for a file of weights: a torch.nn.Module (a copy is filled), a function that builds one,
            or its name "package.module:function".
        fit: how files and PIL images are brought to the model's size: "squash", "crop" or "pad".
        input_size: pixels per spatial axis, where the model does not say; one int stands for every axis.
        device: of a model that is read from a file; a live network stays where it is. Tests run on cpu only.
        trust: open files that run code when they are opened.

    Raises:
        InputError: no such file, an unknown kind of model, or a setting that does not exist.
        MissingDependencyError: with the pip line.
        ModelError: a damaged file, or one that would run code without `trust=True`.
        UnsupportedError: a model that takes more than images.

    Examples:
        >>> import eyeline
        >>> eyeline.load(lambda images: images.mean(axis=(1, 2)), input_size=4, classes=("r", "g", "b")).classes
        ('r', 'g', 'b')
    """
    bundled = source == "bundled" if isinstance(source, str) else False
    size = None if input_size is None else _size(input_size)
    options = Options(
        preprocess=as_preprocess("lite0" if bundled and preprocess is None else preprocess),
        classes=read_classes(classes),
        output=_word("output", output, get_args(Kind)),
        scores=_word("scores", scores or ("log-odds" if bundled else "raw"), get_args(Scale)),
        head=as_head(head),
        fit=_word("fit", fit, get_args(FitMode)),
        input_size=size or size_of(preprocess),
        device=device,
        trust=trust,
        name=_name(source),
    )
    if isinstance(source, str | os.PathLike) and not bundled:
        source = _find(os.fspath(source))
    opener = _by_path(source) if isinstance(source, Path) else _by_type(source)
    return _open(opener, source, options, architecture)


def _open(opener: Opener, source: object, options: Options, architecture: object) -> Model:
    for package in opener.needs:
        require(package, opener.extra)
    extra: dict[str, Any] = {}
    if opener.weights:
        extra["architecture"] = _named(architecture) if isinstance(architecture, str) else architecture
    elif architecture is not None:
        raise InputError(
            f"architecture= goes with a file of weights, but got {options.name!r} ({opener.what}), which "
            "holds its own. Leave it out."
        )
    module, _, name = opener.opens.partition(":")
    model: Model = getattr(importlib.import_module(f"eyeline.models.{module}"), name)(source, options, **extra)
    return model


def _by_type(source: object) -> Opener:
    """Find the opener of a live object, without importing a framework for it."""
    if isinstance(source, str) and source == "bundled":
        return OPENERS[-1]
    for opener in OPENERS:
        for name in opener.types:
            package, _, rest = name.partition(".")
            kind: Any = sys.modules.get(package)
            for part in rest.split("."):
                kind = getattr(kind, part, None)
            if isinstance(kind, type) and isinstance(source, kind):
                return opener
    if isinstance(source, type):
        raise InputError(
            f"a model must be an object, but got the class {source.__name__!r}. Pass an instance, "
            f"{source.__name__}(...), or a function that builds one."
        )
    if callable(source):
        return OPENERS[-2]
    raise InputError(f"a model must be of a known kind, but got {type(source).__name__}. {_known()}")


def _by_path(path: Path) -> Opener:
    """Find the opener of a file by its suffix, of a folder by what it holds."""
    opener = _opener(path)
    if opener is not None:
        return opener
    what = "a folder without saved_model.pb" if path.is_dir() else f"a file ending in {path.suffix!r}"
    raise InputError(f"a model must be of a known kind, but {str(path)!r} is {what}. {_known()}")


def _opener(path: Path) -> Opener | None:
    for opener in OPENERS:
        for suffix in opener.suffixes:
            fits = suffix[0] == "/" or path.suffix.lower() == suffix
            if fits and os.path.isfile(f"{path}{suffix}" if suffix[0] == "/" else path):  # Path.is_file may raise
                return opener
    return None


def _find(source: str) -> Path | Any:
    """Return the path if something is there, or the object that "package.module:name" names."""
    path = Path(source).expanduser()
    if os.path.exists(path):  # Path.exists raises where the name is too long
        return path
    if re.fullmatch(r"[^\W\d][\w.]*:[^\W\d][\w.]*", source):
        return _named(source)
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"a model must exist, but got {source!r} (no folder {str(folder)!r}). {_known()}")
    models = [each.name for each in folder.iterdir() if each.name[0] != "." and _opener(each)]
    near = nearest(path.name, sorted(["bundled", *models]))
    raise InputError(
        f"a model must exist, but got {source!r} (nothing of that name in {str(folder.resolve())!r}). {near}"
    )


def _named(name: str) -> Any:
    """Import the object that "package.module:name" names; a function without parameters is called for it.

    This imports the caller's own code, as an import statement would.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise InputError(f"a name must be 'package.module:name', but got {name!r}. Write both parts, with a colon.")
    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        if error.name and not f"{module}.".startswith(f"{error.name}."):
            raise
        raise InputError(
            f"a name must be 'package.module:name' with a module that Python finds, but got {name!r} ({error}). "
            "Run from the folder that holds it, or install it."
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise InputError(f"{module} must have the name {part!r}, but it does not. {nearest(part, dir(found))}")
        found = getattr(found, part)
    empty = inspect.isfunction(found) and not inspect.signature(found).parameters
    return found() if empty else found


def read_classes(given: object) -> tuple[str, ...] | None:
    """Read class names: a list, a .txt file with one per line, a .json file with a list or {index: name}.

    Raises:
        InputError: no such file, another kind of file, or indices with gaps.
    """
    if given is None:
        return None
    if isinstance(given, Mapping):
        names = {str(key): str(name) for key, name in given.items()}
        if set(names) == set(map(str, range(len(given)))):
            return tuple(names[str(index)] for index in range(len(given)))
        raise InputError(
            f"classes must be names by index, 0..{len(given) - 1}, but got the keys {list(given)[:5]}. "
            "Pass for example {0: 'cat', 1: 'dog'}."
        )
    if isinstance(given, Iterable) and not isinstance(given, str | bytes):
        return tuple(str(name) for name in given)
    if not isinstance(given, str | os.PathLike):
        raise InputError(
            f"classes must be names or a .txt or .json file of them, but got {type(given).__name__}. "
            "Pass for example classes=('cat', 'dog')."
        )
    path = Path(given).expanduser()
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() != ".json":
            return tuple(line.strip() for line in text.splitlines() if line.strip())
        table = json.loads(text)
        if isinstance(table, dict):
            table = [table[str(index)] for index in range(len(table))]
        return tuple(str(name) for name in table)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"classes must be a .txt file with one name per line, or a .json file with a list or {{index: name}}, "
            f"but {str(path)!r} is not ({type(error).__name__}: {error}). Check the file."
        ) from error


def _size(given: object) -> int | tuple[int, ...]:
    sizes = plain(given)
    each = sizes if isinstance(sizes, tuple) else (sizes,)
    if not all(whole(one) and one > 0 for one in each) or not 1 <= len(each) <= 3:
        raise InputError(
            f"input_size must be one to three whole numbers of pixels, 1 or more, but got {given!r}. "
            "Pass input_size=224, or (rows, columns)."
        )
    return sizes  # type: ignore[no-any-return]


def _word(name: str, given: str, known: tuple[Any, ...]) -> Any:
    if given not in known:
        raise InputError(f"{name} must be one of {', '.join(known)}, but got {given!r}. {nearest(str(given), known)}")
    return given


def _name(source: object) -> str:
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return str(getattr(source, "__name__", None) or type(source).__name__)


def _known() -> str:
    files = ", ".join(suffix.lstrip("/") for opener in OPENERS for suffix in opener.suffixes)
    return f"Known: 'bundled', files ({files}), Keras and PyTorch models, functions, and 'package.module:name'."
