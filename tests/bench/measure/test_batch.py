"""The largest batch: found in few trials, and on a CPU without trying what could kill."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.measure import Row, batch
from bench.measure.batch import FitsOnCpu, FitsOnGpu, confirmed, largest
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


@given(limit=st.integers(0, 10_000), cap=st.sampled_from([1, 7, 64, 256, 8192]))
@pytest.mark.parametrize("growth", [2, 8])
def test_the_largest_batch_is_found_in_few_trials(growth: int, limit: int, cap: int) -> None:
    trials: list[int] = []

    def fits(size: int) -> bool:
        trials.append(size)
        return size <= limit

    found, true = largest(fits, cap, growth), min(limit, cap)
    assert found <= true
    assert true - found < max(8, found / 16) or true - found == 0
    assert found == true or true > 17
    assert found <= 64 or found % 8 == 0
    assert len(trials) == len(set(trials))
    assert len(trials) <= (12 if growth == 8 else 2 * math.log2(cap) + 3)
    # No trial exceeds what fits by more than one growth.
    assert max(trials) <= max(1, growth * limit)


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

    found = largest(FitsOnCpu(growth_bytes, allowance, 0), 256, 2)
    assert len(grown) <= 5 + 3  # 1, 2, 4, 8, 16, and between two of them
    assert all(growth <= allowance for growth in grown[1:] if fixed == 0)
    # The truth takes no more than was foreseen.
    assert found == 0 or fixed + found * an_image <= allowance


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("FIND was unable to find an engine to execute this computation"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
        RuntimeError("Expected canUse32BitIndexMath(input) to be true, but got false."),
        RuntimeError("words that no version has used yet"),
    ],
)
def test_on_a_gpu_whatever_a_larger_batch_raises_means_that_it_does_not_fit(
    error: RuntimeError, monkeypatch: pytest.MonkeyPatch
) -> None:
    emptied = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))

    def run(size: int) -> None:
        if size > 13:
            raise error

    assert largest(FitsOnGpu(run), 8192, 8) == 13
    assert len(emptied) == 7  # 1, 8, 64, 22, 13, 16, 14


@given(found=st.integers(0, 8192), limit=st.integers(0, 8192))
def test_a_batch_that_fitted_once_is_confirmed_or_made_smaller(found: int, limit: int) -> None:
    tried: list[int] = []

    def runs(size: int) -> bool:
        tried.append(size)
        return size <= limit

    size = confirmed(found, runs)
    assert size <= min(found, limit) or size == 0
    if found <= limit:
        assert size == found
    elif size:
        # No more than an eighth, and what makes it a multiple of 8, is given away.
        assert size > limit * 7 / 8 - 8
        assert size <= 64 or size % 8 == 0
    assert len(tried) == len(set(tried)) <= 64


@pytest.mark.parametrize("sizes", [(1,), (1, 8)])
def test_a_fault_of_the_network_or_of_the_gpu_ends_the_search(
    sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    first, later = "mat1 and mat2", "CUDA error: an illegal memory access was encountered"
    reason = first if sizes == (1,) else later
    fits = FitsOnGpu(lambda size: _fail(reason) if size == sizes[-1] else None)
    with pytest.raises(RuntimeError, match=reason):
        [fits(size) for size in sizes]


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
