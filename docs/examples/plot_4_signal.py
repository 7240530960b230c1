"""
A signal with one axis
======================

Images are not the only thing. A signal has one spatial axis: an array (samples, channels). The "network" here answers
with the largest step between neighbours, so it must look at the jump.
"""

import numpy as np

import eyeline
from eyeline.plot import plot

samples = np.arange(200)
signal = 0.5 + 0.2 * np.sin(samples / 15) + 0.3 * (samples > 120)
signal = signal[:, None].astype(np.float32)


def jump(signals):
    """Return one score: the largest step."""
    return np.abs(np.diff(signals[..., 0], axis=1)).max(axis=1, keepdims=True)


model = eyeline.load(jump, input_size=(200,), classes=("jump",))
attribution = eyeline.explain(model, signal, window=20, stride=5, baseline=eyeline.Blur(6))
axes = plot(attribution)

# %%
print("strongest at sample", int(attribution.maps[0].argmax()), "- the jump is at 121")
