"""The gallery page: every method has an entry, two sentences, and a picture small enough to keep."""

import re
import sys
from pathlib import Path

from PIL import Image

from eyeline.methods import METHODS

sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))
from make_gallery import READ

DOCS = Path(__file__).parents[1] / "docs"
PICTURES = DOCS / "pictures" / "gallery"


def entries():
    """Return the text of each entry, by its name."""
    parts = re.split(r"^## ", (DOCS / "gallery.md").read_text(), flags=re.MULTILINE)[1:]
    named = {part.split("\n")[0]: part for part in parts}
    assert len(named) == len(parts), "each once"
    return named


def test_no_method_is_missing_and_none_is_made_up():
    assert set(entries()) == {*METHODS, *READ}
    assert set(READ) == {"contrast", "flips"}  # what is read from a kept sweep


def test_every_entry_has_its_picture_and_two_sentences():
    for name, entry in entries().items():
        assert entry.count("**Read:**") == 1, name
        assert entry.count("**Misleads:**") == 1, name
        assert f"](pictures/gallery/{name}.jpg)" in entry


def test_the_table_of_questions_leads_to_every_entry():
    page = (DOCS / "gallery.md").read_text()
    assert set(re.findall(r"\[(\w+)\]\(#\1\)", page)) == set(entries())


def test_the_pictures_are_those_of_the_page_and_small():
    files = sorted(PICTURES.iterdir())
    assert {file.stem for file in files} == {*entries(), "photographs"}
    for file in files:
        assert file.stat().st_size < 150_000, file.name
        with Image.open(file) as picture:
            assert picture.format == "JPEG"
    assert sum(file.stat().st_size for file in files) < 2_000_000
