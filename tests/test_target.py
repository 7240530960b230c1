"""Targets: weights over scores, by definition; names, ties and what is refused."""

import pickle

import numpy as np
import pytest
import torch

from eyeline.errors import InputError
from eyeline.target import Class, Contrast, Top, Weights, as_target, describe, parse

SCORES = np.array([[0.1, 0.6, 0.3], [0.4, 0.2, 0.4]], dtype=np.float32)
NAMES = ("tabby", "tiger cat", "Egyptian cat")


def scalar(target, scores=SCORES, classes=NAMES):
    return (target(scores, classes) * scores).sum(axis=1)


@pytest.mark.parametrize("which", [2, "Egyptian cat", "egyptian CAT"])
def test_a_class_by_index_or_name(which):
    np.testing.assert_array_equal(scalar(Class(which)), SCORES[:, 2])


def test_one_class_per_image():
    np.testing.assert_array_equal(scalar(Class((1, "tabby"))), [SCORES[0, 1], SCORES[1, 0]])
    with pytest.raises(InputError, match=r"one per image \(2\), but got 3"):
        Class((0, 1, 2))(SCORES)


@pytest.mark.parametrize("which", [1.5, True, None, [1], (0, 1.0)])
def test_what_is_no_class(which):
    with pytest.raises(InputError, match="a class must be an index or a name"):
        Class(which)(SCORES)


@pytest.mark.parametrize("given", [["tabby", 1.5], [[1, 2], [3]]])
def test_what_is_neither_classes_nor_weights(given):
    with pytest.raises(InputError, match="target must be classes, or rows of numbers"):
        as_target(given)


def test_arrays_and_tensors_are_read_as_lists_are():
    assert as_target(np.array(2)) == as_target(torch.tensor(2)) == Class(2)
    assert as_target(np.array([2, 0])) == as_target(torch.tensor([2, 0])) == Class((2, 0))
    assert as_target(torch.tensor([0.5, 1.0])) == as_target(np.array([0.5, 1.0])) == Weights((0.5, 1.0))


def test_top_and_its_ties_go_to_the_lowest_index():
    assert Top()(SCORES).argmax(axis=1).tolist() == [1, 0]
    assert Top(2)(SCORES).argmax(axis=1).tolist() == [2, 2]
    assert Top(3)(SCORES).argmax(axis=1).tolist() == [0, 1]
    for rank in (4, 0, 1.5, "2"):
        with pytest.raises(InputError, match=r"rank must be within 1\.\.3"):
            Top(rank)(SCORES)


def test_contrast_is_a_difference():
    np.testing.assert_allclose(scalar(Contrast("tabby", 1)), SCORES[:, 0] - SCORES[:, 1])


def test_weights_given_outright():
    np.testing.assert_allclose(scalar(Weights((1.0, 2.0, -1.0))), SCORES @ [1, 2, -1], rtol=1e-6)
    with pytest.raises(InputError, match="target weights must have shape"):
        Weights((1.0, 2.0))(SCORES)


@pytest.mark.parametrize("rows", [[1.0, 2.0, -1.0], np.array([[1.0, 2.0, -1.0]]), [np.float32(1), 2, -1]])
def test_weights_in_lists_and_arrays_can_be_hashed(rows):
    weights = Weights(rows)
    np.testing.assert_allclose(scalar(weights), SCORES @ [1, 2, -1], rtol=1e-6)
    assert hash(weights) == hash(pickle.loads(pickle.dumps(weights)))


@pytest.mark.parametrize("rows", ["abc", None, 3.0, (), ("1", "2", "3"), ((1, 2), (3,)), ((1, 2), 3), (True, False)])
def test_weights_that_are_no_rows_of_numbers(rows):
    with pytest.raises(InputError, match="rows of numbers of one length, but got"):
        Weights(rows)


def test_one_column_is_the_column_itself():
    column = np.array([[0.7]], dtype=np.float32)
    assert Class(0)(column).tolist() == Top()(column).tolist() == [[1.0]]
    with pytest.raises(InputError, match="one output column: pass target=0"):
        Class(1)(column)


@pytest.mark.parametrize(
    ("which", "classes", "sentence"),
    [
        (3, NAMES, r"within 0\.\.2, but got 3"),
        (-1, NAMES, r"within 0\.\.2, but got -1"),
        ("tabi", NAMES, "Did you mean 'tabby'"),
        ("cat", NAMES, "'tiger cat' or 'Egyptian cat'"),
        ("tabby", None, "no class names.*classes="),
        ("crane", ("crane", "crow", "crane"), r"names classes \[0, 2\]. Pass the index"),
    ],
)
def test_a_class_that_is_not_there(which, classes, sentence):
    with pytest.raises(InputError, match=sentence):
        Class(which)(SCORES, classes)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, Top()), (3, Class(3)), (np.int64(3), Class(3)), ("tabby", Class("tabby")),
        ([1, "tabby"], Class((1, "tabby"))), (np.array([0, 1]), Class((0, 1))),
        (np.array([0.5, 1.0]), Weights((0.5, 1.0))), ([[0.5], [1.0]], Weights(((0.5,), (1.0,)))),
        (Contrast(0, 1), Contrast(0, 1)), ([0.5, 1], Weights((0.5, 1))),
        (torch.tensor([0.5, 1.0]), Weights((0.5, 1.0))),
    ],
)  # fmt: skip
def test_what_callers_pass(given, expected):
    assert as_target(given) == expected
    assert pickle.loads(pickle.dumps(expected)) == expected
    assert hash(expected) is not None


@pytest.mark.parametrize("given", [True, 1.5, object(), Class])
def test_what_is_no_target(given):
    with pytest.raises(InputError, match="target must be a class index"):
        as_target(given)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("top", Top()), ("top:2", Top(2)), ("285", Class(285)), ("tabby", Class("tabby")),
        ("tabby vs tiger cat", Contrast("tabby", "tiger cat")), ("1 vs 2", Contrast(1, 2)), ("topi", Class("topi")),
        ("-1", Class(-1)), ("--5", Class("--5")),
    ],
)  # fmt: skip
def test_parse(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ([0, 1, 0], "tiger cat"), ([1, -1, 0], "tabby - tiger cat"), ([0, -1, 0], "-tiger cat"),
        ([0.5, 2, 0], "2 * tiger cat + 0.5 * tabby"), ([0, 0, 0], "nothing (all weights 0)"),
    ],
)  # fmt: skip
def test_describe(row, words):
    assert describe(np.array([row], dtype=np.float32), NAMES) == (words,)


def test_describe_without_names():
    assert describe(np.eye(2, dtype=np.float32)) == ("class 0", "class 1")
