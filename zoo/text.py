"""Text of names and reasons as a line that no terminal obeys."""

import unicodedata

# Control characters, those that turn the direction of writing, lone surrogates, line separators.
_UNSAFE = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def printable(text: str) -> str:
    """Return the text on one line: white space as a blank, what a terminal obeys as its escape."""
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in "\t\n\r\v\f":
        return " "
    if unicodedata.category(character) in _UNSAFE:
        return character.encode("unicode_escape", "surrogatepass").decode()
    return character
