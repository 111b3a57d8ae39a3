"""From a store to one pandas DataFrame: a row a key, fixed columns, fixed dtypes.

Every figure is computed here from evidence, and nothing is rounded.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.records import (
    Accuracy,
    BadImage,
    Complexity,
    EndToEnd,
    Latency,
    Measure,
    Record,
    RowKey,
    Stages,
    Throughput,
    Timed,
    Training,
)
from bench.shards import whole_records
from bench.stats import P99_MIN_STEPS, StepSummary, median_in_units, summarize, wilson
from bench.store import Store
from reports.efficiency import gpu_columns, is_disturbed, launch_columns, mfu, other_processes
from reports.flips import Flips, flips

# A set may have thousands that cannot be read; the record has all of them.
_IMAGES_LISTED = 10
# Two counters agree if they differ by less; design of the figure: docs/figures.md.
COUNTERS_AGREE_WITHIN = 0.02

# Steps are noisy if their quartiles are further apart, in shares of the median, or if the median's
# own relative standard error is larger, or unknown.
NOISY_SPREAD = 0.10
NOISY_RSE = 0.01

# How rows say that they were measured on the whole of ImageNet-1k's validation set.
IMAGENET_VAL_KIND = "imagenet-val"
IMAGENET_VAL_IMAGES = 50_000

DTYPES: dict[str, str] = {
    # the key
    "entry": "string",
    "network": "string",
    "input_px": "string",
    "weights_sha256": "string",
    "weights_options": "string",
    "preprocess": "string",
    "dataset_digest": "string",
    "device": "string",
    "device_name": "string",
    "precision": "string",
    "memory_format": "string",
    "compile": "string",
    "batch_size": "Int64",
    "decoder": "string",
    "batch_policy": "string",
    "batch_note": "string",
    # measured, partial or failed; and why
    "status": "string",
    "reason": "string",
    # what was chosen where there was a choice: input size, part of the weights' file
    "notes": "string",
    # complexity, of one image
    "params": "Int64",
    "unused_params": "Int64",
    "unused_modules": "string",
    "macs": "Int64",
    "macs_fvcore": "Int64",
    "counters_agree": "boolean",
    "uncounted_operators": "string",
    # accuracy, as fractions
    "dataset": "string",
    "dataset_kind": "string",
    "images_in_dataset": "Int64",
    "images": "Int64",
    "top1": "Float64",
    "top1_low": "Float64",
    "top1_high": "Float64",
    "top5": "Float64",
    "top5_low": "Float64",
    "top5_high": "Float64",
    "content_sha256": "string",
    "forward_batch": "Int64",
    # predictions that another decoder than the reference changed, among so many images
    "flips": "Int64",
    "flips_among": "Int64",
    # speed
    "images_per_s": "Float64",
    "images_per_s_wall": "Float64",
    "images_per_reference": "Float64",
    "noisy": "boolean",
    "step_median_s": "Float64",
    "step_median_rse": "Float64",
    "step_iqr_s": "Float64",
    "step_p90_s": "Float64",
    "step_p99_s": "Float64",
    "step_p99_note": "string",
    "steps": "Int64",
    "throttled_steps": "Int64",
    "power_capped_steps": "Int64",
    "warmup_steps": "Int64",
    "first_call_s": "Float64",
    "compile_s": "Float64",
    "graph_breaks": "Int64",
    "graph_break_reason": "string",
    "page_faults_per_step": "Float64",
    "launch_s": "Float64",
    "launch_bound": "boolean",
    "mfu": "Float64",
    "watts": "Float64",
    "energy_j_per_image": "Float64",
    "sm_mhz": "Float64",
    "sm_mhz_spread": "Float64",
    "end_to_end_images_per_s": "Float64",
    "end_to_end_note": "string",
    "cached_images_per_s": "Float64",
    "read_decode_share": "Float64",
    "resize_share": "Float64",
    "copy_share": "Float64",
    "model_share": "Float64",
    "cache_share": "Float64",
    "peak_memory_bytes": "Int64",
    "first_call_peak_memory_bytes": "Int64",
    "peak_memory_kind": "string",
    # latency of requests of so many images
    "latency_images": "Int64",
    "latency_p50_s": "Float64",
    "latency_p90_s": "Float64",
    "latency_p99_s": "Float64",
    "latency_p99_note": "string",
    "latency_iqr_s": "Float64",
    "latency_p50_rse": "Float64",
    "latency_noisy": "boolean",
    "latency_requests": "Int64",
    "latency_throttled_requests": "Int64",
    "latency_sm_mhz_spread": "Float64",
    "latency_first_call_s": "Float64",
    # training
    "train_images_per_s": "Float64",
    "train_images_per_s_wall": "Float64",
    "train_images_per_reference": "Float64",
    "train_noisy": "boolean",
    "train_step_median_s": "Float64",
    "train_step_median_rse": "Float64",
    "train_step_iqr_s": "Float64",
    "train_step_p90_s": "Float64",
    "train_step_p99_s": "Float64",
    "train_step_p99_note": "string",
    "train_steps": "Int64",
    "train_throttled_steps": "Int64",
    "train_power_capped_steps": "Int64",
    "train_warmup_steps": "Int64",
    "train_first_call_s": "Float64",
    "train_page_faults_per_step": "Float64",
    "train_watts": "Float64",
    "train_energy_j_per_image": "Float64",
    "train_sm_mhz": "Float64",
    "train_sm_mhz_spread": "Float64",
    "train_peak_memory_bytes": "Int64",
    "train_peak_memory_kind": "string",
    "train_forward_share": "Float64",
    "train_backward_share": "Float64",
    "train_optimizer_share": "Float64",
    # conditions
    "other_processes": "Int64",
    "measured_at": "string",
    "zoobench": "string",
    "git_commit": "string",
    "torch": "string",
    "timm": "string",
    "pillow": "string",
}


def frame_of(store: Store) -> pd.DataFrame:
    """Return all rows of a store, in the order in which their entries were first measured."""
    found = list(whole_records(store))
    return to_frame((record for _, record in found), flips(store, found))


def to_frame(
    records: Iterable[Record], flips: Mapping[RowKey, Flips] | None = None
) -> pd.DataFrame:
    """Join records into rows: a record belongs to each row whose key agrees with its own.

    Shards have to be joined before: ``bench.shards.whole_records``. ``flips`` are those of rows by
    another decoder than the reference.
    """
    by_entry: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        assert record.key.shard is None, record.key
        by_entry[record.key.entry].append(record)
    rows = [_row(key, own, flips or {}) for own in by_entry.values() for key in _row_keys(own)]
    frame = pd.DataFrame(rows, columns=list(DTYPES))
    return frame.astype(DTYPES)


def _row_keys(records: list[Record]) -> list[RowKey]:
    """Return the keys that no other key says more than, in the order of first appearance."""
    keys = list(dict.fromkeys(record.key for record in records))
    return [
        key for key in keys if not any(other != key and _says_all_of(other, key) for other in keys)
    ]


def _says_all_of(other: RowKey, key: RowKey) -> bool:
    """Return whether ``other`` states every field that ``key`` states, alike."""
    theirs = other.model_dump()
    return all(value is None or value == theirs[name] for name, value in key.model_dump().items())


def _row(key: RowKey, records: list[Record], flips: Mapping[RowKey, Flips]) -> dict[str, Any]:
    chosen: dict[Measure, Record] = {}
    for record in records:
        if _says_all_of(key, record.key):
            earlier = chosen.get(record.measure)
            if record.speaks_instead_of(earlier):
                chosen[record.measure] = record
    row: dict[str, Any] = key.model_dump(exclude={"shard"})
    reasons = []
    notes = [note for record in chosen.values() for note in record.conditions.get("notes", ())]
    row["notes"] = "; ".join(dict.fromkeys(notes)) or None
    for measure, record in chosen.items():
        row |= _conditions(record)
        if record.evidence is None:
            reasons.append(f"{measure}: {record.reason}")
        elif isinstance(record.evidence, Complexity):
            row |= _complexity(record.evidence)
        elif isinstance(record.evidence, Accuracy):
            row |= _accuracy(record.evidence)
            row["flips"], row["flips_among"] = flips.get(record.key, (None, None))
            reasons += _listed("unreadable", record.evidence.bad_images)
            reasons += _listed("odd", record.evidence.odd_images)
            reasons += filter(None, [record.evidence.left_out])
        elif isinstance(record.evidence, Training):
            row |= _training(record.evidence)
        elif isinstance(record.evidence, Latency):
            row |= _latency(record.evidence)
        else:
            row |= _throughput(record.evidence)
    row["mfu"] = mfu(row, chosen.get("throughput"))
    row["other_processes"] = other_processes(chosen.values())
    failed = any(record.status == "failed" for record in chosen.values())
    partial = row.get("images", 0) < row.get("images_in_dataset", 0)
    row["status"] = "failed" if failed else "partial" if partial else "measured"
    row["reason"] = "; ".join(reasons) or None
    return row


def _complexity(evidence: Complexity) -> dict[str, Any]:
    agree = None
    if evidence.macs_fvcore is not None:
        larger = max(evidence.macs, evidence.macs_fvcore, 1)
        agree = abs(evidence.macs - evidence.macs_fvcore) <= COUNTERS_AGREE_WITHIN * larger
    uncounted = {**evidence.uncounted, **evidence.fvcore_uncounted}
    return {
        "params": evidence.params,
        "unused_params": sum(module.params for module in evidence.unused),
        "unused_modules": " ".join(module.name for module in evidence.unused) or None,
        "macs": evidence.macs,
        "macs_fvcore": evidence.macs_fvcore,
        "counters_agree": agree,
        "uncounted_operators": " ".join(sorted(uncounted)) or None,
    }


def _accuracy(evidence: Accuracy) -> dict[str, Any]:
    row: dict[str, Any] = {
        "dataset": evidence.dataset,
        "dataset_kind": evidence.dataset_kind,
        "images_in_dataset": evidence.images_in_dataset,
        "images": evidence.images,
        "content_sha256": evidence.content_sha256,
        "forward_batch": evidence.forward_batch,
    }
    for name, correct in (("top1", evidence.correct_top1), ("top5", evidence.correct_top5)):
        if correct is not None:
            interval = wilson(correct, evidence.images)
            row[name] = correct / evidence.images
            row |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
    if evidence.end_to_end is None:
        row["end_to_end_note"] = "not timed: evaluated in shards, or beside other rows"
    else:
        row |= _end_to_end(evidence.end_to_end)
    return row


def _end_to_end(timed: EndToEnd) -> dict[str, Any]:
    """Return images/s, as the end-to-end figure only if the pass began with files and did no more.

    The shares are of whatever the pass did. Where one thread owned the device, its stages overlap
    and have no shares.
    """
    shares = {} if timed.stages.owned_s else _shares(timed.stages)
    rate = timed.images / timed.seconds
    if timed.pixels == "cache":
        return {**shares, "cached_images_per_s": rate, "end_to_end_note": "cached pixels"}
    if timed.also_made:
        note = f"made the pixels of {timed.also_made} more geometries"
        return {**shares, "end_to_end_note": note}
    return {**shares, "end_to_end_images_per_s": rate}


def _shares(stages: Stages) -> dict[str, float]:
    seconds = stages.model_dump(exclude={"owned_s"})
    total = sum(seconds.values())
    return {f"{name.removesuffix('_s')}_share": s / total for name, s in seconds.items()}


def _timed(evidence: Timed) -> dict[str, Any]:
    steps = summarize(evidence.steps_s)
    count = len(evidence.steps_s)
    host = evidence.host
    return {
        **gpu_columns(evidence),
        "images_per_s": evidence.batch_size / steps.median_s,
        "images_per_s_wall": evidence.batch_size * count / evidence.wall_s,
        "images_per_reference": images_per_reference(evidence),
        "noisy": is_noisy(steps) or is_disturbed(evidence),
        "step_median_s": steps.median_s,
        "step_median_rse": None if math.isinf(steps.median_rse) else steps.median_rse,
        "step_iqr_s": steps.iqr_s,
        "step_p90_s": steps.p90_s,
        "step_p99_s": steps.p99_s,
        "step_p99_note": _p99_note(count),
        "steps": count,
        "warmup_steps": evidence.warmup_steps,
        "first_call_s": evidence.first_call_s,
        "page_faults_per_step": host.minor_faults / count if host else None,
        "peak_memory_bytes": evidence.peak_memory_bytes,
        "peak_memory_kind": evidence.peak_memory_kind,
    }


def _p99_note(steps: int) -> str | None:
    """Return why there is no 99th percentile, or None if there is one."""
    return None if steps >= P99_MIN_STEPS else f"{steps} steps, at least {P99_MIN_STEPS} needed"


def images_per_reference(evidence: Timed) -> float | None:
    """Return the images that pass in the time of the reference work, or None where none ran."""
    beside = evidence.reference
    if beside is None:
        return None
    steps = median_in_units(evidence.steps_s, beside.stretches, beside.seconds)
    return evidence.batch_size / steps


def is_noisy(steps: StepSummary) -> bool:
    """Return whether steps are too uneven for their median to be taken at its word."""
    spread = steps.iqr_s / steps.median_s
    return spread > NOISY_SPREAD or steps.median_rse > NOISY_RSE


def _throughput(evidence: Throughput) -> dict[str, Any]:
    return {
        **_timed(evidence),
        **_compilation(evidence),
        **launch_columns(evidence),
        "first_call_peak_memory_bytes": evidence.first_call_peak_memory_bytes,
    }


def _compilation(evidence: Timed) -> dict[str, Any]:
    done = evidence.compilation
    if done is None:
        return {}
    return {
        "compile_s": done.seconds,
        "graph_breaks": sum(done.graph_breaks.values()),
        "graph_break_reason": next(iter(done.graph_breaks), None),
    }


def _latency(evidence: Latency) -> dict[str, Any]:
    found = _timed(evidence)
    return {
        **_compilation(evidence),
        "latency_images": evidence.batch_size,
        "latency_p50_s": found["step_median_s"],
        "latency_p90_s": found["step_p90_s"],
        "latency_p99_s": found["step_p99_s"],
        "latency_p99_note": found["step_p99_note"],
        "latency_iqr_s": found["step_iqr_s"],
        "latency_p50_rse": found["step_median_rse"],
        "latency_noisy": found["noisy"],
        "latency_requests": found["steps"],
        "latency_throttled_requests": found.get("throttled_steps"),
        "latency_sm_mhz_spread": found.get("sm_mhz_spread"),
        "latency_first_call_s": found["first_call_s"],
    }


def _training(evidence: Training) -> dict[str, Any]:
    row = {f"train_{name}": value for name, value in _timed(evidence).items()}
    for part in ("forward", "backward", "optimizer"):
        seconds = getattr(evidence, f"{part}_s")
        row[f"train_{part}_share"] = sum(seconds) / sum(evidence.steps_s)
    return row


def _listed(what: str, images: Sequence[BadImage]) -> list[str]:
    """Return the first images with their reasons, and how many more the record has."""
    lines = [f"{what}: {image.image}: {image.reason}" for image in images[:_IMAGES_LISTED]]
    more = len(images) - len(lines)
    return [*lines, f"{more:,} more {what}"] if more else lines


def _conditions(record: Record) -> dict[str, Any]:
    names = ("zoobench", "git_commit", "torch", "timm", "pillow")
    batch = record.conditions.get("batch") or {}
    found = {f"batch_{name}": batch[name] for name in ("policy", "note") if name in batch}
    return {
        **found,
        "measured_at": record.started_at,
        **{name: record.conditions.get(name) for name in names},
    }
