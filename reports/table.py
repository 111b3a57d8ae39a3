"""The frame of measured rows as a sheet: a row a key, and the reason of every absent figure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.records import REFERENCE_DECODER, SETTINGS
from reports import corruptions
from reports.baseline import counts_csv
from reports.efficiency import CLOCK_SPREAD
from reports.flips import decoded
from reports.render import render as render_as
from reports.render.sheet import (
    ABSENT,
    Best,
    Cell,
    Heading,
    Section,
    Sheet,
    best_of,
    number,
)


@dataclass(frozen=True)
class Column:
    """A column as people read it: what it is called, and how a row's cell is written.

    Of ``raw``, a column of the frame, the ``best`` value is bold. A ``of_gpu`` column is on a
    terminal only where a row ran on a GPU, and only if there is room for it.
    """

    title: str
    cell: Callable[[Any], str]
    numeric: bool = True
    on_terminal: bool = True
    of_gpu: bool = False
    raw: str | None = None
    best: Best | None = None


def _number(column: str, scale: float, digits: int) -> Callable[[Any], str]:
    return lambda row: number(row[column], scale=scale, digits=digits)


def _percent(name: str) -> Callable[[Any], str]:
    def cell(row: Any) -> str:
        if pd.isna(row[name]):
            return ABSENT
        low, high = (number(row[f"{name}_{end}"], scale=100, digits=1) for end in ("low", "high"))
        mark = "*" if row["images"] < row["images_in_dataset"] else ""
        return f"{number(row[name], scale=100, digits=2)}{mark} [{low}, {high}]"

    return cell


def _macs(row: Any) -> str:
    text = number(row["macs"], scale=1e-9, digits=3)
    doubt = not pd.isna(row["counters_agree"]) and not row["counters_agree"]
    return f"{text}?" if doubt or not pd.isna(row["uncounted_operators"]) else text


def _speed(prefix: str) -> Callable[[Any], str]:
    def cell(row: Any) -> str:
        text = number(row[f"{prefix}images_per_s"], scale=1, digits=1)
        return f"{text}~" if _is_true(row[f"{prefix}noisy"]) else text

    return cell


def _latency(row: Any) -> str:
    text = number(row["latency_p50_s"], scale=1e3, digits=2)
    return f"{text}~" if _is_true(row["latency_noisy"]) else text


def _launch_bound(row: Any) -> str:
    return ABSENT if pd.isna(row["launch_bound"]) else "yes" if row["launch_bound"] else "no"


def _is_true(value: Any) -> bool:
    return not pd.isna(value) and bool(value)


FIGURES = (
    Column("params M", _number("params", 1e-6, 2)),
    Column("GMACs", _macs),
    Column("fvcore GMACs", _number("macs_fvcore", 1e-9, 3), on_terminal=False),
    Column("top-1 %", _percent("top1"), raw="top1", best="high"),
    Column("top-5 %", _number("top5", 100, 2), on_terminal=False, raw="top5", best="high"),
    Column("img/s", _speed(""), raw="images_per_s", best="high"),
    Column(
        "e2e/s",
        _number("end_to_end_images_per_s", 1, 1),
        raw="end_to_end_images_per_s",
        best="high",
    ),
    Column("MB", _number("peak_memory_bytes", 1e-6, 0), raw="peak_memory_bytes", best="low"),
    Column("compile s", _number("compile_s", 1, 1)),
    Column("p50 ms", _latency, raw="latency_p50_s", best="low"),
    Column("p90 ms", _number("latency_p90_s", 1e3, 2), raw="latency_p90_s", best="low"),
    Column("p99 ms", _number("latency_p99_s", 1e3, 2), raw="latency_p99_s", best="low"),
    Column("MFU %", _number("mfu", 100, 1), of_gpu=True, raw="mfu", best="high"),
    Column("W", _number("watts", 1, 0), of_gpu=True),
    Column(
        "J/img",
        _number("energy_j_per_image", 1, 3),
        of_gpu=True,
        raw="energy_j_per_image",
        best="low",
    ),
    Column("SM MHz", _number("sm_mhz", 1, 0), of_gpu=True),
    Column("launch-bound", _launch_bound, numeric=False, of_gpu=True),
    Column("first call MB", _number("first_call_peak_memory_bytes", 1e-6, 0), of_gpu=True),
    Column("train/s", _speed("train_"), raw="train_images_per_s", best="high"),
    Column(
        "train MB",
        _number("train_peak_memory_bytes", 1e-6, 0),
        on_terminal=False,
        raw="train_peak_memory_bytes",
        best="low",
    ),
)
# Told once above the table while they are the same for all rows, else a column each.
_TOLD = ("dataset", *SETTINGS, "decoder")
_TITLES = {"memory_format": "layout", "device_name": "on", "batch_size": "batch"}


def render(frame: pd.DataFrame, format_name: str) -> bytes:
    """Return the frame in one of the formats of ``reports.render``, or its counts; text is UTF-8.

    Raises:
        UnknownNameError: no such format.
    """
    return render_as(frame, sheet, format_name, more={"counts": counts_csv})


def sheet(frame: pd.DataFrame) -> Sheet:
    """Return the table with what is the same for all rows, and what its marks mean."""
    lines = [line for _, line in frame.iterrows()]
    columns = _columns(frame, lines)
    on_gpu = bool((frame["device"] == "cuda").any())
    bold = [best_of(_raw(frame, column), column.best) for column in columns]
    rows = tuple(
        tuple(Cell(c.cell(line), i in best) for c, best in zip(columns, bold, strict=True))
        for i, line in enumerate(lines)
    )
    return Sheet(
        caption="Measured by zoobench",
        header=tuple(_header(frame)),
        headings=tuple(_heading(column, on_gpu=on_gpu) for column in columns),
        sections=(Section(None, rows),),
        notes=(*_notes(lines), *corruptions.notes(frame)),
    )


def _heading(column: Column, *, on_gpu: bool) -> Heading:
    on_terminal = column.on_terminal and (on_gpu or not column.of_gpu)
    return Heading(column.title, column.numeric, on_terminal, spare=column.of_gpu)


def _raw(frame: pd.DataFrame, column: Column) -> list[float | None]:
    if column.raw is None:
        return []
    return [None if pd.isna(value) else float(value) for value in frame[column.raw]]


def _columns(frame: pd.DataFrame, lines: list[pd.Series]) -> list[Column]:
    """Return the entry, the settings that differ, and the figures that some row has."""
    settings = [
        Column(_TITLES.get(name, name), _text(name), numeric=name == "batch_size")
        for name in _TOLD
        if _varies(frame, name)
    ]
    measured = [c for c in FIGURES if any(c.cell(line) != ABSENT for line in lines)]
    if _varies(frame, "input_px"):
        settings.insert(0, Column("input px", _text("input_px"), on_terminal=False))
    return [Column("entry", _text("entry"), numeric=False), *settings, *measured]


def _varies(frame: pd.DataFrame, name: str) -> bool:
    return bool(frame[name].nunique(dropna=True) > 1)


def _text(name: str) -> Callable[[Any], str]:
    return lambda row: ABSENT if pd.isna(row[name]) else str(row[name])


def _header(frame: pd.DataFrame) -> list[str]:
    """Return what is the same for all rows, in one or two lines."""
    same = {
        name: str(frame[name].dropna().iloc[0])
        for name in _TOLD
        if not _varies(frame, name) and frame[name].notna().any()
    }
    device = ": ".join(same[name] for name in ("device", "device_name") if name in same)
    how = [same[name] for name in ("precision", "memory_format", "compile") if name in same]
    if "batch_size" in same:
        how.append(f"batch {same['batch_size']}")
    if same.get("decoder", REFERENCE_DECODER) != REFERENCE_DECODER:
        how.append(f"decoded by {same['decoder']}")
    lines = []
    if device or how:
        lines.append(", ".join([device, *how] if device else how))
    if "dataset" in same:
        images = frame["images"].dropna().unique()
        count = f", {images[0]} images" if len(images) == 1 else ""
        lines.append(f"accuracy on {same['dataset']}{count}")
    return lines


def _notes(lines: list[pd.Series]) -> list[str]:
    """Return what the table's marks mean, and the reason of every figure that is absent."""
    notes = []
    if any(not pd.isna(line["top1"]) for line in lines):
        notes.append("[…]: Wilson's 95 % interval; e2e/s: images/s from files to predictions")
    if any(_is_true(line["peak_memory_kind"] == "process_rss") for line in lines):
        notes.append("MB: peak of the process with its libraries; runs differ by 5 to 14 %")
    notes += [
        f"{ABSENT} e2e/s: {why}: {', '.join(names)}" for why, names in _untimed(lines).items()
    ]
    sizes = {int(row["latency_images"]) for row in lines if not pd.isna(row["latency_images"])}
    if sizes:
        images = ", ".join("1 image" if size == 1 else f"{size} images" for size in sorted(sizes))
        notes.append(f"p50, p90, p99 ms: latency of requests of {images}, one at a time")
    notes += _gpu_notes(lines)
    for row in lines:
        if not pd.isna(row["decoder"]) and row["decoder"] != REFERENCE_DECODER:
            notes.append(f"{row['entry']}: {decoded(row)}")
        if not pd.isna(row["status"]) and row["status"] == "partial":
            bad = row["images_in_dataset"] - row["images"]
            notes.append(f"* {row['entry']}: partial, {bad} of {row['images_in_dataset']} unread")
        if not pd.isna(row["uncounted_operators"]):
            notes.append(f"? {row['entry']}: uncounted operators: {row['uncounted_operators']}")
        if not pd.isna(row["counters_agree"]) and not row["counters_agree"]:
            other = number(row["macs_fvcore"], scale=1e-9, digits=3)
            notes.append(f"? {row['entry']}: the counters disagree: fvcore counts {other} G")
        if not pd.isna(row["batch_policy"]) and row["batch_policy"] == "auto":
            notes.append(f"{row['entry']}: batch {row['batch_size']}, {row['batch_note']}")
        notes += [
            f"~ {row['entry']}, batch {row['batch_size']}: {what}: {_noise(row, prefix)}"
            for prefix, what in (("", "noisy speed"), ("train_", "noisy training speed"))
            if _is_true(row[f"{prefix}noisy"])
        ]
        if not pd.isna(row["latency_p99_note"]):
            notes.append(f"{ABSENT} {_named(row)}: p99 latency: {row['latency_p99_note']}")
        if _is_true(row["latency_noisy"]):
            notes.append(f"~ {_named(row)}: noisy latency: {_latency_noise(row)}")
        if not pd.isna(row["graph_breaks"]) and row["graph_breaks"]:
            notes.append(
                f"! {_named(row)}: torch.compile broke the graph {row['graph_breaks']} times: "
                f"{row['graph_break_reason']}"
            )
        if not pd.isna(row["notes"]):
            notes.append(f"{row['entry']}: {row['notes']}")
        if not pd.isna(row["reason"]):
            notes.append(f"{ABSENT} {row['entry']}: {row['reason']}")
    return notes


