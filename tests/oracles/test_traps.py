"""Mistakes seen in the field with images, windows and scores, one regression test each."""

import numpy as np
import pytest
import torch
from cases import occluded, random_images, total
from torch import nn

import eyeline
from eyeline.errors import InputError, ModelError


@pytest.mark.parametrize("size", [(5, 7), (6, 8), (8, 6)])
def test_the_last_window_is_neither_left_out_nor_wraps_round(size):
    """Only the last row and column count: the first must stay 0, the last must not."""
    image = np.ones((1, *size, 1), dtype=np.float32)
    corner = np.zeros((*size, 1), dtype=np.float32)
    corner[-1, -1] = 1
    maps = occluded(eyeline.load(lambda x: total(x * corner), input_size=size), image, window=4, stride=4)
    expected = np.zeros(size)
    expected[(size[0] - 1) // 4 * 4 :, (size[1] - 1) // 4 * 4 :] = 1
    np.testing.assert_array_equal(maps[0], expected)


def test_rows_and_columns_are_not_swapped():
    image, weight = np.ones((1, 3, 8, 1), dtype=np.float32), np.zeros((3, 8, 1), dtype=np.float32)
    weight[1, 6] = 1
    function = eyeline.load(lambda x: total(x * weight), input_size=(3, 8))
    layer = nn.Linear(24, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight.reshape(1, 24)))
    network = eyeline.load(nn.Sequential(nn.Flatten(), layer), input_size=(3, 8))
    for model in (function, network):
        np.testing.assert_allclose(occluded(model, image, window=1, stride=1)[0], weight[..., 0], atol=1e-6)
        wide = occluded(model, image, window=(1, 4), stride=(1, 4))[0]
        np.testing.assert_allclose(wide[1], [0, 0, 0, 0, 1, 1, 1, 1], atol=1e-6)
        assert np.abs(wide[[0, 2]]).max() < 1e-6
    np.testing.assert_array_equal(eyeline.Gradient()(network, image, 0).maps[0], weight[..., 0])


class TestGreyIsInTheScaleOfTheImage:
    def test_half_of_0_to_1(self):
        image = random_images(1, 4, 4, 3)
        maps = occluded(eyeline.load(total, input_size=(4, 4)), image, window=4, stride=4, baseline=eyeline.Constant())
        np.testing.assert_allclose(maps, np.full((1, 4, 4), image.sum() - 0.5 * image.size), rtol=1e-5)

    @pytest.mark.parametrize("image", [255 * random_images(1, 4, 4, 3), random_images(1, 4, 4, 3) - 0.5])
    def test_another_range_is_an_error_that_names_the_ways_out(self, image):
        with pytest.raises(InputError, match=r"(?s)baseline.*preprocess|preprocess.*baseline"):
            occluded(eyeline.load(total, input_size=(4, 4)), image, window=2, baseline=eyeline.Constant())

    def test_a_given_value_is_taken_as_it_is(self):
        image = 255 * random_images(1, 4, 4, 3)
        model = eyeline.load(total, input_size=(4, 4))
        maps = occluded(model, image, window=4, stride=4, baseline=eyeline.Constant(127.5))
        np.testing.assert_allclose(maps, np.full((1, 4, 4), image.sum() - 127.5 * image.size), rtol=1e-5)

    def test_window_baseline_and_gradient_live_before_the_preprocessing(self):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 5, 1))
        preprocess = eyeline.Preprocess(scale=2, mean=(0.1, 0.2, 0.3), std=(0.5, 1, 2))
        model = eyeline.load(network, input_size=(4, 5), preprocess=preprocess)
        image = random_images(1, 4, 5, 3)
        slope = network[1].weight.detach().numpy().reshape(3, 4, 5).transpose(1, 2, 0) * 2 / np.array([0.5, 1, 2])
        gradient = eyeline.Gradient(channels=None)(model, image, 0).maps[0]
        np.testing.assert_allclose(gradient, slope, rtol=1e-5)
        maps = occluded(model, image, window=1, stride=1, baseline=eyeline.Constant())
        np.testing.assert_allclose(maps[0], (slope * (image[0] - 0.5)).sum(-1), atol=1e-5)


