"""An audited table as a sheet: the published layout, printed beside measured, a mark a cell."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pandas as pd

from reports.audit import REFERENCE_ROW, VERDICTS
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

MARKS = {"reproduced": "=", "differs": "≠", "erratum": "!", "claim only": "·"}
TITLES = {
    "params_m": "params",
    "gflops": "GMACs",
    "images_per_s": "img/s",
    "top1_pct": "top-1",
}
_UNITS = {"params_m": "M", "gflops": "G", "images_per_s": "img/s", "top1_pct": "%"}
_BEST: dict[str, Best] = {"images_per_s": "high", "top1_pct": "high"}
_LEGEND = (
    "params in millions, GMACs of one image, top-1 in %; ours: measured by zoobench",
    "= reproduced  ≠ differs  ! erratum: no reading explains it  · claim only",
)


def render(cells: pd.DataFrame, format_name: str) -> bytes:
    """Return one audited table, as ``reports.audit.audit`` makes it, in one of the formats.

    Raises:
        UnknownNameError: no such format.
    """
    return render_as(cells, sheet, format_name)


def counts(cells: pd.DataFrame) -> Sheet:
    """Return how many cells of each table and figure have each verdict."""
    rows = []
    for table in cells["table"].unique():
        for figure in TITLES:
            own = cells[(cells["table"] == table) & (cells["figure"] == figure)]
            found = [str((own["verdict"] == verdict).sum()) for verdict in VERDICTS]
            rows.append(tuple(Cell(text) for text in (table, TITLES[figure], *found)))
    titles = [Heading("table", numeric=False), Heading("figure", numeric=False)]
    headings = (*titles, *(Heading(verdict) for verdict in VERDICTS))
    return Sheet("Verdicts", (), headings, (Section(None, tuple(rows)),), ())


def sheet(cells: pd.DataFrame) -> Sheet:
    """Return the published table in its own order, and why a cell is not reproduced."""
    lines = [group for _, group in cells.groupby("position", sort=True)]
    figures = [figure for figure in TITLES if (cells["figure"] == figure).any()]
    sized = cells["img_size"].nunique() > 1
    with_ratios = {"images_per_s"} if _is_measured(cells, "images_per_s") else set()
    written = _written(lines, figures, sized=sized, with_ratios=with_ratios)
    table = str(cells["table"].iloc[0])
    return Sheet(
        caption=f"Published table {table}, audited",
        header=_LEGEND,
        headings=tuple(_headings(cells, figures, sized=sized)),
        sections=tuple(
            Section(title, tuple(written[i] for i in rows)) for title, rows in _sections(lines)
        ),
        notes=tuple(notes(cells)),
    )


def notes(cells: pd.DataFrame) -> Iterator[str]:
    """Yield every cell that is not reproduced: those with figures singly, the rest by reason."""
    names = _names(cells)
    apart = cells[cells["verdict"].isin(["differs", "erratum"])]
    for _, cell in apart.sort_values("verdict", ascending=False, kind="stable").iterrows():
        yield _difference(cell, names[int(cell["position"])])
    rest = cells[cells["verdict"] == "claim only"]
    for figure in TITLES:
        printed = cells["figure"] == figure
        own = rest[rest["figure"] == figure]
        for reason in own["reason"].unique():
            positions = own.loc[own["reason"] == reason, "position"]
            everywhere = len(positions) == printed.sum()
            rows = "every row" if everywhere else ", ".join(names[int(p)] for p in positions)
            yield f"{MARKS['claim only']} {TITLES[figure]}, claim only: {reason}: {rows}"


def _difference(cell: Any, name: str) -> str:
    if cell["figure"] == "images_per_s":
        printed, ours = (number(cell[f"{w}_ratio"], digits=3) for w in ("printed", "measured"))
        unit = f"of {REFERENCE_ROW}"
    else:
        printed, ours = cell["printed"], _measured(cell, extra=2)
        unit = _UNITS[cell["figure"]]
    mark, title = MARKS[cell["verdict"]], TITLES[cell["figure"]]
    apart = f"{cell['difference']:+.3g}, tolerance {cell['tolerance']:.3g}"
    return (
        f"{mark} {name}, {title}: {printed} printed, {ours} {unit} measured ({apart}): "
        f"{cell['verdict']}: {cell['reason']}"
    )


def _names(cells: pd.DataFrame) -> dict[int, str]:
    """Return the rows' names by position, with what tells apart the rows of one name."""
    rows = _rows(cells.drop_duplicates("position"))
    often = Counter(str(row["row"]) for row in rows)
    return {
        int(row["position"]): _told_apart(row) if often[str(row["row"])] > 1 else str(row["row"])
        for row in rows
    }