def _untimed(lines: list[pd.Series]) -> dict[str, list[str]]:
    """Return the entries that were evaluated without an end-to-end figure, by the reason."""
    found: dict[str, list[str]] = {}
    for row in lines:
        if not pd.isna(row["end_to_end_note"]):
            found.setdefault(row["end_to_end_note"], []).append(row["entry"])
    return found


def _gpu_notes(lines: list[pd.Series]) -> list[str]:
    """Return what speeds on a GPU depend on beyond the settings, and who else used it."""
    notes = []
    on_gpu = [row for row in lines if _is_true(row["device"] == "cuda")]
    if any(row["precision"] == "fp32" and _has_speed(row) for row in on_gpu):
        notes.append("fp32 without TF32; other harnesses' fp32 is usually TF32: --precision tf32")
    if bound := [_named(row) for row in on_gpu if _is_true(row["launch_bound"])]:
        notes.append(f"launch-bound, the host sets the pace: {', '.join(bound)}")
    for row in on_gpu:
        if not pd.isna(row["other_processes"]) and row["other_processes"]:
            notes.append(
                f"! {_named(row)}: other processes that used the GPU meanwhile: "
                f"{row['other_processes']}; measure again without them"
            )
    return notes


def _has_speed(row: Any) -> bool:
    names = ("images_per_s", "train_images_per_s", "latency_p50_s")
    return any(not pd.isna(row[name]) for name in names)


