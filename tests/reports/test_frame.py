"""One row a key: figures of different things never share a row, and dtypes never change."""

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.records import (
    Accuracy,
    BadImage,
    Complexity,
    EndToEnd,
    GpuState,
    HostUse,
    Latency,
    Record,
    Reference,
    RowKey,
    Throughput,
    Training,
)
from bench.store import Store
from reports import load_frame
from reports.frame import DTYPES, to_frame
from reports.table import render

KEY = RowKey(
    entry="a",
    network="timm/x",
    input_px="224x224",
    weights_sha256="w1",
    preprocess="p",
    dataset_digest="d",
    device="cpu",
    device_name="c",
    precision="fp32",
    memory_format="contiguous",
    compile="eager",
    batch_size=8,
)
COMPLEXITY = Complexity(
    params=1000,
    unused=(),
    macs=2000,
    macs_by_operator={"mm": 2000},
    uncounted={},
    macs_fvcore=2010,
    fvcore_note=None,
    fvcore_uncounted={},
)
TIMED: dict[str, Any] = {
    "batch_size": 8,
    "first_call_s": 1.0,
    "warmup_steps": 3,
    "steps_s": (0.1, 0.2, 0.4),
    "wall_s": 0.8,
    "clock": "perf_counter",
    "peak_memory_bytes": 10**6,
    "peak_memory_kind": "process_rss",
}
THROUGHPUT = Throughput(**TIMED)
LATENCY = Latency(**{**TIMED, "batch_size": 1})
TRAINING = Training(
    **{**TIMED, "steps_s": (1.0, 1.0, 1.0)},
    optimizer="SGD",
    forward_s=(0.3, 0.3, 0.3),
    backward_s=(0.6, 0.6, 0.6),
    optimizer_s=(0.1, 0.1, 0.1),
)
ACCURACY = Accuracy(
    dataset="val",
    dataset_kind="imagenet-val",
    images_in_dataset=20,
    images=20,
    correct_top1=18,
    correct_top5=19,
    bad_images=(),
    content_sha256="c",
    end_to_end=None,
)


def _record(
    evidence: Complexity | Accuracy | Throughput | Latency | Training | None, **changes: object
) -> Record:
    measure = evidence.kind if evidence is not None else "accuracy"
    raw: dict[str, object] = {
        "measure": measure,
        "key": KEY.of(measure),
        "status": "measured" if evidence is not None else "failed",
        "evidence": evidence,
        "started_at": "2026-01-01T00:00:00+00:00",
        "seconds": 1.0,
        "conditions": {"torch": "2.14.1"},
    }
    return Record.model_validate({**raw, **changes})


def test_what_agrees_on_every_stated_field_is_one_row() -> None:
    frame = to_frame([_record(COMPLEXITY), _record(THROUGHPUT), _record(ACCURACY)])
    assert len(frame) == 1
    row = frame.iloc[0]
    assert (row["params"], row["macs"], row["top1"]) == (1000, 2000, 0.9)
    assert row["images_per_s"] == pytest.approx(8 / 0.2)
    assert row["images_per_s_wall"] == pytest.approx(24 / 0.8)
    assert pd.isna(row["images_per_reference"])
    assert row["status"] == "measured"


@pytest.mark.parametrize(
    "change",
    [{"weights_sha256": "w2"}, {"precision": "bf16"}, {"batch_size": 9}, {"dataset_digest": "e"}],
)
def test_what_differs_is_another_row(change: dict[str, object]) -> None:
    other = _record(ACCURACY, key=KEY.model_copy(update=change))
    frame = to_frame([_record(COMPLEXITY), _record(THROUGHPUT), _record(ACCURACY), other])
    assert len(frame) == 2
    assert frame["params"].tolist() == [1000, 1000]
    shares_settings = not {"precision", "batch_size"} & set(change)
    assert frame["images_per_s"].notna().tolist() == [True, shares_settings]


def test_dtypes_are_fixed_even_of_an_empty_frame() -> None:
    for frame in (to_frame([]), to_frame([_record(ACCURACY)]), to_frame([_record(THROUGHPUT)])):
        assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == DTYPES


def test_a_failure_is_absent_with_its_reason_never_0() -> None:
    frame = to_frame([_record(COMPLEXITY), _record(None, reason="no weights")])
    assert frame["top1"].isna().all()
    assert frame.loc[0, "status"] == "failed"
    assert frame.loc[0, "reason"] == "accuracy: no weights"
    assert frame.loc[0, "params"] == 1000


