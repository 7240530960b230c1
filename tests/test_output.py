"""Scores: what is decided on the first outputs, the conversions against scipy, their derivatives numerically."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, log_softmax, logsumexp, softmax

from eyeline.errors import InputError
from eyeline.models.output import Output

rng = np.random.default_rng(0)


def log_odds(logits):
    p = softmax(logits, axis=1)
    others = np.stack([logsumexp(np.delete(logits, i, axis=1), axis=1) for i in range(p.shape[1])], axis=1)
    return logits - others


@pytest.mark.parametrize(
    ("raw", "unit"),
    [
        ([[0.2, 0.8], [0.5005, 0.5]], "probability"),
        ([[0.2, 0.8], [0.6, 0.5]], "score"),
        ([[0.9], [0.1]], "probability"),
        ([[1.1], [0.1]], "score"),
        ([[2.0, -1.0]], "score"),
    ],
)
def test_the_unit_is_decided_on_the_first_outputs(raw, unit):
    output = Output()
    assert output.unit is None
    np.testing.assert_array_equal(output.convert(np.array(raw)), np.array(raw, dtype=np.float32))
    assert output.unit == unit
    output.convert(np.array([[0.5, 0.5]]))
    output.convert(np.array([[5.0, -3.0]]))
    assert output.unit == unit, "and then held"


def test_several_labels_are_said():
    output = Output()
    output.convert(np.array([[0.9, 0.8]]))
    assert "do not sum to 1" in output.describe()
    with pytest.raises(InputError, match="Pass output='probability'"):
        Output(scale="log-odds").convert(np.array([[0.9, 0.8]]))


def test_raw_outputs_are_not_converted():
    with pytest.raises(InputError, match="neither probabilities nor logits"):
        Output("raw", "probability")


@given(st.integers(2, 6), st.floats(0.1, 60), st.integers(0, 99))
def test_conversions_from_logits(classes, spread, seed):
    logits = np.random.default_rng(seed).normal(size=(3, classes)) * spread
    np.testing.assert_allclose(Output("logit", "probability").convert(logits), softmax(logits, axis=1), atol=1e-6)
    np.testing.assert_allclose(Output("logit", "log-odds").convert(logits), log_odds(logits), rtol=1e-6, atol=1e-5)


def test_ties_and_certain_classes():
    logits = np.array([[0.0, 0.0, 0.0], [800.0, 0.0, -800.0]])
    converted = Output("logit", "log-odds").convert(logits)
    np.testing.assert_allclose(converted, [[-np.log(2)] * 3, [800.0, -800.0, -1600.0]], rtol=1e-6)


def test_one_column():
    logits = np.array([[3.0], [-2.0]])
    np.testing.assert_allclose(Output("logit", "probability").convert(logits), expit(logits), rtol=1e-6)
    np.testing.assert_allclose(Output("logit", "log-odds").convert(logits), logits)
    np.testing.assert_allclose(Output("probability", "log-odds").convert(expit(logits)), logits, rtol=1e-6)


def test_log_odds_of_probabilities_need_room():
    p = softmax(np.array([[1.0, 2.0, 0.5]]), axis=1)
    expected = log_odds(np.array([[1.0, 2.0, 0.5]]))
    np.testing.assert_allclose(Output(scale="log-odds").convert(p), expected, rtol=1e-6)
    with pytest.raises(InputError, match=r"strictly between 0 and 1 .*\(image 0, class 0\).*scores='probability'"):
        Output(scale="log-odds").convert(np.array([[1.0, 0.0]]))


@pytest.mark.parametrize(
    ("kind", "scale"),
    [
        ("logit", "probability"), ("logit", "log-odds"), ("probability", "log-odds"), ("probability", "probability"),
        ("raw", "raw"), ("logit", "raw"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("classes", [1, 2, 5])
def test_pull_is_the_transposed_derivative(kind, scale, classes):
    raw = rng.normal(size=(3, classes))
    if kind == "probability":
        raw = expit(raw) if classes == 1 else softmax(raw, axis=1)
    weights = rng.normal(size=(3, classes))

    def value(each):
        wide = Output(kind, scale)
        return (wide._forward(wide._decided(each)) * weights).sum()

    numeric = np.zeros_like(raw)
    for place in np.ndindex(raw.shape):
        step = np.zeros_like(raw)
        step[place] = 1e-6
        numeric[place] = (value(raw + step) - value(raw - step)) / 2e-6
    scores, pulled = Output(kind, scale).pull(raw, lambda scores: weights)
    np.testing.assert_allclose(pulled, numeric, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(scores, Output(kind, scale).convert(raw))


def test_a_saturated_class_still_has_log_odds():
    """At 0.999 the probability hardly moves where the log-odds move by one."""
    logits = np.array([[7.0, 0.0], [8.0, 0.0]])
    assert np.ptp(Output("logit", "probability").convert(logits)[:, 0]) < 1e-3
    np.testing.assert_allclose(np.ptp(Output("logit", "log-odds").convert(logits)[:, 0]), 1.0, rtol=1e-6)


def test_softmax_agrees_with_log_softmax_far_out():
    logits = np.array([[0.0, -60.0]])
    converted = Output("logit", "log-odds").convert(logits)
    np.testing.assert_allclose(converted[0, 1], log_softmax(logits)[0, 1], rtol=1e-6)


def test_nothing_is_decided_on_outputs_that_will_be_refused():
    output = Output()
    output.convert(np.array([[np.nan, 0.5]]))
    assert output.unit is None
    output.convert(np.array([[0.4, 0.6]]))
    assert output.unit == "probability"
