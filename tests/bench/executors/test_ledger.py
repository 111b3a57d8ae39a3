"""What a row told, and what is recorded in its place when it tells no more."""

from pathlib import Path
from typing import Any

from bench.executors.ledger import Ledger
from bench.plan import Job, Settings
from bench.records import RowKey, now
from bench.store import Store
from tests.bench.test_store import record
from zoo.entry import Entry

ENTRY = Entry(name="a", source="timm", architecture="resnet18")
KEY = RowKey(entry="a", network="timm/x", input_px="224x224")


def _ledger(store: Path, heard: list[dict[str, Any]]) -> Ledger:
    job = Job(
        entry=ENTRY,
        figures=("params",),
        settings=Settings(),
        store=str(store),
        data=None,
        labels="imagenet",
        limit=None,
        retry_failed=False,
    )
    ledger = Ledger(job, lambda job, event: heard.append(event))
    ledger.hear({"event": "keys", "keys": {"complexity": KEY.model_dump()}})
    return ledger


def test_a_row_that_was_killed_has_its_reason_recorded(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path, heard := [])
    Store(str(tmp_path)).append(record())  # of an earlier run
    assert not ledger.close("killed")
    assert (heard[-1]["status"], heard[-1]["reason"]) == ("failed", "killed")
    assert [r.status for _, r in Store(str(tmp_path)).records()] == ["measured", "failed"]


def test_a_record_that_is_dated_in_the_future_is_not_of_this_run(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path, heard := [])
    Store(str(tmp_path)).append(record(started_at="9999-01-01T00:00:00+00:00"))
    assert not ledger.close("killed")
    assert heard[-1]["reason"] == "killed"


def test_what_was_recorded_just_before_a_kill_counts(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path, heard := [])
    Store(str(tmp_path)).append(record(started_at=now()))
    assert ledger.close("killed")
    assert heard[-1]["status"] == "measured"
    assert len(list(Store(str(tmp_path)).records())) == 1
