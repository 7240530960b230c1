"""Write the table of presets into docs/presets.md, from the table in the code.

python docs/make_presets.py
"""

from pathlib import Path

from eyeline.command.flags import spelled
from eyeline.methods import METHODS, PRESETS, Gradient
from eyeline.methods.presets import differences

PAGE = Path(__file__).parent / "presets.md"
START, END = "<!-- table -->\n", "<!-- end of table -->\n"


def rows() -> list[str]:
    """Return the lines of the table."""
    lines = ["| preset | method | there | settings that differ from eyeline's own | note |", "| --- " * 5 + "|"]
    for preset, methods in PRESETS.items():
        for method, row in methods.items():
            changed = differences(METHODS[method], row)
            settings = [f"{name}={_spelled(value)}" for name, value in changed.items()]
            settings += [f"{name} must be given" for name in row.needs]
            settings += [f"{name} follows {other}" for name, other in row.follows.items()]
            lines.append(f"| {preset} | `{method}` | {row.peer} | {', '.join(settings) or 'none'} | {row.note} |")
    return lines


def _spelled(value: object) -> str:
    if isinstance(value, Gradient):
        return f"gradient:channels={value.channels or 'none'}"
    return spelled(value) or "none"


def written(page: str) -> str:
    """Return the page with the table of the code in the place of its own."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return before + START + "\n".join(rows()) + "\n" + END + after


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