def _told_apart(row: Any) -> str:
    return f"{row['row']} ({row['img_size']} px, {row['pretrain'] or row['entry']})"


def _rows(frame: pd.DataFrame) -> list[Any]:
    return [row for _, row in frame.iterrows()]


def _headings(cells: pd.DataFrame, figures: list[str], *, sized: bool) -> Iterator[Heading]:
    """Yield the titles; where speeds were measured, a narrow terminal has no measured counts."""
    speeds = _is_measured(cells, "images_per_s")
    yield Heading("row", numeric=False)
    if sized:
        yield Heading("px")
    for figure in figures:
        title = TITLES[figure]
        ours = "ours" if _is_measured(cells, figure) else ""
        yield Heading(title, label=f"{title}, printed")
        if figure == "images_per_s" and speeds:
            yield Heading("ours", label=f"{title}, measured")
            yield Heading("ratio", label=f"ratio to {REFERENCE_ROW}, printed")
            yield Heading("ours", label=f"ratio to {REFERENCE_ROW}, measured and verdict")
        else:
            is_count = figure in ("params_m", "gflops")
            label = f"{title}, measured and verdict"
            yield Heading(ours, spare=speeds and is_count, label=label)


def _is_measured(cells: pd.DataFrame, figure: str) -> bool:
    """Return whether any cell of the figure was measured; marks alone need no title."""
    return bool(cells.loc[cells["figure"] == figure, "measured"].notna().any())


def _written(
    lines: list[pd.DataFrame], figures: list[str], *, sized: bool, with_ratios: set[str]
) -> list[tuple[Cell, ...]]:
    """Return the rows' cells; the best printed figure of each column is bold."""
    by_figure = [{str(cell["figure"]): cell for cell in _rows(line)} for line in lines]
    best = {
        figure: best_of([_printed(cells.get(figure)) for cells in by_figure], _BEST.get(figure))
        for figure in figures
    }
    rows = []
    for i, cells in enumerate(by_figure):
        any_cell = next(iter(cells.values()))
        row = [Cell(any_cell["row"])]
        if sized:
            row.append(Cell(str(any_cell["img_size"])))
        for figure in figures:
            of = _speed if figure in with_ratios else _pair
            row += of(cells.get(figure), bold=i in best[figure])
        rows.append(tuple(row))
    return rows


def _printed(cell: Any) -> float | None:
    return None if cell is None else float(cell["printed"])


def _pair(cell: Any, *, bold: bool) -> tuple[Cell, ...]:
    """Return the cells of a printed figure: as printed, and as measured with the verdict."""
    if cell is None:
        return Cell(ABSENT), Cell("")
    return Cell(cell["printed"], bold), _with_mark(_measured(cell, extra=1), cell)


def _speed(cell: Any, *, bold: bool) -> tuple[Cell, ...]:
    """Return the cells of a speed: printed, measured, printed ratio, measured one with verdict."""
    if cell is None:
        return Cell(ABSENT), Cell(""), Cell(""), Cell("")
    printed, ours = (number(cell[f"{name}_ratio"], digits=2) for name in ("printed", "measured"))
    measured = number(cell["measured"], digits=0).replace(",", "")
    return Cell(cell["printed"], bold), Cell(measured), Cell(printed), _with_mark(ours, cell)


def _with_mark(text: str, cell: Any) -> Cell:
    mark = MARKS[cell["verdict"]]
    return Cell(mark if text == ABSENT else f"{text} {mark}")


def _measured(cell: Any, *, extra: int) -> str:
    """Return a measured figure with so many digits more than the printed one has."""
    digits = len(str(cell["printed"]).partition(".")[2])
    return number(cell["measured"], digits=digits + extra).replace(",", "")


def _sections(lines: list[pd.DataFrame]) -> Iterator[tuple[str, list[int]]]:
    """Yield (title, rows) of runs of one group and pretraining; alternating rows are one run."""
    first = [line.iloc[0] for line in lines]
    several = len({row["pretrain"] for row in first}) > 1
    for pretrain, own in groupby(range(len(first)), key=lambda i: str(first[i]["pretrain"])):
        runs = [list(run) for _, run in groupby(own, key=lambda i: str(first[i]["group"]))]
        for run in _merged(runs):
            groups = " and ".join(dict.fromkeys(str(first[i]["group"]) for i in run))
            yield f"{groups} ({pretrain})" if several else groups, run


def _merged(runs: list[list[int]]) -> Iterator[list[int]]:
    """Yield the runs, those of single rows that follow each other as one."""
    for single, some in groupby(runs, key=lambda run: len(run) == 1):
        if single:
            yield [row for run in some for row in run]
        else:
            yield from some