def test_a_measured_row_replaces_an_earlier_failure_and_survives_a_later_one() -> None:
    early = RowKey(entry="a", network="timm/x")
    failed = _record(None, reason="no weights", key=early)
    for records in ([failed, _record(ACCURACY)], [_record(ACCURACY), failed]):
        frame = to_frame(records)
        assert len(frame) == 1
        assert frame.loc[0, "top1"] == 0.9
        assert frame.loc[0, "status"] == "measured"


def test_a_partial_row_is_marked_with_its_images() -> None:
    bad = (BadImage(image="n/a.jpg", reason="truncated"),)
    partial = ACCURACY.model_copy(update={"images": 19, "correct_top1": 17, "bad_images": bad})
    frame = to_frame([_record(partial)])
    assert frame.loc[0, "status"] == "partial"
    assert "n/a.jpg: truncated" in frame.loc[0, "reason"]


@pytest.mark.parametrize("field", ["bad_images", "odd_images"])
@pytest.mark.parametrize(("count", "more"), [(10, None), (11, "1 more"), (2011, "2,001 more")])
def test_a_reason_lists_ten_images_and_counts_the_others(
    field: str, count: int, more: str | None
) -> None:
    images = tuple(BadImage(image=f"n/{i}.jpg", reason="wrong") for i in range(count))
    reason = to_frame(
        [_record(ACCURACY.model_copy(update={field: images, "images_in_dataset": 9999}))]
    ).loc[0, "reason"]
    assert reason.count(".jpg: wrong") == 10
    what = "unreadable" if field == "bad_images" else "odd"
    assert reason.endswith(f"{more} {what}" if more else "n/9.jpg: wrong")


def test_counters_that_disagree_say_so() -> None:
    apart = COMPLEXITY.model_copy(update={"macs_fvcore": 2100})
    assert to_frame([_record(apart)])["counters_agree"].tolist() == [False]
    unknown = COMPLEXITY.model_copy(update={"macs_fvcore": None})
    assert to_frame([_record(unknown)])["counters_agree"].isna().all()


