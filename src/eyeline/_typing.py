"""Shapes of the arrays that parts hand to each other (jaxtyping; checked while the tests run)."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float32, Int

Images = Float32[np.ndarray, "n *space channels"]
"""Image space: float32, channels last, one to three spatial axes."""

Scores = Float[np.ndarray, "n classes"]
"""What the model returns for each image, or weights over that."""

Maps = Float32[np.ndarray, "n *space_or_space_channels"]
"""One number per pixel, or per pixel and channel."""

Boxes = Int[np.ndarray, "windows axes 2"]
"""First pixel and the one after the last, per window and spatial axis."""

Weigh = Callable[[Scores], Scores]
"""Clean scores -> weights over them; the explained scalar is `(weights * scores).sum(1)`."""