def _named(row: Any) -> str:
    batch = "" if pd.isna(row["batch_size"]) else f", batch {row['batch_size']}"
    return f"{row['entry']}{batch}"


def _noise(row: Any, prefix: str) -> str:
    """Return how uneven the steps were."""
    return _unevenness(
        spread=row[f"{prefix}step_iqr_s"] / row[f"{prefix}step_median_s"],
        error=row[f"{prefix}step_median_rse"],
        clock_spread=row[f"{prefix}sm_mhz_spread"],
        throttled=row[f"{prefix}throttled_steps"],
        what=f"of {row[f'{prefix}steps']} steps",
    )


def _latency_noise(row: Any) -> str:
    """Return how uneven the requests were."""
    return _unevenness(
        spread=row["latency_iqr_s"] / row["latency_p50_s"],
        error=row["latency_p50_rse"],
        clock_spread=row["latency_sm_mhz_spread"],
        throttled=row["latency_throttled_requests"],
        what=f"of {row['latency_requests']} requests",
    )


def _unevenness(
    *, spread: float, error: float, clock_spread: Any, throttled: Any, what: str
) -> str:
    known = "unknown" if pd.isna(error) else f"{number(error, scale=100, digits=1)} %"
    apart = number(spread, scale=100, digits=1)
    text = f"{what.split()[-1]}' quartiles {apart} % apart, standard error {known}"
    if not pd.isna(clock_spread) and clock_spread > CLOCK_SPREAD:
        text += f", SM clock's quartiles {number(clock_spread, scale=100, digits=1)} % apart"
    if not pd.isna(throttled) and throttled:
        text += f", {throttled} {what} slowed down by the GPU"
    return text
