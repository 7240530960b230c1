"""How much of a map's evidence lies outside the region where it should be."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from eyeline.dataset.rows import blocks
from eyeline.dataset.store import DONE, Store
from eyeline.errors import InputError


def centre(size: tuple[int, ...], share: float) -> Bool[np.ndarray, "*space"]:
    """Return the middle of an image: the box whose sides are `share` of the image's, rounded to whole pixels.

    Raises:
        InputError: a share that is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise InputError(f"centre must be a share above 0 and at most 1, but got {share!r}. Pass for example 0.5.")
    inside = np.zeros(size, dtype=bool)
    widths = [max(1, round(length * share)) for length in size]
    inside[
        tuple(
            slice((length - width) // 2, (length - width) // 2 + width)
            for length, width in zip(size, widths, strict=True)
        )
    ] = True
    return inside


def within(store: Store, region: Any) -> Bool[np.ndarray, "*shape"]:
    """Return a region as a mask of the store's images, True inside.

    Args:
        store: an open one.
        region: True inside, (*space) for all images or (rows, *space); or a share, as 0.5, for the middle.

    Raises:
        InputError: a region of another shape, or one that is empty.
    """
    size = store.manifest.image[:-1]
    inside = centre(size, float(region)) if np.ndim(region) == 0 else np.asarray(region, dtype=bool)
    if inside.shape not in (size, (len(store.items), *size)):
        raise InputError(
            f"region must have the shape of an image, {size}, or one for each row, {(len(store.items), *size)}, "
            f"but got {inside.shape}. Pass True where evidence belongs."
        )
    if not inside.any():
        raise InputError("region must hold at least one pixel, but it is empty. Pass True where evidence belongs.")
    return inside


def outside(store: Store, region: Any) -> Float[np.ndarray, "rows"]:
    """Return for each row the share of the map's positive numbers that lies outside a region, 0..1.

    NaN where there is no map, or no positive number in it. A map over the image's channels is summed over them first.

    Args:
        store: an open one, of maps whose positive numbers are evidence for the target.
        region: as for `within`.

    Raises:
        InputError: a region of another shape, or one that is empty.
    """
    inside, found = within(store, region), np.full(len(store.items), np.nan)
    for start, stop, maps in blocks(store):
        found[start:stop] = share_outside(maps, inside if inside.ndim == maps.ndim - 1 else inside[start:stop])
    found[store.status != DONE] = np.nan
    return found


def share_outside(maps: Float[np.ndarray, "n *space"], inside: Bool[np.ndarray, "*shape"]) -> Float[np.ndarray, "n"]:
    """Return the share of each map's positive numbers outside a region; NaN where it has none."""
    positive = np.maximum(maps, 0).astype(np.float64)
    axes = tuple(range(1, positive.ndim))
    total, lost = positive.sum(axis=axes), np.where(inside, 0.0, positive).sum(axis=axes)
    return np.asarray(np.divide(lost, total, out=np.full(len(maps), np.nan), where=total > 0))
