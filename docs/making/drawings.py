"""Pictures that the gallery's scripts make with `eyeline.picture`: shown where a block made them."""

from pathlib import Path
from typing import Any

from PIL import Image
from sphinx_gallery.scrapers import figure_rst


def scraper(block: tuple[Any, ...], variables: dict[str, Any], settings: dict[str, Any], **_: Any) -> str:
    """Save the pictures that are new among the script's names `picture...` since its last block."""
    shown: set[int] = variables.setdefault("drawings", set())
    files = []
    for name, value in list(variables["example_globals"].items()):
        if name.startswith("picture") and isinstance(value, Image.Image) and id(value) not in shown:
            shown.add(id(value))
            files.append(Path(next(variables["image_path_iterator"])))
            value.save(files[-1])
    return figure_rst([str(each) for each in files], settings["src_dir"])
