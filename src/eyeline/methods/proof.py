"""Compares what a quick path found with the framework's own scores, and finds the layer at which the two part."""

from dataclasses import dataclass

import numpy as np

from eyeline._typing import Images, Scores
from eyeline.methods.covered import Covered
from eyeline.methods.kept import Kept
from eyeline.methods.paths import Full, Path
from eyeline.models.base import Model, Traceable

EXACT, ROUNDING = 1e-3, 1e-5
"""Largest difference that is put down to rounding, as a share of the scores' range, and of the scores."""

WIDER = 10
"""How many times as far as the pixels' last digits the rounding inside a network may move its scores."""

CHANGES = "the model's own scores of one image change from call to call"

FAR = 0.05
"""A difference of the clean image's scores, as a share of the largest, at which a sweep is not even run."""


@dataclass(frozen=True)
class Proof:
    """The largest difference from the framework's own scores, as a share of what is allowed.

    Args:
        error: largest difference of a score.
        allowed: at that place.
        where: it was found.
        position: of the sweep; for an image with nothing covered -1, -2, ...: the first, the second, ...
        count: how many positions were compared.
    """

    error: float
    allowed: float
    where: str
    position: int
    count: int

    @property
    def holds(self) -> bool:
        """Whether the two agree."""
        return self.error <= self.allowed

    def images(self, covered: Covered) -> Images:
        """Return the image at which the two were furthest apart, (1, *space, channels)."""
        if self.position >= 0:
            return covered.images(np.array([self.position]))
        return covered.ground[[-1 - self.position]]

    def __str__(self) -> str:
        return f"differs by {self.error:.2g} where {self.allowed:.2g} is allowed ({self.where})"


def prove(covered: Covered, scores: Scores, full: Full, clean: Scores, reference: Scores) -> Proof:
    """Compare the scores of a sweep where the full path has run, and those of images with nothing covered.

    Either may be short: rows that are missing are not compared.
    """
    positions = np.flatnonzero(full.done[: len(scores)])
    found = np.concatenate([scores[positions], clean])
    own = np.concatenate([full.scores[positions], reference[: len(clean)]])
    errors = np.abs(found - own).max(axis=1)
    spread = float(np.ptp(scores, axis=0).max()) if len(scores) else 0.0
    allowed = EXACT * spread + ROUNDING * np.abs(own).max(axis=1)
    worst = int(np.argmax(errors / np.maximum(allowed, np.finfo(np.float32).tiny)))
    position = int(positions[worst]) if worst < len(positions) else len(positions) - worst - 1
    where = covered.where(position) if position >= 0 else f"{covered.names[-1 - position]!r}, nothing covered"
    return Proof(float(errors[worst]), float(allowed[worst]), where, position, len(positions))


def far(model: Model, image: Images, clean: Scores, reference: Scores) -> bool:
    """Say whether the scores of a clean image, (1, *space, channels), make it needless to compute any other."""
    gap = float(np.abs(clean - reference).max())
    return gap > FAR * np.abs(reference).max() and gap > rounding(model, image)


def rounding(model: Model, images: Images) -> float:
    """Measure what rounding may do to scores that are small sums of large terms, by the framework itself.

    It is WIDER times the largest change of a score, over four draws, where every pixel moves to a neighbouring number;
    0 for a model whose scores of one image differ from call to call: that is not rounding.
    """
    draw, own = np.random.default_rng(0), model.scores(images)
    if restless(model, images, ROUNDING * float(np.abs(own).max())):
        return 0.0
    ways = (draw.choice(np.array([-np.inf, np.inf], dtype=np.float32), images.shape) for _ in range(4))
    return WIDER * max(float(np.abs(model.scores(np.nextafter(images, way)) - own).max()) for way in ways)


def restless(model: Model, images: Images, allowed: float) -> bool:
    """Say whether the scores of the same images differ by more than `allowed` over a few calls."""
    return bool(np.ptp(np.stack([model.scores(images) for _ in range(4)]), axis=0).max() > allowed)


def blame(model: Traceable, kept: Kept, covered: Covered, proof: Proof, path: Path) -> str:
    """Say at which layer a quick path parts from the framework, or what else makes them differ."""
    image, window = divmod(max(proof.position, 0), len(covered.boxes))
    images = proof.images(covered)
    if model.fingerprint() != kept.fingerprint:
        return "the model has changed since its graph was read"
    if restless(model, images, proof.allowed):
        return CHANGES
    if path == "incremental" and proof.position >= 0:
        layer = kept.make(model).parts(covered.ground[image], images[0], covered.boxes[window], EXACT)
        if layer:
            return f"the windows part from the whole image at layer {layer!r}"
    from eyeline.incremental.compare import first_apart

    graph = model.graph(kept.shape)
    given = model.activations(images, {node.name for node in graph.nodes})
    layer = first_apart(graph, images, given, EXACT)
    if layer:
        return f"the graph that was read parts from the network at layer {layer!r}"
    return "no layer alone parts from the network's"
