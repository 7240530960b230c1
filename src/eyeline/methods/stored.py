"""From what a result says of its method back to the method: metrics make a map again, of another image or network."""

import ast
from typing import Any, get_type_hints

from eyeline import baseline, mask
from eyeline.attribution import Attribution
from eyeline.errors import InputError
from eyeline.methods import METHODS
from eyeline.methods.base import Method, settings

PARTS = {kind.__name__: kind for kind in (*baseline.BASELINES.values(), *mask.MASKS.values())}


def rebuilt(attribution: Attribution) -> Method:
    """Return the method that made the maps, with all its settings.

    Nothing is evaluated: what stands for a setting is read as literals, baselines, masks and methods.

    Raises:
        InputError: settings that are not words and numbers, such as another picture as the baseline.
    """
    stored = dict(attribution.method)
    name = stored.pop("name", None)
    if name not in METHODS:
        raise InputError(
            f"the method must be one of {', '.join(METHODS)} to make maps again, but these are by {name!r}. "
            "Pass method=, the settings that made them."
        )
    kind = METHODS[name]
    hints = get_type_hints(kind)
    try:
        given = {key: _value(value, hints[key] is not str) for key, value in stored.items() if key in hints}
        method: Method = kind(**given)
    except (ValueError, TypeError, SyntaxError, LookupError) as error:
        raise InputError(
            f"the settings must be words and numbers to make maps again, but those of {name!r} hold more ({error}). "
            "Pass method=, the settings that made them."
        ) from error
    if settings(method) != attribution.method:
        raise InputError(
            f"the settings must be those of this version, but {name!r} reads them as {settings(method)}. "
            "Pass method=, the settings that made the maps."
        )
    return method


def _value(value: Any, readable: bool = True) -> Any:
    if isinstance(value, list):
        return tuple(_value(each, readable) for each in value)
    if readable and isinstance(value, str) and value.endswith(")"):
        return _node(ast.parse(value, mode="eval").body)
    return value


def _node(node: ast.expr) -> Any:
    """Read a literal, a tuple of such, or a baseline, mask or method with its settings."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args:
        kinds: dict[str, Any] = {**PARTS, **{kind.__name__: kind for kind in METHODS.values()}}
        if node.func.id not in kinds:
            raise ValueError(node.func.id)
        return kinds[node.func.id](**{each.arg: _node(each.value) for each in node.keywords if each.arg})
    if isinstance(node, ast.Tuple):
        return tuple(_node(each) for each in node.elts)
    return ast.literal_eval(node)
