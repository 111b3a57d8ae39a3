"""All rows of a comparison: each on both sides, kept as soon as it is done."""

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.ab.pairs import Name, Turn, take_pairs
from bench.ab.process import SideProcess
from bench.ab.sides import checkout
from bench.ab.threads import fewest_threads
from bench.records import ComparedRow, Comparison
from bench.stats import Judgement
from bench.store import Store
from zoo.entry import Entry
from zoo.errors import InterruptedRunError, MeasureError

# (entry's name, pairs so far, what they say)
Listener = Callable[[str, int, Judgement], None]


def compare(
    entries: Sequence[Entry],
    plan: Comparison,
    *,
    repository: Path,
    batch_size: int | None,
    store: Store,
    listen: Listener,
) -> tuple[Comparison, str]:
    """Compare every entry; return the comparison with all rows, and the path it is kept at.

    The file is written anew after each row. A row that fails says why, and costs itself only.

    Raises:
        ZoobenchError: a revision cannot be checked out, or the store cannot be written.
        InterruptedRunError: Ctrl-C.
    """
    name = f"ab/{datetime.now(UTC).strftime('%Y%m%dT%H%M%S%f')}.json"
    path = store.write_report(name, plan.model_dump_json().encode())
    try:
        for row in _rows(entries, plan, repository, batch_size, listen):
            plan = plan.model_copy(update={"rows": (*plan.rows, row)})
            store.write_report(name, plan.model_dump_json().encode())
    except KeyboardInterrupt:
        raise InterruptedRunError(f"interrupted; the rows that were done are in {path}") from None
    return plan, path


def _rows(
    entries: Sequence[Entry],
    plan: Comparison,
    repository: Path,
    batch_size: int | None,
    listen: Listener,
) -> Iterator[ComparedRow]:
    with ExitStack() as stack:
        sides = []
        for name, side in (("a", plan.a), ("b", plan.b)):
            folder = stack.enter_context(checkout(repository, side))
            process = SideProcess(name, side.python, folder)
            stack.callback(process.end)
            sides.append(process)
        for entry in entries:
            started = time.monotonic()
            found = _compare_entry(entry, plan, sides, batch_size, listen)
            yield ComparedRow(
                entry=entry.name,
                network=entry.network_id,
                status="failed" if "reason" in found else "measured",
                seconds=time.monotonic() - started,
                **found,
            )


def _compare_entry(
    entry: Entry,
    plan: Comparison,
    sides: Sequence[SideProcess],
    batch_size: int | None,
    listen: Listener,
) -> dict[str, Any]:
    """Return the fields of an entry's row except its name: pairs, or a reason.

    A first opening, which is not measured, chooses the threads of all pairs and fills the caches.
    """
    requests = _requests(entry, plan, batch_size)

    @contextmanager
    def open_pair(first: Name) -> Iterator[tuple[Turn, Turn]]:
        with _opened(sides, requests, first):
            _use_threads(sides, threads)
            a, b = sides
            yield a.turn, b.turn

    try:
        with _opened(sides, requests, "a") as answers:
            threads = _choose_threads(sides, answers)
        pairs = take_pairs(
            open_pair,
            threshold=plan.threshold,
            budget_s=plan.budget_s,
            coin=random.Random(f"{plan.seed}:{entry.name}"),
            listen=lambda count, found: listen(entry.name, count, found),
        )
    except MeasureError as error:
        return {"reason": str(error)}
    return {
        **answers,
        "batch_size": answers["a"]["batch_size"],
        "threads": threads,
        "pairs": pairs,
    }


def _requests(entry: Entry, plan: Comparison, batch_size: int | None) -> list[dict[str, Any]]:
    """Return what each side's process is asked to build."""
    return [
        {
            "entry": entry.model_dump(mode="json"),
            "settings": side.settings,
            "batch_size": batch_size,
        }
        for side in (plan.a, plan.b)
    ]


@contextmanager
def _opened(
    sides: Sequence[SideProcess], requests: Sequence[dict[str, Any]], first: Name
) -> Iterator[dict[str, Any]]:
    """Start a fresh process of each side, ``first`` before the other; yield what they answer.

    Raises:
        MeasureError: a network cannot be built or run, or a process died.
    """
    for side in sides:
        side.check()
    start = list(zip(sides, requests, strict=True))
    try:
        for side, request in start if first == "a" else reversed(start):
            side.begin_row(request)
        a, b = _all_opened(sides)
        if a["batch_size"] != b["batch_size"]:
            raise MeasureError("the sides' devices have different default batches; give --batch N")
        yield {"a": a, "b": b}
    finally:
        for side in sides:
            side.end_row()


def _all_opened(sides: Sequence[SideProcess]) -> list[dict[str, Any]]:
    """Read every side's answer, so that none is left over, before the first failure is raised."""
    opened, failed = [], []
    for side in sides:
        try:
            opened.append(side.opened())
        except MeasureError as error:
            failed.append(str(error))
    if failed:
        raise MeasureError("; ".join(failed))
    return opened


def _choose_threads(sides: Sequence[SideProcess], opened: dict[str, Any]) -> int | None:
    """Return the number of threads, chosen by base, or by the user; None on a GPU."""
    a, b = (opened[name]["conditions"] for name in "ab")
    if a["device"] != "cpu" or b["device"] != "cpu":
        return None
    most = min(a["torch_threads"], b["torch_threads"])
    return most if "OMP_NUM_THREADS" in os.environ else fewest_threads(sides[0], most)


def _use_threads(sides: Sequence[SideProcess], threads: int | None) -> None:
    if threads is None:  # a GPU
        return
    for side in sides:
        side.use_threads(threads)
