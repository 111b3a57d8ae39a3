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

# Names are folded, but not to nothing: at this width a reader still knows which row it is.
_NAME_WIDTH = 12


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
    """Return the table, and the titles of the columns that there is no room for.

    Spare columns go first, as soon as a cell would be folded. Others go from the right when the
    first column, which names the row, would have less than ``_NAME_WIDTH``.
    """
    shown = [i for i, heading in enumerate(sheet.headings) if heading.on_terminal]
    left_out: list[int] = []
    while (spare := [i for i in shown if sheet.headings[i].spare]) and (
        _needed(sheet, shown, console) > console.width
    ):
        left_out.append(spare[-1])
        shown.remove(spare[-1])
    while len(shown) > 2 and _needed(sheet, shown, console, _NAME_WIDTH) > console.width:
        left_out.append(shown.pop())
    titles = [sheet.headings[i].label or sheet.headings[i].title for i in sorted(left_out)]
    return _table(sheet, shown), titles


def _needed(
    sheet: Sheet, shown: Sequence[int], console: Console, name_width: int | None = None
) -> int:
    """Return the columns that the table takes if no cell is folded, but for titles of sections.

    With ``name_width``, text is folded: the first column at that width, others as far as it goes.
    """
    untitled = tuple(replace(section, title=None) for section in sheet.sections)
    table = _table(replace(sheet, sections=untitled), shown)
    if name_width is not None:
        for column, heading in zip(table.columns, (sheet.headings[i] for i in shown), strict=True):
            column.max_width = None if heading.numeric else name_width
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
