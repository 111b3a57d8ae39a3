"""``zoobench compare``: did a change lose accuracy, cost or speed against a base."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from reports.compare import Comparison
    from reports.side import Side


def compare(
    sides: Annotated[
        list[str],
        typer.Argument(
            help="Two stores, base and head; or the head alone with --baseline. A baseline's "
            "folder or a CSV of counts can stand for a store.",
            metavar="[BASE] HEAD",
        ),
    ],
    baseline: Annotated[
        str | None,
        typer.Option(help="Reviewed numbers to compare with.", metavar="DIR|FILE"),
    ] = None,
    update: Annotated[
        bool,
        typer.Option("--update", help="Write what HEAD has into the baseline, for review."),
    ] = False,
    format_name: Annotated[
        str, typer.Option("--format", help="terminal, md, junit, json; csv, latex, html.")
    ] = "terminal",
    out: Annotated[
        Path | None, typer.Option(help="Write there instead of to standard output.")
    ] = None,
    flips: Annotated[
        Path | None, typer.Option(help="Write every image of another prediction there, as CSV.")
    ] = None,
) -> None:
    """Compare head with base: a verdict for each figure of each row; say no if one got worse.

    Example: [bold]zoobench compare results --baseline reports/baselines/sample[/bold]

    Exit code 1 if a figure is worse or a row is missing, 3 if nothing at all could be judged, 2 for
    a mistake. What was measured on another machine is not comparable, and does not fail.
    """
    from bench.cli.output import write
    from reports.compare import compare as judge
    from reports.compare_table import render

    if update:
        _update(baseline, sides)
        return
    base, head = _sides(sides, baseline)
    found = judge(base, head)
    write(render(found, format_name), out)
    if flips is not None:
        write(found.flips.to_csv(index=False).encode(), flips)
    if baseline is not None and found.worth_reviewing:
        _write_beside(baseline, base, head)
    raise typer.Exit(_exit_code(found, told=out is not None or format_name != "terminal"))


def _sides(sides: list[str], baseline: str | None) -> "tuple[Side, Side]":
    from reports.baseline_folder import side_of
    from zoo.errors import ReportError

    wanted = 2 if baseline is None else 1
    if len(sides) != wanted:
        raise ReportError(
            f"compare takes two stores, BASE HEAD, or one, HEAD, with --baseline; got {len(sides)}"
            f"{'' if baseline is None else ' with --baseline'}"
        )
    if baseline and not (baseline.endswith(".csv") or "://" in baseline or Path(baseline).exists()):
        raise ReportError(
            f"{baseline}: no baseline there; make it with: zoobench compare STORE --baseline "
            f"{baseline} --update"
        )
    base, head = (baseline or sides[0]), sides[-1]
    return side_of(base), side_of(head)


def _update(baseline: str | None, sides: list[str]) -> None:
    """Make the baseline, or add to it what the head has measured."""
    from reports.baseline_folder import (
        begun_anew,
        is_baseline,
        load_baseline,
        side_of,
        updated,
        write_baseline,
    )
    from zoo.errors import ReportError

    if baseline is None or baseline.endswith(".csv") or len(sides) != 1:
        raise ReportError("--update takes one store, and --baseline DIR, the folder to write to")
    folder, head = Path(baseline), side_of(sides[0])
    if not head.items:
        raise ReportError(f"{head.name}: holds no measured row to write into a baseline")
    old = load_baseline(folder) if is_baseline(baseline) else None
    new = head if old is None else updated(old, head)
    write_baseline(folder, new)
    print(f"{baseline}: {_figures(len(new.items))}; review the difference", file=sys.stderr)
    for speed in begun_anew(old, new) if old else ():
        print(
            f"{baseline}: {speed.key.entry} ({speed.figure}): outside of the noise band, "
            "so its runs begin anew",
            file=sys.stderr,
        )


def _figures(count: int) -> str:
    return f"{count} figure{'' if count == 1 else 's'}"


def _write_beside(baseline: str, base: "Side", head: "Side") -> None:
    """Write what the baseline would be with the head, to be reviewed and moved into its place."""
    from reports.baseline_folder import is_baseline, updated, write_baseline

    if is_baseline(baseline):
        beside = Path(baseline).with_name(f"{Path(baseline).name}.new")
        write_baseline(beside, updated(base, head))
        print(f"zoobench: the baseline with these figures: {beside}, to review", file=sys.stderr)


def _exit_code(found: "Comparison", told: bool) -> int:
    """Return the exit code, and say on standard error what it means."""
    from reports.compare_table import headline

    if told:
        print(f"zoobench: {headline(found)}", file=sys.stderr)
    if not found.decided:
        print(
            f"zoobench: nothing of {found.head} could be held against {found.base}: the rows are "
            "of other machines, or have too few runs; the table says which",
            file=sys.stderr,
        )
        return 3
    return 1 if found.fails else 0
