"""How alike a map and another tool's must be, and that eyeline's own defaults would not pass for a preset's."""

import numpy as np
import pytest

import eyeline
from eyeline.methods import METHODS, PRESETS
from eyeline.methods.presets import differences


def assert_same(ours, theirs, tolerance=1e-5):
    """Relative to the largest number of the map, which must not be next to nothing."""
    assert np.abs(theirs).max() > 1e-6
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


def agree(preset, method, model, images, theirs, target, tolerance=1e-5, **given):
    """Compare a preset with its tool, and see that eyeline's own defaults would not pass."""
    ours = eyeline.explain(model, images, method, target, preset=preset, **given).maps
    assert_same(ours, theirs, tolerance)
    changed = differences(METHODS[method], PRESETS[preset][method])
    if set(changed) - set(given):
        windows = {name: changed[name] for name in ("window", "stride") if name in changed}
        own = eyeline.explain(model, images, method, target, **{**windows, **given}).maps
        with pytest.raises(AssertionError):
            assert_same(own, theirs, tolerance)
