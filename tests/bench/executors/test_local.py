"""A row that raises, dies or hangs costs itself only, and a run goes on where it was killed."""

import multiprocessing
import os
import select
import signal
from collections.abc import Callable
from multiprocessing import connection
from pathlib import Path
from typing import Any

import pytest

from bench import worker
from bench.conditions import cores
from bench.executors import Listener, Placement, local
from bench.plan import Job, Settings, plan
from bench.records import Accuracy, Complexity, Figure, Record
from bench.shards import load_predictions, whole_records
from bench.store import Store
from tests.bench.executors import fakes
from zoo.entry import Entry
from zoo.errors import InterruptedRunError, ZoobenchError


def _jobs(
    entries: tuple[Entry, ...],
    store: Path,
    *figures: Figure,
    retry_failed: bool = False,
    shards: int = 1,
    apart: bool = False,
) -> list[Job]:
    return plan(
        entries,
        figures=figures,
        settings=Settings(device="cpu"),
        batches=[2],
        store=str(store),
        data="sample",
        labels="imagenet",
        limit=4,
        retry_failed=retry_failed,
        shards=shards,
        apart=apart,
    )


def _records(store: Path) -> dict[tuple[str, str], Record]:
    return {(r.key.entry, r.measure): r for _, r in Store(str(store)).records()}


def _ignore(job: Job, event: dict[str, Any]) -> None:
    pass


def _broken(lite0: Entry) -> Entry:
    """An entry whose forward pass raises."""
    return Entry(
        name="broken",
        source="timm",
        architecture="vit_tiny_patch16_224",
        preprocess={"crop_px": 200, "resize_px": 200},
    )


def test_a_row_that_raises_leaves_its_reason_and_the_others_are_measured(
    tmp_path: Path, lite0: Entry
) -> None:
    jobs = _jobs((_broken(lite0), lite0), tmp_path, "params")
    assert local.run(jobs, timeout_s=None, listen=_ignore) is False
    records = _records(tmp_path)
    assert records["broken", "complexity"].status == "failed"
    assert "200" in (records["broken", "complexity"].reason or "")
    assert records["efficientnet_lite0", "complexity"].status == "measured"


def _kill_worker_when(measure: str) -> Listener:
    def listen(job: Job, event: dict[str, Any]) -> None:
        if event["event"] == "measuring" and event["measure"] == measure:
            for process in multiprocessing.active_children():
                assert process.pid is not None
                os.kill(process.pid, signal.SIGKILL)

    return listen


def test_a_killed_worker_leaves_its_reason_and_what_it_had_done(
    tmp_path: Path, lite0: Entry
) -> None:
    jobs = _jobs((lite0,), tmp_path, "params", "speed")
    assert local.run(jobs, timeout_s=None, listen=_kill_worker_when("throughput")) is False
    records = _records(tmp_path)
    assert records["efficientnet_lite0", "complexity"].status == "measured"
    failed = records["efficientnet_lite0", "throughput"]
    assert failed.status == "failed"
    assert "killed by SIGKILL (out of memory?)" in (failed.reason or "")
    assert failed.key.batch_size == 2


def test_a_row_that_overruns_the_timeout_is_ended(tmp_path: Path, lite0: Entry) -> None:
    jobs = _jobs((lite0,), tmp_path, "speed")  # takes at least the two seconds of its budget
    assert local.run(jobs, timeout_s=1.0, listen=_ignore) is False
    failed = _records(tmp_path)["efficientnet_lite0", "throughput"]
    assert failed.reason == "overran the timeout of 1 s"
    assert multiprocessing.active_children() == []


def test_the_same_command_skips_what_is_done(tmp_path: Path, lite0: Entry) -> None:
    jobs = _jobs((lite0,), tmp_path, "params", "top1")
    assert local.run(jobs, timeout_s=None, listen=_ignore)
    events: list[str] = []
    assert local.run(jobs, timeout_s=None, listen=lambda job, e: events.append(e["event"]))
    assert events == ["keys", "kept", "kept"]
    assert len(list(Store(str(tmp_path)).records())) == 2


