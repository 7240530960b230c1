"""The limits that a CI job holds a model to. None is applied that was not given, and none has a hidden default."""

from dataclasses import dataclass, fields

from eyeline.errors import InputError
from eyeline.methods.checks import at_least, within

NEEDS = {
    "most_outside": "region", "most_mean_outside": "region", "most_failed": "model", "most_doubtful": "model",
    "most_shortcuts": "model", "most_changed": "against", "most_lost": "against", "most_moved": "against",
    "most_accuracy_lost": "against", "most_left_out": "against",
}  # fmt: skip
"""Limit -> what it cannot be measured without."""


WORDS = {"region": "a region", "model": "the model", "against": "an earlier store"}


@dataclass(frozen=True)
class GateLimits:
    """What a store, a model and a change may at most be. Shares lie within 0 and 1; a value that is equal passes.

    Args:
        most_outside: share of an image's positive evidence that may lie outside the region. An image without any
            positive number counts as 1.
        most_share: share of the images that may have more than that; 0 where it is left out.
        most_mean_outside: mean over the images of the share outside.
        least_accuracy: share of the labelled images whose best class must be their label.
        most_refused: share of the images that may have been refused; 0 where it is left out.
        most_failed: share of the drawn images whose map may fail the check.
        most_doubtful: share of the drawn images whose map may fail the check or be doubtful.
        most_shortcuts: shortcuts that an audit may find, with labels.
        most_changed: share of the images whose best class may be another one than in the other store.
        most_lost: share of the labelled images that may have been right there and be wrong here.
        most_accuracy_lost: how much lower than there the accuracy may be.
        most_left_out: share of the images of both stores that may not be comparable: in one of them only, or changed; 0
            where it is left out.
        most_moved: mean over the images of the share of the positive evidence that may lie elsewhere than there; an
            image that does not say counts as 1.

    Raises:
        InputError: a limit that is no share, or none at all.
    """

    most_outside: float | None = None
    most_share: float | None = None
    most_mean_outside: float | None = None
    least_accuracy: float | None = None
    most_refused: float | None = None
    most_failed: float | None = None
    most_doubtful: float | None = None
    most_shortcuts: int | None = None
    most_changed: float | None = None
    most_lost: float | None = None
    most_accuracy_lost: float | None = None
    most_left_out: float | None = None
    most_moved: float | None = None

    def __post_init__(self) -> None:
        given = self.given()
        for name, value in given.items():
            if name == "most_shortcuts":
                at_least(0, most_shortcuts=value)
            else:
                within(name, value, 0, 1, closed=True)
        if self.most_share is not None and self.most_outside is None:
            raise InputError(
                f"most_share must stand beside most_outside, which says what is counted, but got {self.most_share:g} "
                "alone. Pass most_outside too."
            )
        if not given.keys() - {"most_share"}:
            raise InputError(
                "a gate must have a limit to hold to, but got none. Pass for example --region 0.5 --most-outside 0.3."
            )

    def given(self) -> dict[str, float]:
        """Return the limits that were given, by name."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}

    def check(self, has: dict[str, bool]) -> None:
        """Compare with what there is to measure.

        Raises:
            InputError: a limit without what it is measured on, or a thing that no limit asks for.
        """
        for name, value in self.given().items():
            needed = NEEDS.get(name)
            if needed is not None and not has[needed]:
                raise InputError(
                    f"{name} must have {WORDS[needed]} to be measured on, but got {value:g} without one. "
                    f"Pass {needed} too, or leave the limit out."
                )
        for needed in ("region", "against"):
            if has[needed] and not any(NEEDS.get(name) == needed for name in self.given()):
                able = " or ".join(name for name, other in NEEDS.items() if other == needed)
                raise InputError(f"{needed} must come with a limit that asks for it, but got none. Pass {able}.")
