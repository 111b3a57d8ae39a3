"""One row in one process: resolve it, skip what the store has, measure the rest, keep each record.

Runs in a child process; speaks to its parent in small dictionaries over a pipe.
"""

import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from bench import conditions
from bench.executors import Placement
from bench.executors.ledger import told
from bench.measure import Batch, Result, Row, measure
from bench.plan import Job, Settings
from bench.records import NOT_CHECKED, Accuracy, Complexity, Measure, Record, RowKey, Timed, now
from bench.stats import median_rse
from bench.store import Store
from zoo import build
from zoo.entry import Entry
from zoo.errors import StoreError, ZoobenchError, with_type

Send = Callable[[dict[str, Any]], None]


def check_main(
    entries: list[Entry],
    settings: Settings,
    placement: Placement,
    where: str,
    log: str,
    pipe: Connection,
) -> None:
    """Check the settings and every entry in a process that has torch; send what is wrong."""
    from bench.measure import execution  # torch, which the parent does without

    redirect_output(log)
    try:
        for device in placement.devices:
            resolved = conditions.resolve_device(device)
            execution.check(settings, resolved)
            _check_workers(placement.workers, resolved)
    except ZoobenchError as error:
        pipe.send(str(error))
    try:
        for entry in entries:
            build.check(entry)
    except ZoobenchError as error:
        pipe.send(f"{where}: {error}")
    pipe.send(None)


def preprocess_main(entries: list[Entry], log: str, pipe: Connection) -> None:
    """Send the resolved preprocessing of each entry, or None where it cannot be had."""
    redirect_output(log)
    for entry in entries:
        try:
            preprocess = build.preprocess(entry)
            pipe.send((entry.name, preprocess if preprocess.takes_photographs else None))
        except ZoobenchError:  # its row will say why
            pipe.send((entry.name, None))
    pipe.send(None)


def _check_workers(workers: int, device: str) -> None:
    """Raise ZoobenchError if so many rows cannot share the device."""
    if workers > 1 and device.startswith("cuda"):
        raise ZoobenchError(
            "--workers is for a CPU: a GPU measures one row at a time; name several, like "
            "--device cuda:0,cuda:1"
        )
    if workers > conditions.cores():
        raise ZoobenchError(f"--workers {workers}: this machine has {conditions.cores()} cores")


def main(job: Job, log: str, pipe: Connection) -> None:
    """Measure one row. Never raises: what goes wrong is sent, and recorded as the row's reason."""
    import torch  # which the parent does without

    redirect_output(log)
    _die_with(pipe)
    if job.cores is not None or conditions.cores() < torch.get_num_threads():
        conditions.limit_cores(job.cores or conditions.cores())
    lock = threading.Lock()

    def send(event: dict[str, Any]) -> None:
        with lock:
            pipe.send(event)

    usable = True
    try:
        usable = _measure_row(job, send)
    except StoreError as error:
        send({"event": "store_failed", "reason": str(error)})
    send({"event": "done" if usable else "unusable"})


def _measure_row(job: Job, send: Send) -> bool:
    """Measure the row; return False, at once, if an error has left this process unusable."""
    from bench.measure import memory  # torch, which the parent does without

    def progress(done: int, total: int, unit: str) -> None:
        send({"event": "progress", "done": done, "total": total, "unit": unit})

    device = conditions.resolve_device(job.settings.device)
    if device == "cpu" and job.is_timed:
        memory.map_files_as(os.getppid())
    notes: list[str] = []

    def tell(text: str) -> None:
        notes.append(text)
        send({"event": "told", "text": text})

    store = Store(job.store)
    row = Row(job, device, conditions.device_name(device), progress, tell)
    row = _with_earlier_batch(row, store)
    keys = {name: _key(row, name) for name in job.measures}
    send({"event": "keys", "keys": {name: key.model_dump() for name, key in keys.items()}})
    _report_input_size(row)
    return all(_measure_once(name, key, row, notes, store, send) for name, key in keys.items())


def _report_input_size(row: Row) -> None:
    try:
        note = build.input_size_note(row.entry)
    except ZoobenchError:  # each measurement fails with it, and its record says so
        return
    if note:
        row.tell(note)


