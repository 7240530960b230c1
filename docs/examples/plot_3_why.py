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
espresso = eyeline.explain(model, Image.fromarray(skimage.data.coffee()), window=84, stride=28)
second = espresso.to(eyeline.Top(2))
rather = espresso.to(eyeline.Contrast("espresso", "eggnog"))

picture = panel(espresso, second, rather, size=220)

# %%
# What is red in the last map speaks for "espresso" *rather than* "eggnog". Evidence that both classes share is not in
# it.
#
# Where does covering change the answer?

flips = eyeline.flips(espresso)
changed = [espresso.classes[index] for index in set(flips.to[0].ravel().tolist()) - {-1}]
print(f"on {(flips.share[0] > 0).mean():.0%} of the pixels, to: {', '.join(sorted(changed))}")

# %%
# All of it in one page that needs no network: point at the image to read a value, choose a class, ask for a contrast.

eyeline.view(espresso, height=760)
