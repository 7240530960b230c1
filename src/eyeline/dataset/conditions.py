"""Conditions on the rows of a table: parsed into comparisons, never run as code.

`label == 'cat' and score < 0.5`, `predicted != label`, `label in ('cat', 'dog') or not highest > 0`,
`0.2 < score <= 0.5`. Names are columns; values are numbers and quoted text; `and`, `or`, `not` and brackets join.
A comparison with a value that is not there is false.
"""

import ast
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from eyeline.errors import InputError, nearest

COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}  # fmt: skip

EXAMPLE = "Write for example \"label == 'cat' and score < 0.5\"."

Table = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Condition:
    """A condition that was parsed and checked.

    Args:
        text: as it was written.
        tree: of the comparisons.
    """

    text: str
    tree: ast.expr

    @classmethod
    def parse(cls, text: str, columns: Collection[str]) -> "Condition":
        """Read a condition.

        Raises:
            InputError: it is no condition, or names a column that is not there.
        """
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise InputError(f"the condition must be one that can be read, but got {text!r}. {EXAMPLE}") from error
        try:
            _check(tree, columns)
        except RecursionError as error:
            raise InputError(f"the condition must be shorter, but got {len(text)} characters. {EXAMPLE}") from error
        return cls(text, tree)

    def __call__(self, table: Table) -> np.ndarray:
        """Say for each row whether it meets the condition.

        Raises:
            InputError: text is compared with a number.
        """
        return _truth(self.tree, table, len(next(iter(table.values()))))


def _check(node: ast.expr, columns: Collection[str]) -> None:
    if isinstance(node, ast.BoolOp):
        for each in node.values:
            _check(each, columns)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        _check(node.operand, columns)
    elif isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        for kind, right in zip(node.ops, node.comparators, strict=True):
            is_in = isinstance(kind, ast.In | ast.NotIn)
            if not (is_in or type(kind) in COMPARISONS):
                raise _refused(node)
            if is_in != isinstance(right, ast.Tuple | ast.List):
                raise _refused(node)
        for each in sides:
            for part in each.elts if isinstance(each, ast.Tuple | ast.List) else [each]:
                _check_value(part, columns)
    else:
        raise _refused(node)


def _check_value(node: ast.expr, columns: Collection[str]) -> None:
    if isinstance(node, ast.Name):
        if node.id not in columns:
            raise InputError(
                f"the condition must name columns, but got {node.id!r}. {nearest(node.id, columns)} "
                "Text stands in quotes."
            )
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        if not (isinstance(node.operand, ast.Constant) and type(node.operand.value) in (int, float)):
            raise _refused(node)
    elif not (isinstance(node, ast.Constant) and type(node.value) in (int, float, str)):
        raise _refused(node)


def _refused(node: ast.expr) -> InputError:
    return InputError(
        "the condition must compare columns with numbers and quoted text, joined by and, or, not, but got "
        f"{ast.unparse(node)[:80]!r}. {EXAMPLE}"
    )


def _truth(node: ast.expr, table: Table, rows: int) -> np.ndarray:
    if isinstance(node, ast.BoolOp):
        parts = [_truth(each, table, rows) for each in node.values]
        return np.asarray((np.logical_and if isinstance(node.op, ast.And) else np.logical_or).reduce(parts))
    if isinstance(node, ast.UnaryOp):
        return ~_truth(node.operand, table, rows)
    assert isinstance(node, ast.Compare)
    found, left = np.ones(rows, dtype=bool), node.left
    for kind, right in zip(node.ops, node.comparators, strict=True):
        if isinstance(right, ast.Tuple | ast.List):
            among = [_compare(operator.eq, left, each, table, rows, node) for each in right.elts]
            part = np.logical_or.reduce(among) if among else np.zeros(rows, dtype=bool)
            found &= ~part if isinstance(kind, ast.NotIn) else part
        else:
            found &= _compare(COMPARISONS[type(kind)], left, right, table, rows, node)
        left = right
    return found


def _compare(
    compare: Callable[[Any, Any], Any], left: ast.expr, right: ast.expr, table: Table, rows: int, node: ast.expr
) -> np.ndarray:
    sides = [np.broadcast_to(np.asarray(_value(each, table)), rows) for each in (left, right)]
    texts = [_is_text(each, table) for each in (left, right)]
    if texts[0] != texts[1]:
        raise InputError(
            f"text must be compared with text and numbers with numbers, but got {ast.unparse(node)!r}. {EXAMPLE}"
        )
    there = np.ones(rows, dtype=bool)
    for each in sides:
        there &= np.array([value is not None and value == value for value in each.tolist()], dtype=bool)
    found = np.zeros(rows, dtype=bool)
    found[there] = compare(sides[0][there], sides[1][there])
    return found


def _value(node: ast.expr, table: Table) -> Any:
    if isinstance(node, ast.Name):
        return table[node.id]
    if isinstance(node, ast.UnaryOp):
        return -_value(node.operand, table)
    assert isinstance(node, ast.Constant)
    return np.array(node.value, dtype=object) if isinstance(node.value, str) else node.value


def _is_text(node: ast.expr, table: Table) -> bool:
    found = _value(node, table)
    return bool(np.asarray(found).dtype == object)
