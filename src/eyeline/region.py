"""Regions: the parts of an image that a sweep covers or keeps, and how one value for each becomes a map.

Every kind knows the boxes around its regions, where they have one, lays values, and can be written to a file.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, Shaped

from eyeline._typing import Boxes
from eyeline.window import Overlap, lay

Values = Float[np.ndarray, "n regions"]
Laid = Float[np.ndarray, "n *space"]
Mask = Shaped[np.ndarray, "*box"]
"""True or False, or 0 to 1."""

Arrays = dict[str, np.ndarray]


@runtime_checkable
class Regions(Protocol):
    """Parts of one image, or of several that are cut alike or each in its own way."""

    @property
    def word(self) -> str:
        """What one of them is called."""
        ...

    def __len__(self) -> int:
        """Count them; the most that an image has."""
        ...

    def boxes_of(self, image: int) -> Boxes | None:
        """Return the smallest box around each region of an image; None where regions reach everywhere."""
        ...

    def mask_of(self, image: int, region: int) -> Mask | None:
        """Return how much of each pixel of its box, or of the image, a region takes; None for all of the box."""
        ...

    def lay(self, values: Values, size: tuple[int, ...], overlap: Overlap = "mean") -> Laid:
        """Make maps of one value per region."""
        ...

    def further(self, values: Values, size: tuple[int, ...], overlap: Overlap = "mean") -> dict[str, Laid]:
        """Make the maps that say how far the first can be relied on."""
        ...

    def arrays(self) -> Arrays:
        """Return what a file needs to hold of them."""
        ...


@dataclass(frozen=True, eq=False)
class Windows:
    """Boxes, the same for every image; a pixel gets the mean, or the sum, over the windows on it."""

    boxes: Boxes
    word = "window"

    def __len__(self) -> int:
        return len(self.boxes)

    def boxes_of(self, image: int) -> Boxes | None:
        return self.boxes

    def mask_of(self, image: int, region: int) -> Mask | None:
        return None

    def lay(self, values: Values, size: tuple[int, ...], overlap: Overlap = "mean") -> Laid:
        return lay(values, self.boxes, size, overlap)

    def further(self, values: Values, size: tuple[int, ...], overlap: Overlap = "mean") -> dict[str, Laid]:
        return {}

    def arrays(self) -> Arrays:
        return {"boxes": self.boxes}


@dataclass(frozen=True, eq=False)
class SoftWindows:
    """Boxes that cover their pixels in part; a pixel gets the mean over the windows on it, weighted by their shares.

    `A(p) = sum over windows W of share_W(p) * v_W / sum over W of share_W(p)`, or the sum above the line alone.

    Args:
        boxes: as they are cut at the border.
        mask: of a whole window, how much of each pixel is covered, 0 to 1; a cut window has its first part.
        share: of a whole window, how much its value counts at each pixel.
    """

    boxes: Boxes
    mask: Float[np.ndarray, "*window"]
    share: Float[np.ndarray, "*window"]
    word = "window"

    def __len__(self) -> int:
        return len(self.boxes)

    def boxes_of(self, image: int) -> Boxes | None:
        return self.boxes

    def mask_of(self, image: int, region: int) -> Mask | None:
        return self.mask[tuple(slice(stop - start) for start, stop in self.boxes[region].tolist())]

    def lay(self, values: Values, size: tuple[int, ...], overlap: Overlap = "mean") -> Laid:
        total, weight = np.zeros((len(values), *size)), np.zeros(size)
        for (*spans,), column in zip(self.boxes.tolist(), np.asarray(values, dtype=np.float64).T, strict=True):
            inside = tuple(slice(start, stop) for start, stop in spans)
            share = self.share[tuple(slice(stop - start) for start, stop in spans)]
            total[(slice(None), *inside)] += column.reshape(-1, *(1,) * len(size)) * share
            weight[inside] += share
        if overlap == "sum":
            return total
        return np.asarray(total / np.where(weight > 0, weight, 1))

    def further(self, values: Values, size: tuple[int, ...], overlap: Overlap = "mean") -> dict[str, Laid]:
        return {}

    def arrays(self) -> Arrays:
        return {"boxes": self.boxes, "mask": self.mask, "share": self.share}


@dataclass(frozen=True, eq=False)
class Labels:
    """A label image: pixels of one number are one region. Every pixel gets the value of its own.

    Args:
        pixels: per image, whole numbers 0, 1, ... up to the last without a gap; an image may have fewer of them than
            another.
    """

    pixels: Int[np.ndarray, "n *space"]
    word = "region"

    def __len__(self) -> int:
        return int(self.pixels.max()) + 1

    def boxes_of(self, image: int) -> Boxes | None:
        return self._boxes[image]

    def alone(self, image: int) -> "Labels":
        """Return the regions of one image."""
        return Labels(self.pixels[image : image + 1])

    @cached_property
    def _boxes(self) -> list[Boxes]:
        return [_around(each, len(self)) for each in self.pixels]

    def mask_of(self, image: int, region: int) -> Mask | None:
        box = self._boxes[image][region].tolist()
        return np.asarray(self.pixels[image][tuple([slice(start, stop) for start, stop in box])] == region)

    def lay(self, values: Values, size: tuple[int, ...], overlap: Overlap = "mean") -> Laid:
        numbers = np.asarray(values, dtype=np.float64)
        return np.stack([row[own] for row, own in zip(numbers, self.pixels, strict=True)])

    def further(self, values: Values, size: tuple[int, ...], overlap: Overlap = "mean") -> dict[str, Laid]:
        return {}

    def arrays(self) -> Arrays:
        return {"pixels": self.pixels}


@dataclass(frozen=True, eq=False)
class Together:
    """Regions of several sweeps in one: a pixel gets the mean of what each sweep alone would give it.

    Beside it, of the sweeps' maps: "deviation", their standard deviation, in the map's unit; "agreement", the share of
    them that have the sign of their mean, 0 to 1.
    """

    parts: tuple[Regions, ...]

    @property
    def word(self) -> str:
        """What one of the first part's is called."""
        return self.parts[0].word

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def boxes_of(self, image: int) -> Boxes | None:
        boxes = [part.boxes_of(image) for part in self.parts]
        known = [each for each in boxes if each is not None]
        return np.concatenate(known) if len(known) == len(boxes) else None

    def mask_of(self, image: int, region: int) -> Mask | None:
        edges = np.cumsum([0, *map(len, self.parts)])
        part = int(np.searchsorted(edges, region, "right")) - 1
        return self.parts[part].mask_of(image, region - int(edges[part]))

    def lay(self, values: Values, size: tuple[int, ...], overlap: Overlap = "mean") -> Laid:
        return np.asarray(self._each(values, size, overlap).mean(axis=0))

    def further(self, values: Values, size: tuple[int, ...], overlap: Overlap = "mean") -> dict[str, Laid]:
        each = self._each(values, size, overlap)
        alike = np.sign(each) == np.sign(each.mean(axis=0))
        return {"deviation": each.std(axis=0), "agreement": alike.mean(axis=0)}

    def arrays(self) -> Arrays:
        return {
            f"{place}_{name}": array for place, part in enumerate(self.parts) for name, array in part.arrays().items()
        }

    def _each(self, values: Values, size: tuple[int, ...], overlap: Overlap) -> Float[np.ndarray, "parts n *space"]:
        edges = np.cumsum([0, *map(len, self.parts)])
        return np.stack(
            [part.lay(values[:, a:b], size, overlap) for part, (a, b) in zip(self.parts, pairwise(edges), strict=True)]
        )


def _around(labels: Int[np.ndarray, "*space"], count: int) -> Boxes:
    """Return the smallest box around each label; (0, 0) on every axis where no pixel has it."""
    found = np.zeros((count, labels.ndim, 2), dtype=np.int64)
    found[..., 0] = labels.size
    for axis, places in enumerate(np.indices(labels.shape)):
        np.minimum.at(found[:, axis, 0], labels.ravel(), places.ravel())
        np.maximum.at(found[:, axis, 1], labels.ravel(), places.ravel() + 1)
    found[found[..., 1] == 0] = 0
    return found
