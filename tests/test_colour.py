"""Display scales and colour maps, against perceptual colour spaces and a model of colour blindness."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.color import deltaE_ciede2000, rgb2lab

from eyeline import colour
from eyeline.colour import AGAINST, FOR, SIDES, diverging, overlay, red, sequential, shade, spotlight, to_bytes
from eyeline.errors import InputError
from eyeline.limits import Limits, limits, short

# Machado, Oliveira, Fernandes 2009, severity 1.0; they act on linear RGB.
BLINDNESS = {
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
RAMP = np.linspace(0, 1, 201)
MAPS = [np.array([[-3.0, 1.0], [0.0, 0.5]]), np.array([[2.0, 0.0], [0.0, -0.1]])]


def seen(rgb: np.ndarray, kind: str) -> np.ndarray:
    rgb = np.asarray(rgb, dtype=np.float64)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.array(BLINDNESS[kind]).T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def lightness(rgb: np.ndarray) -> np.ndarray:
    return rgb2lab(rgb)[..., 0]


def sign_distance(rgb_of, kind: str) -> np.ndarray:
    strength = np.linspace(0.25, 1, 31)
    return deltaE_ciede2000(rgb2lab(seen(rgb_of(strength), kind)), rgb2lab(seen(rgb_of(-strength), kind)))


def signed_on(level: float):
    def rgb_of(fractions: np.ndarray) -> np.ndarray:
        scale = Limits(1.0, "both", "", 1.0)
        return shade("signed", np.full((len(fractions), 3), level), fractions, scale)

    return rgb_of


@pytest.mark.parametrize(
    ("sides", "high"), [("both", 3.0), ("magnitude", 3.0), ("above", 2.0)], ids=["both", "magnitude", "above"]
)
def test_shared_reaches_to_the_largest_shown_value_of_any_map(sides, high):
    for index in (0, 1):
        scale = limits(MAPS, "shared", index, sides=sides)
        assert (scale.high, scale.saturates) == (high, False)


def test_each_looks_at_its_own_map():
    assert [limits(MAPS, "each", i, sides="both").high for i in (0, 1)] == [3.0, 2.0]
    assert [limits(MAPS, "each", i, sides="above").high for i in (0, 1)] == [1.0, 2.0]


def test_none_is_full_at_one_and_says_what_lies_beyond():
    scale = limits(MAPS, "none", sides="both")
    assert scale.high == 1
    assert scale.describe("score") == "not scaled, ±1 score; values beyond (up to 3) drawn as the limit"


@pytest.mark.parametrize("share", [50, 90, 99.5])
def test_percentile_is_numpys_over_all_maps_and_says_so(share):
    scale = limits(MAPS, f"p{share}", sides="both")
    assert scale.high == np.percentile(np.abs(np.concatenate([each.ravel() for each in MAPS])), share)
    assert scale.saturates
    assert "of all 2 maps" in scale.describe()
    assert "values beyond (up to 3) drawn as the limit" in scale.describe()


@pytest.mark.parametrize("scale", [0.5, "0.5"])
def test_given_limit_saturates_and_says_so(scale):
    chosen = limits(MAPS, scale, sides="both")
    np.testing.assert_array_equal(chosen.fractions(MAPS[0]), [[-1, 1], [0, 1]])
    assert chosen.describe().startswith("given scale, ±0.5; values beyond (up to 3)")


@pytest.mark.parametrize("sides", ["both", "magnitude", "above"])
@given(values=arrays(np.float32, (3, 4), elements=st.floats(-(2.0**100), 2.0**100, width=32)))
def test_fractions_keep_the_numbers(sides, values):
    scale = limits([values], sides=sides)
    fractions, wide = scale.fractions(values), values.astype(np.float64)
    wanted = {"both": wide, "magnitude": np.abs(wide), "above": np.maximum(wide, 0)}[sides]
    np.testing.assert_allclose(fractions * scale.high, wanted, rtol=1e-12)
    assert (np.abs(fractions) <= 1).all()
    assert not scale.saturates


@pytest.mark.parametrize("style", list(SIDES))
@pytest.mark.parametrize("value", [0.0, 2.0, -2.0, 1e-42, -1e30])
def test_constant_maps_can_be_drawn(style, value):
    values = np.full((2, 3), value, dtype=np.float32)
    scale = limits([values], sides=SIDES[style])
    drawn = shade(style, np.full((2, 3, 3), 0.5), values, scale)
    assert np.isfinite(drawn).all()
    assert scale.describe()


@pytest.mark.parametrize(("high", "count", "said"), [(1.0, 1, True), (1.0, 2, False), (0.29, 1, False)])
@pytest.mark.parametrize("scale", ["shared", "each"])
def test_a_scale_that_leaves_a_picture_empty_says_so(scale, high, count, said):
    """A hundred values, one or two of them larger: more than three times as large or not."""
    values = np.full((10, 10), -0.1)
    values.flat[:count] = -high
    for maps in ([values], [values, values]):
        chosen = limits(maps, scale, sides="both")
        assert chosen.sparse == said
        assert ("99 % of the values lie below a third of it: scale p99 shows them" in chosen.describe()) == said
    assert not limits([values], "p99", sides="both").sparse


def test_zero_maps_say_so_and_show_the_plain_image():
    zero = np.zeros((2, 2))
    scale = limits([zero], sides="both")
    assert scale.describe("probability") == "scaled to this map, every value is 0"
    assert limits([-np.ones((2, 2))], sides="above").describe() == "scaled to this map, no value is above 0"
    image = np.random.default_rng(0).random((2, 2, 3))
    drawn = shade("signed", image, zero, scale)
    np.testing.assert_array_equal(drawn[..., 0], drawn[..., 2])


def test_negative_values_of_a_one_sided_map_are_blue_not_white():
    """A scale from the smallest to the largest value would give the least negative one the neutral colour."""
    values = np.array([-4.0, -1.0, -2.0])
    scale = limits([values], sides="both")
    np.testing.assert_array_equal(scale.fractions(values), [-1, -0.25, -0.5])
    for style in ("signed", "map"):
        drawn = shade(style, np.full((3, 3), 0.5), values, scale)
        assert (drawn[:, 2] > drawn[:, 0] + 0.05).all()


@pytest.mark.parametrize("scale", ["shard", "p", "p0", "p101", "pnan", -1, 0, float("nan"), float("inf"), True, ""])
def test_unknown_scale_is_refused(scale):
    with pytest.raises(InputError, match=r"(scale must be 'shared', 'each'|percentile must be above 0)"):
        limits(MAPS, scale, sides="both")


def test_unknown_scale_offers_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'shared'"):
        limits(MAPS, "shard", sides="both")


def test_percentile_on_zero_is_refused():
    sparse = np.zeros(1000)
    sparse[0] = 1
    with pytest.raises(InputError, match="must not fall on 0, but percentile 50 does"):
        limits([sparse], "p50", sides="both")
    assert limits([np.zeros(9)], "p50", sides="both").high == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_maps_that_are_not_finite_are_refused(bad):
    with pytest.raises(InputError, match="a map must be finite to be drawn"):
        limits([np.array([0.0, bad])], sides="above" if bad > 0 else "both")


def test_diverging_falls_evenly_in_lightness_from_zero_to_both_sides():
    for side in (RAMP, -RAMP):
        steps = np.diff(lightness(diverging(side)))
        assert (steps < 0).all()
        assert steps.min() > 3 * steps.mean()
    np.testing.assert_allclose(lightness(diverging(RAMP)), lightness(diverging(-RAMP)), atol=4)
    assert np.ptp(diverging(np.zeros(1))) < 0.03


def test_sequential_rises_evenly_in_lightness():
    steps = np.diff(lightness(sequential(RAMP)))
    assert (steps > 0).all()
    assert steps.max() < 3 * steps.mean()


@pytest.mark.parametrize("kind", list(BLINDNESS))
def test_sign_survives_colour_blindness(kind):
    """Colour differences above 10 are seen at a glance (CIEDE2000; 1 can just be told side by side)."""
    assert sign_distance(diverging, kind).min() > 10
    for level in (0.15, 0.5, 0.85):
        assert sign_distance(signed_on(level), kind).min() > 8


def test_colour_blindness_check_can_fail(monkeypatch):
    monkeypatch.setattr(colour, "_BLUE", (0.48, -0.13, 0.09))  # green against red
    assert sign_distance(diverging, "deuteranopia").min() < 10


def test_signed_tints_follow_the_sign_on_any_image():
    image = np.random.default_rng(1).random((20, 20, 3))
    scale = Limits(2.0, "both", "", 2.0)
    for value, strong, weak in ((1.0, 0, 2), (-1.0, 2, 0)):
        drawn = shade("signed", image, np.full((20, 20), value), scale)
        assert (drawn[..., strong] > drawn[..., weak]).all()


def test_overlay_keeps_the_image_visible_under_the_strongest_tint():
    image = np.stack([np.linspace(0, 1, 50)] * 3, axis=-1)
    for tint in (FOR, AGAINST):
        drawn = lightness(np.clip(overlay(image, np.broadcast_to(tint, image.shape), np.ones(50)), 0, 1))
        assert (np.diff(drawn) > 0).all()
        assert np.ptp(drawn) > 20


def test_overlay_gets_stronger_with_the_magnitude():
    def colourfulness(strength: np.ndarray) -> np.ndarray:
        return np.hypot(*rgb2lab(signed_on(0.5)(strength))[..., 1:].T)

    assert (np.diff(colourfulness(RAMP)) > 0).all()
    assert (np.diff(colourfulness(-RAMP)) > 0).all()


def test_spotlight_keeps_what_matters_and_darkens_the_rest():
    image = np.random.default_rng(2).random((3, 3, 3))
    values = np.array([[4.0, 2.0, 0.0], [-1.0, -9.0, 1.0], [4.0, 4.0, 3.0]])
    drawn = shade("spotlight", image, values, limits([values], sides="above"))
    share = drawn / image
    np.testing.assert_allclose(share[0, 0], 1)
    np.testing.assert_allclose(share[1, 0], share[0, 2])
    assert share[0, 2].max() < 0.25
    np.testing.assert_allclose(share[0, 1].mean(), (1 + share[0, 2].mean()) / 2)
    np.testing.assert_allclose(spotlight(image, np.ones((3, 3))), image)


def test_red_replaces_one_channel_and_nothing_else():
    image = np.random.default_rng(3).random((4, 5, 3)).astype(np.float32)
    before, values = image.copy(), np.linspace(-0.5, 1.5, 20).reshape(4, 5)
    drawn = red(image, values)
    np.testing.assert_array_equal(drawn[..., 0], values)
    np.testing.assert_array_equal(drawn[..., 1:], image[..., 1:])
    np.testing.assert_array_equal(image, before)
    assert to_bytes(drawn)[0, 0, 0] == 0
    assert to_bytes(drawn)[-1, -1, 0] == 255


def test_inverted_red_is_the_lectures_one_minus_map():
    image, covered = np.random.default_rng(4).random((4, 4, 3)), np.random.default_rng(5).random((4, 4))
    drawn = shade("red", image, covered, limits([covered], "none", sides="above"), inverted=True)
    np.testing.assert_allclose(drawn[..., 0], 1 - covered)


def test_unsigned_shows_both_signs_alike():
    image = np.full((2, 3), 0.5)
    values = np.array([-0.7, 0.7])
    drawn = shade("unsigned", image, values, limits([values], sides="magnitude"))
    np.testing.assert_array_equal(drawn[0], drawn[1])


def test_bytes_are_rounded():
    np.testing.assert_array_equal(to_bytes(np.array([[0.0, 0.5, 1.0]])), [[0, 128, 255]])


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.41372, "0.414"), (-3.3, "−3.3"), (12.0, "12"), (1.2e-5, "1.2e−5"), (0.0, "0"), (1e9, "1e+9"), (1e-12, "1e−12")],
)
def test_numbers_have_three_digits(value, words):
    assert short(value) == words
