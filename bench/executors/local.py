"""Rows on this machine: a process each, forked from a server that has torch imported once."""

import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import connection
from pathlib import Path
from typing import Any

from bench import fork_server, worker
from bench.conditions import cores
from bench.executors import Listener, Placement
from bench.executors.ledger import Ledger
from bench.executors.places import choose
from bench.plan import Job, Settings
from zoo.entry import Entry
from zoo.errors import InterruptedRunError, ZoobenchError

_HERE = Placement()


def check(
    entries: Sequence[Entry], settings: Settings, placement: Placement = _HERE, *, where: str
) -> str | None:
    """Check in a process that has torch that the devices and all entries exist.

    Raises:
        ZoobenchError: what a user has to mend before anything can be measured; ``where`` names
            the manifest.
    """
    problems = list(ask(worker.check_main, list(entries), settings, placement, where))
    if problems:
        raise ZoobenchError(problems[0])
    return None


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
        while (answer := process.receive()) is not None:
            yield answer
    except (EOFError, OSError):
        raise ZoobenchError(process.last_words()) from None
    finally:
        process.end()


def run(
    jobs: Sequence[Job],
    *,
    placement: Placement = _HERE,
    timeout_s: float | None,
    listen: Listener,
) -> bool:
    """Measure the rows; return whether every one of them was measured.

    Each device measures one row at a time, so that none disturbs another's timing. Rows that only
    count stand side by side, one a core; so do evaluations on a CPU if ``placement.workers`` says
    so. A row that raises, dies or overruns ``timeout_s`` costs itself only: its reason is recorded.

    Raises:
        StoreError: results cannot be kept, so that going on would lose them.
        InterruptedRunError: Ctrl-C.
    """
    waiting = list(jobs)
    running: list[_Row] = []
    all_well = True
    try:
        while waiting or running:
            while started := _start_one(waiting, running, placement, timeout_s, listen):
                running.append(started)
            _wait(running)
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


def run_placed(job: Job, *, timeout_s: float | None, listen: Listener) -> bool:
    """Measure one row whose place is given already; return whether all of it was measured.

    Raises:
        StoreError: results cannot be kept.
    """
    row = _Row(job, job, timeout_s, listen)
    try:
        while row.goes_on():
            _wait([row])
        return row.end()
    finally:
        row.kill()


def _start_one(
    waiting: list[Job],
    running: Sequence["_Row"],
    placement: Placement,
    timeout_s: float | None,
    listen: Listener,
) -> "_Row | None":
    """Start a row that may start now, if one may."""
    placed = [row.placed for row in running]
    chosen = choose(waiting, placed, placement, cores())
    if chosen is None:
        return None
    job, place = chosen
    waiting.remove(job)
    return _Row(job, place.given_to(job), timeout_s, listen)


def _wait(running: Sequence["_Row"]) -> None:
    """Wait until a worker sends something or dies, or a row's deadline has come."""
    deadlines = [row.deadline for row in running if row.deadline is not None]
    timeout_s = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
    connection.wait([source for row in running for source in row.sources], timeout_s)


def last_words(code: int, printed: str) -> str:
    """Return how a process died, of its exit code, with the last line of what it printed."""
    cause = f"exit code {code}"
    if code < 0:
        cause = f"killed by {signal.Signals(-code).name}"
        if -code == signal.SIGKILL:
            cause += " (out of memory?)"
    lines = printed.strip().splitlines()
    return f"the worker died: {cause}" + (f": {lines[-1]}" if lines else "")


class _Worker:
    """A process, the pipe to it, and the log of what it prints."""

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="zoobench-")
        self._log = Path(self._folder.name) / "worker.log"
        self._pipe, theirs = fork_server.CONTEXT.Pipe()
        self._fork = fork_server.Fork(target, *arguments, str(self._log), theirs)
        theirs.close()
        # What becomes ready when it sends something or dies. Its pipe does not show its death: a
        # process that it has started may keep the other end open.
        self.sources = (self._pipe, self._fork.sentinel)

    def has_news(self) -> bool:
        """Return whether it has sent something or died."""
        return bool(connection.wait(self.sources, 0))

    def receive(self) -> Any:
        """Return what it sends next.

        Raises:
            EOFError: it died, and all that it sent has been returned.
            OSError: it died in the middle of a message.
        """
        if self._fork.sentinel in connection.wait(self.sources):
            self._fork.kill()  # what it has started, which could keep half a message waiting
            if not self._pipe.poll():
                raise EOFError
        return self._pipe.recv()

    def last_words(self) -> str:
        """Wait for its end, and return how it died, with the last line that it printed."""
        code = self._fork.join()
        if code is None:
            return "the fork server died, and the worker with it (out of memory?)"
        printed = self._log.read_text(errors="replace") if self._log.is_file() else ""
        return last_words(code, printed)

    def end(self) -> None:
        """End it and what it has started."""
        self._fork.kill()
        self._pipe.close()
        self._folder.cleanup()


class _Row:
    """A row under way: its worker, and what it has told so far."""

    def __init__(self, job: Job, placed: Job, timeout_s: float | None, listen: Listener) -> None:
        self.placed = placed
        self._timeout_s = timeout_s
        self._ledger = Ledger(job, listen)
        self._reason = ""
        self._worker = _Worker(worker.main, placed)
        self.deadline = None if timeout_s is None else time.monotonic() + timeout_s

    @property
    def sources(self) -> tuple[connection.Connection, int]:
        """Return what becomes ready when the worker sends something or dies."""
        return self._worker.sources

    def goes_on(self) -> bool:
        """Hear what the worker has said; return False once it is done, dead or late."""
        while self._worker.has_news():
            try:
                event = self._worker.receive()
            except (EOFError, OSError):
                self._reason = self._worker.last_words()
                return False
            if event["event"] == "done":
                return False
            if event["event"] == "unusable":
                return self._restart()
            self._ledger.hear(event)
        late = self.deadline is not None and time.monotonic() >= self.deadline
        if late:
            self._reason = f"overran the timeout of {self._timeout_s:g} s"
        return not late

    def _restart(self) -> bool:
        """Measure the rest of the row in another process; return False if nothing is left."""
        if rest := self._ledger.rest_of(self.placed):
            self.kill()
            self._worker = _Worker(worker.main, rest)
        return rest is not None

    def end(self) -> bool:
        """Record why measurements are missing, if any are; return whether all went well."""
        self.kill()
        return self._ledger.close(self._reason)

    def kill(self) -> None:
        """End the worker."""
        self._worker.end()


def in_worker(target: Callable[..., None], *arguments: Any) -> None:
    """Call a function in a process with the workers' environment, output and all; wait for it.

    Raises:
        ZoobenchError: it died, or raised (its traceback is on standard error).
    """
    process = fork_server.Fork(target, *arguments)
    try:
        code = process.join()
    finally:
        process.kill()
    if code != 0:
        raise ZoobenchError(f"{target.__name__} failed with exit code {code}")
