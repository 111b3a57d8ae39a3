"""The frame as a table: the one place that scales and rounds."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zoo.errors import UnknownNameError

ABSENT = "–"


@dataclass(frozen=True)
class Column:
    """A column as people read it: what it is called, and how a row's cell is written."""

    title: str
    cell: Callable[[Any], str]
    numeric: bool = True
    on_terminal: bool = True


def _number(column: str, scale: float, digits: int) -> Callable[[Any], str]:
    def cell(row: Any) -> str:
        value = row[column]
        return ABSENT if pd.isna(value) else f"{value * scale:,.{digits}f}"

    return cell


def _top(name: str) -> Callable[[Any], str]:
    def cell(row: Any) -> str:
        if pd.isna(row[name]):
            return ABSENT
        low, high = row[f"{name}_low"] * 100, row[f"{name}_high"] * 100
        mark = "*" if row["images"] < row["images_in_dataset"] else ""
        return f"{row[name] * 100:.2f}{mark} [{low:.1f}, {high:.1f}]"

    return cell


def _macs(row: Any) -> str:
    text = _number("macs", 1e-9, 3)(row)
    doubt = row["counters_agree"] is not pd.NA and not row["counters_agree"]
    return f"{text}?" if doubt or not pd.isna(row["uncounted_operators"]) else text


FIGURES = (
    Column("params M", _number("params", 1e-6, 2)),
    Column("GMACs", _macs),
    Column("top-1 %", _top("top1")),
    Column("top-5 %", _number("top5", 100, 2), on_terminal=False),
    Column("img/s", _number("images_per_s", 1, 1)),
    Column("e2e/s", _number("end_to_end_images_per_s", 1, 1)),
    Column("MB", _number("peak_memory_bytes", 1e-6, 0)),
)
# Told once above the table while they are the same for all rows, else a column each.
SETTINGS = ("dataset", "device", "device_name", "precision", "memory_format", "compile")
_BATCH = "batch_size"


def terminal(frame: pd.DataFrame, *, width: int | None = None) -> str:
    """Return the table for a terminal of ``width`` columns, with what its marks mean."""
    columns = [column for column in _columns(frame) if column.on_terminal]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        justify: Literal["left", "right"] = "right" if column.numeric else "left"
        table.add_column(column.title, justify=justify, overflow="fold", no_wrap=column.numeric)
    for _, row in frame.iterrows():
        table.add_row(*(Text(column.cell(row)) for column in columns))
    sink = io.StringIO()
    console = Console(file=sink, width=width, highlight=False, force_terminal=False)
    console.print(Text("\n".join(_header(frame))))
    console.print(table)
    for note in _notes(frame):
        console.print(Text(note))
    return sink.getvalue()


def markdown(frame: pd.DataFrame) -> str:
    """Return the table as GitHub-flavoured Markdown."""
    columns = _columns(frame)
    lines = [
        "| " + " | ".join(column.title for column in columns) + " |",
        "|" + "|".join("---:" if column.numeric else ":---" for column in columns) + "|",
    ]
    for _, row in frame.iterrows():
        cells = (column.cell(row).replace("|", "\\|") for column in columns)
        lines.append("| " + " | ".join(cells) + " |")
    parts = [*_header(frame), "", *lines, "", *(f"- {note}" for note in _notes(frame))]
    return "\n".join(parts).rstrip() + "\n"


def csv(frame: pd.DataFrame) -> str:
    """Return the whole frame, unrounded, as CSV."""
    return str(frame.to_csv(index=False))


def parquet(frame: pd.DataFrame) -> bytes:
    """Return the whole frame, unrounded and typed, as Parquet."""
    sink = io.BytesIO()
    frame.to_parquet(sink, index=False)
    return sink.getvalue()


FORMATS: dict[str, Callable[[pd.DataFrame], str | bytes]] = {
    "terminal": terminal,
    "md": markdown,
    "csv": csv,
    "parquet": parquet,
}


def render(frame: pd.DataFrame, format_name: str) -> bytes:
    """Return the frame in one of the formats; text is UTF-8.

    Raises:
        UnknownNameError: no such format.
    """
    if format_name not in FORMATS:
        raise UnknownNameError("format", format_name, FORMATS)
    content = FORMATS[format_name](frame)
    return content.encode() if isinstance(content, str) else content


def _columns(frame: pd.DataFrame) -> list[Column]:
    """Return the entry, the settings that differ, and the figures that some row has."""
    varying = [name for name in (*SETTINGS, _BATCH) if _varies(frame, name)]
    settings = [Column(name, _text(name), name == _BATCH) for name in varying]
    cells = {column.title: [column.cell(row) for _, row in frame.iterrows()] for column in FIGURES}
    measured = [c for c in FIGURES if any(cell != ABSENT for cell in cells[c.title])]
    return [Column("entry", _text("entry"), numeric=False), *settings, *measured]


def _varies(frame: pd.DataFrame, name: str) -> bool:
    return bool(frame[name].nunique(dropna=True) > 1)


def _text(name: str) -> Callable[[Any], str]:
    return lambda row: ABSENT if pd.isna(row[name]) else str(row[name])


def _header(frame: pd.DataFrame) -> list[str]:
    """Return what is the same for all rows, in one or two lines."""
    same = {
        name: str(frame[name].dropna().iloc[0])
        for name in (*SETTINGS, _BATCH)
        if not _varies(frame, name) and frame[name].notna().any()
    }
    device = ": ".join(same[name] for name in ("device", "device_name") if name in same)
    how = [same[name] for name in ("precision", "memory_format", "compile") if name in same]
    if _BATCH in same:
        how.append(f"batch {same[_BATCH]}")
    lines = []
    if device or how:
        lines.append(", ".join([device, *how] if device else how))
    if "dataset" in same:
        images = frame["images"].dropna().unique()
        count = f", {images[0]} images" if len(images) == 1 else ""
        lines.append(f"accuracy on {same['dataset']}{count}")
    return lines


def _notes(frame: pd.DataFrame) -> list[str]:
    """Return what the table's marks mean, and the reason of every figure that is absent."""
    notes = []
    if frame["top1"].notna().any():
        notes.append("[…]: Wilson's 95 % interval; e2e/s: images/s from files to predictions")
    for _, row in frame.iterrows():
        if row["status"] == "partial":
            bad = row["images_in_dataset"] - row["images"]
            notes.append(f"* {row['entry']}: partial, {bad} of {row['images_in_dataset']} unread")
        if not pd.isna(row["uncounted_operators"]):
            notes.append(f"? {row['entry']}: uncounted operators: {row['uncounted_operators']}")
        if row["counters_agree"] is not pd.NA and not row["counters_agree"]:
            other = row["macs_fvcore"] / 1e9
            notes.append(f"? {row['entry']}: the counters disagree: fvcore counts {other:.3f} G")
        if not pd.isna(row["reason"]):
            notes.append(f"{ABSENT} {row['entry']}: {row['reason']}")
    return notes
