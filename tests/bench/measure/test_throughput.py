"""Speed needs no weights, keeps every step, and an impossible row says so."""

from dataclasses import replace

import pytest
import torch

from bench.measure import Row, execution, throughput
from bench.plan import Job, Settings
from bench.records import Throughput
from zoo.entry import Entry
from zoo.errors import MeasureError


def _row(entry: Entry, **settings: object) -> Row:
    job = Job(
        entry=entry,
        figures=("speed",),
        settings=Settings.model_validate({"batch_size": 2, **settings}),
        store="unused",
        data=None,
        labels="imagenet",
        limit=None,
        retry_failed=False,
    )
    return Row(job, "cpu", "a processor", lambda done, total, unit: None)


def test_speed_is_measured_without_weights(lite0: Entry) -> None:
    bare = lite0.model_copy(update={"weights": None})
    evidence = throughput.run(_row(bare)).evidence
    assert isinstance(evidence, Throughput)
    assert len(evidence.steps_s) >= 10
    assert min(evidence.steps_s) > 0
    assert sum(evidence.steps_s) <= evidence.wall_s
    assert evidence.reference is not None
    assert sum(evidence.reference.stretches) == len(evidence.steps_s)
    assert len(evidence.reference.seconds) == len(evidence.reference.stretches) + 1
    assert min(evidence.reference.seconds) > 0
    assert evidence.peak_memory_bytes is not None
    assert evidence.peak_memory_bytes > 4_652_008 * 4  # at least the weights
    assert evidence.peak_memory_kind == "process_rss"


def test_a_network_that_cannot_take_its_input_fails_with_its_own_words() -> None:
    entry = Entry.model_validate(
        {
            "name": "a",
            "source": "timm",
            "architecture": "vit_tiny_patch16_224",
            "preprocess": {"crop_px": 200, "resize_px": 224},
        }
    )
    with pytest.raises(AssertionError, match="200"):
        throughput.run(_row(entry))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_out_of_memory_is_told_with_its_batch(error: RuntimeError) -> None:
    told = execution.explained(error, 256, torch.device("cpu"))
    assert "out of memory at batch 256" in str(told)


def test_tf32_is_no_precision_of_a_processor(lite0: Entry) -> None:
    with pytest.raises(MeasureError, match="CUDA devices only"):
        throughput.run(_row(lite0, precision="tf32"))


@pytest.mark.parametrize(("precision", "allowed"), [("tf32", True), ("fp32", False)])
def test_fp32_means_fp32_and_networks_may_read_and_set_it_their_way(
    precision: str, allowed: bool
) -> None:
    """torch lets cuDNN's convolutions use TF32 by default; networks use the older switches."""
    execution.set_fp32_precision(precision)
    try:
        assert torch.backends.cudnn.allow_tf32 is allowed
        assert torch.backends.cuda.matmul.allow_tf32 is allowed
        assert torch.get_float32_matmul_precision() == ("high" if allowed else "highest")
        with torch.backends.cudnn.flags(enabled=False):
            pass
        assert torch.backends.cudnn.allow_tf32 is allowed
    finally:
        execution.set_fp32_precision("fp32")


def test_a_peak_that_does_not_fit_is_absent_with_its_reason_and_costs_no_speed(
    lite0: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(error: Exception) -> None:
        def products(_: object) -> float:
            raise error

        monkeypatch.setattr(throughput, "matmul_peak_tflops", products)

    told: list[str] = []
    row = replace(_row(lite0), tell=told.append)
    on = execution.Execution(torch.nn.Identity(), Settings(), "cpu")
    fail(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 256 MiB"))
    assert throughput.peak_if_it_fits(row, on) is None
    assert told == [
        "no MFU: no memory for its matrix products: CUDA out of memory. Tried to allocate 256 MiB"
    ]
    fail(RuntimeError("CUDA error: an illegal memory access was encountered"))
    with pytest.raises(RuntimeError, match="illegal memory access"):
        throughput.peak_if_it_fits(row, on)
