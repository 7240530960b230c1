"""The gallery page: one entry and one picture for each method that it shows, small enough to keep."""

import re
from pathlib import Path

from PIL import Image

from eyeline.methods import METHODS

DOCS = Path(__file__).parent.parent / "docs"


def test_every_entry_is_a_method_with_its_picture_and_two_sentences():
    entries = re.split(r"^## ", (DOCS / "gallery.md").read_text(), flags=re.MULTILINE)[1:]
    names = [entry.split("\n")[0] for entry in entries]
    assert set(names) <= set(METHODS)
    assert len(set(names)) == len(names) > 10
    for name, entry in zip(names, entries, strict=True):
        assert "**Read:**" in entry
        assert "**Misleads:**" in entry
        path = DOCS / "pictures" / "gallery" / f"{name}.jpg"
        assert f"](pictures/gallery/{name}.jpg)" in entry
        assert path.stat().st_size < 150_000
        with Image.open(path) as picture:
            assert picture.format == "JPEG"
