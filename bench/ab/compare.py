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
from bench.stats import Judgement
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
    """Return the fields that an entry's row has beside its name: rounds, or a reason."""
    row = _Row(entry, plan, sides, batch_size)
    try:
        opened = row.open()
        return {**opened, "rounds": row.take_turns(listen), "threads": row.threads}
    except MeasureError as error:
        return {"reason": str(error)}
    finally:
        row.close()


class _Row:
    """An entry on both sides, in processes that can be renewed."""

    def __init__(
        self,
        entry: Entry,
        plan: Comparison,
        sides: Sequence[SideProcess],
        batch_size: int | None,
    ) -> None:
        self._entry = entry
        self._plan = plan
        self._sides = sides
        self._batch_size = batch_size
        self._opening_s = 0.0
        self.threads: int | None = None

    def open(self) -> dict[str, Any]:
        """Have both sides build the network and run it, and return what they say of it."""
        for side in self._sides:
            side.check()
        started = time.monotonic()
        a, b = self._fork()
        self._opening_s = time.monotonic() - started
        if a["batch_size"] != b["batch_size"]:
            raise MeasureError("the sides' devices have different default batches; give --batch N")
        self._choose_threads(a["conditions"], b["conditions"])
        return {"a": a, "b": b, "batch_size": a["batch_size"]}

    def take_turns(self, listen: Listener) -> tuple[Round, ...]:
        """Return the row's rounds."""
        a, b = self._sides
        return take_turns(
            a.turn,
            b.turn,
            renew=self._renew,
            opening_s=self._opening_s,
            threshold=self._plan.threshold,
            budget_s=self._plan.budget_s,
            coin=random.Random(f"{self._plan.seed}:{self._entry.name}"),
            listen=lambda rounds, found: listen(self._entry.name, rounds, found),
        )

    def close(self) -> None:
        """End the row's processes."""
        for side in self._sides:
            side.end_row()

    def _renew(self) -> None:
        self.close()
        self._fork()
        self._use_threads()

    def _fork(self) -> list[dict[str, Any]]:
        """Hear every side, so that none is left with an answer, before a failure is raised."""
        wanted = {"entry": self._entry.model_dump(mode="json"), "batch_size": self._batch_size}
        for side, said in zip(self._sides, (self._plan.a, self._plan.b), strict=True):
            side.begin_row({**wanted, "settings": said.settings})
        opened, failed = [], []
        for side in self._sides:
            try:
                opened.append(side.opened())
            except MeasureError as error:
                failed.append(str(error))
        if failed:
            raise MeasureError("; ".join(failed))
        return opened

    def _choose_threads(self, a: dict[str, Any], b: dict[str, Any]) -> None:
        """Choose the threads by base, unless the user has; nothing is chosen for a GPU."""
        if a["device"] == b["device"] == "cpu":
            most = min(a["torch_threads"], b["torch_threads"])
            chosen = "OMP_NUM_THREADS" in os.environ
            self.threads = most if chosen else fewest_threads(self._sides[0], most)
            self._use_threads()

    def _use_threads(self) -> None:
        if self.threads is not None:
            for side in self._sides:
                side.use_threads(self.threads)
