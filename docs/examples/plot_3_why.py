"""
Why this class and not that one?
================================

An occlusion keeps the scores of every class for every window. So other questions need no further run: another class,
the difference of two classes, or where the best class changes.
"""

import skimage.data
from PIL import Image

import eyeline
from eyeline.picture import panel

model = eyeline.load("bundled")
cat = eyeline.explain(model, Image.fromarray(skimage.data.chelsea()), window=56, stride=28)
tabby = cat.to("tabby")
rather = cat.to(eyeline.Contrast("Egyptian cat", "tabby"))

picture = panel(cat, tabby, rather, size=220)

# %%
# What is red in the last map speaks for "Egyptian cat" *rather than* "tabby". Evidence that both classes share is not
# in it.
#
# Where does covering change the answer?

flips = eyeline.flips(cat)
changed = [cat.classes[index] for index in sorted(set(flips.to[0].ravel().tolist()) - {-1})]
print(f"on {(flips.share[0] > 0).mean():.0%} of the pixels, to: {', '.join(changed) or 'nothing'}")

# %%
# All of it in one page that needs no network: point at the image to read a value, choose a class, ask for a contrast.

eyeline.view(cat, height=760)
