"""Figures: on the caller's axes, with units, and without touching matplotlib's state."""

import subprocess
import sys
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure
from PIL import Image

from eyeline.colour import SIDES, shade
from eyeline.errors import InputError
from eyeline.limits import limits
from eyeline.plot import plot
from eyeline.region import Windows
from eyeline.sweep import Sweep
from eyeline.window import grid
from handmade import made, with_map


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


def signal(n: int = 24, window: int = 6):
    """An attribution of one signal with two channels."""
    values = np.repeat(np.linspace(-0.4, 0.2, n // window), window).astype(np.float32)
    images = np.stack([np.sin(np.arange(n)), np.cos(np.arange(n))], axis=-1)[None].astype(np.float32)
    sweep = Sweep(Windows(grid((n,), window, window)), np.zeros((1, n // window, 2)), np.zeros((1, 2)))
    return replace(made(n=1), maps=values[None], images=images, sweep=sweep)


def bar_of(axes):
    """Return the axes of the colour bar: the last one of the figure."""
    return axes.figure.axes[-1]


@pytest.mark.parametrize("style", list(SIDES))
def test_pixels_are_those_of_the_picture(style):
    attribution = made()
    axes = plot(attribution, 1, Figure().subplots(), style=style)
    scale = limits(list(attribution.maps), sides=SIDES[style])
    wanted = shade(style, attribution.images[1].astype(np.float64), attribution.maps[1], scale)
    np.testing.assert_allclose(axes.images[0].get_array(), np.clip(wanted, 0, 1))


def test_bar_has_the_limits_ticks_and_units():
    attribution = made()
    axes = plot(attribution, 0, Figure(figsize=(8, 6), layout="constrained").subplots())
    bar, largest = bar_of(axes), float(np.abs(attribution.maps).max())
    np.testing.assert_allclose(bar.get_xlim(), (-largest, largest))
    labels = [each.get_text() for each in bar.get_xticklabels()]
    assert [float(each.replace("−", "-")) for each in labels] == pytest.approx(list(bar.get_xticks()))
    words = " ".join(bar.get_xlabel().split())
    assert words == (
        "drop in probability when covered red supports, blue counts against · "
        f"one scale for all 2 maps, ±{largest:.3g} probability"
    )
    assert axes.get_title() == "tabby\nprobability 0.75"


def test_given_axes_are_used_and_returned():
    figure = Figure(layout="constrained")
    left, right = figure.subplots(1, 2)
    assert plot(made(), 0, right) is right
    assert not left.images
    assert pyplot.get_fignums() == []


def test_without_axes_pyplot_owns_the_figure():
    other = pyplot.figure()
    axes = plot(made())
    assert axes.figure is pyplot.gcf()
    assert other.number in pyplot.get_fignums()


def test_state_of_matplotlib_is_left_alone(monkeypatch):
    def refuse(*given, **settings):
        raise AssertionError("must not be called")

    for name in ("show", "close", "ion", "ioff", "switch_backend"):
        monkeypatch.setattr(pyplot, name, refuse)
    before = dict(matplotlib.rcParams)
    plot(made())
    plot(signal())
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", ["a $x$ b", "$\\frac{", "<b>", "x" * 500, "\u202e\x00", ""])
def test_names_are_drawn_as_text(name, tmp_path):
    axes = plot(replace(made(n=1), targets=(name,), quantity=name))
    axes.figure.savefig(tmp_path / "a.png")
    axes.figure.savefig(tmp_path / "a.pdf")


def test_smooth_plane_original_and_zero(tmp_path):
    axes = plot(made(), smooth=True)
    assert "interpolated" in bar_of(axes).get_xlabel()
    volume = with_map(np.ones((3, 4, 5)))
    assert plot(volume, plane=(0, 1)).images[0].get_array().shape == (4, 5, 3)
    assert plot(made(n=1), original=Image.new("RGB", (32, 24))).images[0].get_array().shape == (24, 32, 3)
    axes = plot(with_map(np.zeros((4, 4))))
    assert "every value is 0" in " ".join(bar_of(axes).get_xlabel().split())
    axes.figure.savefig(tmp_path / "zero.png")


def test_signals_are_lines_with_their_map_behind():
    attribution = signal()
    axes = plot(attribution)
    np.testing.assert_array_equal([line.get_ydata() for line in axes.lines], attribution.images[0].T)
    behind = axes.images[0]
    assert behind.get_extent()[:2] == [-0.5, 23.5]
    colours = np.asarray(behind.get_array())[0]
    red_above = colours[:, 0] > colours[:, 2]
    np.testing.assert_array_equal(red_above, attribution.maps[0] > 0)
    assert behind.get_zorder() < axes.lines[0].get_zorder()
    assert len(np.unique(colours[:, 1])) <= 4
    smooth = np.asarray(plot(attribution, smooth=True).images[0].get_array())[0]
    assert len(np.unique(smooth[:, 1])) > 10


def test_signals_refuse_what_needs_a_picture():
    for settings in ({"style": "spotlight"}, {"style": "red"}, {"plane": (0, 1)}):
        with pytest.raises(InputError, match="a signal must be drawn as 'signed', 'unsigned' or 'map'"):
            plot(signal(), **settings)


def test_bad_index_makes_no_figure():
    with pytest.raises(InputError, match="index must be within"):
        plot(made(), 7)
    with pytest.raises(InputError, match="style must be one of"):
        plot(made(), style="sigend")
    with pytest.raises(InputError, match="scale must be"):
        plot(made(), scale="al")
    with pytest.raises(InputError, match="plane must be left out"):
        plot(made(), plane=(0, 0))
    assert pyplot.get_fignums() == []


def test_pyplot_is_imported_only_where_it_makes_the_figure():
    code = (
        "import sys; from matplotlib.figure import Figure; from handmade import made;"
        "from eyeline.plot import plot;"
        "plot(made(), 0, Figure().subplots()); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=__file__.rpartition("/")[0])
