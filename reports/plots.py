"""Pictures: accuracy against cost, speed and year; measured against published figures.

What was measured is drawn filled, what is only claimed hollow, and a front is drawn through either
alone. The same frame always gives the same bytes.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from bench.records import SETTINGS
from reports.drawing import (
    Handle,
    add_legend,
    family_styles,
    fixed_style,
    lay_out,
    log_if_wide,
    marker_handle,
    new_figure,
    require_matplotlib,
    save,
)
from reports.labels import place_labels
from reports.points import (
    CLAIMED_COLUMNS,
    ORIGINS,
    Accuracies,
    Origin,
    Pair,
    Point,
    Subject,
    accuracies,
    column,
    known_entries,
    pairs,
    pareto_front,
    points,
    speed_groups,
    subjects,
)
from reports.sweep import Sweep, draw_sweep, plan_sweeps
from zoo.errors import StoreError, UnknownNameError
from zoo.published import ClaimedFigure, load_rows, tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

XName = Literal["gmacs", "params", "images_per_s", "year", "published", "batch"]
FORMATS = {"png": ("png",), "svg": ("svg",), "both": ("png", "svg")}

# Beyond this, only the points of a front have labels.
_MAX_LABELS = 45
# Of the deviations from a claim, the largest so many are named.
_MAX_DEVIATIONS = 12
# Beyond this, one gross deviation would press all others flat, so the axis is logarithmic outwards.
_SYMLOG_FROM = 10.0
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
X_NAMES = (*X_AXES, "published", "batch")
_PAIR_TITLES: dict[ClaimedFigure, tuple[str, str]] = {
    "params_m": ("params", "parameters (millions)"),
    "gflops": ("gmacs", "GMACs of one image (10⁹ multiply-adds)"),
    "images_per_s": ("images_per_s", "images/s"),
    "top1_pct": ("top1", "ImageNet top-1 (%)"),
}


@dataclass(frozen=True)
class Picture:
    """Accuracy against one figure, before it is drawn; ``stem`` names its file."""

    stem: str
    title: str
    x_title: str
    y_title: str
    points: tuple[Point, ...]
    more_x_is_better: bool = False
    by_year: bool = False
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Measured against published values of one figure, before they are drawn."""

    stem: str
    title: str
    axis_title: str
    pairs: tuple[Pair, ...]
    is_speed: bool = False
    is_percentage: bool = False
    published_how: str = ""


@dataclass(frozen=True)
class Written:
    """The files of some pictures, and which entries are missing in which of them."""

    files: tuple[Path, ...]
    notes: tuple[str, ...]


def write_pictures(
    frame: pd.DataFrame,
    shown: Sequence[Subject],
    out: Path,
    *,
    xs: Sequence[str] = X_NAMES,
    formats: Sequence[str] = ("png",),
    prefix: str = "",
) -> Written:
    """Draw every picture that the frame has figures for, and write the files.

    Args:
        frame: rows as of ``reports.frame``.
        shown: what the marks stand for, from ``reports.points.subjects``.
        out: the folder, made if it is not there.
        xs: some of ``X_NAMES``.
        formats: some of png and svg.
        prefix: what the files' names begin with.

    Raises:
        MissingExtraError: matplotlib is not installed.
        StoreError: there is nothing to draw, or a file cannot be written.
    """
    require_matplotlib()
    todo = [item for x in xs for item in plan_pictures(frame, shown, x)]
    if not todo:
        raise StoreError(
            f"nothing to draw: no entry has both figures of {', '.join(xs)}; measure some with: "
            "zoobench run --figures params,gmacs,top1,speed"
        )
    styles = family_styles(subject.family for subject in shown)
    files = []
    for item in todo:
        with fixed_style():
            figure = draw(item, styles)
            files += [save(figure, out / f"{prefix}{item.stem}.{kind}") for kind in formats]
    pictures = [item for item in todo if isinstance(item, Picture)]
    return Written(
        tuple(files), tuple(_left_out(picture) for picture in pictures if picture.left_out)
    )


