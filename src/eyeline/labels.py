"""Label images as a setting: given as arrays or files, checked against the images they cut into regions."""

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from jaxtyping import Int
from PIL import Image

from eyeline._typing import Images
from eyeline.errors import InputError, first_line


@dataclass(frozen=True, eq=False, repr=False)
class LabelImage:
    """A label image as a setting: it can be compared, hashed and printed.

    Raises:
        InputError: numbers that are not whole, negative, or leave one out.
    """

    pixels: Int[np.ndarray, "*n_space"]

    def __post_init__(self) -> None:
        pixels = self.pixels
        if not pixels.size:
            raise InputError(
                f"labels must have at least one pixel, but got shape {pixels.shape}. "
                "Pass a label image of the images' size, or leave it out for superpixels."
            )
        if pixels.dtype.kind not in "iu":
            raise InputError(
                f"labels must hold whole numbers, but got {pixels.dtype} of shape {pixels.shape}. "
                "Pass for example skimage.segmentation.slic(image, start_label=0)."
            )
        object.__setattr__(self, "pixels", pixels.astype(np.int64))

    def of(self, images: Images) -> Int[np.ndarray, "n *space"]:
        """Return the labels of each image.

        Raises:
            InputError: another size, or a hole in the numbers.
        """
        shape = images.shape[:-1]
        if self.pixels.shape not in (shape, shape[1:]):
            raise InputError(
                f"labels must have the images' size {shape[1:]}, or one label image for each of them {shape}, but got "
                f"{self.pixels.shape}. Make them from the fitted image: attribution.images."
            )
        found = np.broadcast_to(self.pixels, shape)
        for image, own in enumerate(found if self.pixels.ndim == len(shape) else found[:1]):
            _check(own, image)
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LabelImage) and np.array_equal(self.pixels, other.pixels)

    def __hash__(self) -> int:
        return hash((self.pixels.shape, self.pixels.tobytes()))

    def __repr__(self) -> str:
        digest = blake2b(np.ascontiguousarray(self.pixels).tobytes(), digest_size=6).hexdigest()
        return f"LabelImage(shape={self.pixels.shape}, blake2b={digest})"


def _check(labels: Int[np.ndarray, "*space"], image: int) -> None:
    found = np.unique(labels)
    if np.array_equal(found, np.arange(len(found))):
        return
    hole = int(np.flatnonzero(~np.isin(np.arange(len(found)), found))[0])
    what = f"the number {found[0]}" if found[0] < 0 else f"no pixel of {hole} and one of {found[-1]}"
    raise InputError(
        f"labels must be 0, 1, 2, ... without a hole, but got {what} (image {image}). "
        "Renumber them: numpy.unique(labels, return_inverse=True)[1].reshape(labels.shape)."
    )


def as_labels(given: object) -> LabelImage:
    """Return a label image from an array, or from a file: .npy, or a picture of one channel, whose values are labels.

    Raises:
        InputError: what it holds are no labels, or the file cannot be read.
    """
    if not isinstance(given, str | Path):
        try:
            return LabelImage(np.asarray(given))
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"labels must be rows of one length, but got a {type(given).__name__} that is no array "
                f"({first_line(error, 80)}). Pass an array (rows, columns) of whole numbers."
            ) from error
    try:
        if Path(given).suffix == ".npy":
            return LabelImage(np.load(given, allow_pickle=False))
        with Image.open(given) as picture:
            found = np.asarray(picture)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"labels must be a file that can be read, but got {str(given)!r} ({first_line(error)}). "
            "Pass a .npy file, or a picture of one channel."
        ) from error
    if found.ndim != 2:
        raise InputError(
            f"a picture of labels must have one channel, but {str(given)!r} has {found.shape[-1]}. "
            "Save the labels with numpy.save, and pass the .npy file."
        )
    return LabelImage(found.astype(np.int64))