def test_a_second_count_is_made_when_it_is_asked_for_later(tmp_path: Path, lite0: Entry) -> None:
    def fvcore(*figures: Figure) -> int | None:
        assert local.run(_jobs((lite0,), tmp_path, *figures), timeout_s=None, listen=_ignore)
        evidence = _records(tmp_path)["efficientnet_lite0", "complexity"].evidence
        assert isinstance(evidence, Complexity)
        return evidence.macs_fvcore

    assert fvcore("params") is None
    assert fvcore("params", "crosscheck") is not None


def test_a_failed_row_is_kept_until_asked_for_again(tmp_path: Path, lite0: Entry) -> None:
    entries = (_broken(lite0),)
    for retry, expected in ((False, 1), (False, 1), (True, 2)):
        jobs = _jobs(entries, tmp_path, "params", retry_failed=retry)
        assert local.run(jobs, timeout_s=None, listen=_ignore) is False
        assert len(list(Store(str(tmp_path)).records())) == expected


def test_an_interrupted_run_leaves_no_worker(tmp_path: Path, lite0: Entry) -> None:
    def interrupt(job: Job, event: dict[str, Any]) -> None:
        if event["event"] == "measuring":
            raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError, match="same command goes on"):
        local.run(_jobs((lite0,), tmp_path, "params"), timeout_s=None, listen=interrupt)
    assert multiprocessing.active_children() == []


def test_a_wrong_entry_is_found_before_anything_is_measured() -> None:
    wrong = Entry(name="a", source="timm", architecture="resnet5")
    with pytest.raises(
        ZoobenchError, match=r"zoo\.toml: entry 'a': field 'architecture'.*resnet50"
    ):
        local.check([wrong], Settings(device="cpu"), where="zoo.toml")


def test_workers_have_the_allocator_that_keeps_activations(tmp_path: Path, lite0: Entry) -> None:
    local.run(_jobs((lite0,), tmp_path, "params"), timeout_s=None, listen=_ignore)
    conditions = _records(tmp_path)["efficientnet_lite0", "complexity"].conditions
    assert conditions["allocator"]["MALLOC_TOP_PAD_"] == "268435456"
    assert "MALLOC_TOP_PAD_" not in os.environ


