"""Pictures: what the words and bars say, panels, and small golden pictures."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eyeline
from eyeline import picture
from eyeline.colour import SIDES, diverging, to_bytes
from eyeline.errors import InputError
from eyeline.limits import limits
from eyeline.picture import draw, panel, save
from eyeline.picture.legend import caption, heading, legend, plain
from eyeline.picture.text import font, shorten, wrap
from eyeline.picture.view import view
from handmade import made, with_map

GOLDEN = Path(__file__).parent / "golden"
FAILED = Path(__file__).parent / "failed"


def compare(drawn: Image.Image, name: str, tolerance: float) -> None:
    """Compare with a golden picture by the mean difference of 0..255; keep both and the difference on failure."""
    path = GOLDEN / f"{name}.png"
    got = np.asarray(drawn.convert("RGB"), dtype=np.float64)
    wanted = np.asarray(Image.open(path).convert("RGB"), dtype=np.float64)
    if got.shape == wanted.shape and np.abs(got - wanted).mean() <= tolerance:
        return
    FAILED.mkdir(exist_ok=True)
    drawn.save(FAILED / f"{name}.png")
    if got.shape == wanted.shape:
        Image.fromarray(np.abs(got - wanted).astype(np.uint8)).save(FAILED / f"{name}-difference.png")
    raise AssertionError(f"{name}: {got.shape} against {wanted.shape}, see {FAILED}")


def test_default_style_shows_signs_where_there_are_any():
    assert "red supports" in draw(made()).info["Description"]
    positive = with_map(np.ones((4, 4)), quantity="d score / d pixel value")
    assert draw(positive).info["Description"].splitlines()[1:] == [
        "d score / d pixel value", "scaled to this map, 0 to 1"
    ]  # fmt: skip


def test_words_name_the_class_the_value_the_quantity_and_the_scale():
    attribution = made()
    largest = float(np.abs(attribution.maps).max())
    assert draw(attribution, 1).info["Description"].splitlines() == [
        "tabby, probability 0.75",
        "drop in probability when covered",
        f"red supports, blue counts against · one scale for all 2 maps, ±{largest:.3g} probability",
    ]
    assert "magnitude of drop" in draw(attribution, style="unsigned").info["Description"]
    assert "below 0 as 0" in draw(attribution, style="spotlight").info["Description"]
    assert "drawn as the limit" in draw(attribution, scale="p50").info["Description"]
    assert "each map on its own scale" in draw(attribution, scale="each").info["Description"]


def test_log_odds_come_with_their_probability():
    attribution = replace(made(unit="log-odds"), scores=np.float32([[1.2137, -1.2137], [-800, 800]]))
    assert caption(attribution, 0) == ("tabby", "log-odds 1.21 (probability 0.771)")
    assert caption(attribution, 1) == ("tabby", "log-odds −800 (probability 0)")
    assert caption(attribution.to(1), 1) == ("tiger cat", "log-odds 800 (probability 1)")
    contrast = replace(attribution, weights=np.float32([[1, -1]] * 2), targets=("tabby - tiger cat",) * 2)
    assert caption(contrast, 0) == ("tabby - tiger cat", "log-odds 2.43")


def test_the_top_class_is_named_where_another_is_explained():
    assert heading(made(), 0) == ("cat 0.png", "12 × 16 in the model")
    assert heading(made().to("tiger cat"), 0) == ("cat 0.png", "top class: tabby, probability 0.75")


def test_covered_scores_are_inverted_for_spotlight_and_red():
    attribution = made(measure="score")
    low = np.unravel_index(attribution.maps[0].argmin(), attribution.maps[0].shape)
    bright = np.asarray(draw(attribution, style="spotlight")).astype(int).sum(axis=-1) / (
        attribution.images[0].sum(axis=-1)
    )
    assert bright[low] == pytest.approx(bright.max(), rel=0.05)
    red = np.asarray(draw(attribution, style="red", scale="none"))[..., 0]
    np.testing.assert_array_equal(red, np.rint((1 - attribution.maps[0].astype(np.float64)) * 255))
    assert "the lower, the redder" in draw(attribution, style="red").info["Description"]


def test_a_scale_chosen_for_a_larger_set_is_used():
    first, second = made(n=1), made(n=1, seed=3)
    scale = limits([first.maps[0], second.maps[0], 10 * first.maps[0]], sides="both")
    assert f"one scale for all 3 maps, ±{scale.high:.3g}" in draw(first, scale=scale).info["Description"]


@pytest.mark.parametrize("most", [3, 5, 9])
@pytest.mark.parametrize("peak", [1e-7, 0.019, 0.41, 1.0, 1.9, 2.0, 4.99, 5.0, 77.0, 1e6])
@pytest.mark.parametrize("style", ["signed", "unsigned"])
def test_ticks_are_round_within_the_limits_and_say_their_value(style, peak, most):
    key = legend(with_map(np.full((2, 2), peak)), 0, style, "shared")
    ticks = key.ticks(most)
    values = [value for value, _ in ticks]
    assert 0 in values
    assert 2 <= len(ticks) <= most + 2
    for value, words in ticks:
        assert key.scale.low - 1e-6 * peak <= value <= key.scale.high * (1 + 1e-6)
        assert float(words.replace("−", "-")) == pytest.approx(value, rel=1e-6)
        assert words.startswith("+") == (style == "signed" and value > 0)
    if style == "signed":
        np.testing.assert_allclose(values, -np.array(values[::-1]))


def test_colour_bar_shows_the_colours_that_the_map_gets():
    for style in SIDES:
        attribution = made(n=1)
        key = legend(attribution, 0, style, "shared")
        level = 0.85 if style == "spotlight" else 0.5
        same = replace(attribution, images=np.full_like(attribution.images, level))
        place = np.unravel_index(attribution.maps[0].argmax(), (12, 16))
        share = (attribution.maps[0][place] - key.scale.low) / (key.scale.high - key.scale.low)
        bar = to_bytes(key.colours())[round(share * 255)].astype(int)
        drawn = np.asarray(draw(same, style=style))[place].astype(int)
        assert np.abs(bar - drawn).max() <= 2, style


def tiles(drawn: Image.Image, tile: Image.Image) -> int:
    """Count where a tile stands in a panel, pixel by pixel."""
    sheet, wanted = np.asarray(drawn), np.asarray(tile)
    rows, columns = wanted.shape[:2]
    corners = np.argwhere((sheet == wanted[0, 0]).all(axis=-1))
    return sum(np.array_equal(sheet[r : r + rows, c : c + columns], wanted) for r, c in corners)


def test_panel_holds_the_image_and_every_map_once():
    attribution = made((24, 32))
    drawn = panel(attribution, styles=["signed", "spotlight"], size=64)
    for index in (0, 1):
        for style in ("signed", "spotlight"):
            assert tiles(drawn, draw(attribution, index, style=style, size=64)) == 1
    assert tiles(drawn, Image.fromarray(to_bytes(view(attribution, 0, size=64).image))) == 2


def test_one_bar_for_a_shared_scale_and_one_each_otherwise(monkeypatch):
    bars = []
    original = picture.sheet.__globals__["_bar"]
    monkeypatch.setitem(picture.sheet.__globals__, "_bar", lambda *given: bars.append(given) or original(*given))

    def count(*attributions, **settings):
        bars.clear()
        panel(*attributions, size=64, **settings)
        return len(bars)

    attribution = made()
    other = replace(attribution, quantity="d score / d pixel value", sweep=None)
    assert count(attribution) == 1
    assert count(attribution, attribution.to("tiger cat")) == 1
    assert count(attribution, scale="each") == 2
    assert count(attribution, styles=["signed", "unsigned"]) == 2
    assert count(attribution, other) == 2


@pytest.mark.parametrize(("count", "wide"), [(1, 1), (4, 4), (5, 3), (8, 4), (9, 3)])
def test_many_maps_are_broken_into_rows_that_can_be_read(count, wide):
    attribution = made(n=1)
    drawn = panel(*[attribution] * count, size=200)
    assert drawn.width == panel(*[attribution] * wide, size=200).width
    tile = draw(attribution, size=200)
    assert tiles(drawn, tile) == count
    assert tiles(drawn, Image.fromarray(to_bytes(view(attribution, 0, size=200).image))) == 1


def test_the_legend_of_pairs_tells_more_than_the_sum_from_less(tmp_path):
    model = eyeline.load(lambda images: images.prod(axis=(1, 2)), input_size=(1, 2))
    found = eyeline.Pairs(window=1, baseline=eyeline.Constant(0))(model, np.ones((1, 2, 1), dtype=np.float32))
    for each in (found, replace(found, sweep=found.sweep.slim())):
        words = draw(each, style="signed").info["Description"]
        assert "the drop in probability when the window that alone does most is covered too" in words
        assert "class 0, probability 1, with rows 0..0, columns 0..0" in words
        assert "red: both cost more than the sum of each, blue: less" in words
        assert "supports" not in words
    named = eyeline.Pairs(window=1, chosen=1, baseline=eyeline.Constant(0))(model, np.ones((1, 2, 1), dtype=np.float32))
    assert "when window 1 is covered too" in named.quantity
    assert "with rows 0..0, columns 1..1" in draw(named).info["Description"]
    stored = eyeline.Attribution.load(named.save(tmp_path / "pairs.npz"))
    assert caption(stored, 0) == caption(named, 0)


def test_pairs_name_the_window_that_does_most_in_each_image():
    """The score is a weighted sum, so that each window's drop is known."""
    weights = np.arange(1, 13, dtype=np.float32).reshape(1, 3, 4, 1)
    model = eyeline.load(lambda images: (images * weights).sum(axis=(1, 2)), input_size=(3, 4))
    images = np.ones((2, 3, 4, 1), dtype=np.float32)
    images[1, 2] = 0  # leaves the second row's windows
    found = eyeline.Pairs(window=(1, 2), baseline=eyeline.Constant(0))(model, images)
    assert "with rows 2..2, columns 2..3" in caption(found, 0)[1]
    assert "with rows 1..1, columns 2..3" in caption(found, 1)[1]