def test_every_figure_is_made_from_the_store_alone(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    for evidence in (COMPLEXITY, THROUGHPUT, ACCURACY):
        store.append(_record(evidence))
    expected = to_frame([_record(COMPLEXITY), _record(THROUGHPUT), _record(ACCURACY)])
    pd.testing.assert_frame_equal(load_frame(str(tmp_path)), expected)


def _timed(**changes: object) -> Accuracy:
    stages = {"read_decode_s": 1.0, "resize_s": 1.0, "copy_s": 1.0, "model_s": 1.0}
    raw = {"images": 20, "seconds": 2.0, "lanes": 2, "stages": stages, **changes}
    return ACCURACY.model_copy(update={"end_to_end": EndToEnd.model_validate(raw)})


def test_only_a_pass_from_files_that_did_no_more_is_an_end_to_end_figure() -> None:
    plain, cached, shared = (
        to_frame([_record(_timed(**changes))]).iloc[0]
        for changes in ({}, {"pixels": "cache"}, {"also_made": 2})
    )
    assert plain["end_to_end_images_per_s"] == 10
    assert pd.isna(plain["cached_images_per_s"])
    assert pd.isna(cached["end_to_end_images_per_s"])
    assert cached["cached_images_per_s"] == 10
    assert cached["end_to_end_note"] == "cached pixels"
    assert pd.isna(shared["end_to_end_images_per_s"])
    assert shared["end_to_end_note"] == "made the pixels of 2 more geometries"
    notes = render(to_frame([_record(_timed(pixels="cache"))]), "md").decode()
    assert "e2e/s: cached pixels: a" in notes


def test_rows_of_two_decoders_are_two_rows_and_the_flips_are_told(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    counts = {"images": 3, "correct_top1": 2, "correct_top5": None, "bad_images": ()}
    for decoder, top in (("pillow", [1, 2, 3]), ("torchvision", [1, 5, 3])):
        sink = io.BytesIO()
        columns = {"image": ["a", "b", "c"], "label": [1, 0, 3], "pred": top}
        pq.write_table(pa.table(columns), sink)
        key = KEY.model_copy(update={"decoder": decoder}).of("accuracy")
        store.append(_record(ACCURACY.model_copy(update=counts), key=key), sink.getvalue())
    frame = load_frame(str(tmp_path))
    assert frame["decoder"].tolist() == ["pillow", "torchvision"]
    assert frame["flips"].tolist() == [pd.NA, 1]
    text = render(frame, "md").decode()
    assert "a: decoded by torchvision; 1 of 3 predictions are not pillow's" in text
    alone = render(frame[1:].assign(flips=pd.NA).astype(frame.dtypes), "md").decode()
    assert "no row by pillow to compare it with" in alone


def test_training_is_a_figure_of_its_own_beside_inference() -> None:
    (row,) = to_frame([_record(THROUGHPUT), _record(TRAINING)]).to_dict("records")
    assert row["images_per_s"] == pytest.approx(8 / 0.2)
    assert row["train_images_per_s"] == pytest.approx(8)
    shares = [row[f"train_{part}_share"] for part in ("forward", "backward", "optimizer")]
    assert shares == pytest.approx([0.3, 0.6, 0.1])
    assert row["train_peak_memory_bytes"] == 10**6


EVEN = (1.0,) * 100
SLIGHTLY = tuple(1.0 + 0.0005 * (i % 7) for i in range(100))


def test_images_per_reference_are_of_the_work_beside_each_step() -> None:
    beside = Reference(version=1, seconds=(0.01, 0.01, 0.03), stretches=(2, 1))
    evidence = THROUGHPUT.model_copy(update={"reference": beside})
    (row,) = to_frame([_record(evidence)]).to_dict("records")
    # Steps of 0.1, 0.2 and 0.4 s beside references of 0.01, 0.01 and 0.02 s: 10, 20 and 20.
    assert row["images_per_reference"] == pytest.approx(8 / 20)


@pytest.mark.parametrize(
    ("steps_s", "throttled", "noisy"),
    [
        (EVEN, None, False),
        (SLIGHTLY, (), False),
        (EVEN, (3, 4), True),
        ((1.0, 1.2) * 50, (), True),  # quartiles 18 % apart
        ((1.0,) * 50 + (1.06,) * 50, (), True),  # drift: quartiles near, median not known
        ((1.0,), None, True),  # of one step nothing is known
    ],
)
def test_a_noisy_speed_is_flagged(
    steps_s: tuple[float, ...], throttled: tuple[int, ...] | None, noisy: bool
) -> None:
    gpu = GpuState(samples=(), throttled_steps=throttled, energy_j=None, note=None)
    evidence = THROUGHPUT.model_copy(update={"steps_s": steps_s, "gpu": gpu})
    row = to_frame([_record(evidence)]).iloc[0]
    assert bool(row["noisy"]) is noisy
    assert row["energy_j_per_image"] is pd.NA
    count = pd.NA if throttled is None else len(throttled)
    assert row["throttled_steps"] is count or row["throttled_steps"] == count


def test_what_the_machine_counted_is_per_step_and_per_image() -> None:
    host = HostUse(user_s=1, system_s=0, minor_faults=300, involuntary_switches=0)
    gpu = GpuState(samples=(), throttled_steps=(), energy_j=48.0, note=None)
    evidence = THROUGHPUT.model_copy(update={"host": host, "gpu": gpu})
    row = to_frame([_record(evidence)]).iloc[0]
    assert row["page_faults_per_step"] == 100
    assert row["energy_j_per_image"] == pytest.approx(48 / (3 * 8))
    assert to_frame([_record(THROUGHPUT)]).iloc[0]["page_faults_per_step"] is pd.NA


def test_a_row_says_how_its_batch_came_about() -> None:
    batch = {"policy": "auto", "note": "auto: bounded by memory", "measures": ["throughput"]}
    records = [_record(COMPLEXITY), _record(THROUGHPUT, conditions={"batch": batch})]
    row = to_frame(records).iloc[0]
    assert (row["batch_policy"], row["batch_note"]) == ("auto", "auto: bounded by memory")


@pytest.mark.parametrize(("steps", "note"), [(99, "99 steps, at least 100 needed"), (100, None)])
def test_a_99th_percentile_of_too_few_steps_is_absent_with_its_reason(
    steps: int, note: str | None
) -> None:
    evidence = THROUGHPUT.model_copy(update={"steps_s": (0.1,) * steps})
    row = to_frame([_record(evidence)]).iloc[0]
    assert pd.isna(row["step_p99_s"]) == (note is not None)
    assert pd.isna(row["step_p99_note"]) if note is None else row["step_p99_note"] == note
