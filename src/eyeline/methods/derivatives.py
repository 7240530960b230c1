"""Derivatives of the explained scalar at many points: weights held, in bounded batches, every number checked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from eyeline._typing import Images, Scores
from eyeline.attribution import Attribution, Unit
from eyeline.image import Batch
from eyeline.methods.base import enter, finite, result, weigh
from eyeline.methods.batches import Batches
from eyeline.methods.channels import WORDS, reduce
from eyeline.methods.checks import checked, needs_gradient
from eyeline.methods.progress import progress
from eyeline.models.base import Differentiable, Model, Preparing

PIXELS = 4 * 224 * 224
"""Of the images of a pass to start with: few small ones waste time on the pass, many large ones on fresh memory."""

LONG = 128
"""Images under which measuring a better size costs more than it brings."""

DEEP = 4096
"""Bytes that a forward and a backward pass hold for a pixel of an image in a deep network."""

Walk = Callable[[int, int], tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."] | np.float64]]
"""(image, step) -> the point where s is differentiated, and the move or the number that multiplies the derivative."""


@dataclass(frozen=True, eq=False)
class Explained:
    """The scalar s of each image: its weights are taken once, from the clean scores, and held at every point.

    Args:
        model: with gradients.
        given: the clean images.
        scores: of the clean images.
        weights: over the scores.
        batches: bound every pass.
    """

    model: Differentiable
    given: Batch
    scores: Scores
    weights: Scores
    batches: Batches

    def values(self, images: Images, what: str) -> Float[np.ndarray, "n"]:
        """Return s of another image in the place of each clean one; `what` names them in an error."""
        scores = run_scores(self.model, self.batches, images, lambda row: f"{self.given.names[row]!r}, {what}")
        return np.asarray(np.einsum("nc,nc->n", scores, self.weights, dtype=np.float64))

    def gradients(self, points: Images, owners: np.ndarray, where: Callable[[int], str]) -> Images:
        """Return ds/d(point) from one pass; `owners` are the images whose weights the points have.

        Raises:
            ModelError: scores or derivatives that are not finite, with `where(row)` in the sentence.
        """
        rows: Scores = self.weights[owners]

        def held(scores: Scores) -> Scores:
            finite(scores, where)
            return rows

        return checked(self.model.gradient(points, held)[1], where)

    def walk(self, steps: int, walk: Walk, name: str) -> Float[np.ndarray, "n *space channels"]:
        """Return the sum over the steps of `ds/d(point) * move`, per image, pixel and channel, in float64."""
        images, names = self.given.images, self.given.names
        total = np.zeros(images.shape)

        def call(start: int, stop: int) -> tuple[np.ndarray, list[np.ndarray | np.float64], Images]:
            owners, places = np.divmod(np.arange(start, stop), steps)
            points, moves = np.empty((stop - start, *images.shape[1:]), dtype=np.float32), []
            for point, owner, place in zip(points, owners.tolist(), places.tolist(), strict=True):
                point[...], move = walk(owner, place)
                moves.append(move)
            gradients = self.gradients(
                points, owners, lambda row: f"{names[owners[row]]!r}, step {places[row] + 1} of {steps}"
            )
            return owners, moves, gradients

        with progress(len(images) * steps, name) as advance:
            for start, stop, done in self.batches.run(len(images) * steps, call):
                for owner, move, gradient in zip(*done, strict=True):
                    total[owner] += move * gradient
                advance(stop - start)
        return total

    def completeness(
        self, attributions: Float[np.ndarray, "n *space channels"], start: Float[np.ndarray, "n"]
    ) -> dict[str, list[float | None]]:
        """Compare the sum of each map with the change s(x) - `start`, which it would be with endless steps.

        error: sum - change, in the unit of the scores. share: that of the change, None where nothing changes.
        """
        changes = np.einsum("nc,nc->n", self.scores, self.weights, dtype=np.float64) - start
        errors = attributions.reshape(len(attributions), -1).sum(axis=1) - changes
        shares = [float(error / change) if change else None for error, change in zip(errors, changes, strict=True)]
        return {"change": changes.tolist(), "error": errors.tolist(), "share": shares}

    def result(
        self,
        method: Any,
        attributions: Float[np.ndarray, "n *space channels"],
        quantity: Callable[[Unit], str],
        began: float,
        **ran: Any,
    ) -> Attribution:
        """Reduce the channels as the method says, and make the result."""
        return result(
            method,
            self.model,
            self.given,
            scores=self.scores,
            weights=self.weights,
            maps=reduce(attributions, method.channels),
            quantity=lambda unit: f"{quantity(unit)}, {WORDS[method.channels]}",
            ran={"engine": "full", "batch": self.batches.used, **ran},
            began=began,
        )


def explained(method: Any, model: Model, images: object, target: object, steps: int) -> Explained:
    """Check method, model and images, and take the weights from the clean scores; `steps` passes follow for each image.

    Raises:
        UnsupportedError: the model gives scores only.
        InputError: settings, images or a target that do not fit.
    """
    given = enter(method, model, images)
    differentiable = needs_gradient(model, type(method).__name__.lower())
    prepare(model, len(given.images) * steps)
    batches = sized(method.batch, method.memory, given.images, len(given.images) * steps)
    scores = run_scores(model, batches, given.images, lambda row: f"the clean image {given.names[row]!r}")
    return Explained(differentiable, given, scores, weigh(target, len(scores), model)(scores, 0), batches)


def prepare(model: Model, passes: int) -> None:
    """Let a model know how many images a run will differentiate, if it wants to."""
    if isinstance(model, Preparing):
        model.prepare(passes)


def run_scores(model: Model, batches: Batches, images: Images, where: Callable[[int], str]) -> Scores:
    """Return the scores of whole images.

    Raises:
        ModelError: some are not finite, with `where(row)` in the sentence.
    """
    parts = batches.run(
        len(images),
        lambda start, stop: finite(model.scores(images[start:stop]), lambda row: where(start + row)),
    )
    return np.concatenate([scores for _, _, scores in parts])


def sized(batch: int | None, memory: int, images: Images, passes: int) -> Batches:
    """Return batches of a few images, as far as the budget surely holds them; in long runs they grow as they pay."""
    few = max(1, min(PIXELS, memory * 2**20 // DEEP) // images[0, ..., 0].size)
    batches = Batches(few if batch is None and passes <= LONG else batch, memory)
    batches.size = batch or few
    return batches