def _key(row: Row, name: Measure) -> RowKey:
    """Return the measurement's key, or as much of it as is known when the rest cannot be had."""
    try:
        return row.key(name)
    except ZoobenchError:
        return RowKey(entry=row.entry.name, network=row.entry.network_id)


def _with_earlier_batch(row: Row, store: Store) -> Row:
    """Return the row with the automatic batch that an earlier run found, if one did.

    Memory that is available varies: a new search would find another batch, another row.
    """
    if row.job.settings.batch_size != "auto":
        return row
    for _, record in store.records(row.entry.name):
        known = record.conditions.get("batch") or {}
        if known.get("policy") == "auto" and set(row.job.measures) <= set(known["measures"]):
            batch = Batch(record.key.batch_size or 0, "auto", known["note"])
            candidate = replace(row, found=batch)
            if _key(candidate, record.measure) == record.key:
                return candidate
    return row


def _batch(row: Row, key: RowKey) -> dict[str, Any] | None:
    """Return how the batch of a measurement came about; None where it has none."""
    if key.batch_size is None:
        return None
    return {
        "policy": row.batch.policy,
        "note": row.batch.note,
        "measures": list(row.job.measures),
    }


def _measure_once(
    name: Measure, key: RowKey, row: Row, notes: list[str], store: Store, send: Send
) -> bool:
    """Measure, unless the store has it; return whether this process can measure anything more."""
    from bench.measure.execution import is_sticky  # torch, which the parent does without

    earlier = store.newest(name, key)
    if earlier and _suffices(earlier, row.job):
        send({**told(earlier), "event": "kept"})
        return True
    send({"event": "measuring", "measure": name})
    load_before = conditions.load_average()
    started = time.perf_counter()
    started_at = now()
    result: Result | None = None
    reason = None
    usable = True
    try:
        result = measure(name, row)
    except Exception as error:  # whatever a model does, it costs one row
        if not isinstance(error, ZoobenchError):
            traceback.print_exc()
        reason = _reason(error)
        usable = not is_sticky(error)
    record = Record(
        measure=name,
        key=key,
        status="failed" if result is None else "measured",
        reason=reason,
        evidence=None if result is None else result.evidence,
        started_at=started_at,
        seconds=time.perf_counter() - started,
        conditions={
            **conditions.collect(row.device, load_before),
            "batch": _batch(row, key),
            "alone": row.job.alone,
            **({} if result is None else result.conditions),
            "notes": list(notes),
        },
    )
    store.append(record, None if result is None else result.predictions)
    send({**told(record), "event": "recorded"})
    return usable


def _suffices(earlier: Record, job: Job) -> bool:
    """Return whether an earlier record answers what the job asks."""
    unread = isinstance(earlier.evidence, Accuracy) and earlier.evidence.bad_images
    if earlier.status == "failed" or unread:
        return not job.retry_failed
    if isinstance(earlier.evidence, Timed):
        return job.target_rse is None or _is_exact(earlier.evidence, job.target_rse)
    unchecked = (
        isinstance(earlier.evidence, Complexity) and earlier.evidence.fvcore_note == NOT_CHECKED
    )
    return not (unchecked and "crosscheck" in job.figures)


def _is_exact(evidence: Timed, target_rse: float) -> bool:
    """Return whether a median is as exact as asked, or was tried to be made so up to a cap."""
    tried = evidence.sampling and evidence.sampling.target_rse
    return median_rse(evidence.steps_s) <= target_rse or (tried or math.inf) <= target_rse


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, ZoobenchError) else with_type(error)


def redirect_output(log: str) -> None:
    """Send what the model prints to a log, which keeps the run's own output clean."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sys.stdout.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def _die_with(pipe: Connection) -> None:
    """End this process's group when the parent is gone, however it went."""

    def watch() -> None:
        try:
            pipe.recv()
        except (EOFError, OSError):
            os.killpg(os.getpid(), signal.SIGKILL)  # with what the model has started

    threading.Thread(target=watch, daemon=True).start()
