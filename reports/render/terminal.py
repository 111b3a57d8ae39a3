"""A sheet for a terminal."""

import io
from collections.abc import Iterable
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.render.sheet import Sheet
from zoo.text import printable


def render(sheet: Sheet, *, width: int | None = None) -> str:
    """Return the sheet as text of at most ``width`` columns (default: the terminal's)."""
    shown = [i for i, heading in enumerate(sheet.headings) if heading.on_terminal]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in (sheet.headings[i] for i in shown):
        justify: Literal["left", "right"] = "right" if heading.numeric else "left"
        title = Text(printable(heading.title))
        table.add_column(title, justify=justify, overflow="fold", no_wrap=heading.numeric)
    for section in sheet.sections:
        table.add_section()
        if section.title:
            table.add_row(Text(printable(section.title), style="italic"))
        for row in section.rows:
            table.add_row(*(Text(printable(row[i].text)) for i in shown))
    sink = io.StringIO()
    console = Console(file=sink, width=width, highlight=False, force_terminal=False)
    if sheet.header:
        console.print(Text("\n".join(map(printable, sheet.header))))
    if sheet.has_rows:
        console.print(table)
    return sink.getvalue() + lines(sheet.notes, width=width)


def lines(texts: Iterable[str], *, width: int | None = None) -> str:
    """Return texts, each on a line of its own, wrapped at ``width`` columns."""
    sink = io.StringIO()
    console = Console(file=sink, width=width, highlight=False, force_terminal=False)
    for text in texts:
        console.print(Text(printable(text)))
    return sink.getvalue()
