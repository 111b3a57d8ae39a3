"""A sheet for a terminal."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.render.sheet import Sheet
from zoo.text import printable


def render(sheet: Sheet, *, width: int | None = None) -> str:
    """Return the sheet as text of at most ``width`` columns (default: the terminal's)."""
    sink = io.StringIO()
    console = Console(file=sink, width=width, highlight=False, force_terminal=False)
    table, left_out = _fitting(sheet, console)
    if sheet.header:
        console.print(Text("\n".join(map(printable, sheet.header))))
    if sheet.has_rows:
        console.print(table)
    wider = [f"too narrow for: {', '.join(left_out)}"] if left_out else []
    return sink.getvalue() + lines((*wider, *sheet.notes), width=width)


def _fitting(sheet: Sheet, console: Console) -> tuple[Table, list[str]]:
    """Return the table, and the titles of the spare columns that there is no room for."""
    shown = [i for i, heading in enumerate(sheet.headings) if heading.on_terminal]
    spare = [i for i in shown if sheet.headings[i].spare]
    left_out: list[str] = []
    while spare and _needed(sheet, shown, console) > console.width:
        heading = sheet.headings[spare[-1]]
        left_out.insert(0, heading.label or heading.title)
        shown.remove(spare.pop())
    return _table(sheet, shown), left_out


def _needed(sheet: Sheet, shown: Sequence[int], console: Console) -> int:
    """Return the columns that the table takes if no cell is folded, but for titles of sections."""
    untitled = tuple(replace(section, title=None) for section in sheet.sections)
    table = _table(replace(sheet, sections=untitled), shown)
    return console.measure(table, options=console.options.update(width=10_000)).maximum


def _table(sheet: Sheet, shown: Sequence[int]) -> Table:
    """Return the columns with these indices as a table."""
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
    return table


def lines(texts: Iterable[str], *, width: int | None = None) -> str:
    """Return texts, each on a line of its own, wrapped at ``width`` columns."""
    sink = io.StringIO()
    console = Console(file=sink, width=width, highlight=False, force_terminal=False)
    for text in texts:
        console.print(Text(printable(text)))
    return sink.getvalue()