def test_pairs_have_a_frame_around_the_window_that_is_named():
    """Drawn pixel by pixel, and three times as large; a window too small for a frame has none."""
    model = eyeline.load(lambda images: images[:, 16:, :16].mean(axis=(1, 2)), input_size=(32, 32))
    images = np.full((1, 32, 32, 1), 0.5, dtype=np.float32)
    found = eyeline.Pairs(window=16, baseline=eyeline.Constant(0))(model, images)
    for each, times in ((found, 1), (found, 3), (replace(found, sweep=found.sweep.slim()), 3)):
        plain = draw(replace(each, sweep=None), size=32 * times, scale=1.0)
        drawn, side = np.asarray(draw(each, size=32 * times, scale=1.0)), 16 * times
        expected = np.array(plain)
        for depth, grey in ((0, 255), (1, 0), (2, 255)):
            for row in range(side, 2 * side):
                for column in range(side):
                    if depth == min(row - side, 2 * side - 1 - row, column, side - 1 - column):
                        expected[row, column] = grey
        np.testing.assert_array_equal(drawn, expected)
        assert np.any(drawn != np.asarray(plain))
    small = eyeline.Pairs(window=8, baseline=eyeline.Constant(0))(model, images)
    np.testing.assert_array_equal(draw(small, scale=1.0), draw(replace(small, sweep=None), scale=1.0))


