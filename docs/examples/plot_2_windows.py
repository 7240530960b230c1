"""
Small and large windows
=======================

A window must be large enough to hide the thing. Small windows leave it visible through the holes; large ones find it,
but say less precisely where it is. All three maps have one scale, so their colours compare.
"""

import skimage.data
from PIL import Image

import eyeline
from eyeline.picture import panel

photograph = Image.fromarray(skimage.data.coffee())
model = eyeline.load("bundled")
maps = [eyeline.explain(model, photograph, window=window, stride=window // 2) for window in (28, 56, 84)]
for each in maps:
    window = each.method["window"][0]
    print(f"window {window}: {each.provenance['windows']} windows, largest drop {each.maps.max():.2f} {each.unit}")

# %%
picture = panel(*maps, size=220)