def write_report_pictures(
    frame: pd.DataFrame, out: Path, *, formats: Sequence[str] = ("png",)
) -> Written:
    """Draw all pictures of a report: of its entries, and of each published table it has rows of.

    Args:
        frame: rows as of ``reports.frame``, such as ``reports.load_frame`` reads.
        out: the folder, made if it is not there; a table's files begin with its name.
        formats: some of png and svg.

    Raises:
        MissingExtraError: matplotlib is not installed.
        StoreError: there is nothing to draw, or a file cannot be written.
    """
    entries = known_entries()
    present = set(frame["entry"])
    parts = [write_pictures(frame, subjects(frame, entries), out, formats=formats)]
    for table in tables():
        if any(row.entry in present for row in load_rows(table)):
            shown = subjects(frame, entries, table)
            parts.append(write_pictures(frame, shown, out, formats=formats, prefix=f"{table}-"))
    files = tuple(file for part in parts for file in part.files)
    return Written(files, tuple(note for part in parts for note in part.notes))


def _left_out(picture: Picture) -> str:
    names = ", ".join(picture.left_out[:5])
    more = f" … ({len(picture.left_out)} in all)" if len(picture.left_out) > 5 else ""
    return f"{picture.stem}: left out, for want of a figure: {names}{more}"


def draw(item: "Picture | Comparison | Sweep", styles: Mapping[str, tuple[str, str]]) -> "Figure":
    """Return the drawn picture; ``styles`` are those of ``family_styles``."""
    if isinstance(item, Sweep):
        return draw_sweep(item)
    if isinstance(item, Picture):
        return draw_picture(item, styles)
    return draw_comparison(item, styles)


def plan_pictures(
    frame: pd.DataFrame, shown: Sequence[Subject], x: str
) -> list[Picture | Comparison | Sweep]:
    """Return the pictures of one horizontal figure: of ImageNet, and of each sample set.

    Raises:
        UnknownNameError: no such figure.
    """
    if x not in X_NAMES:
        raise UnknownNameError("figure", x, X_NAMES, "--x")
    if x == "published":
        return list(_comparisons(frame, shown))
    if x == "batch":
        return list(plan_sweeps(frame, shown))
    imagenet, samples = accuracies(frame)
    found = []
    for values, settings in _x_values(frame, shown, x):
        for measured in (imagenet, *samples):
            is_sample = measured is not imagenet
            picture = _picture(x, shown, values, settings, measured, is_sample)
            if picture.points:
                found.append(picture)
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


