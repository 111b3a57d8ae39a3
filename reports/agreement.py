"""Pictures of measured against published figures, and of how far they deviate."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from reports.drawing import add_legend, family_handles, lay_out, log_if_wide, new_figure, slug
from reports.labels import MAX_LABELS, place_labels
from reports.points import (
    CLAIMED_COLUMNS,
    Pair,
    Subject,
    accuracies,
    column,
    pairs,
    shown_settings,
    speed_groups,
)
from zoo.published import ClaimedFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Of the deviations from a claim, the largest so many are named.
_MAX_DEVIATIONS = 12
# Beyond this, one gross deviation would press all others flat, so the axis is logarithmic outwards.
_SYMLOG_FROM = 10.0
_PAIR_TITLES: dict[ClaimedFigure, tuple[str, str]] = {
    "params_m": ("params", "parameters (millions)"),
    "gflops": ("gmacs", "GMACs of one image (10⁹ multiply-adds)"),
    "images_per_s": ("images_per_s", "images/s"),
    "top1_pct": ("top1", "ImageNet top-1 (%)"),
}


@dataclass(frozen=True)
class Agreement:
    """Measured against published values of one figure, before they are drawn."""

    stem: str
    title: str
    axis_title: str
    pairs: tuple[Pair, ...]
    is_speed: bool = False
    is_percentage: bool = False
    published_how: str = ""


def plan_agreements(frame: pd.DataFrame, shown: Sequence[Subject]) -> Iterator[Agreement]:
    """Yield a picture for each published figure that was measured too; of speeds, one a setting."""
    imagenet, _ = accuracies(frame)
    for figure, (name, scale) in CLAIMED_COLUMNS.items():
        short, title = _PAIR_TITLES[figure]
        if figure == "top1_pct":
            tops = {s.entry: imagenet.find(s.entry, None) for s in shown}
            groups = [("", {entry: top[0] for entry, top in tops.items() if top})]
        elif figure == "images_per_s":
            groups = [(shown_settings(s), column(g, name, scale)) for s, g in speed_groups(frame)]
        else:
            groups = [("", column(frame, name, scale))]
        for how, values in groups:
            found = tuple(pairs(shown, values, figure))
            if found:
                yield Agreement(
                    stem="-".join(p for p in ("published", short, slug(how)) if p),
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


def draw_agreement(agreement: Agreement, styles: Mapping[str, tuple[str, str]]) -> "Figure":
    """Return measured over published above, and the deviation in per cent below.

    What is printed as it was measured needs no name; every other point has one. Speeds of other
    machines have only the upper part.
    """
    figure = new_figure()
    panels = 1 if agreement.is_speed else 2
    ratios = [3, 2][:panels]
    grid = figure.subplots(panels, 1, sharex=True, squeeze=False, height_ratios=ratios)
    upper, lower = grid[0][0], grid[-1][0]
    _draw_scatter(upper, agreement, styles)
    upper.set_title(agreement.title, fontsize=10, loc="left")
    if not agreement.is_speed:
        _draw_deviations(lower, agreement, styles)
    log = upper.get_xscale() == "log"
    how = f" ({agreement.published_how})" if agreement.published_how else ""
    lower.set_xlabel(f"published, {agreement.axis_title}{how}{', log scale' if log else ''}")
    add_legend(figure, family_handles(styles, {pair.family: False for pair in agreement.pairs}))
    lay_out(figure)
    _label_deviations(lower, agreement)
    return figure


def _draw_scatter(
    axes: "Axes", agreement: Agreement, styles: Mapping[str, tuple[str, str]]
) -> None:
    claimed = [pair.claimed for pair in agreement.pairs]
    measured = [pair.measured for pair in agreement.pairs]
    for pair in agreement.pairs:
        colour, shape = styles[pair.family]
        axes.scatter(pair.claimed, pair.measured, s=36, marker=shape, color=colour, linewidths=0)
    both = claimed + measured
    log_if_wide(axes, "x", both)
    log_if_wide(axes, "y", both)
    if not agreement.is_speed:
        equal = [min(claimed), max(claimed)]
        axes.plot(equal, equal, color="0.6", linewidth=1, zorder=1)
    axes.margins(x=0.09, y=0.09)
    axes.set_ylabel("measured")
    axes.grid(True, color="0.93", linewidth=0.6)
    axes.set_axisbelow(True)


def _draw_deviations(
    axes: "Axes", agreement: Agreement, styles: Mapping[str, tuple[str, str]]
) -> None:
    for pair in agreement.pairs:
        colour, shape = styles[pair.family]
        y, band = _deviation(pair, agreement), pair.tolerance
        if not agreement.is_percentage:
            band *= 100 / pair.claimed
        axes.errorbar(pair.claimed, y, band, color=colour, linewidth=0.7)
        axes.scatter(pair.claimed, y, s=30, marker=shape, color=colour, linewidths=0)
    axes.axhline(0, color="0.6", linewidth=1, zorder=1)
    axes.margins(x=0.09, y=0.25)
    unit = "points" if agreement.is_percentage else "%"
    note = "bars: rounding of the print"
    if max(abs(_deviation(pair, agreement)) for pair in agreement.pairs) > _SYMLOG_FROM:
        axes.set_yscale("symlog", linthresh=1, linscale=1)
        axes.yaxis.set_major_formatter("{x:,g}")
        note += "\nlog scale beyond ±1"
    axes.set_ylabel(f"measured − published ({unit})\n{note}", fontsize=8)
    axes.grid(True, color="0.93", linewidth=0.6)
    axes.set_axisbelow(True)


def _deviation(pair: Pair, agreement: Agreement) -> float:
    """Return measured less claimed: percentages in points, all else in per cent of the claim."""
    return pair.difference if agreement.is_percentage else pair.deviation_pct


def _label_deviations(axes: "Axes", agreement: Agreement) -> None:
    """Name what rounding does not explain, gross deviations only if many; of few speeds, all."""
    speed = agreement.is_speed
    if speed:
        named = agreement.pairs if len(agreement.pairs) <= MAX_LABELS else ()
    else:
        off = [pair for pair in agreement.pairs if not pair.rounds_to_claim]
        off.sort(key=lambda pair: -abs(_deviation(pair, agreement)))
        named = tuple(off[:_MAX_DEVIATIONS])
    marks = [
        (
            pair.claimed,
            pair.measured if speed else _deviation(pair, agreement),
            pair.label if pair in named else "",
        )
        for pair in agreement.pairs
    ]
    place_labels(axes, marks)
