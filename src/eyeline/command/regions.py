"""Where evidence belongs, as a flag says it: a share of the middle, or a picture."""

from typing import Any

import numpy as np
from PIL import Image

from eyeline.errors import InputError
from eyeline.image import original


def region(text: str | None, size: tuple[int, ...]) -> Any:
    """Read a region: a share, or a picture of the images' size that is white where evidence belongs; None stays.

    Raises:
        InputError: a file that is no picture, or one of another size.
    """
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    mask = Image.fromarray(original(text)).convert("L")
    if mask.size[::-1] != size:
        raise InputError(
            f"--region must be a share or a picture of the images' size, {size}, but {text!r} has {mask.size[::-1]}. "
            "White is where evidence belongs."
        )
    return np.asarray(mask) > 127