@pytest.mark.parametrize("kind", ["uint8", "int64"])
def test_integer_images_are_refused_rather_than_truncated(kind):
    image = np.full((4, 4, 3), 200, dtype=kind)
    with pytest.raises(InputError, match="float"):
        eyeline.explain(eyeline.load(total, input_size=(4, 4)), image, baseline=eyeline.Constant(0.5))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_number_of_input_channels_decides_nothing_about_the_scores(channels):
    image = random_images(2, 6, 5, channels)
    logits = eyeline.load(lambda x: np.stack([5 * x.sum((1, 2, 3)), -x.sum((1, 2, 3))], 1), input_size=(6, 5))
    result = eyeline.explain(logits, image, target=0, window=2)
    assert result.unit == "score"
    np.testing.assert_allclose(result.scores[:, 0], 5 * image.sum((1, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"window": 5}, "window.*5"),
        ({"window": (4, 6)}, "window.*6"),
        ({"window": 2, "stride": 3}, "stride.*3"),
        ({"window": 0}, "window.*0"),
        ({"window": -1}, "window.*-1"),
        ({"window": 2, "stride": 0}, "stride.*0"),
        ({"window": (2, 2, 2)}, "window"),
        ({"window": 2.5}, "window"),
    ],
)
def test_windows_that_do_not_fit_are_errors(settings, words):
    with pytest.raises(InputError, match=words):
        occluded(eyeline.load(total, input_size=(4, 5)), random_images(1, 4, 5, 1), **settings)


def test_a_one_channel_image_without_a_channel_axis():
    image = random_images(5, 6)
    model = eyeline.load(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(24, 2)), input_size=(5, 6))
    with_axis = eyeline.explain(model, image[..., None], window=2)
    without = eyeline.explain(model, image, window=2)
    assert without.maps.shape == (1, 5, 6)
    np.testing.assert_array_equal(without.maps, with_axis.maps)


def test_ties_of_the_best_class_go_to_the_lowest_index():
    scores = np.float32([[0.2, 0.4, 0.4, 0.0], [0.25, 0.25, 0.25, 0.25]])

    def tied(images):
        index = (images[:, 0, 0, 0] > 0.5).astype(int)
        return scores[index]

    images = np.zeros((2, 4, 4, 1), dtype=np.float32)
    images[1] = 1
    result = eyeline.explain(eyeline.load(tied, input_size=(4, 4)), images, window=2, baseline=eyeline.Constant(0))
    np.testing.assert_array_equal(result.weights, np.eye(4)[[1, 0]])
    second = eyeline.explain(eyeline.load(tied, input_size=(4, 4)), images, target=eyeline.Top(2), window=2)
    np.testing.assert_array_equal(second.weights, np.eye(4)[[2, 1]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
class TestScoresThatAreNotFinite:
    def test_of_one_window_are_an_error_that_names_it(self, bad):
        """Only the window on rows 2..3, columns 4..5 of the second image is bad."""

        def scores(images):
            result = total(images)
            result[(images[:, 2:4, 4:6] == 0).all((1, 2, 3)) & (images[:, 0, 0, 0] > 0.8)] = bad
            return result

        images = np.full((2, 6, 8, 1), 0.5, dtype=np.float32)
        images[1] = 0.9
        for batch in (None, 1, 5):
            model = eyeline.load(scores, input_size=(6, 8))
            with pytest.raises(ModelError, match=r"(?s)(image 1.*2.*4)|(2.*4.*image 1)"):
                occluded(model, images, window=2, stride=2, batch=batch)

    def test_of_the_clean_image_are_an_error(self, bad):
        model = eyeline.load(lambda images: np.full((len(images), 2), bad), input_size=(4, 4))
        with pytest.raises(ModelError, match=r"finite|NaN|nan|inf"):
            eyeline.explain(model, random_images(1, 4, 4, 1))


def test_a_single_pixel_image():
    model = eyeline.load(total, input_size=(1, 1))
    maps = eyeline.explain(model, np.full((1, 1, 1, 3), 0.75, dtype=np.float32), baseline=eyeline.Constant(0)).maps
    np.testing.assert_allclose(maps, [[[2.25]]])
