"""Progress of a run on standard error: a live line on a terminal, plain lines elsewhere."""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from bench.executors import Listener
from bench.plan import Job
from bench.records import Measure
from zoo.text import printable

_PLAIN_EVERY_S = 10.0


@contextmanager
def progress_display(jobs: Sequence[Job]) -> Iterator[Listener]:
    """Yield a listener that shows what the workers say."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield _printable(_Plain(jobs))
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield _printable(_Live(jobs, progress))


def _printable(listen: Listener) -> Listener:
    """Return a listener whose events have no text that a terminal obeys: names, reasons."""

    def safe(value: Any) -> Any:
        if isinstance(value, list):
            return [safe(item) for item in value]
        return printable(value) if isinstance(value, str) else value

    return lambda job, event: listen(job, {name: safe(value) for name, value in event.items()})


class Outcome:
    """How many of a run's measurements were made, or kept from before; passes every event on."""

    def __init__(self, jobs: Sequence[Job], listen: Listener) -> None:
        self._wanted = Counter(measure for job in jobs for measure in job.measures)
        self._done: Counter[Measure] = Counter()
        self._listen = listen

    def __call__(self, job: Job, event: dict[str, Any]) -> None:
        """Count the event, and pass it on."""
        if event["event"] in ("recorded", "kept"):
            self._done[event["measure"]] += event["status"] == "measured"
        self._listen(job, event)

    def describe(self) -> str:
        """Return one line: the share of each measurement that was made."""
        shares = (
            f"{measure} {self._done[measure]:,} of {wanted:,} ({self._done[measure] / wanted:.1%})"
            for measure, wanted in self._wanted.items()
        )
        return f"measured: {', '.join(shares)}"


class _Plain:
    """One line for each measurement, and a line now and then during a long one."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._places = {id(job): f"[{i + 1}/{len(jobs)}]" for i, job in enumerate(jobs)}
        self._started: dict[int, float] = {}
        self._told: dict[int, float] = {}

    def __call__(self, job: Job, event: dict[str, Any]) -> None:
        """Print the event, if it is one that a reader of a log wants."""
        now = time.monotonic()
        if event["event"] == "measuring":
            self._started[id(job)] = self._told[id(job)] = now
        text = describe(job, event, now - self._started.get(id(job), now))
        if event["event"] == "progress":
            if now - self._told.get(id(job), 0.0) < _PLAIN_EVERY_S:
                return
            self._told[id(job)] = now
        if text:
            print(f"{self._places[id(job)]} {text}", file=sys.stderr, flush=True)


class _Live:
    """A bar for all rows, and one for each measurement under way."""

    def __init__(self, jobs: Sequence[Job], progress: Progress) -> None:
        self._progress = progress
        self._rows = progress.add_task("rows", total=len(jobs), rate="")
        self._left = {id(job): set(job.measures) for job in jobs}
        self._bars: dict[int, TaskID] = {}
        self._started: dict[int, float] = {}

    def __call__(self, job: Job, event: dict[str, Any]) -> None:
        """Move the bars, and print what is finished above them."""
        now = time.monotonic()
        if event["event"] == "measuring":
            self._end_bar(job)
            self._started[id(job)] = now
            title = f"{_title(job)} {event['measure']}"
            self._bars[id(job)] = self._progress.add_task(title, total=None, rate="")
        elif event["event"] == "progress" and id(job) in self._bars:
            rate = event["done"] / max(now - self._started[id(job)], 1e-9)
            self._progress.update(
                self._bars[id(job)],
                completed=event["done"],
                total=event["total"],
                rate=f"{_rate(rate)} {event['unit']}/s",
            )
        elif event["event"] in ("told", "begun_anew"):
            self._progress.console.print(escape(describe(job, event, 0.0)))
        elif event["event"] in ("recorded", "kept"):
            self._end_bar(job)
            text = describe(job, event, now - self._started.get(id(job), now))
            self._progress.console.print(escape(text))
            self._end_row(job, event["measure"])

    def _end_bar(self, job: Job) -> None:
        if (bar := self._bars.pop(id(job), None)) is not None:
            self._progress.remove_task(bar)

    def _end_row(self, job: Job, measure: Measure) -> None:
        left = self._left[id(job)]
        left.discard(measure)
        if not left:
            self._progress.advance(self._rows)


def _rate(per_s: float) -> str:
    """Return a rate: steps of a large network take seconds, and are not 0/s."""
    return f"{per_s:.0f}" if per_s >= 10 else f"{per_s:.1f}"


def _title(job: Job) -> str:
    """Return the row's name, with its batch and shard if it has any."""
    title = job.entry.name
    if job.settings.batch_size is not None:
        title += f" batch {job.settings.batch_size}"
    return f"{title} {job.shard}" if job.shard else title


def describe(job: Job, event: dict[str, Any], seconds: float) -> str:
    """Return one line about an event; empty if there is nothing to say."""
    row = _title(job)
    kind = event["event"]
    if kind == "progress":
        rate = event["done"] / max(seconds, 1e-9)
        left_s = (event["total"] - event["done"]) / max(rate, 1e-9)
        return (
            f"{row}: {event['done']}/{event['total']} {event['unit']}, "
            f"{_rate(rate)}/s, {left_s:.0f} s left"
        )
    if kind == "told":
        return f"{row}: {event['text']}"
    if kind == "measuring":
        return f"{row}: measuring {event['measure']}"
    if kind == "begun_anew":
        return f"{row}: begun anew: its node or process died"
    if kind not in ("recorded", "kept"):
        return ""
    done = f"{event['measure']} {'kept from before' if kind == 'kept' else 'done'}"
    if event["status"] == "failed":
        before = " (kept from before; --retry-failed measures it again)" if kind == "kept" else ""
        return f"{row}: {event['measure']} FAILED: {event['reason']}{before}"
    bad, odd = event.get("bad_images") or [], event.get("odd_images") or []
    unread = f", {len(bad)} images unread" if bad else ""
    return f"{row}: {done}{unread}{_shown('unreadable', bad)}{_shown('odd', odd)}"


def _shown(what: str, lines: Sequence[str]) -> str:
    more = f"\n  … and {len(lines) - 10} more" if len(lines) > 10 else ""
    return "".join(f"\n  {what}: {line}" for line in lines[:10]) + more
