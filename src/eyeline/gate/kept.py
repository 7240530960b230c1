"""A limit beside what was measured, and the sentence that says so."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kept:
    """One limit and what was measured.

    Args:
        name: of the limit.
        what: was measured, in words, with its unit and on how many images.
        measured: the number.
        limit: the number that it was held to.
        passed: whether it is within the limit; a number that is not there never is.
        images: that speak against the model, worst first.
    """

    name: str
    what: str
    measured: float
    limit: float
    passed: bool
    images: tuple[str, ...] = ()

    def line(self, count: int = 5) -> str:
        """Say it in one line, with the names of so many images."""
        rule = "at least" if self.name.startswith("least") else "at most"
        verdict = "passed" if self.passed else "failed"
        named = ", ".join(self.images[:count]) if count else ""
        more = f" and {len(self.images) - count} more" if named and len(self.images) > count else ""
        return f"{verdict}: {self.what}: {self.measured:.4g}, {rule} {self.limit:g}" + (
            f": {named}{more}" if named else ""
        )


@dataclass(frozen=True)
class Gated:
    """What a gate found.

    Args:
        kept: one for each limit.
    """

    kept: tuple[Kept, ...]

    @property
    def passed(self) -> bool:
        """Whether every limit was kept."""
        return bool(self.kept) and all(each.passed for each in self.kept)


def at_most(name: str, what: str, measured: float, limit: float, images: tuple[str, ...] = ()) -> Kept:
    """Hold a number to a limit from above; one that is not there never passes."""
    return Kept(name, what, float(measured), float(limit), bool(measured <= limit), images)
