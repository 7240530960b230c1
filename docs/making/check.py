"""Look the built pages over: nothing that a browser loads by itself may come from elsewhere.

    python docs/making/check.py build/site

Links that a reader may follow are no loads. Ends with 1 where something is found.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

LOADING = {
    "script": ("src",), "img": ("src", "srcset"), "iframe": ("src",), "source": ("src", "srcset"), "embed": ("src",),
    "video": ("src", "poster"), "audio": ("src",), "object": ("data",), "input": ("src",), "image": ("href",),
}  # fmt: skip
KINDS = {"stylesheet", "preload", "preconnect", "dns-prefetch", "icon", "prefetch", "modulepreload", "shortcut"}
ELSEWHERE = re.compile(r"^\s*(?:https?:)?//", re.IGNORECASE)
IN_STYLE = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s]+)""", re.IGNORECASE)


class Loads(HTMLParser):
    """Collects the addresses that a page loads from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one element."""
        given = {name: value or "" for name, value in attrs}
        names = LOADING.get(tag, ())
        if tag == "link" and KINDS & set(given.get("rel", "").lower().split()):
            names = ("href",)
        self.found += [given[name] for name in names if ELSEWHERE.match(given.get(name, ""))]
        self.found += IN_STYLE.findall(given.get("style", ""))
        if "srcdoc" in given:
            self.found += loads(given["srcdoc"])


def loads(text: str) -> list[str]:
    """Return what a page of HTML loads from elsewhere."""
    page = Loads()
    page.feed(text)
    return page.found + [
        each for style in re.findall(r"<style.*?</style>", text, re.S) for each in IN_STYLE.findall(style)
    ]


def main(folder: Path) -> int:
    """Look at every page and style sheet, and print what is found."""
    pages, count = sorted(folder.rglob("*.html")), 0
    for page in pages:
        for address in loads(page.read_text(encoding="utf-8")):
            count += 1
            print(f"{page} loads {address}", file=sys.stderr)
    for sheet in sorted(folder.rglob("*.css")):
        for address in IN_STYLE.findall(sheet.read_text(encoding="utf-8", errors="replace")):
            count += 1
            print(f"{sheet} loads {address}", file=sys.stderr)
    print(f"{len(pages)} pages in {folder}; loads from elsewhere: {count}")
    return 1 if count or not pages else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
