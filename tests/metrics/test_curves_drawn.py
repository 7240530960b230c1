"""Curves on axes: points, words and refusals."""

import numpy as np
import pytest
from matplotlib import pyplot
from measured_networks import IMAGES, linear

import eyeline
from eyeline.errors import InputError
from eyeline.metrics import Deletion, Insertion, MaxSensitivity
from eyeline.plot import curves


@pytest.fixture(scope="module")
def found():
    model = linear()
    attribution = eyeline.GradientInput()(model, IMAGES, 0)
    return [metric(model, attribution) for metric in (Deletion(step=40), Insertion(step=40), MaxSensitivity(samples=1))]


def test_points_and_words_are_those_of_the_metric(found):
    axes = curves(*found[:2], index=1)
    for line, each in zip(axes.lines, found, strict=False):
        np.testing.assert_allclose(line.get_xdata(), 100 * each.fractions)
        np.testing.assert_allclose(line.get_ydata(), each.curves[1])
    said = [text.get_text() for text in axes.get_legend().get_texts()]
    assert said == [f"gradientinput, {name}: {each.values[1]:.3g}"
                    for name, each in zip(("deletion", "insertion"), found, strict=False)]  # fmt: skip
    assert axes.get_ylabel() == "score"
    assert axes.get_title() == "image 1"
    pyplot.close(axes.figure)


def test_what_has_no_curves(found):
    with pytest.raises(InputError, match="must get what Deletion, Insertion, Road or ShiftTest found"):
        curves(found[2])
    with pytest.raises(InputError, match="must get what Deletion"):
        curves()
    with pytest.raises(InputError, match="index must be that of an image, but got 2"):
        curves(found[0], index=2)
