"""What a row has told so far, and what has to be recorded in its place when it tells no more."""

import time
from collections.abc import Iterable
from typing import Any

from bench.executors import Listener
from bench.plan import Job
from bench.records import MEASURE_OF, Accuracy, BadImage, Measure, Record, RowKey, now
from bench.store import Store
from zoo.errors import StoreError


class Ledger:
    """The measurements of a row: which are in the store, which are still to come.

    Args:
        job: the row.
        listen: is told every event.
    """

    def __init__(self, job: Job, listen: Listener) -> None:
        self._job = job
        self._listen = listen
        self._started = time.monotonic()
        self._started_at = now()
        self._left = list(job.measures)
        self._keys: dict[Measure, RowKey] = {}
        self._well = True

    def hear(self, event: dict[str, Any]) -> None:
        """Note what the worker says, and pass it on.

        A row that is begun anew on another machine may tell of a measurement twice; it counts once.

        Raises:
            StoreError: the worker could not keep a result.
        """
        if event["event"] == "store_failed":
            raise StoreError(event["reason"])
        if event["event"] == "keys":
            self._keys |= {name: RowKey(**key) for name, key in event["keys"].items()}
        elif event["event"] in ("recorded", "kept"):
            if event["measure"] not in self._left:
                return
            self._left.remove(event["measure"])
            self._well &= event["status"] == "measured" and not event.get("bad_images")
        self._listen(self._job, event)

    def rest_of(self, placed: Job) -> Job | None:
        """Return a job that measures what is still to come; None if nothing is."""
        figures = tuple(name for name in placed.figures if MEASURE_OF[name] in self._left)
        return placed.model_copy(update={"figures": figures}) if figures else None

    def close(self, reason: str) -> bool:
        """Record why measurements are missing, if any are; return whether all went well."""
        for measure in list(self._left):
            record = self._untold(measure) or self._record_failure(measure, reason)
            self.hear({"event": "recorded", **told(record)})
        return self._well

    def _untold(self, measure: Measure) -> Record | None:
        """Return what the row measured and could not tell any more, because it was killed."""
        key = self._keys.get(measure)
        record = key and Store(self._job.store).newest(measure, key)
        return record if record and self._started_at <= record.started_at <= now() else None

    def _record_failure(self, measure: Measure, reason: str) -> Record:
        entry = self._job.entry
        key = self._keys.get(measure, RowKey(entry=entry.name, network=entry.network_id))
        record = Record(
            measure=measure,
            key=key,
            status="failed",
            reason=reason,
            started_at=now(),
            seconds=time.monotonic() - self._started,
            conditions={"settings": self._job.settings.model_dump()},
        )
        Store(self._job.store).append(record)
        return record


def told(record: Record) -> dict[str, Any]:
    """Return what is told of a record."""
    accuracy = record.evidence if isinstance(record.evidence, Accuracy) else None
    return {
        "measure": record.measure,
        "status": record.status,
        "reason": record.reason,
        "seconds": record.seconds,
        "bad_images": _lines(accuracy.bad_images if accuracy else ()),
        "odd_images": _lines(accuracy.odd_images if accuracy else ()),
    }


def _lines(images: Iterable[BadImage]) -> list[str]:
    return [f"{item.image}: {item.reason}" for item in images]
