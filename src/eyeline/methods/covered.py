"""Covered images: what a sweep asks the scores of, made only when they are asked for."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int

from eyeline._typing import Images
from eyeline.window import Box

Positions = Int[np.ndarray, "n"]
"""Places in a sweep: image by image, and for each window by window."""

Pixels = Float32[np.ndarray, "*box channels"]
"""What a network sees inside a box."""

Content = Callable[[int, int], Pixels]
"""Image and window -> what is seen inside the window's box."""

Several = Callable[[Positions, Positions], Images]
"""Images and windows, one of each a place -> the whole covered images."""


@dataclass(frozen=True)
class Covered:
    """Images of which boxes are replaced, window by window.

    Args:
        ground: what the network sees outside the boxes.
        patch: what it sees inside, of the same shape.
        boxes: one a window, (windows, axes, 2), or several that are covered together, (windows, boxes, axes, 2).
        names: of the images.
        content: makes what is seen inside the box of a window in place of the patch, where that is not the same for
            all: part of a box, or part of the way to the patch. One box a window.
        several: makes many covered images at once, where that is sooner than one by one.
    """

    ground: Images
    patch: Images
    boxes: Int[np.ndarray, "windows *boxes axes 2"]
    names: tuple[str, ...]
    content: Content | None = None
    several: Several | None = None

    @property
    def total(self) -> int:
        """How many images that makes."""
        return len(self.boxes) * len(self.ground)

    def where(self, position: int) -> str:
        """Name a covered image."""
        image, window = divmod(int(position), len(self.boxes))
        boxes = self.boxes[window].reshape(-1, *self.boxes.shape[-2:])
        return f"{self.names[image]!r}, window {window}: {'; '.join(str(Box.of(each)) for each in boxes)}"

    def images(self, positions: Positions) -> Images:
        """Return some of them."""
        owners, windows = np.divmod(positions, len(self.boxes))
        if self.several is not None:
            return self.several(owners, windows)
        covered = self.ground[owners]
        boxes = self.boxes[windows].reshape(len(windows), -1, *self.boxes.shape[-2:])
        given = zip(covered, owners.tolist(), windows.tolist(), boxes.tolist(), strict=True)
        for image, owner, window, together in given:
            for box in together:
                inside = tuple([slice(start, stop) for start, stop in box])
                image[inside] = self.patch[owner][inside] if self.content is None else self.content(owner, window)
        return covered

    def of(self, image: int, windows: Positions) -> "Covered":
        """Return some windows of one image."""
        one, content = slice(image, image + 1), self.content
        some = None if content is None else lambda _, window: content(image, int(windows[window]))
        many, own = self.several, np.full(len(windows), image)
        all_of = None if many is None else lambda _, chosen: many(own[: len(chosen)], windows[chosen])
        return Covered(self.ground[one], self.patch[one], self.boxes[windows], self.names[one], some, all_of)
