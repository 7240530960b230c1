"""A data set of stamps with alpha, composed over photographs: ten kinds of thing, for planted.py.

    apt-get install tuxpaint-stamps-default                 # GPL: read here, never shipped

Every picture is a crop of a photograph, somewhere, of some size, with a stamp of the label's kind on it, somewhere, of
some size and brightness, maybe mirrored. Both splits are made of the same stamps and photographs, put together
otherwise. The mark is a star, 60 % opaque, lower left.
"""

from functools import cache
from pathlib import Path

import numpy as np

STAMPS = Path("/usr/share/tuxpaint/stamps")
SIDE, EPOCHS = 28, 12
KINDS = {
    "bird": "animals/birds",
    "mammal": "animals/mammals",
    "fruit": "food/fruit",
    "vegetable": "food/vegetables",
    "flower": "plants/flowers",
    "sign": "town/roadsigns",
    "vehicle": "vehicles",
    "coin": "symbols/money",
    "clothes": "clothes",
    "household": "household",
}
NAMES = tuple(KINDS)


def composed(split: str, count: int, chance: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Compositions in colour, 0..1, and their labels."""
    stamps, grounds = [_stamps(kind) for kind in NAMES], _photographs()
    labels = chance.integers(0, len(NAMES), count)
    images = np.zeros((count, SIDE, SIDE, 3), dtype=np.float32)
    for image, label in zip(images, labels, strict=True):
        image[:] = _crop(grounds[chance.integers(len(grounds))], chance)
        stamp = stamps[label][chance.integers(len(stamps[label]))]
        _put(image, _sized(stamp, int(chance.integers(16, 25)), chance), chance)
    return images, labels


def star(images: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """A star of 8 x 8 pixels, 60 % opaque, lower left."""
    from PIL import Image

    with Image.open(STAMPS / "symbols" / "shapes" / "star.png") as file:
        pixels = np.asarray(file.convert("RGBA").resize((8, 8)), dtype=np.float32) / 255
    alpha, place = 0.6 * pixels[..., 3:], np.s_[:, SIDE - 9 : SIDE - 1, 1:9]
    images[place] = alpha * pixels[..., :3] + (1 - alpha) * images[place]
    return images


@cache
def _stamps(kind: str) -> tuple[object, ...]:
    from PIL import Image

    paths = sorted(path for path in (STAMPS / KINDS[kind]).rglob("*.png") if "cartoon" not in path.parts)
    found = [Image.open(path).convert("RGBA") for path in paths]
    for each in found:
        each.thumbnail((4 * SIDE, 4 * SIDE))
    return tuple(found)


@cache
def _photographs() -> tuple[np.ndarray, ...]:
    import skimage.data

    found = (skimage.data.chelsea(), skimage.data.coffee(), skimage.data.camera())
    return tuple(each if each.ndim == 3 else np.repeat(each[..., None], 3, axis=-1) for each in found)


def _crop(photograph: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    from PIL import Image

    side = int(chance.integers(2 * SIDE, min(photograph.shape[:2]) // 2))
    top, left = (int(chance.integers(0, length - side + 1)) for length in photograph.shape[:2])
    part = Image.fromarray(photograph[top : top + side, left : left + side])
    return np.asarray(part.resize((SIDE, SIDE)), dtype=np.float32) / 255


def _sized(stamp: object, longest: int, chance: np.random.Generator) -> np.ndarray:
    scale = longest / max(stamp.size)
    small = stamp.resize(tuple(max(1, round(length * scale)) for length in stamp.size))
    pixels = np.array(small, dtype=np.float32) / 255
    pixels[..., :3] = np.clip(pixels[..., :3] * chance.uniform(0.7, 1.2), 0, 1)
    return pixels[:, ::-1] if chance.random() < 0.5 else pixels


def _put(image: np.ndarray, pixels: np.ndarray, chance: np.random.Generator) -> None:
    height, width = pixels.shape[:2]
    top, left = int(chance.integers(0, SIDE - height + 1)), int(chance.integers(0, SIDE - width + 1))
    part = image[top : top + height, left : left + width]
    part[:] = pixels[..., 3:] * pixels[..., :3] + (1 - pixels[..., 3:]) * part
