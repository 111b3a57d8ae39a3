"""``zoobench report``: the rows of a store as a table."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import DEFAULT_STORE, StoreUrl


def report(
    store: StoreUrl = DEFAULT_STORE,
    format_name: Annotated[
        str, typer.Option("--format", help="terminal, md, csv or parquet.", metavar="FORMAT")
    ] = "terminal",
    out: Annotated[
        Path | None, typer.Option(help="Write there instead of to standard output.")
    ] = None,
) -> None:
    """Print the rows of a store, or write them to a file.

    Example: [bold]zoobench report --format md --out report.md[/bold]
    """
    from reports import load_frame
    from reports.table import render
    from zoo.errors import StoreError

    content = render(load_frame(store), format_name)
    if out is None:
        sys.stdout.buffer.write(content)
        return
    try:
        out.write_bytes(content)
    except OSError as error:
        raise StoreError(
            f"{out}: cannot be written: {error.strerror}; choose another --out"
        ) from None
