"""What a worker measures again, and how the number of an automatic batch lives on."""

from pathlib import Path
from typing import Any

import pytest

from bench import worker
from bench.executors import local
from bench.plan import Job, Settings, plan
from bench.records import Record, RowKey, Sampling, Throughput
from bench.store import Store
from tests.bench.measure.test_batch import LENET


def _job(store: Path, target_rse: float | None = None) -> Job:
    (job,) = plan(
        [LENET],
        figures=("speed",),
        settings=Settings(device="cpu"),
        batches=["auto"],
        store=str(store),
        data=None,
        labels="imagenet",
        limit=None,
        retry_failed=False,
        target_rse=target_rse,
    )
    return job


def test_the_same_command_keeps_the_batch_that_was_found(tmp_path: Path) -> None:
    def run() -> list[str]:
        events: list[dict[str, Any]] = []
        assert local.run([_job(tmp_path)], timeout_s=None, listen=lambda job, e: events.append(e))
        return [event["event"] for event in events]

    assert "recorded" in run()
    ((_, record),) = Store(str(tmp_path)).records()
    assert record.key.batch_size == 256
    assert record.conditions["batch"] == {
        "policy": "auto",
        "note": "auto: bounded by the cap of 256",
        "measures": ["throughput"],
    }
    # As if there had been less memory then: a new search would find 256 and make another row.
    smaller = record.model_copy(update={"key": record.key.model_copy(update={"batch_size": 100})})
    for path in tmp_path.rglob("record.json"):
        path.unlink()
    Store(str(tmp_path)).append(smaller)
    assert run() == ["keys", "kept"]


def _measured(steps_s: tuple[float, ...], target_rse: float | None) -> Record:
    evidence = Throughput(
        batch_size=8,
        first_call_s=1.0,
        warmup_steps=8,
        steps_s=steps_s,
        wall_s=sum(steps_s),
        clock="perf_counter",
        peak_memory_bytes=None,
        peak_memory_kind=None,
        sampling=Sampling(
            warmed_up="stable",
            ended="floors",
            min_steps=10,
            min_seconds=2,
            target_rse=target_rse,
            max_steps=5000,
            max_seconds=60,
        ),
    )
    return Record(
        measure="throughput",
        key=RowKey(entry="a", network="n"),
        status="measured",
        evidence=evidence,
        started_at="2026-01-01T00:00:00+00:00",
        seconds=1.0,
        conditions={},
    )


EXACT, UNEVEN = (1.0,) * 20, (1.0, 2.0) * 10


@pytest.mark.parametrize(
    ("steps_s", "earlier_target", "target", "suffices"),
    [
        (UNEVEN, None, None, True),  # nobody asked for more
        (UNEVEN, None, 0.01, False),
        (EXACT, None, 0.01, True),
        (UNEVEN, 0.01, 0.01, True),  # was tried, up to a cap
        (UNEVEN, 0.05, 0.01, False),
        (UNEVEN, 0.005, 0.01, True),
    ],
)
def test_a_speed_is_measured_again_if_it_is_less_exact_than_asked(
    steps_s: tuple[float, ...],
    earlier_target: float | None,
    target: float | None,
    suffices: bool,
    tmp_path: Path,
) -> None:
    record = _measured(steps_s, earlier_target)
    assert worker._suffices(record, _job(tmp_path, target)) is suffices
