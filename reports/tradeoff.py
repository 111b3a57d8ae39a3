"""Pictures of accuracy against cost, speed or year, with the fronts that nothing beats.

What was measured is drawn filled, what is only claimed hollow, and a front is drawn through either
alone.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from reports.drawing import (
    Handle,
    add_legend,
    family_handles,
    lay_out,
    log_if_wide,
    marker_handle,
    new_figure,
    slug,
)
from reports.labels import MAX_LABELS, place_labels
from reports.points import (
    ORIGINS,
    Accuracies,
    Origin,
    Point,
    Subject,
    accuracies,
    column,
    pareto_front,
    points,
    shown_settings,
    speed_groups,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_ORIGIN_TEXTS: dict[Origin, str] = {
    "measured": "measured",
    "exact": "claimed for these weights",
    "architecture": "claimed for this network\nwith other weights",
}


@dataclass(frozen=True)
class Axis:
    """A horizontal figure: its column, its unit, and which end of it is better."""

    column: str
    scale: float
    title: str
    more_is_better: bool = False


X_AXES: dict[str, Axis] = {
    "gmacs": Axis("macs", 1e-9, "GMACs of one image (10⁹ multiply-adds, measured)"),
    "params": Axis("params", 1e-6, "parameters (millions, measured)"),
    "images_per_s": Axis("images_per_s", 1.0, "images/s (measured", more_is_better=True),
    "year": Axis("", 1.0, "year of the paper"),
}


@dataclass(frozen=True)
class Tradeoff:
    """Accuracy against one figure, before it is drawn; ``stem`` names its file."""

    stem: str
    title: str
    x_title: str
    y_title: str
    points: tuple[Point, ...]
    more_x_is_better: bool = False
    by_year: bool = False
    left_out: tuple[str, ...] = ()


def plan_tradeoffs(frame: pd.DataFrame, shown: Sequence[Subject], x: str) -> list[Tradeoff]:
    """Return the pictures of one of ``X_AXES``: of ImageNet, and of each sample set."""
    imagenet, samples = accuracies(frame)
    found = []
    for values, settings in _x_values(frame, shown, x):
        for measured in (imagenet, *samples):
            is_sample = measured is not imagenet
            tradeoff = _tradeoff(x, shown, values, settings, measured, is_sample)
            if tradeoff.points:
                found.append(tradeoff)
    return _with_different_stems(found)


def _x_values(
    frame: pd.DataFrame, shown: Sequence[Subject], x: str
) -> Iterator[tuple[dict[str, float], dict[str, Any]]]:
    """Yield the entries' horizontal figures, once for each setting they depend on."""
    axis = X_AXES[x]
    if x == "year":
        yield {s.entry: float(s.year) for s in shown if s.year is not None}, {}
    elif x == "images_per_s":
        for settings, group in speed_groups(frame):
            yield column(group, axis.column, axis.scale), settings
    else:
        yield column(frame, axis.column, axis.scale), {}


def _tradeoff(
    x: str,
    shown: Sequence[Subject],
    values: Mapping[str, float],
    settings: Mapping[str, Any],
    measured: Accuracies,
    is_sample: bool,
) -> Tradeoff:
    axis = X_AXES[x]
    found, left_out = points(
        shown, values, measured, precision=settings.get("precision"), with_claims=not is_sample
    )
    how = shown_settings(settings)
    parts = [measured.slug, f"top1-{x}", slug(how)]
    return Tradeoff(
        stem="-".join(part for part in parts if part),
        title=_title(measured, found, is_sample),
        x_title=f"{axis.title}: {how})" if settings else axis.title,
        y_title="top-1 on the sample (%)" if is_sample else "ImageNet top-1 (%)",
        points=tuple(found),
        more_x_is_better=axis.more_is_better,
        by_year=x == "year",
        left_out=tuple(left_out),
    )


def _title(measured: Accuracies, found: Sequence[Point], is_sample: bool) -> str:
    if is_sample:
        return f"Top-1 on {measured.title}; bars: 95 % interval"
    count = sum(point.origin == "measured" for point in found)
    if count == len(found):
        return f"Top-1 measured on the {measured.title}"
    if not count:
        return "Top-1 as published (claimed); none of it was measured here"
    return f"Top-1: {count} measured on the {measured.title}, {len(found) - count} as published"


def _with_different_stems(found: Sequence[Tradeoff]) -> list[Tradeoff]:
    """Return the pictures, with settings in the file's name only where there are several."""
    short = [re.sub(r"(top1-images_per_s).*", r"\1", tradeoff.stem) for tradeoff in found]
    return [
        replace(tradeoff, stem=name) if short.count(name) == 1 else tradeoff
        for tradeoff, name in zip(found, short, strict=True)
    ]


def draw_tradeoff(tradeoff: Tradeoff, styles: Mapping[str, tuple[str, str]]) -> "Figure":
    """Return the drawn picture: marks, fronts, labels, legend."""
    figure = new_figure()
    axes = figure.add_subplot()
    marks = _side_by_side(tradeoff.points) if tradeoff.by_year else tradeoff.points
    for point in marks:
        _mark(axes, point, *styles[point.family])
    fronts = _fronts(tradeoff)
    lines = [_draw_front(axes, front, origin, tradeoff) for origin, front in fronts.items()]
    _name_axes(axes, tradeoff)
    measured = {p.family for p in marks if p.origin == "measured"}
    handles = family_handles(styles, {p.family: p.family not in measured for p in marks})
    handles += _origin_handles({p.origin for p in marks})
    handles += [_front_handle(origin, tradeoff) for origin in fronts]
    add_legend(figure, handles)
    lay_out(figure)
    place_labels(axes, _labelled(tradeoff, marks, fronts), lines=lines)
    return figure


