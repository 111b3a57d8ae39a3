"""Rows on this machine: a process each, forked from a server that has torch imported once."""

import multiprocessing
import os
import signal
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing import connection, forkserver
from pathlib import Path
from typing import Any

from bench import worker
from bench.conditions import ALLOCATOR_ENVIRONMENT, cores
from bench.plan import Job, Settings
from bench.records import Measure, Record, RowKey
from bench.store import Store
from zoo.entry import Entry
from zoo.errors import InterruptedRunError, StoreError, ZoobenchError

# (job, event): what a worker said, as it says it.
Listener = Callable[[Job, dict[str, Any]], None]

_CONTEXT = multiprocessing.get_context("forkserver")
_PRELOAD = ["bench.executors.preload"]


def check(entries: Sequence[Entry], settings: Settings, *, where: str) -> None:
    """Check in a process that has torch that the device and all entries exist.

    Raises:
        ZoobenchError: what a user has to mend before anything can be measured; ``where`` names
            the manifest.
    """
    problems = list(ask(worker.check_main, list(entries), settings, where))
    if problems:
        raise ZoobenchError(problems[0])


def ask(target: Callable[..., None], *arguments: Any) -> Iterator[Any]:
    """Yield what a function sends from a process of its own, until it sends None.

    Args:
        target: called with the arguments, a log's file name and a pipe to send through.
        arguments: what is to be answered.

    Raises:
        ZoobenchError: the process died.
    """
    process = _Worker(target, *arguments)
    try:
        while (answer := process.pipe.recv()) is not None:
            yield answer
    except EOFError:
        raise ZoobenchError(process.last_words()) from None
    finally:
        process.end()


def run(jobs: Sequence[Job], *, timeout_s: float | None, listen: Listener) -> bool:
    """Measure the rows; return whether every one of them was measured.

    Rows are measured one after another, so that none disturbs another's timing; rows that only
    count stand side by side, one a core. A row that raises, dies or overruns ``timeout_s`` costs
    itself only: its reason is recorded.

    Raises:
        StoreError: results cannot be kept, so that going on would lose them.
        InterruptedRunError: Ctrl-C.
    """
    waiting = deque(jobs)
    running: list[_Row] = []
    all_well = True
    try:
        while waiting or running:
            while waiting and _may_start(waiting[0], running):
                running.append(_Row(waiting.popleft(), timeout_s, listen))
            connection.wait([row.pipe for row in running], _shortest_wait_s(running))
            for row in [row for row in running if not row.goes_on()]:
                running.remove(row)
                all_well &= row.end()
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "interrupted; what is measured is kept, and the same command goes on from here"
        ) from None
    finally:
        for row in running:
            row.kill()
    return all_well


def _may_start(job: Job, running: Sequence["_Row"]) -> bool:
    if not running:
        return True
    counting = job.only_counts and all(row.job.only_counts for row in running)
    return counting and len(running) < cores()


def _shortest_wait_s(running: Sequence["_Row"]) -> float | None:
    deadlines = [row.deadline for row in running if row.deadline is not None]
    return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None


class _Worker:
    """A process, the pipe to it, and the log of what it prints."""

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        _serve()
        self._folder = tempfile.TemporaryDirectory(prefix="zoobench-")
        self._log = Path(self._folder.name) / "worker.log"
        self.pipe, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(
            target=target, args=(*arguments, str(self._log), theirs), daemon=True
        )
        self._process.start()
        theirs.close()

    def last_words(self) -> str:
        """Wait for its end, and say how it died, with the last line that it printed."""
        self._process.join()
        code = self._process.exitcode or 0
        cause = f"exit code {code}"
        if code < 0:
            cause = f"killed by {signal.Signals(-code).name}"
            if -code == signal.SIGKILL:
                cause += " (out of memory?)"
        printed = self._log.read_text(errors="replace") if self._log.is_file() else ""
        lines = printed.strip().splitlines()
        return f"the worker died: {cause}" + (f": {lines[-1]}" if lines else "")

    def end(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.join()
        self.pipe.close()
        self._folder.cleanup()


class _Row:
    """A row under way: its worker, and which measurements are still to come."""

    def __init__(self, job: Job, timeout_s: float | None, listen: Listener) -> None:
        self.job = job
        self._timeout_s = timeout_s
        self._listen = listen
        self._started = time.monotonic()
        self.deadline = None if timeout_s is None else self._started + timeout_s
        self._left = list(job.measures)
        self._keys: dict[Measure, RowKey] = {}
        self._well = True
        self._reason = ""
        self._worker = _Worker(worker.main, job)
        self.pipe = self._worker.pipe

    def goes_on(self) -> bool:
        """Hear what the worker has said; return False once it is done, dead or late."""
        while self.pipe.poll():
            try:
                event = self.pipe.recv()
            except (EOFError, ConnectionResetError):
                self._reason = self._worker.last_words()
                return False
            if event["event"] == "done":
                return False
            self._hear(event)
        late = self.deadline is not None and time.monotonic() >= self.deadline
        if late:
            self._reason = f"overran the timeout of {self._timeout_s:g} s"
        return not late

    def _hear(self, event: dict[str, Any]) -> None:
        if event["event"] == "store_failed":
            raise StoreError(event["reason"])
        if event["event"] == "keys":
            self._keys = {name: RowKey(**key) for name, key in event["keys"].items()}
        elif event["event"] in ("recorded", "kept"):
            self._left.remove(event["measure"])
            self._well &= event["status"] == "measured" and not event.get("bad_images")
        self._listen(self.job, event)

    def end(self) -> bool:
        """Record why measurements are missing, if any are; return whether all went well."""
        self.kill()
        entry = self.job.entry
        for measure in self._left:
            key = self._keys.get(measure, RowKey(entry=entry.name, network=entry.network_id))
            seconds = time.monotonic() - self._started
            _record_failure(self.job, measure, key, self._reason, seconds)
            event = {"event": "recorded", "measure": measure, "status": "failed"}
            self._listen(self.job, {**event, "reason": self._reason})
        return self._well and not self._left

    def kill(self) -> None:
        """End the worker."""
        self._worker.end()


def in_worker(target: Callable[..., None], *arguments: Any) -> None:
    """Call a function in a process with the workers' environment, output and all; wait for it.

    Raises:
        ZoobenchError: it died, or raised (its traceback is on standard error).
    """
    _serve()
    process = _CONTEXT.Process(target=target, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise ZoobenchError(f"{target.__name__} failed with exit code {process.exitcode}")


def _record_failure(job: Job, measure: Measure, key: RowKey, reason: str, seconds: float) -> None:
    """Keep the reason of a row whose worker could not."""
    record = Record(
        measure=measure,
        key=key,
        status="failed",
        reason=reason,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=seconds,
        conditions={"settings": job.settings.model_dump()},
    )
    Store(job.store).append(record)


def _serve() -> None:
    """Start the fork server, if it is not running, with the allocator's settings."""
    _CONTEXT.set_forkserver_preload(_PRELOAD)
    with _environment(ALLOCATOR_ENVIRONMENT):
        forkserver.ensure_running()


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set variables for a process to inherit; what the user has set himself stays."""
    missing = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(missing)
    try:
        yield
    finally:
        for name in missing:
            del os.environ[name]
