"""Sides of a comparison, and stores with the same evidence, for tests."""

import io
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from bench.records import Accuracy, Complexity, EndToEnd, Record, RowKey, Stages, Throughput
from bench.store import Store
from reports.side import PREDICTION_DTYPES, Answers, Counts, Item, Run, Side, Speed

KEY = RowKey(
    entry="a",
    network="timm/x",
    input_px="224x224",
    weights_sha256="1" * 64,
    preprocess="resize 256",
    dataset_digest="2" * 64,
    device="cpu",
    device_name="CPU one",
    precision="fp32",
    memory_format="contiguous",
    compile="eager",
    batch_size=8,
)
MACHINE = {"processor": "CPU one", "cores": 2, "torch_threads": 2}
STEADY = (100.0, 101.0, 99.0, 100.5, 99.5)


def key(**changes: object) -> RowKey:
    return KEY.model_copy(update=changes)


def counts(params: int = 1000, macs: int = 2000, **changes: object) -> Counts:
    return Counts(key=key(**changes).of("complexity"), params=params, macs=macs)


def answers(
    preds: Iterable[int],
    *,
    content: str = "c",
    unread: int = 0,
    verified: bool = True,
    **changes: object,
) -> Answers:
    """Predictions of images whose labels are all 0."""
    predicted = list(preds)
    names = [f"{i}.jpg" for i in range(len(predicted))]
    frame = pd.DataFrame({"image": names, "label": 0, "pred": predicted})
    frame["right"] = frame["pred"] == 0
    return Answers(
        key(**changes),
        content,
        frame.astype(PREDICTION_DTYPES),
        len(frame) + unread,
        verified,
    )


def speed(
    runs: Iterable[float],
    *,
    machine: dict[str, object] | None = None,
    day: int = 1,
    references_per_s: float | None = None,
    torch: str = "2.9.1",
    **changes: object,
) -> Speed:
    """Return runs; ``references_per_s`` is how fast the machine was meanwhile, if that is known."""
    made = tuple(
        Run(
            measured_at=f"2026-01-{day:02}T00:00:{i:02}+00:00",
            images_per_s=value,
            images_per_reference=references_per_s and value / references_per_s,
            reference_version=references_per_s and 1,
            torch=torch,
        )
        for i, value in enumerate(runs)
    )
    return Speed(
        key=key(**changes).of("throughput"),
        figure="images_per_s",
        machine=machine or MACHINE,
        runs=made,
    )


def latency(seconds: Iterable[float], *, day: int = 1, **changes: object) -> Speed:
    """Return runs of a latency, by their median request."""
    made = tuple(
        Run(measured_at=f"2026-01-{day:02}T00:00:{i:02}+00:00", latency_p50_s=value)
        for i, value in enumerate(seconds)
    )
    return Speed(
        key=key(**changes).of("latency"), figure="latency_p50_s", machine=MACHINE, runs=made
    )


def side(*items: Item, name: str = "side", failures: object = ()) -> Side:
    return Side(name, items, tuple(failures))  # type: ignore[arg-type]


def store_of(
    path: Path,
    *,
    preds: Iterable[int] | None = (0,) * 19 + (1,),
    params: int | None = 1000,
    images_per_s: float | None = 100.0,
    at: str = "2026-01-02T00:00:00+00:00",
    **changes: object,
) -> str:
    """Return a store with one row: counts, predictions and speed, each unless it is None."""
    store, own = Store(str(path)), key(**changes)
    if params is not None:
        store.append(_record(own, "complexity", _complexity(params), at))
    if images_per_s is not None:
        store.append(_record(own, "throughput", _throughput(images_per_s), at))
    if preds is not None:
        found = answers(preds)
        sink = io.BytesIO()
        found.frame.drop(columns="right").to_parquet(sink)
        store.append(_record(own, "accuracy", _accuracy(found), at), sink.getvalue())
    return str(path)


def failed(path: str, measure: str, reason: str, **changes: object) -> None:
    Store(path).append(_record(key(**changes), measure, None, "2026-01-03T00:00:00", reason))


def _record(
    own: RowKey, measure: str, evidence: object, at: str, reason: str | None = None
) -> Record:
    return Record(
        measure=measure,  # type: ignore[arg-type]
        key=own.of(measure),  # type: ignore[arg-type]
        status="measured" if evidence else "failed",
        reason=reason,
        evidence=evidence,  # type: ignore[arg-type]
        started_at=at,
        seconds=1.0,
        conditions={**MACHINE, "processor": own.device_name, "torch": "2.14"},
    )


def _complexity(params: int) -> Complexity:
    return Complexity(
        params=params,
        unused=(),
        macs=2 * params,
        macs_by_operator={},
        uncounted={},
        macs_fvcore=None,
        fvcore_note=None,
        fvcore_uncounted={},
    )


def _throughput(images_per_s: float) -> Throughput:
    return Throughput(
        batch_size=8,
        first_call_s=1.0,
        warmup_steps=3,
        steps_s=(8 / images_per_s,) * 3,
        wall_s=1.0,
        clock="perf_counter",
        peak_memory_bytes=None,
        peak_memory_kind=None,
    )


def _accuracy(found: Answers) -> Accuracy:
    stages = Stages(read_decode_s=1, resize_s=1, copy_s=1, model_s=1)
    return Accuracy(
        dataset="val",
        dataset_kind="imagenet-folder",
        images_in_dataset=len(found.frame),
        images=len(found.frame),
        correct_top1=found.correct,
        correct_top5=None,
        bad_images=(),
        content_sha256="c",
        end_to_end=EndToEnd(images=20, seconds=1.0, lanes=2, stages=stages),
    )
