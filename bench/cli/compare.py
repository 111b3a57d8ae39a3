"""``zoobench compare``: did a change lose accuracy, cost or speed against a base."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast, get_args

import typer

if TYPE_CHECKING:
    from reports.compare import Comparison
    from reports.side import Side

Match = Literal["key", "entry"]


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
    match: Annotated[
        str,
        typer.Option(
            help="key: rows are the same if all of their key is. entry: if their name is; top-1 of "
            "other weights or preprocessing is judged, and what changed is named."
        ),
    ] = "key",
    figures: Annotated[
        str | None,
        typer.Option(
            help="Ask for these alone: params, gmacs, top1, speed, latency, train, end_to_end. "
            "Default: all that the base has.",
            metavar="A,B,…",
        ),
    ] = None,
) -> None:
    """Compare head with base: a verdict for each figure of each row; say no if one got worse.

    Example: [bold]zoobench compare results --baseline reports/baselines/sample[/bold]

    Exit code 1 if a figure is worse or a row is missing, 3 if something that was asked for could
    not be compared, 2 for a mistake.
    """
    from bench.cli.choices import choice
    from bench.cli.output import write
    from reports.compare import compare as judge
    from reports.compare_table import render
    from reports.render import csv

    if update:
        _update(baseline, sides)
        return
    choice("--match", match, get_args(Match))
    base, head = _sides(sides, baseline)
    found = judge(base, head, match=cast(Match, match), asked=_asked(figures))
    write(render(found, format_name), out)
    if flips is not None:
        write(csv(found.flips).encode(), flips)
    if baseline is not None and found.worth_reviewing:
        _write_beside(baseline, base, head)
    raise typer.Exit(_exit_code(found, told=out is not None or format_name != "terminal"))


def _asked(text: str | None) -> tuple[str, ...]:
    """Return the figures of a comma-separated list, each once; none if all are asked for."""
    from bench.cli.choices import choice
    from reports.compare import ASKABLE

    if text is None:
        return ()
    words = [word.strip() for word in text.split(",")]
    return tuple(choice("--figures", word, ASKABLE) for word in dict.fromkeys(words))


def _sides(sides: list[str], baseline: str | None) -> "tuple[Side, Side]":
    from reports.baseline_folder import is_baseline, side_of
    from zoo.errors import ReportError

    wanted = 2 if baseline is None else 1
    if len(sides) != wanted:
        raise ReportError(
            f"compare takes two stores, BASE HEAD, or one, HEAD, with --baseline; got {len(sides)}"
            f"{'' if baseline is None else ' with --baseline'}"
        )
    base, head = (sides[0] if baseline is None else baseline), sides[-1]
    if not base or not head:
        option = "--baseline" if baseline is not None and not baseline else "BASE or HEAD"
        raise ReportError(f"{option} '': is empty; name a store or a baseline")
    if baseline and not (baseline.endswith(".csv") or is_baseline(baseline)):
        raise ReportError(
            f"{baseline}: no baseline there; make it with: zoobench compare STORE --baseline "
            f"{baseline} --update; a store to compare with is given as BASE"
        )
    return side_of(base), side_of(head)


def _update(baseline: str | None, sides: list[str]) -> None:
    """Make the baseline, or add to it what the head has measured; print what changed."""
    from reports.baseline_folder import is_baseline, load_baseline, side_of, write_baseline
    from reports.baseline_update import changes, updated
    from reports.side import Side
    from zoo.errors import ReportError
    from zoo.text import printable

    if not baseline or baseline.endswith(".csv") or "://" in baseline or len(sides) != 1:
        raise ReportError("--update takes one store, and --baseline DIR, the folder to write to")
    folder, head = Path(baseline), side_of(sides[0])
    if not head.items:
        raise ReportError(f"{head.name}: holds no measured row to write into a baseline")
    old = load_baseline(folder) if is_baseline(baseline) else Side(baseline, ())
    new = updated(old, head)
    write_baseline(folder, new)
    for line in changes(old, new):
        print(printable(line))
    print(f"{baseline}: {_figures(len(new.items))}; review the difference", file=sys.stderr)


def _figures(count: int) -> str:
    return f"{count} figure{'' if count == 1 else 's'}"


def _write_beside(baseline: str, base: "Side", head: "Side") -> None:
    """Write what the baseline would be with the head, to be reviewed and moved into its place."""
    from reports.baseline_folder import is_baseline, write_baseline
    from reports.baseline_update import updated

    if is_baseline(baseline):
        named = Path(baseline).absolute()
        named = named.resolve() if named.name == ".." else named
        beside = named.parent / f"{named.name}.new"
        write_baseline(beside, updated(base, head))
        print(f"zoobench: the baseline with these figures: {beside}, to review", file=sys.stderr)


def _exit_code(found: "Comparison", told: bool) -> int:
    """Return the exit code, and say on standard error what it means."""
    from reports.compare_table import headline

    if told:
        print(f"zoobench: {headline(found)}", file=sys.stderr)
    if found.fails:
        return 1
    if found.decided:
        return 0
    print(
        f"zoobench: not all that was asked for could be compared with {found.base}; the table says "
        "why. Measure it as the base was, use --match entry for another device, weights or "
        "preprocessing, or ask for less with --figures",
        file=sys.stderr,
    )
    return 3