def test_a_map_of_random_masks_says_how_far_it_is_noise():
    model = eyeline.load(lambda images: images[:, :2].mean(axis=(1, 2)), input_size=(8, 8))
    found = eyeline.Rise(20, 4, baseline=eyeline.Constant(0))(model, np.ones((2, 8, 8, 1), dtype=np.float32))
    for index in (0, 1):
        largest = found.further["standard_error"][index].max()
        assert caption(found, index)[1].endswith(f", the map's standard error up to {largest:.3g}")


def test_attributions_of_one_quantity_share_one_scale():
    attribution = made()
    other = attribution.to("tiger cat")
    both = max(np.abs(attribution.maps).max(), np.abs(other.maps).max())
    description = panel(attribution, other).info["Description"]
    assert description.count(f"one scale for all 4 maps, ±{both:.3g}") == 4


def test_panels_refuse_what_does_not_go_together():
    with pytest.raises(InputError, match="a panel must have an attribution"):
        panel()
    with pytest.raises(InputError, match="must be of the same images"):
        panel(made(), made((16, 16)))
    with pytest.raises(InputError, match="one original each, but got 2 images and 1 originals"):
        panel(made(), originals=[None])
    with pytest.raises(InputError, match="at least one image"):
        panel(made(), indices=[])


@pytest.mark.parametrize("size", [20, 224, 1000])
@pytest.mark.parametrize(
    "name",
    ["x" * 400, "tench, " * 60, "<b>$x^2$ \\frac</b>", "\u202etxt.exe", "日本語", "", "a\nb\tc", "\udcff", "🐈"],
    ids=["long", "words", "markup", "direction", "unicode", "empty", "lines", "surrogate", "emoji"],
)
def test_any_name_is_drawn_as_text_within_the_picture(size, name):
    plain_width = panel(made(n=1), size=size).width
    attribution = replace(made(n=1), targets=(name,), names=(name,), quantity=name)
    drawn = panel(attribution, size=size)
    assert drawn.width == plain_width
    rim = np.asarray(drawn)[:, -3:]
    assert (rim == 255).all()


def test_hidden_characters_become_visible():
    assert plain("a\u202eb\x00c\n\td\udcff") == "a\ufffdb\ufffdc d\ufffd"


