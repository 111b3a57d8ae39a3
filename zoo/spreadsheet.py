"""Cells of a CSV that a spreadsheet takes for text, and not for a formula that it runs."""

import re

# As OWASP's "CSV Injection" lists them. An apostrophe in front makes a cell text.
_FORMULA = re.compile(r"'*(\s*[=+\-@＝＋－＠]|[\t\r\n])")


def guarded(text: str) -> str:
    """Return a cell's text with an apostrophe in front if it looks like a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """Return what ``guarded`` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
