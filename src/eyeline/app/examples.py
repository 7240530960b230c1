"""Photographs to begin with: those inside scikit-image, where it is installed; nothing is downloaded."""

import base64
import io
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

NAMES = {"cat": "chelsea.png", "coffee": "coffee.png", "camera": "camera.png", "motorcycle": "motorcycle_left.png"}


@dataclass(frozen=True)
class Example:
    """One photograph.

    Args:
        path: where it lies.
        thumbnail: as a data address.
    """

    path: Path
    thumbnail: str


def examples() -> dict[str, Example]:
    """Return them by name."""
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        return {}
    folder = Path(spec.origin).parent / "data"
    paths = {name: folder / file for name, file in NAMES.items()}
    return {name: Example(path, _thumbnail(path)) for name, path in paths.items() if path.is_file()}


def _thumbnail(path: Path) -> str:
    held = io.BytesIO()
    with Image.open(path) as image:
        small = image.convert("RGB")
        small.thumbnail((96, 96))
        small.save(held, format="JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(held.getvalue()).decode('ascii')}"