def _picture(
    x: str,
    shown: Sequence[Subject],
    values: Mapping[str, float],
    settings: Mapping[str, Any],
    measured: Accuracies,
    is_sample: bool,
) -> Picture:
    axis = X_AXES[x]
    found, left_out = points(
        shown, values, measured, precision=settings.get("precision"), with_claims=not is_sample
    )
    how = ", ".join(_shown_setting(name, settings[name]) for name in settings)
    parts = [measured.slug, f"top1-{x}", _slug(how)]
    return Picture(
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


def _shown_setting(name: str, value: Any) -> str:
    if pd.isna(value):
        return "–"
    return f"batch {value}" if name == "batch_size" else str(value)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _with_different_stems(found: Sequence[Picture]) -> list[Picture | Comparison | Sweep]:
    """Return the pictures, with settings in the file's name only where there are several."""
    short = [re.sub(r"(top1-images_per_s).*", r"\1", picture.stem) for picture in found]
    return [
        replace(picture, stem=name) if short.count(name) == 1 else picture
        for picture, name in zip(found, short, strict=True)
    ]


def _comparisons(frame: pd.DataFrame, shown: Sequence[Subject]) -> Iterator[Comparison]:
    imagenet, _ = accuracies(frame)
    for figure, (name, scale) in CLAIMED_COLUMNS.items():
        short, title = _PAIR_TITLES[figure]
        if figure == "top1_pct":
            tops = {s.entry: imagenet.find(s.entry, None) for s in shown}
            groups = [("", {entry: top[0] for entry, top in tops.items() if top})]
        elif figure == "images_per_s":
            groups = [
                (", ".join(_shown_setting(n, s[n]) for n in SETTINGS), column(g, name, scale))
                for s, g in speed_groups(frame)
            ]
        else:
            groups = [("", column(frame, name, scale))]
        for how, values in groups:
            found = tuple(pairs(shown, values, figure))
            if found:
                yield Comparison(
                    stem="-".join(p for p in ("published", short, _slug(how)) if p),
                    title=f"Measured against published: {title}" + (f"\n{how}" if how else ""),
                    axis_title=title,
                    pairs=found,
                    is_speed=figure == "images_per_s",
                    is_percentage=figure == "top1_pct",
                    published_how=_published_how(found) if how else "",
                )


def _published_how(found: Sequence[Pair]) -> str:
    """Return the conditions of the published speeds, where all have the same."""
    conditions = {pair.conditions for pair in found}
    return conditions.pop() if len(conditions) == 1 else "conditions differ"


def draw_picture(picture: Picture, styles: Mapping[str, tuple[str, str]]) -> "Figure":
    """Return the drawn picture: marks, fronts, labels, legend."""
    figure = new_figure()
    axes = figure.add_subplot()
    marks = _side_by_side(picture.points) if picture.by_year else picture.points
    for point in marks:
        _mark(axes, point, *styles[point.family])
    fronts = _fronts(picture)
    lines = [_draw_front(axes, front, origin, picture) for origin, front in fronts.items()]
    _name_axes(axes, picture)
    measured = {p.family for p in marks if p.origin == "measured"}
    handles = _family_handles(styles, {p.family: p.family not in measured for p in marks})
    handles += _origin_handles({p.origin for p in marks})
    handles += [_front_handle(origin, picture) for origin in fronts]
    add_legend(figure, handles)
    lay_out(figure)
    place_labels(axes, _labelled(picture, marks, fronts), lines=lines)
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


def _fronts(picture: Picture) -> dict[Literal["measured", "claimed"], list[tuple[float, float]]]:
    """Return the front of what was measured, and apart from it that of what is claimed."""
    fronts: dict[Literal["measured", "claimed"], list[tuple[float, float]]] = {}
    for point in picture.points:
        of = "measured" if point.origin == "measured" else "claimed"
        fronts.setdefault(of, []).append((point.x, point.y))  # type: ignore[arg-type]
    return {
        of: pareto_front(marks, more_x=picture.more_x_is_better)
        for of, marks in sorted(fronts.items(), reverse=True)  # measured before claimed
    }


def _draw_front(
    axes: "Axes", front: Sequence[tuple[float, float]], origin: str, picture: Picture
) -> list[tuple[float, float]]:
    """Draw the steps that bound what the front's points beat; return their corners."""
    corners = list(front[:1])
    for (x0, y0), (x1, y1) in itertools.pairwise(front):
        corners += [(x0, y1) if picture.more_x_is_better else (x1, y0), (x1, y1)]
    style = "-" if origin == "measured" else (0, (4, 3))
    axes.plot(*zip(*corners, strict=True), linestyle=style, color="0.6", linewidth=1, zorder=1)
    return corners


def _labelled(
    picture: Picture,
    marks: Sequence[Point],
    fronts: Mapping[Any, Sequence[tuple[float, float]]],
) -> list[tuple[float, float, str]]:
    """Return all marks with their labels; of too many, only those of a front have one."""
    on_front = {mark for front in fronts.values() for mark in front}
    few = len(marks) <= _MAX_LABELS
    return [
        (mark.x, mark.y, mark.label if few or (point.x, point.y) in on_front else "")
        for mark, point in zip(marks, picture.points, strict=True)
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


def _name_axes(axes: "Axes", picture: Picture) -> None:
    axes.set_title(picture.title, fontsize=10, loc="left")
    axes.set_ylabel(picture.y_title)
    # Labels of a crowded year need room at both sides.
    axes.margins(x=0.16 if picture.by_year else 0.09, y=0.09)
    axes.grid(True, color="0.93", linewidth=0.6)
    axes.set_axisbelow(True)
    if picture.by_year:
        years = sorted({int(point.x) for point in picture.points})
        axes.set_xticks(years if len(years) <= 12 else years[:: len(years) // 12 + 1])
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.set_xlabel(f"{picture.x_title} (marks of one year lie side by side)")
        return
    log = log_if_wide(axes, "x", [point.x for point in picture.points])
    axes.set_xlabel(picture.x_title + (", log scale" if log else ""))


def _family_handles(
    styles: Mapping[str, tuple[str, str]], hollow: Mapping[str, bool]
) -> list[Handle]:
    """Return a handle for each family that is a key of ``hollow``."""
    return [
        (marker_handle(shape, "none" if hollow[family] else colour, colour), family)
        for family, (colour, shape) in styles.items()
        if family in hollow
    ]


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


def _front_handle(origin: str, picture: Picture) -> Handle:
    from matplotlib.lines import Line2D

    kind = "best so far" if picture.by_year else "Pareto front"
    style: Any = "-" if origin == "measured" else (0, (4, 3))
    line = Line2D([], [], linestyle=style, color="0.6", linewidth=1)
    return line, f"{kind} of the {origin}"


def draw_comparison(comparison: Comparison, styles: Mapping[str, tuple[str, str]]) -> "Figure":
    """Return measured over published above, and the deviation in per cent below.

    What is printed as it was measured needs no name; every other point has one. Speeds of other
    machines have only the upper part.
    """
    figure = new_figure()
    panels = 1 if comparison.is_speed else 2
    ratios = [3, 2][:panels]
    grid = figure.subplots(panels, 1, sharex=True, squeeze=False, height_ratios=ratios)
    upper, lower = grid[0][0], grid[-1][0]
    _draw_scatter(upper, comparison, styles)
    upper.set_title(comparison.title, fontsize=10, loc="left")
    if not comparison.is_speed:
        _draw_deviations(lower, comparison, styles)
    log = upper.get_xscale() == "log"
    how = f" ({comparison.published_how})" if comparison.published_how else ""
    lower.set_xlabel(f"published, {comparison.axis_title}{how}{', log scale' if log else ''}")
    add_legend(figure, _family_handles(styles, {pair.family: False for pair in comparison.pairs}))
    lay_out(figure)
    _label_deviations(lower, comparison)
    return figure


def _draw_scatter(
    axes: "Axes", comparison: Comparison, styles: Mapping[str, tuple[str, str]]
) -> None:
    claimed = [pair.claimed for pair in comparison.pairs]
    measured = [pair.measured for pair in comparison.pairs]
    for pair in comparison.pairs:
        colour, shape = styles[pair.family]
        axes.scatter(pair.claimed, pair.measured, s=36, marker=shape, color=colour, linewidths=0)
    both = claimed + measured
    log_if_wide(axes, "x", both)
    log_if_wide(axes, "y", both)
    if not comparison.is_speed:
        equal = [min(claimed), max(claimed)]
        axes.plot(equal, equal, color="0.6", linewidth=1, zorder=1)
    axes.margins(x=0.09, y=0.09)
    axes.set_ylabel("measured")
    axes.grid(True, color="0.93", linewidth=0.6)
    axes.set_axisbelow(True)


def _draw_deviations(
    axes: "Axes", comparison: Comparison, styles: Mapping[str, tuple[str, str]]
) -> None:
    for pair in comparison.pairs:
        colour, shape = styles[pair.family]
        y, band = _deviation(pair, comparison), pair.tolerance
        if not comparison.is_percentage:
            band *= 100 / pair.claimed
        axes.errorbar(pair.claimed, y, band, color=colour, linewidth=0.7)
        axes.scatter(pair.claimed, y, s=30, marker=shape, color=colour, linewidths=0)
    axes.axhline(0, color="0.6", linewidth=1, zorder=1)
    axes.margins(x=0.09, y=0.25)
    unit = "points" if comparison.is_percentage else "%"
    note = "bars: rounding of the print"
    if max(abs(_deviation(pair, comparison)) for pair in comparison.pairs) > _SYMLOG_FROM:
        axes.set_yscale("symlog", linthresh=1, linscale=1)
        axes.yaxis.set_major_formatter("{x:,g}")
        note += "\nlog scale beyond ±1"
    axes.set_ylabel(f"measured − published ({unit})\n{note}", fontsize=8)
    axes.grid(True, color="0.93", linewidth=0.6)
    axes.set_axisbelow(True)


def _deviation(pair: Pair, comparison: Comparison) -> float:
    """Return measured less claimed: percentages in points, all else in per cent of the claim."""
    return pair.difference if comparison.is_percentage else pair.deviation_pct


def _label_deviations(axes: "Axes", comparison: Comparison) -> None:
    """Name what rounding does not explain, gross deviations only if many; of few speeds, all."""
    speed = comparison.is_speed
    if speed:
        named = comparison.pairs if len(comparison.pairs) <= _MAX_LABELS else ()
    else:
        off = [pair for pair in comparison.pairs if not pair.rounds_to_claim]
        off.sort(key=lambda pair: -abs(_deviation(pair, comparison)))
        named = tuple(off[:_MAX_DEVIATIONS])
    marks = [
        (
            pair.claimed,
            pair.measured if speed else _deviation(pair, comparison),
            pair.label if pair in named else "",
        )
        for pair in comparison.pairs
    ]
    place_labels(axes, marks)
