"""Labels of points that cover neither each other nor a mark.

Placed one after another, crowded points first, each where it is nearest to its point without
covering anything. The same points always get the same places.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

# Of more points than this, only those that matter have labels.
MAX_LABELS = 45

Boxes = NDArray[np.float64]  # (n, 4): left, bottom, right, top, in pixels

_RADII_PT = (6, 9, 13, 18, 24, 31, 40, 50, 62, 76, 92, 110, 130, 155, 180)
_DIRECTIONS = 16
# A label this far from its mark needs a line to it.
_LEADER_FROM_PT = 12
_PAD_PT = 1.2
# Nothing but the leader may lie nearer to a mark's centre.
_MARK_RADIUS_PT = 4.2
# How much farther from its mark a label may go to cover no line, no leader of another label, and
# nothing by its own leader.
_COVERS_LINE_PT = 30
_COVERS_LEADER_PT = 120
_LEADER_COVERS_PT = 60
# The same, to lie nearer to its own mark than to any other.
_AMBIGUOUS_PT = 14
_NEARER_BY_PT = 2.5


def _directions() -> NDArray[np.float64]:
    """Return (directions, 2) unit vectors: to the right first, then by turns up and down."""
    numbers = np.arange(_DIRECTIONS)
    turns = (numbers + 1) // 2 * np.where(numbers % 2, 1, -1)
    angles = [2 * math.pi * int(turn) / _DIRECTIONS for turn in turns]
    return np.array([(math.cos(angle), math.sin(angle)) for angle in angles])


# Where a label may stand, nearest places first: the direction, and the distance from its mark.
_UNITS = np.tile(_directions(), (len(_RADII_PT), 1))  # (places, 2)
_RADIUS_OF_PT = np.repeat(np.array(_RADII_PT, float), _DIRECTIONS)
_OFFSETS_PT = _UNITS * _RADIUS_OF_PT[:, None]


@dataclass
class _Taken:
    """What is on the picture so far, as boxes in pixels."""

    hard: Boxes  # marks and labels, which no label may cover
    lines: Boxes  # such as fronts, in small pieces
    leaders: Boxes  # in small pieces
    centres: NDArray[np.float64]  # (n, 2) of all marks
    inside: NDArray[np.float64]  # the frame
    px_per_pt: float


def place_labels(
    axes: "Axes",
    marks: Sequence[tuple[float, float, str]],
    *,
    lines: Sequence[Sequence[tuple[float, float]]] = (),
) -> list["Annotation"]:
    """Label marks (x, y, text); return the labels, fewer than marks if there is no room.

    Call it when the axes have their final limits and the figure its final layout.

    Args:
        axes: of a figure that has a canvas.
        marks: in data coordinates, with their labels; an empty label only keeps others away.
        lines: corners of lines, in data coordinates, which labels cover only where all else is
            taken.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    px_per_pt = figure.dpi / 72
    centres = _pixels(axes, [(x, y) for x, y, _ in marks])
    window = axes.get_window_extent()
    taken = _Taken(
        hard=_around(centres, _MARK_RADIUS_PT * px_per_pt),
        lines=_around(np.vstack([centres[:0], *(_along(_pixels(axes, at)) for at in lines)]), 2),
        leaders=np.empty((0, 4)),
        centres=centres,
        inside=np.array([window.x0, window.y0, window.x1, window.y1]),
        px_per_pt=px_per_pt,
    )
    placed = []
    for index in _crowded_first(centres):
        x, y, text = marks[index]
        if text and (label := _place(axes, (x, y), text, centres[index], taken)):
            placed.append(label)
    return placed


def _place(
    axes: "Axes", at: tuple[float, float], text: str, centre: NDArray[np.float64], taken: _Taken
) -> "Annotation | None":
    """Put one label where it costs least, and add it to what is taken."""
    from matplotlib.text import Text

    label = _annotation(axes, *at, text)
    size = Text.get_window_extent(label)  # without the leader
    half = np.array([size.width, size.height]) / 2 + _PAD_PT * taken.px_per_pt
    place = _cheapest_place(centre, half, taken)
    if place is None:
        label.remove()
        return None
    middle, leader = place
    x_pt, y_pt = (middle - centre) / taken.px_per_pt
    label.set_position((float(x_pt), float(y_pt)))
    taken.hard = np.vstack([taken.hard, np.concatenate([middle - half, middle + half])])
    if len(leader):
        taken.leaders = np.vstack([taken.leaders, _around(leader, 2)])
    elif label.arrow_patch is not None:
        label.arrow_patch.set_visible(False)
    return label


def _annotation(axes: "Axes", x: float, y: float, text: str) -> "Annotation":
    """Return a label centred on its point, with a leader that starts at the label's edge."""
    return axes.annotate(
        text,
        (x, y),
        xytext=(0, 0),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=7,
        zorder=5,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.4},
        arrowprops={
            "arrowstyle": "-",
            "color": "0.55",
            "linewidth": 0.5,
            "shrinkA": 0,
            "shrinkB": 3,
        },
    )


