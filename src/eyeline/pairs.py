"""Windows covered alone and two by two: what two of them do together beyond what each does alone."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from eyeline._typing import Boxes
from eyeline.region import Arrays, Laid, Mask, Values, Windows
from eyeline.window import Overlap


@dataclass(frozen=True, eq=False)
class PairWindows:
    """Windows that do not overlap, first each alone, then every two of them, in order: (0, 1), (0, 2), ... (1, 2), ...

    The map is that of the interaction with one window, `v(a and b) - v(a) - v(b)` for every other window b; a's own
    pixels are 0. Beside it "alone": what each window does by itself.

    Args:
        windows: their boxes.
        chosen: the window a; -1 means the one that alone does most, image by image.
    """

    windows: Boxes
    chosen: Int[np.ndarray, ""]
    word = "pair"

    @property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """First and second window of each pair."""
        return np.triu_indices(len(self.windows), 1)

    def __len__(self) -> int:
        count = len(self.windows)
        return count + count * (count - 1) // 2

    def boxes_of(self, image: int) -> Boxes | None:
        first, second = (self.windows[each] for each in self.pairs)
        around = [np.minimum(first, second)[..., 0], np.maximum(first, second)[..., 1]]
        return np.concatenate([self.windows, np.stack(around, axis=-1)])

    def mask_of(self, image: int, region: int) -> Mask | None:
        count = len(self.windows)
        members = [region] if region < count else [int(each[region - count]) for each in self.pairs]
        boxes = self.windows[members]
        corner = boxes[..., 0].min(axis=0)
        mask = np.zeros(boxes[..., 1].max(axis=0) - corner, dtype=bool)
        for box in boxes - corner[:, None]:
            mask[tuple([slice(start, stop) for start, stop in box.tolist()])] = True
        return mask

    def matrix(self, values: Values) -> Float[np.ndarray, "n windows windows"]:
        """Return the interaction of every two windows; 0 on the diagonal."""
        count, (first, second) = len(self.windows), self.pairs
        alone, both = values[:, :count], values[:, count:]
        found = np.zeros((len(values), count, count))
        found[:, first, second] = both - alone[:, first] - alone[:, second]
        return found + found.swapaxes(1, 2)

    def chosen_of(self, values: Values) -> Int[np.ndarray, "n"]:
        """Return the window that the map is about, for each image."""
        if self.chosen >= 0:
            return np.full(len(values), int(self.chosen))
        return np.asarray(np.abs(values[:, : len(self.windows)]).argmax(axis=1))

    def lay(self, values: Values, size: tuple[int, ...], overlap: Overlap = "mean") -> Laid:
        with_chosen = self.matrix(values)[np.arange(len(values)), self.chosen_of(values)]
        return Windows(self.windows).lay(with_chosen, size)

    def further(self, values: Values, size: tuple[int, ...], overlap: Overlap = "mean") -> dict[str, Laid]:
        return {"alone": Windows(self.windows).lay(values[:, : len(self.windows)], size)}

    def arrays(self) -> Arrays:
        return {"windows": self.windows, "chosen": np.asarray(self.chosen)}
