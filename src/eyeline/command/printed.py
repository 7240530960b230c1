"""Text for a terminal: what it would act on is spelled out. Apart, so that the command's help loads no pictures."""


def printable(text: object) -> str:
    """Return the text with everything that a terminal would act on spelled out."""
    return "".join(each if each.isprintable() else _spelled(each) for each in str(text))


def _spelled(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
