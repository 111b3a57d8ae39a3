"""``zoobench doctor``: what is wrong with a dataset, and how to mend it."""

import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import Manifest
from zoo.text import printable

if TYPE_CHECKING:
    from bench.doctor import Finding

_DEFAULT_MODEL = "efficientnet_lite0"
_WIDTH = 80
_TEXT_AT = 25
_PLAIN_EVERY_S = 10.0


def doctor(
    data: Annotated[
        str, typer.Argument(help="As --data of run.", metavar="[SET:]PATH", show_default=False)
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="An entry with real weights, to check the labels' order by. Default: "
            f"{_DEFAULT_MODEL}, if it can.",
            metavar="PATTERN",
        ),
    ] = None,
    manifest: Manifest = "sample",
    labels: Annotated[
        str, typer.Option(help="As --labels of run.", metavar="imagenet|folder|FILE")
    ] = "imagenet",
) -> None:
    """Examine a dataset before any evaluation: every image is read and decoded once.

    Layout, counts, label order, duplicates, unreadable files, colours, sizes, digest and cost.

    Example: [bold]zoobench doctor imagenet/val[/bold]

    Exit code 1 if something is wrong, or if --model was given and could not check the order of
    labels; 2 for a mistake in the command.
    """
    from bench.data.dataset import check_labels
    from bench.doctor import ORDER, examine
    from zoo.errors import UnknownNameError
    from zoo.manifest import load, select

    check_labels(labels)
    entries = load(manifest).entries
    names = [entry.name for entry in entries]
    if model is None and _DEFAULT_MODEL not in names:
        where = f"--manifest {manifest} without --model"
        raise UnknownNameError("entry", _DEFAULT_MODEL, names, where)
    models = select(entries, [model or _DEFAULT_MODEL])
    wrong, unchecked = 0, []
    with _progress() as progress:
        for finding in examine(data, labels=labels, models=models, progress=progress):
            typer.echo(_as_text(finding))
            wrong += finding.verdict == "WRONG"
            if finding.verdict == "not checked":
                unchecked.append(finding.subject)
    typer.echo(_summary(wrong, unchecked))
    raise typer.Exit(1 if wrong or (model is not None and ORDER in unchecked) else 0)


def _summary(wrong: int, unchecked: Sequence[str]) -> str:
    found = f"found wrong: {wrong}" if wrong else "nothing is wrong"
    if not unchecked:
        return found
    return f"{found}{'' if wrong else ' in what was checked'}; not checked: {', '.join(unchecked)}"


def _as_text(finding: "Finding") -> str:
    """Return the finding within 80 columns: verdict, subject, and what was found."""
    head = f"{finding.verdict:<11} {finding.subject:<12} "
    lines = _wrapped(head, finding.text)
    if finding.mend:
        lines += _wrapped(" " * (_TEXT_AT - 6) + "mend: ", finding.mend)
    return "\n".join(lines)


def _wrapped(head: str, text: str) -> list[str]:
    return textwrap.wrap(
        printable(text),
        _WIDTH,
        initial_indent=head,
        subsequent_indent=" " * _TEXT_AT,
        break_on_hyphens=False,
    )


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Yield what shows progress on standard error: a live line, or now and then a plain one."""
    from rich.console import Console
    from rich.progress import Progress, TaskID

    console = Console(stderr=True, highlight=False)
    told = time.monotonic()

    def plain(what: str, done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= _PLAIN_EVERY_S:
            told = time.monotonic()
            print(f"{done:,} of {total:,} {what}", file=sys.stderr, flush=True)

    if not console.is_terminal:
        yield plain
        return
    with Progress(console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def live(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done)

        yield live
