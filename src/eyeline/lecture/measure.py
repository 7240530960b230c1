"""Where the maps of one picture lie, measured against the part that was drawn."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from eyeline.lecture import occlusion_map, saliency_map
from eyeline.models.base import Model
from eyeline.window import Box

SQUARE = 8  # pixels; the lecture's
FAINT = 0.1  # of score: a drop that hardly shows in a red channel


@dataclass(frozen=True, eq=False)
class Look:
    """One test picture, both of its maps for its true class, and what is known of it.

    Args:
        image: (1, rows, columns, 3), in 0..1.
        truth: the true class.
        called: the class with the best score.
        scores: of the true class and of the called one.
        covered: occlusion map: the true class's score with each square covered.
        saliency: saliency map of the true class.
        name: of the part, where one was drawn.
        part: its box, where one was drawn.
    """

    image: Float32[np.ndarray, "1 rows columns 3"]
    truth: str
    called: str
    scores: tuple[float, float]
    covered: Float32[np.ndarray, "rows columns"]
    saliency: Float32[np.ndarray, "rows columns"]
    name: str | None = None
    part: Box | None = None

    @property
    def evidence(self) -> Float32[np.ndarray, "rows columns"]:
        """What occlusion shows as red: 1 - score."""
        return 1 - self.covered

    @property
    def square(self) -> Box:
        """The square whose covering leaves the lowest score."""
        inside = self.covered[tuple(slice(0, length // SQUARE * SQUARE) for length in self.covered.shape)]
        row, column = (int(each) for each in np.unravel_index(int(inside.argmin()), inside.shape))
        return Box.of([(row, row + SQUARE), (column, column + SQUARE)])

    def area(self) -> float:
        """Return the part's share of the picture: what a map that knows nothing would put there."""
        return _share(np.ones_like(self.covered), self.part)

    def shares(self) -> tuple[float, float]:
        """Return the shares of the occlusion evidence and of the saliency that lie inside the part."""
        return _share(self.evidence, self.part), _share(self.saliency, self.part)

    def hit(self) -> bool:
        """Tell whether the strongest square touches the part."""
        return self.part is not None and all(
            square.start < part.stop and part.start < square.stop
            for square, part in zip(self.square.spans, self.part.spans, strict=True)
        )


def look(
    model: Model,
    image: Float32[np.ndarray, "1 rows columns 3"],
    truth: int,
    classes: tuple[str, ...],
    name: str | None = None,
    part: np.ndarray | None = None,
) -> Look:
    """Make both maps of one picture, for its true class."""
    scores = model.scores(image)[0]
    called = int(scores.argmax())
    return Look(
        image=image,
        truth=classes[truth],
        called=classes[called],
        scores=(float(scores[truth]), float(scores[called])),
        covered=occlusion_map(image, model, truth, SQUARE),
        saliency=saliency_map(model, image, truth)[0],
        name=name,
        part=Box.of(part) if part is not None and part.any() else None,
    )


def sentence(seen: Look) -> str:
    """Say where the evidence was drawn, and where the maps found it."""
    own, best = seen.scores
    title = f"{seen.truth}, called {seen.called} with {best:.2f}"
    if seen.called != seen.truth:
        title += f", wrongly: {seen.truth} has {own:.2f}"
    effect = f"covering {seen.square} takes {seen.truth} from {own:.2f} to {seen.covered.min():.2f}"
    if own - seen.covered.min() < FAINT:
        effect = f"no single square matters much: {effect}"
    if seen.part is None:
        return f"{title}. No part of it is known to be the evidence. Occlusion: {effect}."
    by_square, by_pixel = seen.shares()
    area = seen.area()
    return (
        f"{title}. Its {seen.name} was drawn at {seen.part}: {area:.1%} of the picture. Occlusion: {effect}; that "
        f"square {'touches' if seen.hit() else 'misses'} the {seen.name}, which holds {by_square:.0%} of the red, "
        f"{by_square / area:.0f} times its share of the picture. Saliency: the {seen.name} holds {by_pixel:.0%} of the "
        f"map, {by_pixel / area:.0f} times its share of the picture."
    )


def verdict(looks: list[Look]) -> str:
    """Say how often and how well the maps found the part."""
    known = [each for each in looks if each.part is not None]
    if not known:
        return "Which part of these pictures is the evidence is not known: judge the maps yourself."
    by_square, by_pixel = np.median([each.shares() for each in known], axis=0)
    area = float(np.median([each.area() for each in known]))
    hits = sum(each.hit() for each in known)
    return (
        f"In {len(known)} test pictures that have a part, the strongest square of occlusion touches it in {hits}. "
        f"The part takes {area:.1%} of a picture; it holds {by_square:.0%} of the occlusion map's red and "
        f"{by_pixel:.0%} of the saliency map (medians)."
    )


def _share(values: np.ndarray, part: Box | None) -> float:
    total = float(values.sum(dtype=np.float64))
    return float(values[part.slices].sum(dtype=np.float64)) / total if part is not None and total else 0.0
