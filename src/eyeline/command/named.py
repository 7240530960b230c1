"""How the text of a flag is read, by the type of its field, and the words that some types know."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eyeline import baseline, mask
from eyeline.labels import LabelImage, as_labels


def sizes(text: str) -> int | tuple[int, ...]:
    """Read one number of pixels, or one for each axis."""
    numbers = tuple(int(each) for each in text.split(","))
    return numbers[0] if len(numbers) == 1 else numbers


def baselines(text: str) -> tuple[baseline.Baseline, ...]:
    """Read baselines with commas between them; a comma before a number belongs to the one before it."""
    return tuple(map(baseline.parse, re.split(r",(?=[a-z])", text)))


READERS: dict[Any, tuple[str, str, Callable[[str], Any]]] = {
    baseline.Baseline: ("WORD[:NUMBER]", "a baseline", baseline.parse),
    mask.Mask: ("WORD[:NUMBER]", "a mask", mask.parse),
    LabelImage: ("PATH", "a label image", as_labels),
    tuple[baseline.Baseline, ...]: ("WORD[:NUMBER],...", "baselines, for example constant:0,blur:12", baselines),
    tuple[int, ...]: ("PIXELS[,PIXELS]", "whole numbers of pixels, for example 8 or 8,16", sizes),
    int: ("INTEGER", "a whole number", int),
    float: ("NUMBER", "a number", float),
    Path: ("PATH", "a path", Path),
    str: ("TEXT", "text", str),
}
"""Type -> how it is shown, the rule in an error, how it is read. The first that a field's type holds counts."""

WORDS: dict[Any, tuple[dict[str, type], str]] = {
    baseline.Baseline: (baseline.BASELINES, "blur:12"),
    mask.Mask: (mask.MASKS, "linear:0.25"),
}
"""Type -> the words that stand for its kinds, and an example of one with a number."""

KINDS: dict[Any, str] = {kind: word for words, _ in WORDS.values() for word, kind in words.items()}
"""Those kinds -> their words."""
