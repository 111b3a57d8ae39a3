"""All rows of a comparison: each on both sides, kept as soon as it is done."""

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.ab.process import SideProcess
from bench.ab.rounds import take_turns
from bench.ab.sides import checkout
from bench.ab.threads import fewest_threads
from bench.records import ComparedRow, Comparison, Round
from bench.stats import Judgement, conclude, is_change
from bench.store import Store
from zoo.entry import Entry
from zoo.errors import InterruptedRunError, MeasureError

# (entry's name, rounds so far, what they say)
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
    """Return the fields that an entry's row has beside its name: rounds, or a reason.

    A change is measured again, by fresh processes: see ``bench.stats.conclude_row``.
    """
    try:
        found = _open(entry, plan, sides, batch_size)
        threads = _choose_threads(sides, found)
        _use_threads(sides, threads)
        rounds = _take_turns(entry, plan, sides, listen)
        found |= {"threads": threads, "rounds": rounds}
        if is_change(conclude([one.log_ratio for one in rounds], plan.threshold)):
            for side in sides:
                side.end_row()
            _open(entry, plan, sides, batch_size)
            _use_threads(sides, threads)
            found["again"] = _take_turns(entry, plan, sides, listen, series="again")
        return found
    except MeasureError as error:
        return {"reason": str(error)}
    finally:
        for side in sides:
            side.end_row()


def _open(
    entry: Entry, plan: Comparison, sides: Sequence[SideProcess], batch_size: int | None
) -> dict[str, Any]:
    """Have both sides build the network, and return what they say of it."""
    for side in sides:
        side.check()
    for side, wanted in zip(sides, (plan.a, plan.b), strict=True):
        side.begin_row(
            {
                "entry": entry.model_dump(mode="json"),
                "settings": wanted.settings,
                "batch_size": batch_size,
            }
        )
    a, b = _all_opened(sides)
    if a["batch_size"] != b["batch_size"]:
        raise MeasureError("the sides' devices have different default batches; give --batch N")
    return {"a": a, "b": b, "batch_size": a["batch_size"]}


def _all_opened(sides: Sequence[SideProcess]) -> list[dict[str, Any]]:
    """Hear every side, so that none is left with an answer, before the first failure is raised."""
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
    """Return how many threads to use, chosen by base, or by the user; None on a GPU."""
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


def _take_turns(
    entry: Entry,
    plan: Comparison,
    sides: Sequence[SideProcess],
    listen: Listener,
    series: str = "rounds",
) -> tuple[Round, ...]:
    a, b = sides
    name = entry.name if series == "rounds" else f"{entry.name}, {series}"
    return take_turns(
        a.turn,
        b.turn,
        threshold=plan.threshold,
        budget_s=plan.budget_s,
        coin=random.Random(f"{plan.seed}:{entry.name}:{series}"),
        listen=lambda rounds, found: listen(name, rounds, found),
    )
