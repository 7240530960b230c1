"""
Two maps of two photographs
===========================

Occlusion covers a part and measures what the score loses. Saliency is the slope of the score for every pixel. Both
explain the best class of each photograph, unless another target is given.
"""

import skimage.data
from PIL import Image

import eyeline
from eyeline.picture import panel

photographs = [Image.fromarray(skimage.data.chelsea()), Image.fromarray(skimage.data.coffee())]
model = eyeline.load("bundled")
occlusion = eyeline.explain(model, photographs, window=56, stride=28)
saliency = eyeline.explain(model, photographs, "gradient")

# %%
# The picture has a caption for each map, and a colour bar with its unit. A few pixels have slopes ten times as large
# as all others, so the scale ends at the 99th percentile; the legend says so.

picture = panel(occlusion, saliency, scale="p99", size=260)

# %%
# A result shows itself in a notebook: the same picture, and a table.

occlusion
