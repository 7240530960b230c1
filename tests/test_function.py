"""Plain functions as models."""

import numpy as np
import pytest
import torch

from eyeline import Preprocess, load
from eyeline.errors import InputError, ModelError, UnsupportedError
from eyeline.models.base import Differentiable, Model


def pictures(n=2):
    return np.random.default_rng(0).random((n, 4, 5, 3), dtype=np.float32)


def test_a_function_gets_preprocessed_images_with_channels_last():
    seen = []
    model = load(lambda values: seen.append(values) or values.mean((1, 2)), preprocess="lite0")
    scores = model.scores(pictures())
    assert isinstance(model, Model)
    assert not isinstance(model, Differentiable)
    assert seen[0].dtype == np.float32
    np.testing.assert_allclose(seen[0], (pictures() * 255 - 127) / 128, rtol=1e-6)
    np.testing.assert_allclose(scores, seen[0].mean((1, 2)), rtol=1e-6)
    assert (scores.dtype, model.unit, model.axes, model.channels) == (np.float32, "score", 2, None)


def test_layout_first_turns_the_axes():
    model = load(lambda values: values.reshape(len(values), -1)[:, :20], preprocess=Preprocess(layout="first"))
    np.testing.assert_array_equal(model.scores(pictures()), pictures()[..., 0].reshape(2, -1))
    assert model.describe()["layout"] == "channels first"


@pytest.mark.parametrize(
    "convert", [lambda array: array, list, lambda array: torch.tensor(array, requires_grad=True), np.float16]
)
def test_results_of_several_kinds(convert):
    model = load(lambda values: convert(values.mean((1, 2))))
    np.testing.assert_allclose(model.scores(pictures()), pictures().mean((1, 2)), rtol=1e-3)


def test_one_number_an_image_is_one_column():
    model = load(lambda values: values.max((1, 2, 3)))
    assert model.scores(pictures()).shape == (2, 1)
    assert model.unit == "probability"


def test_the_function_may_overwrite_what_it_gets():
    def greedy(values):
        values[:] = 0
        return values.mean((1, 2))

    images = pictures()
    load(greedy).scores(images)
    np.testing.assert_array_equal(images, pictures())


def test_head_picks_from_the_result():
    model = load(lambda values: {"dense": values}, head=lambda result: result["dense"][:, 1, 2])
    np.testing.assert_array_equal(model.scores(pictures()), pictures()[:, 1, 2])


def test_what_a_head_raises_is_not_blamed_on_the_images_alone():
    model = load(lambda values: values.mean((1, 2)), head=lambda output: output / {}["no such key"])
    with pytest.raises(
        ModelError, match=r"with head= must accept .* KeyError: 'no such key'\. Check head=, which gets"
    ):
        model.scores(pictures())


def test_one_int_is_a_square():
    assert load(lambda values: values, input_size=4).input_size == (4, 4)


def test_bad_results_say_what_to_return():
    with pytest.raises(
        UnsupportedError, match=r"one row of scores per image, \(2, classes\), but got shape \(2, 4, 5, 3\)"
    ):
        load(lambda values: values).scores(pictures())
    with pytest.raises(ModelError, match="must return numbers, but got an array of <U3"):
        load(lambda values: np.array([["cat"], ["dog"]])).scores(pictures())
    with pytest.raises(ModelError, match="it raised KeyError: 'no such weight'"):
        load(lambda values: {}["no such weight"]).scores(pictures())
    with pytest.raises(ModelError, match="rows of numbers of one length, but its list is no array"):
        load(lambda values: [[0.1, 0.2], [0.3]]).scores(pictures())
    with pytest.raises(InputError, match=r"one name for a model of one output column, but got 2: 'neg', 'pos'.*'pos',"):
        load(lambda values: values.mean((1, 2, 3)), classes=("neg", "pos")).scores(pictures())
    with pytest.raises(InputError, match=r"one name per output of the model \(3\), but got 1"):
        load(lambda values: values.mean((1, 2)), classes=["cat"]).scores(pictures())
    with pytest.raises(UnsupportedError, match="exactly one"):
        load(lambda values: None).scores(pictures())
