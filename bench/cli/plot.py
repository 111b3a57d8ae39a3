"""``zoobench plot``: accuracy against cost, speed and year, and measured against published."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import Measured, Patterns


def plot(
    patterns: Patterns = None,
    store: Measured = None,
    x: Annotated[
        str | None,
        typer.Option(
            "--x",
            help="Some of gmacs, params, images_per_s, year, published, batch; by default all.",
            metavar="NAME[,NAME…]",
        ),
    ] = None,
    y: Annotated[str, typer.Option("--y", help="top1.", metavar="NAME")] = "top1",
    table: Annotated[
        str | None,
        typer.Option(help="Show the rows of this published table only, by their printed names."),
    ] = None,
    manifest: Annotated[
        list[str] | None,
        typer.Option(help="A further manifest that knows families and years.", metavar="FILE"),
    ] = None,
    format_name: Annotated[
        str, typer.Option("--format", help="png, svg or both.", metavar="FORMAT")
    ] = "png",
    out: Annotated[Path, typer.Option(help="The folder for the pictures.")] = Path("plots"),
) -> None:
    """Draw the rows of a store; print the names of the files.

    Filled marks were measured; hollow ones are claims of a paper, and never mix with the first.

    Example: [bold]zoobench plot --table focalnet --x gmacs,params --out plots[/bold]
    """
    from bench.cli.choices import choice
    from bench.cli.measured import measured
    from reports.plots import FORMATS, X_NAMES, write_pictures
    from reports.points import known_entries, matching, subjects

    words = [word.strip() for word in x.split(",")] if x else X_NAMES
    xs = [choice("--x", word, X_NAMES) for word in dict.fromkeys(words)]
    choice("--y", y, ("top1",))
    formats = FORMATS[choice("--format", format_name, FORMATS)]
    frame = measured(store)
    entries = known_entries(manifest or ())
    shown = matching(subjects(frame, entries, table), patterns or (), entries)
    prefix = f"{Path(table).stem}-" if table else ""
    written = write_pictures(frame, shown, out, xs=xs, formats=formats, prefix=prefix)
    for note in written.notes:
        print(f"zoobench: {note}", file=sys.stderr)
    for file in written.files:
        typer.echo(str(file))
