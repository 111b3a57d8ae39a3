"""Pictures: which ones a frame has figures for, and their files.

The same frame always gives the same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from reports.agreement import Agreement, draw_agreement, plan_agreements
from reports.drawing import family_styles, fixed_style, require_matplotlib, save
from reports.points import Subject, known_entries, subjects
from reports.sweep import Sweep, draw_sweep, plan_sweeps
from reports.tradeoff import X_AXES, Tradeoff, draw_tradeoff, plan_tradeoffs
from zoo.errors import StoreError, UnknownNameError
from zoo.published import load_rows, tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Picture = Tradeoff | Agreement | Sweep
FORMATS = {"png": ("png",), "svg": ("svg",), "both": ("png", "svg")}
X_NAMES = (*X_AXES, "published", "batch")


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
    pictures = [item for item in todo if isinstance(item, Tradeoff)]
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


def _left_out(picture: Tradeoff) -> str:
    names = ", ".join(picture.left_out[:5])
    more = f" … ({len(picture.left_out)} in all)" if len(picture.left_out) > 5 else ""
    return f"{picture.stem}: left out, for want of a figure: {names}{more}"


def draw(picture: Picture, styles: Mapping[str, tuple[str, str]]) -> "Figure":
    """Return the drawn picture; ``styles`` are those of ``family_styles``."""
    if isinstance(picture, Sweep):
        return draw_sweep(picture)
    if isinstance(picture, Tradeoff):
        return draw_tradeoff(picture, styles)
    return draw_agreement(picture, styles)


def plan_pictures(frame: pd.DataFrame, shown: Sequence[Subject], x: str) -> list[Picture]:
    """Return the pictures of one horizontal figure.

    Raises:
        UnknownNameError: no such figure.
    """
    if x not in X_NAMES:
        raise UnknownNameError("figure", x, X_NAMES, "--x")
    if x == "published":
        return list(plan_agreements(frame, shown))
    if x == "batch":
        return list(plan_sweeps(frame, shown))
    return list(plan_tradeoffs(frame, shown, x))
