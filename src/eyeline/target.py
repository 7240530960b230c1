"""Targets: which scalar of the classification is explained, as weights over the scores.

Weights are taken ONCE, from the scores of the clean images, and held for every covered image, step and
sample. The explained scalar is `s = (weights * scores).sum(1)`.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from eyeline._numbers import number, plain, shown, whole
from eyeline._typing import Scores
from eyeline.errors import InputError, misfit, nearest

Classes = tuple[str, ...] | None
"""Names of the model's classes, where they are known."""


@runtime_checkable
class Target(Protocol):
    """Clean scores in, weights of the same shape out."""

    def __call__(self, scores: Scores, classes: Classes = None) -> Scores:
        """Return the weights that make the explained scalar of each image."""
        ...


@dataclass(frozen=True)
class Class:
    """The score of one class.

    Args:
        which: index or name; a tuple gives one per image. For a one-column output, 0 is the column itself.

    Raises:
        InputError: no such index or name, a name that several classes share, or not one per image.

    Examples:
        >>> import numpy as np, eyeline
        >>> scores, names = np.float32([[0.1, 0.7, 0.2]]), ("dog", "cat", "cup")
        >>> eyeline.Class("cup")(scores, names).tolist()
        [[0.0, 0.0, 1.0]]
    """

    which: int | str | tuple[int | str, ...]

    def __call__(self, scores: Scores, classes: Classes = None) -> Scores:
        n, width = scores.shape
        each = self.which if isinstance(self.which, tuple) else (self.which,) * n
        if len(each) != n:
            raise InputError(
                f"target must name one class, or one per image ({n}), but got {len(each)}. "
                "Pass a single class to explain the same one in every image."
            )
        return one_hot([index(which, width, classes) for which in each], width)


@dataclass(frozen=True)
class Top:
    """The score of the class at the given rank of the clean scores; ties go to the lowest index.

    Args:
        rank: 1 is the best class, 2 the one after it.

    Examples:
        >>> import numpy as np, eyeline
        >>> eyeline.Top(2)(np.float32([[0.1, 0.7, 0.2]])).tolist()
        [[0.0, 0.0, 1.0]]
    """

    rank: int = 1

    def __call__(self, scores: Scores, classes: Classes = None) -> Scores:
        width = scores.shape[1]
        if not whole(self.rank) or not 1 <= self.rank <= width:
            raise InputError(
                f"rank must be within 1..{width}, the number of classes, but got {self.rank!r}. Pass Top()."
            )
        order = np.argsort(-scores, axis=1, kind="stable")
        return one_hot(order[:, self.rank - 1].tolist(), width)


@dataclass(frozen=True)
class Contrast:
    """Why a rather than b: the score of `a` minus the score of `b`, each an index or a name.

    Examples:
        >>> import numpy as np, eyeline
        >>> scores, names = np.float32([[0.1, 0.7, 0.2]]), ("dog", "cat", "cup")
        >>> eyeline.Contrast("cat", "dog")(scores, names).tolist()
        [[-1.0, 1.0, 0.0]]
    """

    a: int | str
    b: int | str

    def __call__(self, scores: Scores, classes: Classes = None) -> Scores:
        return np.asarray(Class(self.a)(scores, classes) - Class(self.b)(scores, classes))


@dataclass(frozen=True)
class Weights:
    """A row of weights over the scores, the same for every image, or one row per image.

    Raises:
        InputError: something else than numbers, rows of different lengths, not one weight per class.

    Examples:
        >>> import numpy as np, eyeline
        >>> eyeline.Weights((0.5, 0.5, 0))(np.float32([[0.1, 0.7, 0.2]])).tolist()
        [[0.5, 0.5, 0.0]]
    """

    rows: tuple[float, ...] | tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        found = plain(self.rows)
        object.__setattr__(self, "rows", found)
        rows = found if isinstance(found, tuple) else ()
        deep = rows if all(isinstance(row, tuple) for row in rows) else (rows,)
        if not rows or len({len(row) for row in deep}) > 1 or not all(number(each) for row in deep for each in row):
            raise InputError(
                f"target must be classes, or rows of numbers of one length, but got {self.rows!r}. "
                "Pass one weight per class, or one class per image."
            )

    def __call__(self, scores: Scores, classes: Classes = None) -> Scores:
        weights = np.asarray(self.rows, dtype=np.float32)
        if weights.shape not in {(scores.shape[1],), (1, scores.shape[1]), scores.shape}:
            raise InputError(
                f"target weights must have shape ({scores.shape[1]},) or {scores.shape}, "
                f"but got {weights.shape}. Give one weight per class."
            )
        return np.broadcast_to(weights, scores.shape).astype(np.float32)


