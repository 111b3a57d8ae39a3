"""``zoobench list``: the entries of a manifest. Loads no torch, unless a library is asked."""

from typing import Annotated

import typer

from bench.cli.options import Manifest, Patterns, Zoo
from zoo.text import printable


def list_entries(
    patterns: Patterns = None,
    manifest: Manifest = "sample",
    zoo: Zoo = None,
    json_lines: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, for other programs.")
    ] = False,
) -> None:
    """List the entries of a manifest.

    Example: [bold]zoobench list 'efficientnet*'[/bold]
    """
    from bench.cli.selection import select_entries

    entries = select_entries(patterns, manifest, zoo).entries
    if json_lines:
        for entry in entries:
            typer.echo(entry.model_dump_json(exclude_none=True))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("entry", "network", "source", "tags"):
        table.add_column(title, overflow="fold")
    for entry in entries:
        cells = (entry.name, entry.network_id, entry.source, " ".join(entry.tags))
        table.add_row(*(Text(printable(text)) for text in cells))
    Console(highlight=False).print(table)
