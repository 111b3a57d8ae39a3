"""From a store to one pandas DataFrame: a row a key, fixed columns, fixed dtypes.

Every figure is computed here from evidence, and nothing is rounded.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pandas as pd

from bench.records import Accuracy, Complexity, EndToEnd, Measure, Record, RowKey, Throughput
from bench.shards import whole_records
from bench.stats import summarize, wilson
from bench.store import Store

# Two counters agree if they differ by less; design of the figure: docs/figures.md.
COUNTERS_AGREE_WITHIN = 0.02

# How rows say that they were measured on the whole of ImageNet-1k's validation set.
IMAGENET_VAL_KIND = "imagenet-val"
IMAGENET_VAL_IMAGES = 50_000

DTYPES: dict[str, str] = {
    # the key
    "entry": "string",
    "network": "string",
    "input_px": "string",
    "weights_sha256": "string",
    "preprocess": "string",
    "dataset_digest": "string",
    "device": "string",
    "device_name": "string",
    "precision": "string",
    "memory_format": "string",
    "compile": "string",
    "batch_size": "Int64",
    "decoder": "string",
    # measured, partial or failed; and why
    "status": "string",
    "reason": "string",
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
    # speed
    "images_per_s": "Float64",
    "images_per_s_wall": "Float64",
    "step_median_s": "Float64",
    "step_iqr_s": "Float64",
    "step_p90_s": "Float64",
    "step_p99_s": "Float64",
    "steps": "Int64",
    "first_call_s": "Float64",
    "end_to_end_images_per_s": "Float64",
    "end_to_end_note": "string",
    "cached_images_per_s": "Float64",
    "read_decode_share": "Float64",
    "resize_share": "Float64",
    "copy_share": "Float64",
    "model_share": "Float64",
    "cache_share": "Float64",
    "peak_memory_bytes": "Int64",
    "peak_memory_kind": "string",
    # conditions
    "measured_at": "string",
    "zoobench": "string",
    "git_commit": "string",
    "torch": "string",
    "timm": "string",
    "pillow": "string",
}


def frame_of(store: Store) -> pd.DataFrame:
    """Return all rows of a store, in the order in which their entries were first measured."""
    return to_frame(record for _, record in whole_records(store))


def to_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Join records into rows: a record belongs to each row whose key agrees with its own.

    Shards have to be joined before: ``bench.shards.whole_records``.
    """
    by_entry: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        assert record.key.shard is None, record.key
        by_entry[record.key.entry].append(record)
    rows = [_row(key, own) for own in by_entry.values() for key in _row_keys(own)]
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


def _row(key: RowKey, records: list[Record]) -> dict[str, Any]:
    chosen: dict[Measure, Record] = {}
    for record in records:
        if _says_all_of(key, record.key):
            earlier = chosen.get(record.measure)
            # The newest speaks, but a failure does not take back what was measured.
            if earlier is None or record.status == "measured" or earlier.status == "failed":
                chosen[record.measure] = record
    row: dict[str, Any] = key.model_dump(exclude={"shard"})
    reasons = []
    for measure, record in chosen.items():
        row |= _conditions(record)
        if record.evidence is None:
            reasons.append(f"{measure}: {record.reason}")
        elif isinstance(record.evidence, Complexity):
            row |= _complexity(record.evidence)
        elif isinstance(record.evidence, Accuracy):
            row |= _accuracy(record.evidence)
            reasons += [f"unreadable: {b.image}: {b.reason}" for b in record.evidence.bad_images]
        else:
            row |= _throughput(record.evidence)
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
    if evidence.end_to_end is not None:
        row |= _end_to_end(evidence.end_to_end)
    return row


def _end_to_end(timed: EndToEnd) -> dict[str, Any]:
    """Return images/s, as the end-to-end figure only if the pass began with files and did no more.

    The shares are of whatever the pass did.
    """
    stages = timed.stages.model_dump()
    total = sum(stages.values())
    shares = {f"{name.removesuffix('_s')}_share": s / total for name, s in stages.items()}
    rate = timed.images / timed.seconds
    if timed.pixels == "cache":
        return {**shares, "cached_images_per_s": rate, "end_to_end_note": "cached pixels"}
    if timed.also_made:
        note = f"made the pixels of {timed.also_made} more geometries"
        return {**shares, "end_to_end_note": note}
    return {**shares, "end_to_end_images_per_s": rate}


def _throughput(evidence: Throughput) -> dict[str, Any]:
    steps = summarize(evidence.steps_s)
    return {
        "images_per_s": evidence.batch_size / steps.median_s,
        "images_per_s_wall": evidence.batch_size * len(evidence.steps_s) / evidence.wall_s,
        "step_median_s": steps.median_s,
        "step_iqr_s": steps.iqr_s,
        "step_p90_s": steps.p90_s,
        "step_p99_s": steps.p99_s,
        "steps": len(evidence.steps_s),
        "first_call_s": evidence.first_call_s,
        "peak_memory_bytes": evidence.peak_memory_bytes,
        "peak_memory_kind": evidence.peak_memory_kind,
    }


def _conditions(record: Record) -> dict[str, Any]:
    names = ("zoobench", "git_commit", "torch", "timm", "pillow")
    return {
        "measured_at": record.started_at,
        **{name: record.conditions.get(name) for name in names},
    }
