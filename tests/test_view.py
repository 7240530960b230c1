"""Where every value of a map lands in a picture: cells, interpolation, originals, planes."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from eyeline.colour import SIDES, shade, to_bytes
from eyeline.errors import InputError, UnsupportedError
from eyeline.image import Fit, collect
from eyeline.limits import limits
from eyeline.picture import draw, panel
from eyeline.picture.view import view
from eyeline.region import Windows
from eyeline.sweep import Sweep
from eyeline.window import grid
from handmade import made, with_map


@pytest.mark.parametrize("style", list(SIDES))
def test_each_pixel_is_shaded_from_its_own_value(style):
    attribution = made()
    drawn = np.asarray(draw(attribution, 1, style=style))
    scale = limits(list(attribution.maps), sides=SIDES[style])
    wanted = shade(style, attribution.images[1].astype(np.float64), attribution.maps[1], scale)
    np.testing.assert_array_equal(drawn, to_bytes(wanted))


def test_rows_and_columns_are_not_swapped():
    values = np.zeros((10, 30))
    values[1, 28] = 1
    drawn = np.asarray(draw(with_map(values), style="signed", size=300)).astype(int)
    assert drawn.shape == (100, 300, 3)
    red = drawn[..., 0] - drawn[..., 2] > 30
    assert red[10:20, 280:290].all()
    assert red.sum() == 100


def test_square_cells_without_smooth_and_interpolation_said_with_it():
    attribution = made((12, 12), 1)
    plainly, smoothly = (view(attribution, 0, size=120, smooth=smooth) for smooth in (False, True))
    np.testing.assert_array_equal(np.unique(plainly.values), np.unique(attribution.maps[0]))
    assert plainly.map_notes == ()
    assert len(np.unique(smoothly.values)) > 1000
    assert smoothly.map_notes == ("interpolated",)
    assert "interpolated" in draw(attribution, smooth=True).info["Description"]
    assert "interpolated" not in draw(attribution).info["Description"]


def test_interpolation_goes_through_the_windows_values():
    """Bilinear between the windows' centres: exact there, and exact everywhere for a slope."""
    attribution = made((9, 12), 1, window=3)
    smooth = view(attribution, 0, size=12 * 9, smooth=True).values
    centres = np.ix_(np.arange(3) * 27 + 13, np.arange(4) * 27 + 13)
    np.testing.assert_allclose(smooth[centres], attribution.maps[0][1::3, 1::3], rtol=1e-6)
    assert smooth.min() >= attribution.maps.min() - 1e-7
    assert smooth.max() <= attribution.maps.max() + 1e-7

    slope = np.add.outer(2.0 * np.arange(8), np.arange(8))
    drawn = view(with_map(slope), 0, size=24, smooth=True).values
    position = (np.arange(24) + 0.5) / 3 - 0.5
    inner = slice(2, -2)
    np.testing.assert_allclose(
        drawn[inner, inner], np.add.outer(2 * position, position)[inner, inner], rtol=1e-5, atol=1e-5
    )


def test_smooth_shrinking_averages_instead_of_dropping_pixels():
    values = np.zeros((64, 64))
    values[::2] = 1
    assert np.ptp(view(with_map(values), 0, size=16, smooth=True).values[1:-1]) < 0.3
    assert set(np.unique(view(with_map(values), 0, size=16).values)) <= {0.0, 1.0}


def test_maps_smaller_than_the_image_are_laid_over_all_of_it():
    attribution = made((12, 16), 1)
    small = replace(attribution, maps=np.float32([[[1, 2], [3, 4]]]), sweep=None)
    np.testing.assert_array_equal(view(small, 0).values, np.kron([[1, 2], [3, 4]], np.ones((6, 8))))


def mark_found(folder, mode, size, spoil=lambda fit: fit):
    """Mark a picture, bring it to the model as files are, and draw the map of the mark on the original.

    Returns the share of the pixels marked or drawn that are both.
    """
    picture = np.zeros((60, 100, 3), dtype=np.uint8)
    picture[4:18, 24:44] = 255
    Image.fromarray(picture).save(folder / "mark.png")
    batch = collect(folder / "mark.png", input_size=(40, 40), channels=3, fit=mode)
    attribution = with_map(batch.images[0].mean(axis=-1) > 0.5)
    attribution = replace(attribution, images=batch.images, fits=(spoil(batch.fits[0]),))
    seen = view(attribution, 0, original=folder / "mark.png", size=size)
    marked, drawn = seen.image.mean(axis=-1) > 0.5, seen.values > 0
    return (marked & drawn).sum() / (marked | drawn).sum()


@pytest.mark.parametrize("mode", ["squash", "crop", "pad"])
@pytest.mark.parametrize("size", [None, 50])
def test_drawn_on_the_original_a_mark_lands_where_it_was(tmp_path, mode, size):
    assert mark_found(tmp_path, mode, size) > 0.7


@pytest.mark.parametrize("mode", ["crop", "pad"])
def test_a_box_that_is_ignored_is_seen(tmp_path, mode):
    """Sabotage twin: the map laid over the whole original misses the mark."""
    assert mark_found(tmp_path, mode, None, lambda fit: replace(fit, box=((0, 60), (0, 100)))) < 0.6