def as_target(given: object) -> Target:
    """Turn what a caller passes into a target.

    None is `Top()`; an int or a name is `Class`; a list or tuple of ints or names is one class per image; an
    array of floats is a row of weights, or one row per image.
    """
    if given is None:
        return Top()
    if isinstance(given, str | int | np.integer) and not isinstance(given, bool):
        return Class(given if isinstance(given, str) else int(given))
    if isinstance(given, list | tuple) or hasattr(given, "__array__"):
        given = given if isinstance(given, list | tuple) else np.asarray(given).tolist()
        if not isinstance(given, list | tuple):
            return as_target(given)
        if len(given) and all(isinstance(each, str | int | np.integer) for each in given):
            return Class(tuple(each if isinstance(each, str) else int(each) for each in given))
        return Weights(tuple(given))
    if isinstance(given, Target) and not isinstance(given, type):
        if why := misfit(given, 2):
            raise InputError(
                "a target that is a function must take the scores, (n, classes), and the class names, but got "
                f"{shown(given)} ({why}). Write for example lambda scores, classes: weights."
            )
        return given
    raise InputError(
        f"target must be a class index, a class name or a target, but got {type(given).__name__}. "
        "Pass for example target=285, target='tabby' or target=eyeline.Top(2)."
    )


def parse(text: str) -> Target:
    """Read a target from the command line: "top", "top:2", "285", "tabby", "tabby vs tiger cat"."""
    word, colon, rest = text.partition(":")
    if word == "top" and (not colon or rest.isdecimal()):
        return Top(int(rest) if colon else 1)
    a, vs, b = text.partition(" vs ")
    if vs:
        return Contrast(_which(a), _which(b))
    return Class(_which(text))


def index(which: int | str, width: int, classes: Classes) -> int:
    """Return the column of a class.

    Raises:
        InputError: out of range, unknown (the nearest names are offered) or shared by several classes.
    """
    if not isinstance(which, str):
        if not whole(which):
            raise InputError(
                f"a class must be an index or a name, but got {which!r}. Pass for example Class(3), or Class('tabby')."
            )
        if 0 <= which < width:
            return int(which)
        raise InputError(
            f"class index must be within 0..{width - 1}, but got {which}. "
            + ("The model has one output column: pass target=0." if width == 1 else "Counting starts at 0.")
        )
    if classes is None:
        raise InputError(
            f"class name must be one the model knows, but got {which!r} and the model has no class names. "
            "Pass them as classes= when loading, or give an index."
        )
    found = [i for i, name in enumerate(classes) if name == which]
    found = found or [i for i, name in enumerate(classes) if name.lower() == which.lower()]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"class name must stand for one class, but {which!r} names classes {found}. Pass the index.")
    raise InputError(f"class name must be one of the model's, but got {which!r}. {nearest(which, classes)}")


def one_hot(columns: list[int], width: int) -> Scores:
    """Return one row per entry: 1 in its column, 0 elsewhere."""
    weights = np.zeros((len(columns), width), dtype=np.float32)
    weights[np.arange(len(columns)), columns] = 1
    return weights


def name(column: int, classes: Classes) -> str:
    """Return a class's name, or "class 7" where names are unknown."""
    return classes[column] if classes is not None else f"class {column}"


def describe(weights: Scores, classes: Classes = None) -> tuple[str, ...]:
    """Word the explained scalar of each image: "tabby", "tabby - tiger cat", "0.5 * tabby + ..."."""
    return tuple(_describe(row, classes) for row in weights)


def _describe(row: np.ndarray, classes: Classes) -> str:
    columns = np.flatnonzero(row)
    if not len(columns):
        return "nothing (all weights 0)"
    columns = columns[np.argsort(-row[columns], kind="stable")]
    words = ""
    for column in columns[:3]:
        weight = float(row[column])
        sign = "-" if weight < 0 else "+"
        words += f" {sign} " if words else ("-" if weight < 0 else "")
        words += ("" if abs(weight) == 1 else f"{abs(weight):g} * ") + name(int(column), classes)
    return words + (f" + {len(columns) - 3} more" if len(columns) > 3 else "")


def _which(text: str) -> int | str:
    text = text.strip()
    return int(text) if text.removeprefix("-").isdecimal() else text
