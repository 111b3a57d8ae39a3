"""``zoobench claims``: published figures, shown as printed, and imported from the libraries."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import Manifest
from zoo.text import printable

if TYPE_CHECKING:
    from rich.table import Table

    from zoo.published import Row

claims = typer.Typer(
    help="Figures that papers and libraries publish, each with its source.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

_TITLES = {
    "params_m": "params M",
    "gflops": "GMACs",
    "images_per_s": "img/s",
    "top1_pct": "top-1 %",
}


@claims.command("list")
def list_claims(
    table: Annotated[
        str | None, typer.Argument(help="A published table's name, or a file of claims.")
    ] = None,
    json_lines: Annotated[
        bool, typer.Option("--json", help="One claim a line as JSON, for other programs.")
    ] = False,
) -> None:
    """List the published tables, or print one of them in its own order.

    Example: [bold]zoobench claims list focalnet[/bold]
    """
    from zoo.published import load_claims, load_rows, tables

    if json_lines:
        for name in [table] if table else tables():
            for claim in load_claims(name):
                typer.echo(claim.model_dump_json())
        return
    from rich.console import Console

    console = Console(highlight=False)
    console.print(_layout(load_rows(table)) if table else _overview())
    if table:
        console.print(
            "~ the entry's network, but not its weights: accuracy is not compared\n"
            "? copied from the source once, without a second reading",
            style="dim",
        )


@claims.command("import")
def import_(
    source: Annotated[
        str,
        typer.Argument(
            help="timm's results-*.csv or benchmark-infer-*.csv, or the word torchvision.",
            metavar="FILE|torchvision",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The file of claims to write.", metavar="FILE")],
    manifest: Manifest = "sota",
) -> None:
    """Import a library's own figures as claims about the entries of a manifest.

    Example: [bold]zoobench claims import torchvision --out claims/torchvision.csv[/bold]
    """
    from zoo.claims_import import import_claims
    from zoo.errors import ClaimsError
    from zoo.manifest import load
    from zoo.published import write_rows

    imported = import_claims(source, load(manifest).entries)
    left = f"{imported.unmatched} of its rows match no entry of {manifest}"
    if imported.other_size:
        left += f" ({imported.other_size} of them by the image size alone)"
    if not imported.rows:
        raise ClaimsError(f"{source}: nothing to import: {left}; choose another --manifest")
    write_rows(out, imported.rows)
    entries = len({row.entry for row in imported.rows})
    figures = sum(len(row.claims()) for row in imported.rows)
    print(f"{out}: {figures} figures of {entries} entries; {left}", file=sys.stderr)


def _overview() -> "Table":
    from rich.table import Table

    from zoo.published import load_rows, tables

    overview = Table("table", "rows", "figures", "source", box=None, pad_edge=False)
    for name in tables():
        rows = load_rows(name)
        sources = dict.fromkeys(row.source.partition(" + ")[0] for row in rows)
        figures = sum(len(row.claims()) for row in rows)
        overview.add_row(name, str(len(rows)), str(figures), "; ".join(sources))
    return overview


def _layout(rows: "tuple[Row, ...]") -> "Table":
    """Return a table as it is printed: its order, its groups, its digits."""
    from rich.table import Table
    from rich.text import Text

    from zoo.published import CLAIMED_FIGURES

    layout = Table(box=None, pad_edge=False)
    for title in ("group", "row", "px", "pretrain"):
        layout.add_column(title, overflow="fold")
    for figure in CLAIMED_FIGURES:
        layout.add_column(_TITLES[figure], justify="right", no_wrap=True)
    layout.add_column("entry", overflow="fold")
    for row in rows:
        figures = [
            f"{getattr(row, name)}{'?' if name in row.single_transcription_cells else ''}"
            for name in CLAIMED_FIGURES
        ]
        mark = "~" if row.entry_match == "architecture" else ""
        cells = (row.group, row.row, str(row.img_size), row.pretrain, *figures)
        layout.add_row(*(Text(printable(text)) for text in (*cells, f"{mark}{row.entry}")))
    return layout