def _mark(axes: "Axes", point: Point, colour: str, shape: str) -> None:
    """Draw a point: filled if measured; hollow if claimed, with a dot if for other weights."""
    filled = point.origin == "measured"
    axes.scatter(
        point.x,
        point.y,
        s=40,
        marker=shape,
        facecolors=colour if filled else "none",
        edgecolors=colour,
        linewidths=1.1,
        zorder=3,
        gid=f"{point.origin}: {point.label}",
    )
    if point.origin == "architecture":
        axes.scatter(point.x, point.y, s=4, marker="o", color=colour, linewidths=0, zorder=3)
    if filled and point.y_low is not None and point.y_high is not None:
        bars = [[point.y - point.y_low], [point.y_high - point.y]]
        axes.errorbar(point.x, point.y, bars, color=colour, linewidth=0.7, zorder=2, alpha=0.6)


def _fronts(tradeoff: Tradeoff) -> dict[Literal["measured", "claimed"], list[tuple[float, float]]]:
    """Return the front of what was measured, and apart from it that of what is claimed."""
    fronts: dict[Literal["measured", "claimed"], list[tuple[float, float]]] = {}
    for point in tradeoff.points:
        of = "measured" if point.origin == "measured" else "claimed"
        fronts.setdefault(of, []).append((point.x, point.y))  # type: ignore[arg-type]
    return {
        of: pareto_front(marks, more_x=tradeoff.more_x_is_better)
        for of, marks in sorted(fronts.items(), reverse=True)  # measured before claimed
    }


def _draw_front(
    axes: "Axes", front: Sequence[tuple[float, float]], origin: str, tradeoff: Tradeoff
) -> list[tuple[float, float]]:
    """Draw the steps that bound what the front's points beat; return their corners."""
    corners = list(front[:1])
    for (x0, y0), (x1, y1) in itertools.pairwise(front):
        corners += [(x0, y1) if tradeoff.more_x_is_better else (x1, y0), (x1, y1)]
    style = "-" if origin == "measured" else (0, (4, 3))
    axes.plot(*zip(*corners, strict=True), linestyle=style, color="0.6", linewidth=1, zorder=1)
    return corners


def _labelled(
    tradeoff: Tradeoff,
    marks: Sequence[Point],
    fronts: Mapping[Any, Sequence[tuple[float, float]]],
) -> list[tuple[float, float, str]]:
    """Return all marks with their labels; of too many, only those of a front have one."""
    on_front = {mark for front in fronts.values() for mark in front}
    few = len(marks) <= MAX_LABELS
    return [
        (mark.x, mark.y, mark.label if few or (point.x, point.y) in on_front else "")
        for mark, point in zip(marks, tradeoff.points, strict=True)
    ]


def _side_by_side(marks: Sequence[Point]) -> list[Point]:
    """Return the points moved sideways within their year, so that none covers another."""
    ys = [point.y for point in marks]
    near_y = max((max(ys) - min(ys)) * 0.025, 1e-9)
    step = 0.11
    moved: list[Point] = []
    for point in marks:
        tries = sorted((i * step for i in range(-3, 4)), key=lambda shift: (abs(shift), -shift))
        free = (
            shift
            for shift in tries
            if all(
                abs(point.x + shift - other.x) >= step * 0.99 or abs(point.y - other.y) >= near_y
                for other in moved
            )
        )
        moved.append(replace(point, x=point.x + next(free, 0.0)))
    return moved


def _name_axes(axes: "Axes", tradeoff: Tradeoff) -> None:
    axes.set_title(tradeoff.title, fontsize=10, loc="left")
    axes.set_ylabel(tradeoff.y_title)
    # Labels of a crowded year need room at both sides.
    axes.margins(x=0.16 if tradeoff.by_year else 0.09, y=0.09)
    axes.grid(True, color="0.93", linewidth=0.6)
    axes.set_axisbelow(True)
    if tradeoff.by_year:
        years = sorted({int(point.x) for point in tradeoff.points})
        axes.set_xticks(years if len(years) <= 12 else years[:: len(years) // 12 + 1])
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.set_xlabel(f"{tradeoff.x_title} (marks of one year lie side by side)")
        return
    log = log_if_wide(axes, "x", [point.x for point in tradeoff.points])
    axes.set_xlabel(tradeoff.x_title + (", log scale" if log else ""))


def _origin_handles(present: set[Origin]) -> list[Handle]:
    """Return a gap, and what filled, hollow and dotted marks mean, where there are any."""
    ring, dot = marker_handle("o", "none", "0.3"), marker_handle("o", "0.3", "none", size=2)
    known: dict[Origin, Line2D | tuple[Line2D, Line2D]] = {
        "measured": marker_handle("o", "0.3", "0.3"),
        "exact": ring,
        "architecture": (ring, dot),
    }
    gap: Handle = (marker_handle("None", "none", "none"), "")
    return [gap, *((known[o], _ORIGIN_TEXTS[o]) for o in ORIGINS if o in present)]


def _front_handle(origin: str, tradeoff: Tradeoff) -> Handle:
    from matplotlib.lines import Line2D

    kind = "best so far" if tradeoff.by_year else "Pareto front"
    style: Any = "-" if origin == "measured" else (0, (4, 3))
    line = Line2D([], [], linestyle=style, color="0.6", linewidth=1)
    return line, f"{kind} of the {origin}"
