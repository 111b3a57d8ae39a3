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
        while (answer := process.pipe.recv()) is not None:
            yield answer
    except (EOFError, OSError):  # also in the middle of a message
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


def run_placed(job: Job, *, timeout_s: float | None, listen: Listener) -> bool:
    """Measure one row whose place is given already; return whether all of it was measured.

    Raises:
        StoreError: results cannot be kept.
    """
    row = _Row(job, job, timeout_s, listen)
    try:
        while row.goes_on():
            connection.wait([row.pipe], _shortest_wait_s([row]))
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


def _shortest_wait_s(running: Sequence["_Row"]) -> float | None:
    deadlines = [row.deadline for row in running if row.deadline is not None]
    return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None


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
        fork_server.start()
        self._folder = tempfile.TemporaryDirectory(prefix="zoobench-")
        self._log = Path(self._folder.name) / "worker.log"
        self.pipe, theirs = fork_server.CONTEXT.Pipe()
        self._process = fork_server.CONTEXT.Process(
            target=target, args=(*arguments, str(self._log), theirs)
        )
        self._process.start()
        theirs.close()

    def last_words(self) -> str:
        """Wait for its end, and say how it died, with the last line that it printed."""
        self._process.join()
        printed = self._log.read_text(errors="replace") if self._log.is_file() else ""
        return last_words(self._process.exitcode or 0, printed)

    def end(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.join()
        self.pipe.close()
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
        self.pipe = self._worker.pipe

    def goes_on(self) -> bool:
        """Hear what the worker has said; return False once it is done, dead or late."""
        while self.pipe.poll():
            try:
                event = self.pipe.recv()
            except (EOFError, OSError):  # also in the middle of a message
                self._reason = self._worker.last_words()
                return False
            if event["event"] == "done":
                return False
            self._ledger.hear(event)
        late = self.deadline is not None and time.monotonic() >= self.deadline
        if late:
            self._reason = f"overran the timeout of {self._timeout_s:g} s"
        return not late

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
    fork_server.start()
    process = fork_server.CONTEXT.Process(target=target, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise ZoobenchError(f"{target.__name__} failed with exit code {process.exitcode}")
