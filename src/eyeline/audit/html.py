"""Pieces of HTML that an audit's report is made of. Whatever comes from outside goes through `safe`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from eyeline.limits import short
from eyeline.picture.legend import Legend, plain


@dataclass(frozen=True)
class Shot:
    """One picture.

    Args:
        data: its address.
        words: what it shows, for those who do not see it.
        region: of the outline that is drawn on it, or "".
    """

    data: str
    words: str
    region: str = ""


@dataclass(frozen=True)
class Card:
    """Pictures that belong together, side by side, with a caption.

    Args:
        shots: the pictures.
        title: the first line of the caption.
        detail: the lines below it.
    """

    shots: tuple[Shot, ...]
    title: str
    detail: str = ""


def safe(text: object) -> str:
    """Return text as HTML shows it, in one line, with nothing hidden in it."""
    return escape(plain(str(text)))


def percent(share: float) -> str:
    """Word a share: "36 %", "0.4 %"."""
    return f"{short(100 * share)} %"


def counted(shown: int, count: int, word: str = "images") -> str:
    """Say how many of them are shown, where some are left out."""
    return f"all {count} {word}" if shown == count else f"{shown:,} of {count:,} {word}"


def figure(card: Card) -> str:
    """Return a card."""
    shots = "".join(map(_shot, card.shots))
    detail = f'<br><span class="faint">{safe(card.detail)}</span>' if card.detail else ""
    return f'<figure><div class="shots">{shots}</div><figcaption>{safe(card.title)}{detail}</figcaption></figure>'


def sheet(cards: Iterable[Card], kind: str = "") -> str:
    """Return cards in rows."""
    return f'<div class="sheet {kind}">{"".join(map(figure, cards))}</div>'


def table(rows: Sequence[tuple[str, str, str]]) -> str:
    """Return figures as a table: what was measured, what was found, what it is."""
    body = "".join(
        f'<tr><th scope="row">{safe(name)}</th><td class="value">{safe(value)}</td><td>{safe(meaning)}</td></tr>'
        for name, value, meaning in rows
    )
    head = (
        '<thead><tr><th scope="col">figure</th><th scope="col">found</th><th scope="col">what it is</th></tr></thead>'
    )
    return f"<table>{head}<tbody>{body}</tbody></table>"


def region(name: str, path: str) -> str:
    """Return an outline that pictures refer to by its name."""
    return f'<symbol id="{name}" viewBox="0 0 1 1" preserveAspectRatio="none"><path d="{path}"/></symbol>'


def legend(key: Legend, bar: str) -> str:
    """Return the colour bar of the maps with its words."""
    heading, scale = key.lines()
    ends = (key.scale.low, (key.scale.low + key.scale.high) / 2, key.scale.high)
    ticks = "".join(f"<span>{safe(short(each))}</span>" for each in ends)
    return (
        f'<div class="legend"><img src="{bar}" alt="colours from {safe(short(ends[0]))} to {safe(short(ends[2]))}">'
        f'<div class="ends">{ticks}</div><p>{safe(heading)} <span class="faint">{safe(scale)}</span></p></div>'
    )


def _shot(shot: Shot) -> str:
    drawn = ""
    if shot.region:
        lines = "".join(f'<use href="#{shot.region}"{kind}/>' for kind in (' class="under"', ""))
        drawn = f'<svg aria-hidden="true" viewBox="0 0 1 1" preserveAspectRatio="none">{lines}</svg>'
    return f'<span class="shot"><img src="{shot.data}" alt="{safe(shot.words)}">{drawn}</span>'
