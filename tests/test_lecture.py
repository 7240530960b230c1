"""The lecture, end to end on the backend that Keras has: its functions against the plain reference, and its run."""

import html
import re

import keras
import numpy as np
import pytest
from PIL import Image

import eyeline
import lecture_reference as reference
from eyeline import lecture
from eyeline.errors import InputError, UnsupportedError
from eyeline.lecture import network
from eyeline.lecture.drawn import PARTS, draw
from eyeline.lecture.run import run

OCCLUSION, SALIENCY = 1e-6, 1e-5


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The lecture run once from top to bottom, with what it said."""
    lines = []
    return run(tmp_path_factory.mktemp("lecture"), say=lines.append), lines


@pytest.fixture(scope="module")
def model(whole):
    return keras.models.load_model(whole[0].model)


@pytest.fixture(scope="module")
def images():
    return draw(10, seed=5).images


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def reshaped(model, rows, columns):
    """The trained network for another image size: nothing in it depends on the size."""
    other = network._build(keras, (rows, columns, 3), len(PARTS))
    other.set_weights(model.get_weights())
    return other


def check_occlusion(image, model, true_class, size, opened=None):
    found = lecture.occlusion_map(image, model if opened is None else opened, true_class, size)
    expected = reference.occlusion_map(image, model, true_class, size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=OCCLUSION)
    np.testing.assert_allclose(
        lecture.red_overlay(image, 1 - found)[0],
        reference.occlusion_picture(image, expected),
        rtol=0,
        atol=OCCLUSION,
    )
    return found


def check_saliency(model, image, class_idx, opened=None):
    found = lecture.saliency_map(model if opened is None else opened, image, class_idx)
    expected = reference.saliency_map(model, image, class_idx)
    assert found.shape == image.shape[:3]
    np.testing.assert_allclose(found, expected, rtol=0, atol=SALIENCY)
    np.testing.assert_allclose(
        lecture.red_overlay(image, found), reference.saliency_picture(image, expected), rtol=0, atol=SALIENCY
    )
    return found


@pytest.mark.parametrize("true_class", range(len(PARTS)))
def test_maps_and_pictures_are_the_reference(model, images, true_class):
    """Every class of the live model, its own picture and its index as argmax gives it."""
    image = images[true_class : true_class + 1]
    found = check_occlusion(image, model, np.int64(true_class), 8)
    assert np.ptp(found) > 1e-3, "a constant map would prove little"
    check_saliency(model, image, np.int64(true_class))


@pytest.mark.parametrize("size", [5, 10, 24, 64])
def test_squares_that_do_not_divide_leave_a_strip_of_zeros(model, images, size):
    found = check_occlusion(images[2:3], model, 1, size)
    inside = 64 // size * size
    assert not found[inside:].any()
    assert not found[:, inside:].any()
    assert (found[:inside, :inside] > 0).all()


@pytest.mark.parametrize(("rows", "columns"), [(40, 52), (52, 40)])
def test_images_that_are_not_square(model, images, rows, columns):
    other, image = reshaped(model, rows, columns), images[3:4, 10 : 10 + rows, 5 : 5 + columns]
    assert check_occlusion(image, other, 2, 12).shape == (rows, columns)
    check_saliency(other, image, 2)


def test_a_batch_shares_one_scale(model, images):
    found = check_saliency(model, images[:6], 3)
    assert found.min() == 0
    assert (found.max(axis=(1, 2)) < 0.9).any()


@pytest.mark.filterwarnings("ignore::DeprecationWarning:h5py")
def test_the_model_may_come_from_a_file(model, images, tmp_path):
    for path in (tmp_path / "multiclass.keras", tmp_path / "multiclass.h5"):
        model.save(path)
        opened = eyeline.load(path)
        check_occlusion(images[3:4], model, 2, 8, opened)
        check_saliency(model, images[:2], 2, opened)


def test_a_path_or_a_function_will_do(whole, model, images):
    np.testing.assert_allclose(
        lecture.occlusion_map(images[:1], str(whole[0].model), 0, 16),
        lecture.occlusion_map(images[:1], lambda given: model.predict(given, verbose=0), 0, 16),
        atol=OCCLUSION,
    )
    with pytest.raises(UnsupportedError, match="must have a model with gradients"):
        lecture.saliency_map(lambda given: model.predict(given, verbose=0), images[:1], 0)


def test_the_reference_sees_another_grey(model, images, monkeypatch):
    """Sabotage twin: black squares in place of grey ones."""
    monkeypatch.setattr(lecture, "GREY", eyeline.Constant(0.0))
    with pytest.raises(AssertionError, match="Not equal"):
        check_occlusion(images[3:4], model, 2, 8)


def test_the_reference_sees_a_cut_square(model, images, monkeypatch):
    """Sabotage twin: squares that stick out are cut in place of left away."""
    plain = lecture.Occlusion
    monkeypatch.setattr(lecture, "Occlusion", lambda **settings: plain(**{**settings, "edge": "cut"}))
    check_occlusion(images[2:3], model, 1, 8)
    with pytest.raises(AssertionError, match="Not equal"):
        check_occlusion(images[2:3], model, 1, 10)


def test_the_reference_sees_another_epsilon_and_another_class(model, images, monkeypatch):
    """Sabotage twins of the saliency map."""
    with pytest.raises(AssertionError, match="Not equal"):
        np.testing.assert_allclose(
            lecture.saliency_map(model, images[:1], 1), reference.saliency_map(model, images[:1], 0), atol=SALIENCY
        )
    monkeypatch.setattr(lecture, "EPSILON", 1e-2)
    with pytest.raises(AssertionError, match="Not equal"):
        check_saliency(model, images[:1], 0)


def test_iterating_gives_the_reference_s_squares(images):
    for size in (8, 24):
        found, expected = list(lecture.iterate_occlusion(images[:1], size)), list(reference.squares(images[:1], size))
        assert [each[:2] for each in found] == [each[:2] for each in expected]
        assert all(type(each) is int for each in found[-1][:2])
        np.testing.assert_array_equal([each[2] for each in found], [each[2] for each in expected])
    before = images[:1].copy()
    for _, _, copy in lecture.iterate_occlusion(images[:1]):
        assert copy.shape == (1, 64, 64, 3)
        assert copy.dtype == np.float32
        copy[:] = 7
    np.testing.assert_array_equal(images[:1], before)


def test_images_compare_instead_of_being_rescaled(model, images):
    """The raw magnitudes: alone or in a batch the same numbers; "each" fills 0..1 image by image."""
    raw = lecture.saliency_map(model, images[:3], 1, rescale="none")
    np.testing.assert_allclose(raw, np.abs(reference.gradient(model, images[:3], 1)).max(axis=3), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(
        raw[1:2], lecture.saliency_map(model, images[1:2], 1, rescale="none"), rtol=1e-4, atol=1e-7
    )
    each = lecture.saliency_map(model, images[:3], 1, rescale="each")
    alone = [reference.saliency_map(model, images[i : i + 1], 1)[0] for i in range(3)]
    np.testing.assert_allclose(each, alone, atol=SALIENCY)


def test_signed_instead_of_absolute(model, images):
    gradient = reference.gradient(model, images[:3], 1)
    strongest = np.take_along_axis(gradient, np.abs(gradient).argmax(axis=3)[..., None], axis=3)[..., 0]
    raw = lecture.saliency_map(model, images[:3], 1, rescale="none", signed=True)
    np.testing.assert_allclose(raw, strongest, rtol=1e-3, atol=1e-6)
    scaled = lecture.saliency_map(model, images[:3], 1, signed=True)
    np.testing.assert_allclose(scaled, strongest / (np.abs(strongest).max() + 1e-7), atol=SALIENCY)
    assert scaled.min() < 0 < scaled.max()
    each = lecture.saliency_map(model, images[:3], 1, signed=True, rescale="each")
    largest = np.abs(strongest).max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(each, strongest / (largest + 1e-7), atol=SALIENCY)


def test_a_class_that_the_model_does_not_have(model, images):
    with pytest.raises(InputError, match=r"class index must be within 0..4, but got 5"):
        lecture.occlusion_map(images[:1], model, 5)


def test_the_run_trains_finds_the_parts_and_shows_them(whole):
    summary, lines = whole
    assert summary.accuracy >= 0.9
    touched, of = map(int, re.search(r"In (\d+) test pictures .* touches it in (\d+)", summary.verdict).group(2, 1))
    assert of == 40
    assert touched >= 32
    by_square, by_pixel = map(int, re.search(r"holds (\d+)% .* and (\d+)%", summary.verdict).groups())
    assert min(by_square, by_pixel) >= 20, "the parts take about 4% of a picture"
    page = summary.page.read_text(encoding="utf-8")
    assert len(summary.shown) == 10
    for shown in summary.shown:
        assert html.escape(shown.sentence) in page
        assert any(shown.sentence in line for line in lines)
        for file in shown.files:
            assert f'src="{file.name}"' in page
            assert pixels(file).shape == (384, 384, 3)
    assert {shown.truth for shown in summary.shown} == set(PARTS)
    assert str(summary.model) in " ".join(lines)


def test_a_written_picture_is_the_lecture_s(whole, model):
    """The first shown picture, read back: the red channel is 1 - map of the first test picture of its class."""
    shown = whole[0].shown[0]
    kind = list(PARTS).index(shown.truth)
    image = lecture.load_data()["test_X"][kind : kind + 1]
    expected = reference.occlusion_picture(image, reference.occlusion_map(image, model, kind, 8))
    found = pixels(shown.files[1])[3::6, 3::6] / 255
    np.testing.assert_allclose(found, expected, atol=0.5 / 255 + 1e-5)


def test_a_folder_with_unruly_names(tmp_path):
    """Names of folders reach the page escaped, the terminal without control characters, files as plain letters."""
    names = ['<b>"red"&', "\x1b[31mblue"]
    for name, colour in zip(names, ((200, 30, 30), (30, 30, 200)), strict=True):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(10):
            Image.new("RGB", (20, 30), tuple(each + i for each in colour)).save(tmp_path / "data" / name / f"{i}.png")
    lines = []
    summary = run(tmp_path / "out", tmp_path / "data", lines.append)
    page = summary.page.read_text(encoding="utf-8")
    assert "<b>" not in page
    assert "&lt;b&gt;&quot;red&quot;&amp;" in page
    assert not any("\x1b" in line for line in lines)
    assert all(re.fullmatch(r"[\w.-]+", file.name) for shown in summary.shown for file in shown.files)
    assert "not known" in summary.verdict
    assert summary.accuracy == 1


def refused(given):
    raise AssertionError("the run went on")


def test_a_folder_that_cannot_be_written_is_told_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="must be writable"):
        run(tmp_path / "file" / "out", say=refused)
