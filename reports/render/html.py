"""A sheet as a fragment of HTML, without style: the page that takes it in has its own."""

import html

from reports.render.sheet import Cell, Heading, Sheet
from zoo.text import printable

_RIGHT = ' style="text-align: right"'


def render(sheet: Sheet) -> str:
    """Return a table whose headers have scopes, with its caption, and its notes as a list."""
    about = ". ".join((sheet.caption, *sheet.header))
    lines = ["<table>", f"<caption>{escape(about)}</caption>", "<thead>", "<tr>"]
    lines += [_heading(heading) for heading in sheet.headings]
    lines += ["</tr>", "</thead>"]
    for section in sheet.sections:
        lines.append("<tbody>")
        if section.title:
            span = len(sheet.headings)
            lines.append(
                f'<tr><th scope="rowgroup" colspan="{span}">{escape(section.title)}</th></tr>'
            )
        lines += [_row(row, sheet.headings) for row in section.rows]
        lines.append("</tbody>")
    lines.append("</table>")
    if sheet.notes:
        notes = [f"<li>{escape(note)}</li>" for note in sheet.notes]
        lines += ["<ul>", *notes, "</ul>"]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Return text in which nothing is markup, on one line."""
    return html.escape(printable(text))


def _heading(heading: Heading) -> str:
    label = f' aria-label="{escape(heading.label)}"' if heading.label else ""
    return f'<th scope="col"{label}{_style(heading)}>{escape(heading.title)}</th>'


def _row(row: tuple[Cell, ...], headings: tuple[Heading, ...]) -> str:
    cells = [f'<th scope="row" style="text-align: left">{escape(row[0].text)}</th>']
    for cell, heading in zip(row[1:], headings[1:], strict=True):
        text = f"<strong>{escape(cell.text)}</strong>" if cell.bold else escape(cell.text)
        cells.append(f"<td{_style(heading)}>{text}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _style(heading: Heading) -> str:
    return _RIGHT if heading.numeric else ""
