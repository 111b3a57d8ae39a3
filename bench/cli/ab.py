"""``zoobench ab``: base against head inside one run, with a verdict per row."""

import math
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import DEFAULT_STORE, Manifest, Patterns, StoreUrl, Zoo

if TYPE_CHECKING:
    from bench.records import Side
    from bench.stats import Judgement


def ab(
    patterns: Patterns = None,
    manifest: Manifest = "sample",
    zoo: Zoo = None,
    a: Annotated[
        str | None,
        typer.Option(
            "--a",
            help="Base's settings: precision, memory_format, compile, device.",
            metavar="NAME=VALUE[,…]",
        ),
    ] = None,
    b: Annotated[
        str | None,
        typer.Option("--b", help="Head's settings.", metavar="NAME=VALUE[,…]"),
    ] = None,
    a_python: Annotated[
        str | None, typer.Option(help="Base's interpreter.", metavar="FILE")
    ] = None,
    b_python: Annotated[
        str | None, typer.Option(help="Head's interpreter.", metavar="FILE")
    ] = None,
    a_rev: Annotated[str | None, typer.Option(help="Base's git revision.", metavar="REV")] = None,
    b_rev: Annotated[
        str | None,
        typer.Option(help="Head's git revision; default: the files as they are.", metavar="REV"),
    ] = None,
    repo: Annotated[
        Path,
        typer.Option(help="Where the revisions' packages are imported from.", metavar="DIR"),
    ] = Path(),
    batch: Annotated[
        int | None, typer.Option(min=1, help="Default: 32 on a CPU, 256 on a GPU.", metavar="N")
    ] = None,
    threshold: Annotated[
        str, typer.Option(help="The change that must be found.", metavar="PERCENT")
    ] = "5%",
    budget: Annotated[
        float, typer.Option(min=0, help="Seconds that a row may take.", metavar="S")
    ] = 120,
    format_name: Annotated[
        str,
        typer.Option(
            "--format", help="terminal, md, json, html, latex, csv or parquet.", metavar="FORMAT"
        ),
    ] = "terminal",
    store: StoreUrl = DEFAULT_STORE,
) -> None:
    """Compare the speed of base (a) and head (b), and print a verdict per row.

    The sides differ in settings, in the interpreter (another torch or timm), or in the git
    revision of the networks' code. A row takes at least 10 pairs of fresh processes, which take
    turns.

    Example: [bold]zoobench ab 'efficientnet*' --a precision=fp32 --b precision=bf16[/bold]

    Exit code 1 if a row is slower or failed, 3 if none is but one is ambiguous, 2 for a mistake.
    """
    from bench.ab.compare import compare
    from bench.cli.choices import choice
    from bench.cli.selection import select_entries
    from bench.records import Comparison, now
    from bench.store import Store
    from reports.ab import FORMATS, exit_code, render

    choice("--format", format_name, FORMATS)
    side_a, side_b = _sides((a, b), (a_python, b_python), (a_rev, b_rev), repo)
    plan = Comparison(
        started_at=now(),
        threshold=_fraction(threshold),
        budget_s=_seconds(budget),
        seed=secrets.randbits(64),
        a=side_a,
        b=side_b,
    )
    selection = select_entries(patterns, manifest, zoo)
    target = Store(store)
    target.check_writable()
    done, path = compare(
        selection.entries,
        plan,
        repository=repo,
        batch_size=batch,
        store=target,
        listen=_report,
    )
    sys.stdout.buffer.write(render(done, format_name))
    sys.stdout.flush()
    print(f"rounds: {path}", file=sys.stderr)
    raise typer.Exit(exit_code(done))


def _sides(
    settings: tuple[str | None, str | None],
    pythons: tuple[str | None, str | None],
    revisions: tuple[str | None, str | None],
    repository: Path,
) -> "tuple[Side, Side]":
    """Return both sides; if only one has a revision, the other is the folder as it is."""
    from bench.ab.sides import commit_of, interpreter, parse_settings
    from bench.records import Side
    from zoo.errors import ZoobenchError

    if not any((*settings, *pythons, *revisions)):
        raise ZoobenchError(
            "say how the sides differ: --a and --b (settings, like precision=bf16), --a-python "
            "and --b-python, or --a-rev and --b-rev"
        )
    sides = []
    for letter, text, python, revision in zip("ab", settings, pythons, revisions, strict=True):
        commit = commit_of(f"--{letter}-rev", repository, revision) if revision else None
        sides.append(
            Side(
                settings=parse_settings(f"--{letter}", text),
                python=interpreter(f"--{letter}-python", python),
                revision=revision or ("working tree" if any(revisions) else None),
                commit=commit,
            )
        )
    return sides[0], sides[1]


def _fraction(threshold: str) -> float:
    """Return 0.05 for ``5%``."""
    from zoo.errors import ZoobenchError

    number = threshold.strip().removesuffix("%").strip()
    try:
        percent = float(number)
    except ValueError:
        percent = 0
    if not 0 < percent <= 100:
        raise ZoobenchError(f"--threshold {threshold!r}: give a percentage above 0, like 5%")
    return percent / 100


def _seconds(budget: float) -> float:
    """Return the budget; a row that stays ambiguous would never end without a finite one."""
    from zoo.errors import ZoobenchError

    if not math.isfinite(budget):
        raise ZoobenchError(f"--budget {budget}: give a number of seconds, like 120")
    return budget


def _report(entry: str, pairs: int, found: "Judgement") -> None:
    """Print how far a row is, every tenth pair and when it is clear."""
    if pairs % 10 and found.verdict == "ambiguous":
        return
    bounds = f" [{found.interval.low:.3f}, {found.interval.high:.3f}]" if found.interval else ""
    print(
        f"{entry}: {pairs} pairs: {found.verdict} {found.ratio:.3f}{bounds}",
        file=sys.stderr,
        flush=True,
    )
