"""Rows on this machine: a process each, forked from a server that has torch imported once."""

import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing import connection, forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from bench import worker
from bench.conditions import ALLOCATOR_ENVIRONMENT
from bench.plan import Job, Settings
from bench.records import Measure, Record, RowKey
from bench.store import Store
from zoo.entry import Entry
from zoo.errors import InterruptedRunError, StoreError, ZoobenchError

# (job, event): what a worker said, as it says it.
Listener = Callable[[Job, dict[str, Any]], None]

_CONTEXT = multiprocessing.get_context("forkserver")
_PRELOAD = ["bench.worker", "torch", "torchvision", "timm", "bench.measure.accuracy"]


def check(entries: Sequence[Entry], settings: Settings, *, where: str) -> None:
    """Check in a process that has torch that the device and all entries exist.

    Raises:
        ZoobenchError: what a user has to mend before anything can be measured; ``where`` names
            the manifest.
    """
    with _log() as log:
        process, pipe = _start(worker.check_main, (list(entries), settings, where, log))
        try:
            problem = pipe.recv()
        except EOFError:
            process.join()
            raise ZoobenchError(f"the first worker died: {_death(process, log)}") from None
        process.join()
    if problem:
        raise ZoobenchError(problem)


def run(jobs: Sequence[Job], *, timeout_s: float | None, listen: Listener) -> bool:
    """Measure the rows one after another; return whether every one of them was measured.

    A row that raises, dies or overruns ``timeout_s`` costs itself only: its reason is recorded.

    Raises:
        StoreError: results cannot be kept, so that going on would lose them.
    """
    all_well = True
    try:
        for job in jobs:
            all_well &= _run_row(job, timeout_s, listen)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "interrupted; what is measured is kept, and the same command goes on from here"
        ) from None
    return all_well


def _run_row(job: Job, timeout_s: float | None, listen: Listener) -> bool:
    well = True
    left = list(job.measures)
    keys: dict[Measure, RowKey] = {}
    started = time.monotonic()
    deadline = None if timeout_s is None else started + timeout_s
    with _log() as log:
        process, pipe = _start(worker.main, (job, log))
        try:
            for event in _events(pipe, deadline):
                if event["event"] == "store_failed":
                    raise StoreError(event["reason"])
                if event["event"] == "keys":
                    keys = {name: RowKey(**key) for name, key in event["keys"].items()}
                elif event["event"] in ("recorded", "kept"):
                    left.remove(event["measure"])
                    well &= event["status"] == "measured" and not event.get("bad_images")
                listen(job, event)
            overrun = f"overran the timeout of {timeout_s:g} s" if timeout_s else ""
            reason = overrun if process.is_alive() and left else ""
            if left and not reason:
                process.join()
                reason = _death(process, log)
        finally:
            process.kill()
            process.join()
            pipe.close()
    for measure in left:
        key = keys.get(measure, RowKey(entry=job.entry.name, network=job.entry.network_id))
        _record_failure(job, measure, key, reason, time.monotonic() - started)
        listen(job, {"event": "recorded", "measure": measure, "status": "failed", "reason": reason})
    return well and not left


def _events(pipe: connection.Connection, deadline: float | None) -> Iterator[dict[str, Any]]:
    """Yield what the worker says until it is done, dead, or past the deadline."""
    while True:
        wait_s = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not pipe.poll(wait_s):
            return
        try:
            event = pipe.recv()
        except (EOFError, ConnectionResetError):
            return
        if event["event"] == "done":
            return
        yield event


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


def _start(
    target: Callable[..., None], arguments: tuple[Any, ...]
) -> tuple[ForkServerProcess, connection.Connection]:
    ours, theirs = _CONTEXT.Pipe()
    _CONTEXT.set_forkserver_preload(_PRELOAD)
    with _environment(ALLOCATOR_ENVIRONMENT):
        forkserver.ensure_running()
    process = _CONTEXT.Process(target=target, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()
    return process, ours


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


@contextmanager
def _log() -> Iterator[str]:
    """Yield a file for what a worker prints, and remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix="zoobench-") as folder:
        yield str(Path(folder) / "worker.log")


def _death(process: ForkServerProcess, log: str) -> str:
    """Say how a worker died, with its last words."""
    code = process.exitcode or 0
    cause = f"exit code {code}"
    if code < 0:
        cause = f"killed by {signal.Signals(-code).name}"
        if -code == signal.SIGKILL:
            cause += " (out of memory?)"
    path = Path(log)
    lines = path.read_text(errors="replace").strip().splitlines() if path.is_file() else []
    return f"the worker died: {cause}" + (f": {lines[-1]}" if lines else "")
