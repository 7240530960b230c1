"""What the methods refuse, and with which sentence; what they leave alone; what they say they did."""

import pickle
import sys

import numpy as np
import pytest
import torch

import eyeline
from eyeline.errors import InputError, ModelError, UnsupportedError
from eyeline.methods import METHODS
from eyeline.methods import progress as bar

IMAGE = np.random.default_rng(0).random((1, 8, 10, 3), dtype=np.float32)


def total(images):
    """One score per channel: its sum."""
    return images.sum(axis=(1, 2))


@pytest.fixture
def model():
    return eyeline.load(total, input_size=(8, 10))


@pytest.mark.parametrize("given", [[4, 2], np.array([4, 2]), (np.int64(4), 2)])
def test_windows_in_lists_and_arrays_can_be_hashed(model, given):
    method = eyeline.Occlusion(window=given, stride=given)
    assert method == eyeline.Occlusion(window=(4, 2), stride=(4, 2))
    assert hash(method) == hash(pickle.loads(pickle.dumps(method)))
    assert method(model, IMAGE).sweep.boxes.shape[1:] == (2, 2)


def test_maps_are_float32_with_a_leading_n(model):
    attribution = eyeline.explain(model, IMAGE[0])
    assert attribution.maps.shape == (1, 8, 10)
    assert attribution.maps.dtype == np.float32
    assert attribution.sweep.scores.shape == (1, len(attribution.sweep.boxes), 3)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"windw": 3}, "setting must be one of .*but got 'windw'. Did you mean 'window'"),
        ({"measure": "dorp"}, "measure must be one of .*but got 'dorp'. Did you mean 'drop'"),
        ({"overlap": "max"}, "overlap must be one of"),
        ({"edge": "wrap"}, "edge must be one of"),
        ({"window": 9}, "window must be at most the image's size"),
        ({"window": 4, "stride": 5}, "stride must be at most the window"),
        ({"window": 0}, "window must be a whole number of pixels, 1 or more"),
        ({"window": -3}, "window must be a whole number of pixels, 1 or more"),
        ({"batch": 0}, "batch must be 1 or more"),
        ({"memory": 0}, "memory must be 1 or more"),
        ({"batch": 2.5}, r"batch must be a whole number, but got 2\.5"),
        ({"memory": "x"}, "memory must be a whole number, but got 'x'"),
        ({"keep": "no"}, "keep must be True or False, but got 'no'"),
        ({"method": eyeline.Occlusion()}, r"method must be the name of one, but got Occlusion\("),
        ({"baseline": "blur"}, r"baseline must be a baseline, but got 'blur'\. Pass for example eyeline\.Blur"),
        ({"baseline": 0.5}, r"baseline must be a baseline, but got 0\.5"),
        ({"baseline": eyeline.Blur}, "baseline must be a baseline, but got <class"),
        ({"target": 3}, r"class index must be within 0\.\.2"),
        ({"target": "red"}, "no class names"),
        ({"target": lambda scores, classes: scores[:, :2]}, "target must return finite weights"),
        ({"baseline": lambda images: images[:, :4]}, "baseline must give finite images"),
        ({"baseline": lambda images: images * np.float32(np.nan)}, "baseline must give finite images"),
        ({"baseline": eyeline.Image(np.zeros((4, 4, 3), np.float32))}, "must have the image's shape"),
    ],
)
def test_settings_that_do_not_fit(model, settings, sentence):
    with pytest.raises(InputError, match=sentence):
        eyeline.explain(model, IMAGE, **settings)


def test_an_unknown_method(model):
    with pytest.raises(InputError, match=r"method must be one of .*but got 'oclusion'\. Did you mean 'occlusion'"):
        eyeline.explain(model, IMAGE, "oclusion")


def test_a_model_that_load_did_not_return():
    with pytest.raises(UnsupportedError, match=r"model must be one that eyeline.load returned, but got function"):
        eyeline.Occlusion()(total, IMAGE)


def test_gradients_of_a_scores_only_model(model):
    with pytest.raises(UnsupportedError, match=r"'gradient' must have a model with gradients.*method='occlusion'"):
        eyeline.explain(model, IMAGE, "gradient")


def test_nan_scores_name_the_window():
    def fragile(images):
        scores = total(images)
        scores[(images[:, 4:8, 6:10] == 0).all(axis=(1, 2, 3))] = np.nan
        return scores

    model = eyeline.load(fragile, input_size=(8, 10))
    with pytest.raises(ModelError, match=r"scores must be finite, but got nan .*window 5: rows 4\.\.7, columns 6\.\.9"):
        eyeline.explain(model, IMAGE, window=4, stride=(4, 3), baseline=eyeline.Constant(0), target=0)


def test_nan_scores_of_the_clean_image():
    model = eyeline.load(lambda images: total(images) * np.inf, input_size=(8, 10))
    with pytest.raises(ModelError, match="the clean image 'image 0'"):
        eyeline.explain(model, IMAGE)


def test_derivatives_that_are_not_finite_name_the_image():
    class Root(torch.nn.Module):
        def forward(self, images):
            return images.sqrt().sum(dim=(2, 3))

    images = np.ones((2, 4, 4, 3), dtype=np.float32)
    images[1, 0, 0, 0] = 0
    with pytest.raises(ModelError, match="derivatives must be finite, but those of 'image 1'"):
        eyeline.explain(Root(), images, "gradient", target=0)


def test_the_input_is_left_alone(model):
    image = IMAGE.copy()
    attribution = eyeline.explain(model, image, baseline=eyeline.Constant(0))
    np.testing.assert_array_equal(image, IMAGE)
    image[:] = 0
    np.testing.assert_array_equal(attribution.images, IMAGE)


def test_ctrl_c_passes_through():
    calls = []

    def slow(images):
        calls.append(len(images))
        if len(calls) > 2:
            raise KeyboardInterrupt
        return total(images)

    with pytest.raises(KeyboardInterrupt):
        eyeline.explain(eyeline.load(slow, input_size=(8, 10)), IMAGE, window=2, stride=1)


def test_the_batch_is_what_was_asked(model):
    sizes = []

    def counting(images):
        sizes.append(len(images))
        return total(images)

    eyeline.explain(eyeline.load(counting, input_size=(8, 10)), IMAGE, window=2, stride=2, batch=7)
    assert sizes == [1, 7, 7, 6]


@pytest.mark.parametrize("method", METHODS)
def test_settings_are_printable_hashable_picklable(method):
    settings = METHODS[method]()
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert hash(settings) == hash(METHODS[method]())
    assert type(settings).__name__ in repr(settings)


def test_a_bar_on_a_terminal_and_nothing_elsewhere(model, monkeypatch, capsys):
    eyeline.explain(model, IMAGE)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with bar.progress(4, "occlusion") as advance:
        advance(4)
    assert "occlusion" in capsys.readouterr().err


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_one_to_three_spatial_axes(axes):
    size = (5, 6, 7)[:axes]
    image = np.random.default_rng(1).random((2, *size, 2), dtype=np.float32)
    model = eyeline.load(lambda images: images.reshape(len(images), -1).sum(1), input_size=size)
    attribution = eyeline.explain(model, image, window=2, stride=1, baseline=eyeline.Constant(0), target=0)
    np.testing.assert_allclose(
        attribution.sweep.values(attribution.weights)[:, 0],
        image[(slice(None), *[slice(0, 2)] * axes)].reshape(2, -1).sum(1),
        rtol=1e-5,
    )
    assert attribution.maps.shape == (2, *size)
