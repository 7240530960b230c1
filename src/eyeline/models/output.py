"""From a network's raw outputs to scores: decided once, on the first outputs, and nothing converted unasked."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from eyeline._numbers import shown
from eyeline._typing import Scores, Weigh
from eyeline.attribution import Unit
from eyeline.errors import InputError, nearest

Kind = Literal["auto", "probability", "logit", "raw"]
"""What the raw outputs are. raw: neither probabilities nor logits, for example a regression."""

Scale = Literal["raw", "probability", "log-odds"]
"""What the scores are to be. raw: what the model returns."""

Raw = Float[np.ndarray, "n classes"]


class Output:
    """Converts raw outputs to scores, and weights over scores to weights over raw outputs.

    `output="auto"` decides on the first outputs: rows within 0..1 that sum to 1 (to 1e-3), or one column within
    0..1, are probabilities; anything else is unit "score". The decision is then held.

    With logits z and probabilities p = softmax(z) (one column: the sigmoid):
    probability: p. log-odds: z_c - logsumexp(z of the other classes), in float64 (one column: z).
    From probabilities: log(p) - log(1 - p), where 0 < p < 1.
    """

    def __init__(self, kind: Kind = "auto", scale: Scale = "raw") -> None:
        if kind == "raw" and scale != "raw":
            raise InputError(
                f"scores must be 'raw' for outputs that are neither probabilities nor logits, but got {scale!r} "
                "with output='raw'. Leave one of the two out."
            )
        self.asked, self.scale = kind, scale
        self._kind: Kind | None = None if kind == "auto" else kind
        self.note = ""

    @property
    def unit(self) -> Unit | None:
        """Unit of the scores; None while `output="auto"` and no outputs were seen yet."""
        if self.scale != "raw":
            return self.scale
        if self._kind is None:
            return None
        return "probability" if self._kind == "probability" else "score"

    def describe(self) -> str:
        """Word the decision for the run's line."""
        kind = self._kind or "undecided"
        decided = "" if self.asked != "auto" or self._kind is None else " (decided on the first scores)"
        asked = "" if self.scale == "raw" else f", scores as {self.scale}"
        return f"{kind}{decided}{asked}{'; ' + self.note if self.note else ''}"

    def convert(self, raw: Raw) -> Scores:
        """Return the scores, float32."""
        return self._forward(self._decided(raw)).astype(np.float32)

    def pull(self, raw: Raw, weigh: Weigh) -> tuple[Scores, Raw]:
        """Return the scores, and weights over the raw outputs with the same derivative at `raw`.

        d(w . scores)/d(image) = d(v . raw)/d(image) for v = J^T w, J the derivative of scores by raw outputs.
        """
        wide = self._decided(raw)
        scores = self._forward(wide).astype(np.float32)
        return scores, self._backward(wide, np.asarray(weigh(scores), dtype=np.float64))

    def _decided(self, raw: Raw) -> Raw:
        wide = np.asarray(raw, dtype=np.float64)
        if self._kind is None and np.isfinite(wide).all():  # nothing is decided on what will be refused
            within = bool((wide >= -1e-6).all() and (wide <= 1 + 1e-6).all())
            whole = wide.shape[1] == 1 or bool((np.abs(wide.sum(axis=1) - 1) <= 1e-3).all())
            self._kind = "probability" if within and whole else "raw"
            if within and not whole:
                self.note = "rows lie in 0..1 but do not sum to 1: several labels? Then pass output='probability'"
                if self.scale != "raw":
                    self._kind = None
                    raise InputError(
                        f"outputs must be clearly probabilities or logits for scores={self.scale!r}, but rows lie in "
                        "0..1 and do not sum to 1. Pass output='probability' (one sigmoid per label) or 'logit'."
                    )
            elif self.scale != "raw" and self._kind == "raw":
                self._kind = "logit"
        return wide

    def _forward(self, raw: Raw) -> Raw:
        if self.scale == "raw" or self._kind is None or (self.scale == "probability" and self._kind == "probability"):
            return raw
        if self.scale == "probability":
            return _probability(raw)
        if self._kind == "logit":
            return raw if raw.shape[1] == 1 else raw - _others(raw)
        _inside(raw)
        return np.asarray(np.log(raw) - np.log1p(-raw))

    def _backward(self, raw: Raw, weights: Raw) -> Raw:
        if self.scale == "raw" or (self.scale == "probability" and self._kind == "probability"):
            return weights
        if self.scale == "probability":
            p = _probability(raw)
            rest = weights * (1 - p) if raw.shape[1] == 1 else weights - (weights * p).sum(axis=1, keepdims=True)
            return np.asarray(p * rest)
        if self._kind != "logit":
            return np.asarray(weights / (raw * (1 - raw)))
        if raw.shape[1] == 1:
            return weights
        others, pulled = _others(raw), weights.copy()
        for column in np.flatnonzero(weights.any(axis=0)):
            share = np.exp(np.minimum(raw - others[:, [column]], 0))
            share[:, column] = 0
            pulled -= weights[:, [column]] * share
        return pulled


def _probability(logits: Raw) -> Raw:
    if logits.shape[1] == 1:
        return np.asarray(np.exp(-np.logaddexp(0, -logits)))
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def _others(logits: Raw) -> Raw:
    """Logsumexp over all other classes, for each class; the best class apart, where subtracting would cancel."""
    rows, best = np.arange(len(logits)), logits.argmax(axis=1)
    peak = logits[rows, best][:, None]
    powers = np.exp(logits - peak)
    rest = powers.sum(axis=1, keepdims=True) - powers
    without = logits.copy()
    without[rows, best] = -np.inf
    second = without.max(axis=1, keepdims=True)
    rest[rows, best] = 1
    result = peak + np.log(rest)
    result[rows, best] = (second + np.log(np.exp(without - second).sum(axis=1, keepdims=True)))[:, 0]
    return np.asarray(result)


def _inside(probabilities: Raw) -> None:
    outside = ~((probabilities > 0) & (probabilities < 1)) & np.isfinite(probabilities)
    if outside.any():
        row, column = np.argwhere(outside)[0]
        raise InputError(
            "probabilities must lie strictly between 0 and 1 for scores='log-odds', but got "
            f"{probabilities[row, column]:g} (image {row}, class {column}). Give the model without its last "
            "softmax or sigmoid and pass output='logit', or use scores='probability'."
        )


def as_head(given: Any) -> Callable[[Any], Any] | None:
    """Return a head.

    Raises:
        InputError: something that cannot be called.
    """
    if given is None or callable(given):
        return given  # type: ignore[no-any-return]
    raise InputError(
        f"head must be a function of the network's raw output, but got {shown(given)}. "
        "Pass for example head=lambda output: output[0]."
    )


class Outputs(dict[str, Any]):
    """Several outputs by their names, as a head gets them; one that is not there is a sentence."""

    def __missing__(self, name: object) -> Any:
        raise InputError(
            f"head= must ask for an output that the network has, but got {name!r}. {nearest(str(name), self)}"
        )


def by_name(names: Sequence[str], found: Sequence[Any]) -> Any:
    """Return the one output, or all of them by their names."""
    return found[0] if len(found) == 1 else Outputs(zip(names, found, strict=True))