def test_outside_the_models_view_the_original_is_left_plain():
    original = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 40, 3), dtype=np.uint8))
    attribution = with_map(np.ones((10, 10)), fits=(Fit("crop", (20, 40), ((0, 20), (10, 30))),))
    for style in SIDES:
        drawn = draw(attribution, style=style, original=original)
        same = (np.asarray(drawn) == np.asarray(original)).all(axis=-1)
        assert same[:, :10].all()
        assert same[:, 30:].all()
        assert "left plain: what the model did not see" in drawn.info["Description"]
    assert not (np.asarray(draw(attribution, style="map", original=original)) == np.asarray(original))[:, 10:30].all()


def test_another_original_is_refused():
    attribution = with_map(np.ones((10, 10)), fits=(Fit("crop", (20, 40), ((0, 20), (10, 30))),))
    with pytest.raises(InputError, match=r"original must be the picture that was explained, of 20 x 40 .* got 10 x 10"):
        draw(attribution, original=Image.new("RGB", (10, 10)))


def test_grey_images_and_other_ranges_are_shown_and_said():
    attribution = with_map(np.ones((4, 4)))
    grey = replace(attribution, images=np.full((1, 4, 4, 1), 0.25, dtype=np.float32))
    np.testing.assert_array_equal(view(grey, 0).image, np.full((4, 4, 3), 0.25))
    wide = replace(attribution, images=np.linspace(0, 255, 48, dtype=np.float32).reshape(1, 4, 4, 3))
    assert view(wide, 0).image.max() == 1
    assert "pixels 0 to 255 shown as black to white" in draw(wide).info["Description"]
    flat = replace(attribution, images=np.full((1, 4, 4, 3), 99, dtype=np.float32))
    assert np.isfinite(view(flat, 0).image).all()


def test_many_channels_need_an_original():
    attribution = replace(with_map(np.ones((4, 4))), images=np.zeros((1, 4, 4, 7), dtype=np.float32))
    with pytest.raises(InputError, match=r"1 or 3 channels to be drawn, but got 7\. Pass a picture .* as original="):
        draw(attribution)
    assert draw(attribution, original=Image.new("RGB", (9, 9))).size == (9, 9)


def test_maps_per_channel_ask_to_be_reduced():
    attribution = replace(with_map(np.ones((4, 4))), maps=np.ones((1, 4, 4, 3), dtype=np.float32))
    with pytest.raises(InputError, match=r"one per channel \(1, 4, 4, 3\)\. Make it with channels='max_abs'"):
        draw(attribution)


def test_volumes_ask_for_a_plane():
    volume = np.zeros((5, 6, 7), dtype=np.float32)
    volume[3, 2] = 1
    attribution = with_map(volume)
    with pytest.raises(
        InputError, match=r"plane must be \(axis, position\) within a volume of 5 x 6 x 7, but got None"
    ):
        draw(attribution)
    for plane in ((3, 0), (0, 5), (-1, 0)):
        with pytest.raises(InputError, match="plane must be"):
            draw(attribution, plane=plane)
    seen = view(attribution, 0, plane=(0, 3), size=14, smooth=False)
    np.testing.assert_array_equal(seen.values.sum(axis=1) > 0, np.repeat([0, 0, 1, 0, 0, 0], 2) > 0)
    assert draw(attribution, plane=(1, 2)).size == (7, 5)
    assert "plane 2 of axis 1" in draw(attribution, plane=(1, 2)).info["Description"]
    with pytest.raises(InputError, match="plane must be left out"):
        draw(made(), plane=(0, 0))


def test_volumes_of_occlusion_interpolate_along_the_right_axes():
    size = (4, 8, 12)
    boxes = grid(size, 4, 4)
    swept = np.arange(len(boxes), dtype=np.float32).reshape(1, -1, 1)
    sweep = Sweep(Windows(boxes), swept, np.zeros((1, 1), dtype=np.float32), "score")
    weights = np.ones((1, 1), dtype=np.float32)
    attribution = replace(
        with_map(np.zeros(size)), maps=sweep.maps(weights, size), sweep=sweep, weights=weights, classes=None,
        scores=np.ones((1, 1), dtype=np.float32),
    )  # fmt: skip
    smooth = view(attribution, 0, plane=(0, 1), smooth=True, size=36).values
    np.testing.assert_allclose(smooth[np.ix_([6, 18], [6, 18, 30])], [[0, 1, 2], [3, 4, 5]], atol=0.3)


def test_signals_are_sent_to_plot():
    attribution = replace(
        with_map(np.ones((4, 4))), maps=np.ones((1, 9), np.float32), images=np.ones((1, 9, 2), np.float32)
    )
    with pytest.raises(UnsupportedError, match=r"signals with one\. Draw it with eyeline\.plot\.plot"):
        draw(attribution)


def test_bad_index_style_and_size_are_refused():
    with pytest.raises(InputError, match=r"index must be within 0\.\.1, .* but got 2"):
        draw(made(), 2)
    with pytest.raises(InputError, match=r"index must be within 0\.\.1, .* but got -1"):
        panel(made(), indices=[-1])
    with pytest.raises(InputError, match=r"style must be one of .* 'singed'. Did you mean 'signed'"):
        draw(made(), style="singed")
    for size in (0, -3, 2.5):
        with pytest.raises(InputError, match="size must be a whole number of pixels"):
            draw(made(), size=size)
