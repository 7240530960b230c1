"""Conditions on rows: against Python's own evaluation of the same words, and what must never be run."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyeline.dataset.conditions import Condition
from eyeline.errors import InputError

TABLE = {
    "label": np.array(["cat", "dog", "cat", None, "it's"], dtype=object),
    "predicted": np.array(["cat", "cat", "dog", "dog", "it's"], dtype=object),
    "score": np.array([0.9, 0.4, np.nan, 0.5, -1.0]),
    "row": np.arange(5),
}


def chosen(text):
    return np.flatnonzero(Condition.parse(text, TABLE)(TABLE)).tolist()


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("label == 'cat'", [0, 2]),
        ("label == 'cat' and score < 0.95", [0]),
        ("predicted != label", [1, 2]),
        ("label in ('dog', \"it's\")", [1, 4]),
        ("label not in ['dog']", [0, 2, 3, 4]),
        ("not score > 0.45", [1, 2, 4]),
        ("0.4 <= score < 0.9 or row == 4", [1, 3, 4]),
        ("(label == 'cat' or label == 'dog') and row > 0", [1, 2]),
        ("score < -0.5", [4]),
        ("score == score", [0, 1, 3, 4]),
        ("label < 'd'", [0, 2]),
    ],
)
def test_rows_that_are_chosen(text, rows):
    assert chosen(text) == rows


LEAVES = st.sampled_from(["row < 3", "score > 0.4", "label == 'cat'", "row in (1, 4)", "2 <= row"])
TREES = st.recursive(
    LEAVES,
    lambda part: st.one_of(
        st.tuples(part, st.sampled_from(["and", "or"]), part).map(lambda each: f"({each[0]} {each[1]} {each[2]})"),
        part.map(lambda each: f"not ({each})"),
    ),
    max_leaves=6,
)


@given(TREES)
def test_joined_as_python_joins_them(text):
    rows = [{name: values[row] for name, values in TABLE.items()} for row in range(5)]
    expected = [place for place, row in enumerate(rows) if eval(text, {}, row)]
    assert chosen(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "label.upper() == 'CAT'",
        "(lambda: 1)() == 1",
        "[row for row in (1,)] == 1",
        "score + 1 > 2",
        "f'{label}' == 'cat'",
        "label",
        "True",
        "label is None",
        "score if row else label",
        "row[0] == 1",
        "(row := 3) == 3",
        "score == True",
        "- label == 'cat'",
        "label in 'cat'",
        "score == ('a', 1)",
    ],
)
def test_what_is_no_condition_is_refused(text):
    with pytest.raises(InputError, match="must compare columns"):
        Condition.parse(text, TABLE)


@pytest.mark.parametrize("text", ["", "label ==", "a; b", "import os", "(" * 500, "not " * 5000 + "row == 1", "\0"])
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(InputError, match="the condition must"):
        Condition.parse(text, TABLE)


def test_an_unknown_column_is_named_and_the_nearest_offered():
    with pytest.raises(InputError, match=r"columns, but got 'lable'. Did you mean 'label'"):
        Condition.parse("lable == 'cat'", TABLE)


def test_text_is_not_compared_with_numbers():
    with pytest.raises(InputError, match="text must be compared with text"):
        chosen("label < 3")
