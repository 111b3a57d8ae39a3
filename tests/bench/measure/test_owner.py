"""One thread owns a device and processes decode for it: the same predictions, whatever happens."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.measure import Row, accuracy, owner
from bench.measure.decode_pool import DecodePool
from bench.measure.execution import Execution
from bench.measure.owner import Owner
from bench.measure.pixels import CacheLoader, uncached_source
from bench.measure.scoring import Predictions
from bench.measure.stage_timer import StageTimer
from bench.plan import Job, Settings
from bench.records import Accuracy
from zoo import build
from zoo.entry import Entry
from zoo.errors import MeasureError


@pytest.fixture(autouse=True)
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(owner, "cores", lambda: 2)


def _row(entry: Entry, data: str = "sample", cache_bytes: int | None = 0) -> Row:
    job = Job(
        entry=entry,
        figures=("top1",),
        settings=Settings(),
        store="unused",
        data=data,
        labels="imagenet",
        limit=None,
        retry_failed=False,
        cache_bytes=cache_bytes,
        alone=False,
    )
    return Row(job, "cpu", "a processor", lambda done, total, unit: None)


def _owned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accuracy, "evaluation", Owner)


def test_predictions_are_those_of_the_lanes_from_files_and_from_the_cache(
    lite0: Entry, class_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (next(class_folders.iterdir()) / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    data = str(class_folders)
    expected = accuracy.run(_row(lite0, data))
    _owned(monkeypatch)
    results = [accuracy.run(_row(lite0, data, cache)) for cache in (0, None, None)]
    for result in results:
        assert result.predictions == expected.predictions
        assert isinstance(result.evidence, Accuracy)
        assert isinstance(expected.evidence, Accuracy)
        assert result.evidence.bad_images == expected.evidence.bad_images
        assert result.evidence.content_sha256 == expected.evidence.content_sha256


def _owner(row: Row) -> Owner:
    network = build.trained_network(row.entry, row.weights)
    execution = Execution(network, row.job.settings, row.device)
    return Owner(execution, row.preprocess, row.dataset, 4)


def test_the_owners_seconds_add_up_to_the_pass(lite0: Entry) -> None:
    row = _row(lite0)
    predictions = Predictions.empty(20, 5)
    done: list[int] = []
    timed = _owner(row).pass_over(uncached_source(row), range(20), predictions, done.append)
    owned = timed.stages.owned_s
    assert owned is not None
    assert sum(owned.model_dump().values()) == pytest.approx(timed.seconds, rel=0.05)
    assert timed.stages.read_decode_s > 0
    assert timed.stages.model_s <= timed.seconds
    assert timed.images == 20
    assert done == [4, 8, 12, 16, 20]
    assert predictions.readable.all()


def test_a_fault_of_the_network_ends_the_pass_and_its_processes(lite0: Entry) -> None:
    row = _row(lite0)
    one = _owner(row)
    one.execution.network = torch.nn.Conv2d(1, 1, 1)
    with pytest.raises(MeasureError, match="the forward pass failed"):
        one.pass_over(uncached_source(row), range(20), Predictions.empty(20, 5), print)


def test_batches_keep_their_order_and_no_slot_is_filled_while_it_is_held(lite0: Entry) -> None:
    row = _row(lite0)
    loader = uncached_source(row).loader
    shape = (*row.preprocess.crop_px, 3)
    expected = np.empty((20, *shape), np.uint8)
    loader.load(range(20), expected, StageTimer())
    order = [*range(20), *reversed(range(20))]
    seen: list[int] = []
    with DecodePool(loader, shape, 3, 2) as pool:
        held = None
        for batch in pool.batches(order, StageTimer()):
            pixels = pool.pixels[batch.slot]
            assert np.array_equal(pixels[: len(batch.indices)], expected[list(batch.indices)])
            assert not pixels[len(batch.indices) :].any()
            seen += batch.indices
            if held is not None:
                kept = pool.pixels[held.slot][: len(held.indices)]
                assert np.array_equal(kept, expected[list(held.indices)])
                pool.release(held)
            held = batch
    assert seen == order


class _Dies(CacheLoader):
    def load(self, *arguments: object) -> list:  # type: ignore[type-arg, override]
        os.kill(os.getpid(), signal.SIGKILL)
        return []


def test_a_decoding_process_that_dies_is_the_rows_reason() -> None:
    with (
        DecodePool(_Dies(None), (2, 2, 3), 4, 1) as pool,  # type: ignore[arg-type]
        pytest.raises(MeasureError, match="a decoding process died"),
    ):
        list(pool.batches(range(4), StageTimer()))


def test_decoding_processes_end_when_their_owner_does() -> None:
    """A killed worker leaves none behind: the pipe that it held closes."""
    pool = DecodePool(_Dies(None), (2, 2, 3), 4, 2)  # type: ignore[arg-type]
    with pool:
        processes = list(pool._pool._processes.values())
        pool._alive.close()
        for process in processes:
            process.join(timeout=60)
        assert [process.exitcode for process in processes] == [1, 1]
