"""The exception tree, and what words an error: the nearest name, another library's own words, the missing package.

Every message reads `<what> must <rule>, but got <value> (<where>). <Way out>.`
"""

import difflib
import importlib
import inspect
from collections.abc import Callable, Iterable
from types import ModuleType


class Error(Exception):
    """Base of everything that eyeline raises on purpose."""


class InputError(Error, ValueError):
    """An image, a setting or a name is not what it must be."""


class UnsupportedError(Error, TypeError):
    """The model or the method cannot do what was asked; the message says what can."""


class MissingDependencyError(Error, ImportError):
    """An optional package is not installed; the message gives the pip line."""


class ModelError(Error, RuntimeError):
    """The model could not be opened, refused to run or returned unusable scores."""


class OutOfMemoryError(ModelError):
    """A batch did not fit; a smaller one may."""


def nearest(name: str, known: Iterable[str], count: int = 3) -> str:
    """Return a sentence that offers the known names closest to `name`."""
    names = list(dict.fromkeys(known))
    lowered: dict[str, str] = {}
    for each in names:
        lowered.setdefault(each.lower(), each)
    close = difflib.get_close_matches(name.lower(), lowered, n=count, cutoff=0.5)
    containing = [key for key in lowered if name.lower() in key and key not in close]
    offered = [lowered[key] for key in (close + containing)[:count]]
    if offered:
        return "Did you mean " + " or ".join(repr(each) for each in offered) + "?"
    if len(names) <= 12:
        return "Known: " + ", ".join(repr(each) for each in names) + "."
    return f"None of the {len(names)} known names is close."


def first_line(error: Exception, limit: int = 300) -> str:
    """Return the first line of what another library raised, to stand in a sentence; its type where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:limit].rstrip(". ")


def misfit(function: Callable[..., object], count: int) -> str:
    """Return why a function cannot be called with so many values; nothing where it can, or does not say."""
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError as error:
        return first_line(error)
    except ValueError:  # one of another language
        pass
    return ""


def require(module: str, extra: str) -> ModuleType:
    """Import an optional package, or say which pip line brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        top = module.partition(".")[0]
        if (error.name or "").partition(".")[0] != top:
            raise
        raise MissingDependencyError(
            f"{top} must be installed for this, but it was not found. pip install 'eyeline[{extra}]'",
            name=top,
        ) from error
