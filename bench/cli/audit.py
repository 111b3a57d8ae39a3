"""``zoobench audit``: every printed cell of the published tables against what was measured."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import Measured
from zoo.text import printable

if TYPE_CHECKING:
    import pandas as pd


def audit(
    tables: Annotated[
        list[str] | None,
        typer.Argument(help="Published tables, or files of claims; all tables if none is given."),
    ] = None,
    store: Measured = None,
    baseline: Annotated[
        Path | None,
        typer.Option(help="Reviewed verdicts; default: those that come with zoobench."),
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Write the verdicts found as the reviewed ones.")
    ] = False,
) -> None:
    """Audit published tables: count the verdicts, and print every cell that is not reproduced.

    Example: [bold]zoobench audit focalnet --store zoobench-results[/bold]

    Exit code 1 if a cell that was reproduced before no longer is.
    """
    from bench.cli.measured import measured
    from reports.audit import audit as audit_tables
    from reports.audit_table import counts, notes
    from reports.baseline import load_verdicts, lost, verdicts_path
    from reports.render import terminal

    cells = audit_tables(measured(store), tables or ())
    sys.stdout.write(terminal.render(counts(cells)))
    for table in cells["table"].unique():
        print(f"\n{printable(table)}")
        sys.stdout.write(terminal.lines(notes(cells[cells["table"] == table])))
    sys.stdout.flush()
    path = baseline or verdicts_path()
    if update:
        _update(path, cells)
        return
    reviewed = load_verdicts(path)
    _tell_gained(path, cells, reviewed)
    if len(gone := lost(cells, reviewed)):
        _tell_lost(path, gone)
        raise typer.Exit(1)


def _update(path: Path, cells: "pd.DataFrame") -> None:
    from bench.durable import write_durably
    from reports.baseline import load_verdicts, merged, verdicts_csv
    from zoo.errors import ReportError

    verdicts = merged(cells, load_verdicts(path)) if path.is_file() else cells
    try:
        write_durably(path.resolve(), verdicts_csv(verdicts).encode())
    except OSError as error:
        raise ReportError(f"{path}: cannot be written: {error.strerror}") from None
    print(f"{path}: {len(verdicts)} verdicts; review the difference", file=sys.stderr)


def _tell_gained(path: Path, cells: "pd.DataFrame", reviewed: "pd.DataFrame") -> None:
    from reports.baseline import gained

    if count := len(gained(cells, reviewed)):
        print(
            f"zoobench: {count} cells are reproduced that {path} does not hold as such; "
            "keep them with: zoobench audit --update",
            file=sys.stderr,
        )


def _tell_lost(path: Path, gone: "pd.DataFrame") -> None:
    for _, cell in gone.iterrows():
        now = cell["now"] if cell["now"] == cell["now"] else "not in the table"
        where = f"{cell['table']}: {cell['row']} ({cell['img_size']} px, {cell['pretrain']})"
        print(f"no longer reproduced: {printable(where)} {cell['figure']}: {now}", file=sys.stderr)
    print(
        f"zoobench: {len(gone)} cells were reproduced before ({path}); if that is right, write "
        "it there with: zoobench audit --update",
        file=sys.stderr,
    )
