"""A sheet as GitHub-flavoured Markdown."""

import re

from reports.render.sheet import Cell, Sheet
from zoo.text import printable

# What means something wherever it is: within a word an underscore does not, nor a tilde at its end.
_INLINE = re.compile(r"[\\`*<|$]|(?<![^\W_])_|_(?![^\W_])|~(?=\S)|&(?=#?\w+;)")
# Brackets are numbers' intervals, unless they are followed as those of links and images are.
_LINK = re.compile(r"\][(\[:]")
_BRACKETS = re.compile(r"[!\[\]()]")
# What GitHub turns into a link without any mark: an address, and a person after an @.
_ADDRESS = re.compile(r":(?=//)|\bwww(?=\.)", re.IGNORECASE)
_PERSON = re.compile(r"@(?=\w)")
# What begins a heading, a quotation, a list, a rule or a check box at the start of a line.
_BLOCK = re.compile(r"^(\d{0,9})((?<=\d)[.)](?=\s|$)|(?<!\d)[#>+\-=\[])")


def render(sheet: Sheet) -> str:
    """Return the sheet; sections are rows of their title alone."""
    lines = [
        "| " + " | ".join(_escape(heading.title) for heading in sheet.headings) + " |",
        "|" + "|".join("---:" if heading.numeric else ":---" for heading in sheet.headings) + "|",
    ]
    for section in sheet.sections:
        if section.title:
            blanks = " |" * (len(sheet.headings) - 1)
            lines.append(f"| **{_escape(section.title)}** |{blanks}")
        lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in section.rows]
    notes = [f"- {_line(note)}" for note in sheet.notes]
    header = [f"{_line(line)}  " for line in (f"{sheet.caption}.", *sheet.header)]
    parts = [*header, "", *(lines if sheet.has_rows else ()), "", *notes]
    return "\n".join(parts).strip() + "\n"


def _cell(cell: Cell) -> str:
    text = _escape(cell.text)
    return f"**{text}**" if cell.bold else text


def _line(text: str) -> str:
    """Return text that begins a line of its own, without what would begin a block there."""
    return _BLOCK.sub(r"\1\\\2", _escape(text))


def _escape(text: str) -> str:
    """Return text on one line that Markdown shows as it is: no link, image, tag or emphasis."""
    line = _INLINE.sub(r"\\\g<0>", printable(text).strip())
    if _LINK.search(line):
        line = _BRACKETS.sub(r"\\\g<0>", line)
    return _PERSON.sub("@\u200b", _ADDRESS.sub(r"\g<0>\\", line))