@pytest.mark.parametrize("text", ["one two three four five six", "averyveryverylongwordwithoutspaces", "", " a ", "…"])
@pytest.mark.parametrize("width", [15, 60, 500])
def test_wrapped_lines_fit_and_lose_nothing_silently(text, width):
    letters = font(12)
    for lines in (1, 2, 9):
        made_lines = wrap(text, letters, width, lines)
        assert len(made_lines) <= lines
        assert all(letters.getlength(line) <= width or len(line) <= 2 for line in made_lines)
        whole = "".join(made_lines).replace(" ", "") == text.replace(" ", "")
        assert whole or made_lines[-1].endswith("…")
    assert letters.getlength(shorten("abc def " * 20, letters, 60)) <= 60


def test_font_needs_no_import_of_matplotlib():
    import subprocess
    import sys

    code = "import sys, eyeline.picture, eyeline.picture.text as t; t.font(12); assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_font_falls_back_to_pillows(monkeypatch):
    monkeypatch.setattr("eyeline.picture.text.find_spec", lambda name: None)
    font.cache_clear()
    try:
        assert panel(made(n=1), size=64).width > 128
        assert font(14).size == 14
    finally:
        font.cache_clear()


def test_saved_pictures_hold_pixels_and_words(tmp_path):
    drawn = panel(made(), size=40)
    path = save(drawn, tmp_path / "deep" / "maps.png")
    with Image.open(path) as again:
        np.testing.assert_array_equal(np.asarray(again), np.asarray(drawn))
        assert again.text["Description"] == drawn.info["Description"]
    assert [each.name for each in path.parent.iterdir()] == ["maps.png"]


def test_saving_elsewhere_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"must end in .png, but got 'a.jpg'. Pass 'a.png'"):
        save(draw(made()), tmp_path / "a.jpg")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="must be writable and have room"):
        save(draw(made()), tmp_path / "file" / "a.png")


def test_nothing_that_was_given_changes():
    attribution = made()
    before = attribution.maps.copy(), attribution.images.copy()
    panel(attribution, styles=list(SIDES), smooth=True)
    np.testing.assert_array_equal(attribution.maps, before[0])
    np.testing.assert_array_equal(attribution.images, before[1])


def golden(name: str) -> Image.Image:
    attribution = made((48, 64), 2, window=8)
    if name == "panel":
        return panel(attribution, styles=["signed", "map"], size=128)
    if name == "smooth":
        return draw(attribution, smooth=True, size=128)
    return draw(attribution, style=name)


@pytest.mark.parametrize("name", [*SIDES, "smooth", "panel"])
def test_golden_pictures(name):
    # Letters differ a little between versions of FreeType; colours must not.
    compare(golden(name), name, tolerance=4 if name == "panel" else 0.5)


def test_golden_comparison_can_fail(monkeypatch, tmp_path):
    monkeypatch.setattr("test_picture.FAILED", tmp_path)
    with pytest.raises(AssertionError, match="signed"):
        compare(draw(replace(made((48, 64), 2, window=8), maps=-made((48, 64), 2, window=8).maps)), "signed", 0.5)
    assert re.findall("difference", " ".join(each.name for each in tmp_path.iterdir()))


def test_a_scale_for_other_sides_is_refused():
    with pytest.raises(InputError, match="a scale for style 'unsigned' must have sides 'magnitude', but got 'both'"):
        draw(made(), style="unsigned", scale=limits([np.ones(3)], sides="both"))


def test_a_map_alone_may_show_magnitudes():
    attribution = made()
    scale = limits(list(attribution.maps), sides="magnitude")
    drawn = draw(attribution, style="map", scale=scale)
    wanted = diverging(np.abs(attribution.maps[0].astype(np.float64)) / scale.high)
    np.testing.assert_array_equal(np.asarray(drawn), to_bytes(wanted))
    heading, words = drawn.info["Description"].splitlines()[1:]
    assert heading == "magnitude of drop in probability when covered, sign left out"
    assert words == f"one scale for all 2 maps, 0 to {scale.high:.3g} probability"


def test_the_legend_of_rise_does_not_call_less_helpful_places_harmful():
    """A place below the mean of all masks may still help: all four pixels do here, the first most."""
    weights = np.array([[8, 1], [1, 1]])
    model = eyeline.load(lambda images: (images[..., 0] * weights).sum(axis=(1, 2))[:, None], input_size=2)
    image = np.ones((1, 2, 2, 1), dtype=np.float32)
    gain = eyeline.Rise(400, cells=2, baseline=eyeline.Constant(0))(model, image, 0)
    assert (gain.maps < 0).any() or gain.maps.min() < gain.maps.max() / 2
    words = legend(gain, 0, "signed", "shared").lines()[1]
    assert "red: seeing it helps more than the average place, blue: less" in words
    assert "against" not in words
    drop = eyeline.Occlusion(1, 1, baseline=eyeline.Constant(0))(model, image, 0)
    assert "blue counts against" in legend(drop, 0, "signed", "shared").lines()[1]