def _cheapest_place(
    centre: NDArray[np.float64], half: NDArray[np.float64], taken: _Taken
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return the best free place of a box: its middle, and its leader's points, in pixels.

    A label without a leader has no points.

    Args:
        centre: of the mark.
        half: half of the box's width and height.
        taken: what it must not, or should not, cover.
    """
    middles = centre + _OFFSETS_PT * taken.px_per_pt + _reach(_UNITS, half)  # (n, 2)
    boxes = np.hstack([middles - half, middles + half])
    free = _within(boxes, taken.inside) & ~_overlap_any(boxes, taken.hard)
    costs = np.where(free, _RADIUS_OF_PT + _box_costs(boxes, taken), np.inf)
    best_cost, best = (math.inf, 0), None
    # A leader only adds to the cost, so what is dearer without one than the best is not looked at.
    for index in np.argsort(costs, kind="stable"):
        if not free[index] or costs[index] > best_cost[0]:
            break
        ambiguous = _is_ambiguous(centre, boxes[index], taken)
        if ambiguous or _RADIUS_OF_PT[index] >= _LEADER_FROM_PT:
            leader = _leader(centre, middles[index], half, taken.px_per_pt)
        else:
            leader = np.empty((0, 2))
        cost = float(costs[index]) + _leader_cost(leader, taken) + _AMBIGUOUS_PT * ambiguous
        if (cost, int(index)) < best_cost:
            best_cost, best = (cost, int(index)), (middles[index], leader)
    return best


def _leader(
    centre: NDArray[np.float64],
    middle: NDArray[np.float64],
    half: NDArray[np.float64],
    px_per_pt: float,
) -> NDArray[np.float64]:
    """Return the leader's points between mark and box."""
    way = _along(np.vstack([centre, middle]))
    outside_box = (np.abs(way - middle) > half).any(axis=1)
    outside_mark = np.hypot(*(way - centre).T) > 1.5 * _MARK_RADIUS_PT * px_per_pt
    return way[outside_box & outside_mark]


def _is_ambiguous(centre: NDArray[np.float64], box: Boxes, taken: _Taken) -> bool:
    """Return whether the box lies as near to another mark as to its own."""
    apart = np.maximum(np.maximum(box[:2] - taken.centres, taken.centres - box[2:]), 0)
    gaps = np.hypot(*apart.T)
    others = (taken.centres != centre).any(axis=1)
    own = gaps[~others].min()
    return bool((gaps[others] < own + _NEARER_BY_PT * taken.px_per_pt).any())


def _box_costs(boxes: Boxes, taken: _Taken) -> NDArray[np.float64]:
    """Return what it costs, in points of distance, that each box covers lines and leaders."""
    lines = _COVERS_LINE_PT * _overlap_any(boxes, taken.lines)
    return np.asarray(lines + _COVERS_LEADER_PT * _overlap_any(boxes, taken.leaders), float)


def _leader_cost(leader: NDArray[np.float64], taken: _Taken) -> float:
    """Return what it costs that the leader runs over marks, labels or other leaders."""
    obstacles = np.vstack([taken.hard, taken.leaders])
    pieces = _around(leader, 1)[:, None, :]  # (points, 1, 4) against (obstacles, 4)
    return _LEADER_COVERS_PT if _overlaps(pieces, obstacles).any() else 0


def _reach(units: NDArray[np.float64], half: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far boxes' centres lie from the points of their edges that face back."""
    shift: NDArray[np.float64] = half * np.clip(units * 1.6, -1, 1)
    return shift


def _pixels(axes: "Axes", data: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    return np.asarray(axes.transData.transform(np.array(data, float).reshape(-1, 2)))


def _along(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points along a line, at most four pixels apart."""
    parts = [corners]
    for start, end in itertools.pairwise(corners):
        steps = np.linspace(0, 1, 2 + int(np.hypot(*(end - start)) / 4))[:, None]
        parts.append(start + steps * (end - start))
    return np.vstack(parts)


def _around(centres: NDArray[np.float64], radius_px: float) -> Boxes:
    return np.hstack([centres - radius_px, centres + radius_px])


def _crowded_first(centres: NDArray[np.float64]) -> list[int]:
    distances = np.hypot(*(centres[:, None] - centres[None]).transpose(2, 0, 1))
    neighbours = (distances < 60).sum(axis=1)
    return sorted(range(len(centres)), key=lambda index: (-int(neighbours[index]), index))


def _within(boxes: Boxes, inside: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which of the boxes lie inside."""
    low, high = boxes[:, :2] >= inside[:2], boxes[:, 2:] <= inside[2:]
    return np.asarray((low & high).all(axis=1))


def _overlap_any(boxes: Boxes, others: Boxes) -> NDArray[np.bool_]:
    """Return which of the boxes overlap some of the others."""
    return np.asarray(_overlaps(boxes[:, None, :], others).any(axis=1))


def _overlaps(box: Boxes, others: Boxes) -> NDArray[np.bool_]:
    """Return which of the others each box overlaps."""
    apart = (
        (others[..., 2] <= box[..., 0])
        | (others[..., 0] >= box[..., 2])
        | (others[..., 3] <= box[..., 1])
        | (others[..., 1] >= box[..., 3])
    )
    overlaps: NDArray[np.bool_] = ~apart
    return overlaps
