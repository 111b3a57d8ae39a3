"""A sheet as GitHub-flavoured Markdown."""

from reports.render.sheet import Cell, Sheet


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
    notes = [f"- {_escape(note)}" for note in sheet.notes]
    header = [f"{_escape(line)}  " for line in (f"{sheet.caption}.", *sheet.header)]
    parts = [*header, "", *(lines if sheet.has_rows else ()), "", *notes]
    return "\n".join(parts).strip() + "\n"


def _cell(cell: Cell) -> str:
    text = _escape(cell.text)
    return f"**{text}**" if cell.bold else text


def _escape(text: str) -> str:
    for character in "\\|*<":
        text = text.replace(character, f"\\{character}")
    return text
