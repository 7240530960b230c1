"""
From a noisy slope to a calmer one
==================================

The plain gradient of a deep network jumps from pixel to pixel. SmoothGrad averages it over noisy copies of the image.
Integrated gradients adds it up on a path from a baseline, so that the map's sum is the change of the score.
"""

import skimage.data
from PIL import Image

import eyeline
from eyeline.picture import panel

photograph = Image.fromarray(skimage.data.coffee())
model = eyeline.load("bundled")
gradient = eyeline.explain(model, photograph, "gradient")
smooth = eyeline.SmoothGrad(samples=12)(model, photograph)
path = eyeline.explain(model, photograph, "integratedgradients", steps=20, baseline=eyeline.Blur(12))

picture = panel(gradient, smooth, path, scale="p99", size=220)

# %%
# The path's sum should be the change of the score. How far it is off is measured, not guessed:

print({name: [round(each, 2) for each in values] for name, values in path.provenance["completeness"].items()})
