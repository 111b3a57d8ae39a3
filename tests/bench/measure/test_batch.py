"""The largest batch: found in few trials, and on a CPU without trying what could kill."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.measure import Row, batch
from bench.measure.batch import FitsOnCpu, FitsOnGpu, largest
from bench.plan import Job, Settings
from bench.records import Figure
from zoo.entry import Entry
from zoo.errors import MeasureError

LENET = Entry(
    name="lenet5",
    source="zoobench",
    architecture="lenet5",
    preprocess={
        "resize_px": 32,
        "crop_px": 32,
        "interpolation": "bilinear",
        "channels": "gray",
        "mean": [0.5],
        "std": [0.5],
    },
)


@given(limit=st.integers(0, 5000), cap=st.integers(1, 5000))
def test_the_largest_batch_is_found_in_few_trials(limit: int, cap: int) -> None:
    trials: list[int] = []

    def fits(size: int) -> bool:
        trials.append(size)
        return size <= limit

    assert largest(fits, cap) == min(limit, cap)
    assert len(trials) == len(set(trials))
    assert len(trials) <= 2 * math.log2(cap) + 3
    # What does not fit is never overshot by more than a doubling.
    assert max(trials) <= max(1, 2 * limit)


@given(
    fixed=st.integers(0, 10**9),
    an_image=st.integers(1, 10**9),
    allowance=st.integers(0, 10**11),
)
def test_on_a_cpu_nothing_is_run_that_would_not_fit(
    fixed: int, an_image: int, allowance: int
) -> None:
    grown: list[int] = []

    def growth_bytes(size: int) -> int:
        grown.append(fixed + size * an_image)
        return grown[-1]

    found = largest(FitsOnCpu(growth_bytes, allowance, 0), 256)
    assert len(grown) <= 5 + 3  # 1, 2, 4, 8, 16, and between two of them
    assert all(growth <= allowance for growth in grown[1:] if fixed == 0)
    # The truth takes no more than was foreseen.
    assert found == 0 or fixed + found * an_image <= allowance


def test_on_a_gpu_an_out_of_memory_error_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    emptied = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))

    def run(size: int) -> None:
        if size > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")

    assert largest(FitsOnGpu(run), 8192) == 5
    assert len(emptied) == 6  # 1, 2, 4, 8, 6, 5
    with pytest.raises(RuntimeError, match="illegal address"):
        FitsOnGpu(lambda size: _fail("illegal address"))(1)


def _fail(reason: str) -> None:
    raise RuntimeError(reason)


def _row(entry: Entry, *figures: Figure) -> Row:
    job = Job(
        entry=entry,
        figures=figures,
        settings=Settings(batch_size="auto"),
        store="unused",
        data=None,
        labels="imagenet",
        limit=None,
        retry_failed=False,
    )
    return Row(job, "cpu", "a processor", lambda done, total, unit: None)


def test_a_small_network_is_bounded_by_the_cap() -> None:
    row = _row(LENET, "speed", "train")
    assert row.batch_size == 256
    assert row.batch.note == "auto: bounded by the cap of 256"
    assert row.key("throughput").batch_size == 256


def test_a_batch_that_memory_bounds_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "FitsOnCpu", _OneByteAnImage)
    monkeypatch.setattr(batch, "available_memory_bytes", lambda: 400)
    assert _row(LENET, "speed").batch.note == "auto: bounded by memory"
    assert _row(LENET, "speed").batch_size == 200  # of half of the memory


class _OneByteAnImage(FitsOnCpu):
    def __call__(self, size: int) -> bool:
        return size <= self._allowance_bytes


def test_counting_takes_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "find", lambda row: _fail("searched"))
    assert _row(LENET, "params").key("complexity").batch_size is None


def test_no_memory_at_all_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "available_memory_bytes", lambda: 1)
    with pytest.raises(MeasureError, match="out of memory at batch 1 on cpu"):
        _ = _row(LENET, "speed").batch
    monkeypatch.setattr(batch, "available_memory_bytes", lambda: None)
    with pytest.raises(MeasureError, match="give a number"):
        _ = _row(LENET, "speed").batch
