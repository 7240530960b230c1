"""Covered images of any regions: which pixels show the image, which the baseline, and which something between."""

import numpy as np
from jaxtyping import Float

from eyeline._typing import Boxes, Images
from eyeline.baseline import Baseline
from eyeline.cells import Cells
from eyeline.errors import InputError
from eyeline.filling import Filling
from eyeline.methods.checks import baseline_of
from eyeline.methods.covered import Covered, Pixels, Positions
from eyeline.region import Regions

CACHED = 2**19
"""Bytes of covered images that are mixed at a time, so that they stay in a processor's cache meanwhile."""


def cover(
    baseline: Baseline, keep: bool, pixels: Images, regions: Regions, names: tuple[str, ...], image: int = 0
) -> Covered:
    """Return the images with each region covered, or with everything but each region covered.

    Args:
        baseline: what replaces the covered pixels.
        keep: cover everything but the region.
        pixels: the images.
        regions: that all of them have; those of one image only if it comes alone.
        names: of the images.
        image: whose regions are meant, where each has its own.

    Raises:
        InputError: a baseline that does not fit the images, or that must have pixels left, and none are.
    """
    found, size = regions.boxes_of(image), pixels.shape[1:-1]
    boxes = _whole(size, len(regions)) if found is None else found
    if isinstance(baseline, Filling):
        return _filled(baseline, keep, pixels, regions, boxes, names, image)
    covered = baseline_of(baseline, pixels)
    ground, patch = (covered, pixels) if keep else (pixels, covered)
    if regions.mask_of(image, 0) is None:
        return Covered(ground, patch, boxes, names)

    def content(owner: int, region: int) -> Pixels:
        inside, mask = _slices(boxes, region), regions.mask_of(image, region)
        assert mask is not None
        return blend(ground[owner][inside], patch[owner][inside], mask)

    def several(owners: Positions, chosen: Positions) -> Images:
        assert isinstance(regions, Cells)
        return blend(_each(ground, owners), _each(patch, owners), regions.masks(chosen))

    return Covered(ground, patch, boxes, names, content, several if isinstance(regions, Cells) else None)


def _each(images: Images, owners: Positions) -> Images:
    """Return one image a place; the same for all of them is not copied."""
    same = bool((owners == owners[0]).all())
    return np.asarray(images[owners[:1]] if same else images[owners])


def blend(below: Pixels, above: Pixels, mask: Float[np.ndarray, "*space"]) -> Pixels:
    """Return `below * (1 - mask) + above * mask`; exactly the one or the other where the mask is 0 or 1."""
    if mask.dtype == bool:
        return np.asarray(np.where(mask[..., None], above, below))
    channels = below.shape[-1]
    found = np.empty((*mask.shape, channels), dtype=np.float32)
    black = not below.any()  # then it adds nothing
    step = max(1, CACHED * len(mask) // max(found.nbytes, 1))
    for start in range(0, len(mask), step):
        part = slice(start, start + step)
        share = np.repeat(mask[part].astype(np.float32, copy=False), channels, axis=-1)  # long axes are quick
        mixed = found[part].reshape(share.shape)
        np.multiply(share, _part(above, part), out=mixed)
        if not black:
            np.subtract(1, share, out=share)
            share *= _part(below, part)
            mixed += share
    return found


def _part(pixels: Pixels, part: slice) -> Pixels:
    """Return a part of an image, of several, or of one that stands for several, its channels laid along its columns."""
    some = pixels if len(pixels) == 1 else pixels[part]
    return np.asarray(some.reshape(*some.shape[:-2], -1))


def _filled(
    baseline: Filling,
    keep: bool,
    pixels: Images,
    regions: Regions,
    boxes: Boxes,
    names: tuple[str, ...],
    image: int,
) -> Covered:
    """Return covered images for a baseline that looks at what is covered."""
    size = pixels.shape[1:-1]
    around = _whole(size, len(regions)) if keep else boxes  # what is filled round a kept region differs everywhere

    def content(owner: int, region: int) -> Pixels:
        covered, own = np.zeros(size), regions.mask_of(image, region)
        covered[_slices(boxes, region)] = 1.0 if own is None else own
        hidden = 1 - covered if keep else covered
        inside = _slices(around, region)
        filled = _checked(baseline, baseline.fill(pixels[owner], hidden), pixels[owner])
        return blend(pixels[owner][inside], filled[inside], hidden[inside])

    ground = baseline_of(baseline, pixels) if keep else pixels
    return Covered(ground, pixels, around, names, content)


def _checked(baseline: Filling, filled: Pixels, image: Pixels) -> Pixels:
    if filled.shape != image.shape or not np.isfinite(filled).all():
        raise InputError(
            f"the baseline must fill with finite pixels of shape {image.shape}, but {baseline!r} gave {filled.shape}. "
            "Return one value per pixel and channel."
        )
    return filled.astype(np.float32, copy=False)


def _whole(size: tuple[int, ...], count: int) -> Boxes:
    """Return so many boxes of the whole image."""
    return np.tile(np.array([[0, each] for each in size], dtype=np.int64), (count, 1, 1))


def _slices(boxes: Boxes, region: int) -> tuple[slice, ...]:
    return tuple([slice(start, stop) for start, stop in boxes[region].tolist()])
