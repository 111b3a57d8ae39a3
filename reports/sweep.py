"""The picture of a batch sweep: images/s and the 99th percentile of a step against batch size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench.records import SETTINGS
from bench.stats import P99_MIN_STEPS
from reports.drawing import (
    Handle,
    add_legend,
    family_styles,
    log_if_wide,
    marker_handle,
    new_figure,
    slug,
)
from reports.points import Subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HOW = tuple(name for name in SETTINGS if name != "batch_size")
_OUT_OF_MEMORY = "out of memory at batch"


@dataclass(frozen=True)
class Mark:
    """One batch of an entry; without memory for it there are no figures."""

    batch: int
    images_per_s: float | None
    p99_s: float | None
    noisy: bool = False
    is_auto: bool = False


@dataclass(frozen=True)
class Line:
    """The batches of one entry, by size."""

    label: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Sweep:
    """The lines of one picture, measured under the same settings; ``stem`` names its file."""

    stem: str
    title: str
    lines: tuple[Line, ...]


def plan_sweeps(frame: pd.DataFrame, shown: Sequence[Subject]) -> list[Sweep]:
    """Return a picture for each settings under which an entry was measured at several batches."""
    rows = frame[frame["batch_size"].notna() & frame["entry"].isin([s.entry for s in shown])]
    labels = {subject.entry: subject.label for subject in shown}
    found = []
    for key, group in rows.groupby(list(_HOW), sort=True, dropna=False):
        lines = [
            Line(labels[str(entry)], _marks(own))
            for entry, own in group.groupby("entry", sort=False)
        ]
        lines = [line for line in lines if sum(m.images_per_s is not None for m in line.marks) > 1]
        how = ", ".join(str(value) for value in key if value is not pd.NA)
        if lines:
            found.append((how, tuple(lines)))
    return [
        Sweep(
            stem="batch-images_per_s" + (f"-{slug(how)}" if len(found) > 1 else ""),
            title=f"Speed against batch size: {how}",
            lines=lines,
        )
        for how, lines in found
    ]


def _marks(rows: pd.DataFrame) -> tuple[Mark, ...]:
    """Return the batches that were timed, and those that memory was too small for."""
    marks = []
    for _, row in rows.sort_values("batch_size").iterrows():
        images_per_s = _number(row["images_per_s"])
        out_of_memory = not pd.isna(row["reason"]) and _OUT_OF_MEMORY in row["reason"]
        if images_per_s is not None or out_of_memory:
            marks.append(
                Mark(
                    batch=int(row["batch_size"]),
                    images_per_s=images_per_s,
                    p99_s=_number(row["step_p99_s"]),
                    noisy=not pd.isna(row["noisy"]) and bool(row["noisy"]),
                    is_auto=not pd.isna(row["batch_policy"]) and row["batch_policy"] == "auto",
                )
            )
    return tuple(marks)


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def draw_sweep(sweep: Sweep) -> "Figure":
    """Return the drawn picture: images/s above, 99th percentile of a step below."""
    figure = new_figure()
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    styles = family_styles(line.label for line in sweep.lines)
    for place, line in enumerate(sweep.lines):
        _draw_line(upper, line, styles[line.label], [m.images_per_s for m in line.marks])
        p99_ms = [None if m.p99_s is None else 1e3 * m.p99_s for m in line.marks]
        _draw_line(lower, line, styles[line.label], p99_ms)
        _draw_failures(upper, line, styles[line.label][0], height=0.03 * (1 + place))
    upper.set_title(sweep.title, fontsize=10, loc="left")
    upper.set_ylim(bottom=0)
    upper.yaxis.set_major_formatter("{x:,g}")
    upper.set_ylabel("images/s (batch / median step)")
    steps_ms = [1e3 * m.p99_s for line in sweep.lines for m in line.marks if m.p99_s]
    log = bool(steps_ms) and log_if_wide(lower, "y", steps_ms)
    if any(m.p99_s is None and m.images_per_s for line in sweep.lines for m in line.marks):
        lower.set_title(f"absent below {P99_MIN_STEPS} steps", fontsize=8, loc="right")
    lower.set_ylabel(f"step, 99th percentile (ms{', log scale' if log else ''})")
    _name_batches(lower, sweep)
    for axes in (upper, lower):
        axes.grid(True, color="0.93", linewidth=0.6)
        axes.set_axisbelow(True)
    add_legend(figure, _handles(sweep, styles))
    return figure


def _draw_line(
    axes: "Axes", line: Line, style: tuple[str, str], values: Sequence[float | None]
) -> None:
    colour, shape = style
    points = [(m, y) for m, y in zip(line.marks, values, strict=True) if y is not None]
    axes.plot(
        [mark.batch for mark, _ in points],
        [y for _, y in points],
        color=colour,
        linewidth=1,
        gid=line.label,
    )
    for mark, y in points:
        fill = "white" if mark.noisy else colour
        axes.scatter(
            mark.batch, y, s=36, marker=shape, facecolors=fill, edgecolors=colour, zorder=3
        )
        if mark.is_auto:
            axes.scatter(mark.batch, y, s=150, marker="o", facecolors="none", edgecolors=colour)


def _draw_failures(axes: "Axes", line: Line, colour: str, *, height: float) -> None:
    """Mark batches that there was no memory for, near the lower edge: they have no speed."""
    batches = [mark.batch for mark in line.marks if mark.images_per_s is None]
    axes.scatter(
        batches,
        [height] * len(batches),
        s=40,
        marker="x",
        color=colour,
        transform=axes.get_xaxis_transform(),
    )


def _name_batches(axes: "Axes", sweep: Sweep) -> None:
    """Make the axis of batches logarithmic, with a tick at each batch that was measured."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    batches = sorted({mark.batch for line in sweep.lines for mark in line.marks})
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(batches))
    axes.xaxis.set_major_formatter(FixedFormatter([str(batch) for batch in batches]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(batches[0] / 1.3, batches[-1] * 1.3)  # crosses do not count by themselves
    axes.set_xlabel("batch size, log scale")


def _handles(sweep: Sweep, styles: dict[str, tuple[str, str]]) -> list[Handle]:
    handles: list[Handle] = [
        (marker_handle(shape, colour, colour), label) for label, (colour, shape) in styles.items()
    ]
    marks = [mark for line in sweep.lines for mark in line.marks]
    if any(mark.noisy for mark in marks):
        handles.append((marker_handle("o", "none", "0.3"), "noisy"))
    if any(mark.is_auto for mark in marks):
        handles.append((marker_handle("o", "none", "0.3", size=11), "the largest that fits (auto)"))
    if any(mark.images_per_s is None for mark in marks):
        handles.append((marker_handle("x", "0.3", "0.3"), "out of memory"))
    return handles