def test_shards_side_by_side_predict_the_same_bits(tmp_path: Path, lite0: Entry) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert local.run(_jobs((lite0,), whole, "top1"), timeout_s=None, listen=_ignore)
    under_way: set[int] = set()
    at_once = 0

    def listen(job: Job, event: dict[str, Any]) -> None:
        nonlocal at_once
        if event["event"] == "measuring":
            under_way.add(id(job))
        elif event["event"] == "recorded":
            under_way.discard(id(job))
        at_once = max(at_once, len(under_way))

    jobs = _jobs((lite0,), cut, "params", "top1", "speed", shards=3, apart=True)
    placement = Placement(devices=("cpu",), workers=2)
    assert local.run(jobs, placement=placement, timeout_s=None, listen=listen)
    assert at_once == 2
    ((_, a),) = _accuracy(whole)
    ((folders, b),) = _accuracy(cut)
    assert isinstance(a.evidence, Accuracy)
    assert isinstance(b.evidence, Accuracy)
    assert b.key == a.key
    # The pass beside others is not timed; all else is the same.
    assert b.evidence == a.evidence.model_copy(update={"end_to_end": None})
    tables = [load_predictions(Store(str(path)), _accuracy(path)[0][0]) for path in (whole, cut)]
    assert tables[0].equals(tables[1], check_metadata=True)
    assert len(folders) == 3
    conditions = {r.measure: r.conditions for _, r in Store(str(cut)).records()}
    assert conditions["accuracy"]["alone"] is False
    assert conditions["accuracy"]["cores"] == max(1, cores() // 2)
    assert (conditions["throughput"]["alone"], conditions["throughput"]["cores"]) == (True, cores())


def _accuracy(store: Path) -> list[tuple[tuple[str, ...], Record]]:
    return [item for item in whole_records(Store(str(store))) if item[1].measure == "accuracy"]


def test_too_many_workers_are_told(lite0: Entry) -> None:
    placement = Placement(devices=("cpu",), workers=cores() + 1)
    with pytest.raises(ZoobenchError, match=rf"this machine has {cores()} cores"):
        local.check([lite0], Settings(device="cpu"), placement, where="zoo.toml")


def test_a_model_that_forks_and_dies_ends_its_row_and_its_child(
    tmp_path: Path, lite0: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "main", fakes.forking)
    os.mkfifo(tmp_path / fakes.CHILD_LIVES)
    fifo = os.open(tmp_path / fakes.CHILD_LIVES, os.O_RDONLY | os.O_NONBLOCK)
    assert local.run(_jobs((lite0,), tmp_path, "params"), timeout_s=None, listen=_ignore) is False
    reason = _records(tmp_path)["efficientnet_lite0", "complexity"].reason
    assert reason == "the worker died: exit code 7"
    assert select.select([fifo], [], [], 60)[0]
    assert os.read(fifo, 1) == b""  # nobody has it open
    os.close(fifo)


def test_half_a_message_of_a_dead_process_is_not_waited_for() -> None:
    process = local._Worker(fakes.sending, "half")
    connection.wait([process.sources[1]])
    with pytest.raises((EOFError, OSError)):
        process.receive()
    assert process.last_words() == "the worker died: exit code 3"
    process.end()


def test_a_killed_fork_server_is_the_reason_of_its_row_and_the_next_row_is_measured(
    tmp_path: Path, lite_entries: tuple[Entry, ...]
) -> None:
    killed = []

    def listen(job: Job, event: dict[str, Any]) -> None:
        if event["event"] == "measuring" and not killed:
            (process,) = multiprocessing.active_children()
            status = Path(f"/proc/{process.pid}/stat").read_text()
            killed.append(int(status.rpartition(")")[2].split()[1]))
            os.kill(killed[0], signal.SIGKILL)

    jobs = _jobs(lite_entries[:2], tmp_path, "params")
    assert local.run(jobs[:1], timeout_s=None, listen=listen) is False
    assert local.run(jobs[1:], timeout_s=None, listen=listen)
    records = _records(tmp_path)
    assert "the fork server died" in (records["efficientnet_lite0", "complexity"].reason or "")
    assert records["efficientnet_lite1", "complexity"].status == "measured"


@pytest.mark.parametrize("retry_failed", [False, True])
@pytest.mark.parametrize(("main", "processes"), [(fakes.sticky, 2), (fakes.harmless, 1)])
def test_an_error_that_ends_the_use_of_cuda_costs_its_measurement_alone(
    main: Callable[..., None],
    processes: int,
    retry_failed: bool,
    tmp_path: Path,
    lite0: Entry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "main", main)
    jobs = _jobs((lite0,), tmp_path, "params", "speed", retry_failed=retry_failed)
    assert local.run(jobs, timeout_s=None, listen=_ignore) is False
    reasons = [record.reason or "" for _, record in Store(str(tmp_path)).records()]
    assert len(reasons) == 2
    assert len({reason.rpartition("process ")[2] for reason in reasons}) == processes


def test_a_worker_has_no_more_threads_than_its_container_grants_cores(
    tmp_path: Path, lite0: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "main", fakes.with_one_core)
    assert local.run(_jobs((lite0,), tmp_path, "params"), timeout_s=None, listen=_ignore)
    conditions = _records(tmp_path)["efficientnet_lite0", "complexity"].conditions
    assert (conditions["cores"], conditions["torch_threads"]) == (1, 1)
