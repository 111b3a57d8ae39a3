"""``zoobench report``: the rows of a store as a table, or a published table beside them."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import DEFAULT_STORE, Measured
from bench.cli.output import write

_SUFFIXES = {".md": "md", ".html": "html", ".tex": "latex", ".csv": "csv", ".parquet": "parquet"}


def report(
    store: Measured = None,
    table: Annotated[
        str | None,
        typer.Option(help="A published table, or a file of claims, to set beside.", metavar="NAME"),
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="terminal, md, latex, html; csv, parquet: unrounded; counts: the CSV of counts "
            "that reports/baselines keeps. Default: by the suffix of --out, else terminal.",
            metavar="FORMAT",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write there instead of to standard output.")
    ] = None,
    generated: Annotated[
        Path | None,
        typer.Option(help="Write the committed report, of the baselines, there.", metavar="DIR"),
    ] = None,
) -> None:
    """Print the rows of a store, or a published table beside them, or write them to a file.

    Example: [bold]zoobench report --table focalnet --format md --out focalnet.md[/bold]
    """
    if generated is not None:
        from reports.generated import write_generated

        print(*write_generated(generated), sep="\n", file=sys.stderr)
        return
    if format_name is None:
        format_name = _SUFFIXES.get(out.suffix, "terminal") if out else "terminal"
    content = _audited(store, table, format_name) if table else _measured(store, format_name)
    write(content, out)


def _measured(store: str | None, format_name: str) -> bytes:
    from reports import load_frame
    from reports.table import render
    from zoo.errors import StoreError

    frame = load_frame(store or DEFAULT_STORE)
    if frame.empty:
        raise StoreError(f"{store or DEFAULT_STORE}: holds no records; zoobench run makes them")
    return render(frame, format_name)


def _audited(store: str | None, table: str, format_name: str) -> bytes:
    from bench.cli.measured import measured
    from reports.audit import audit
    from reports.audit_table import render

    return render(audit(measured(store), [table]), format_name)
