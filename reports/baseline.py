"""Reviewed numbers that come with zoobench: counts of every network, and verdicts of every cell.

``complexity.csv`` holds raw integers and loads back as a frame, so that audits and tables need
neither a store nor a network. ``verdicts.csv`` holds what an audit found when it was last reviewed.
"""

from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd

from reports.audit import DTYPES as AUDIT_DTYPES
from reports.frame import DTYPES
from reports.render import csv
from zoo.errors import ReportError, first_line
from zoo.spreadsheet import unguarded

COUNTS = (
    "entry",
    "network",
    "input_px",
    "status",
    "params",
    "unused_params",
    "unused_modules",
    "macs",
    "macs_fvcore",
    "counters_agree",
    "uncounted_operators",
)
# What a top-1 is written with.
_OF_TOP1 = ("images", "images_in_dataset", "top1_low", "top1_high")
# What identifies a printed cell: names repeat in a table, at other sizes and pretrainings.
CELL = ("table", "row", "img_size", "pretrain", "figure")
_VERDICTS = (*CELL, "printed", "verdict")


def folder() -> Path:
    """Return where the baselines lie."""
    return Path(str(resources.files("reports") / "baselines"))


def counts_path() -> Path:
    """Return the file of counts that comes with zoobench."""
    return folder() / "complexity.csv"


def verdicts_path() -> Path:
    """Return the file of verdicts that comes with zoobench."""
    return folder() / "verdicts.csv"


def counts_csv(frame: pd.DataFrame) -> str:
    """Return the counts of a frame as CSV: raw integers, a line a network, sorted by entry."""
    counted = frame[frame["params"].notna()].drop_duplicates(["entry", "input_px"])
    lines = counted.assign(status="measured").sort_values(["entry", "input_px"])
    return csv(lines[list(COUNTS)])


def load_csv(path: Path) -> pd.DataFrame:
    """Return a CSV of a report or of counts as a frame with the dtypes of ``reports.frame.DTYPES``.

    A column that the file lacks is a figure that was not measured.

    Raises:
        ReportError: the file cannot be read, or has no column ``entry``.
    """
    rows = _read(path, DTYPES, "zoobench report --format csv", required=("entry",))
    whole = rows.reindex(columns=list(DTYPES)).astype(DTYPES)
    measured = whole[whole["top1"].notna()]
    if absent := [name for name in _OF_TOP1 if measured[name].isna().any()]:
        raise ReportError(f"{path}: a row has top1, and no {', '.join(absent)}")
    return whole


def verdicts_csv(cells: pd.DataFrame) -> str:
    """Return the verdicts of audited cells as CSV, in the tables' order."""
    return csv(cells[list(_VERDICTS)])


def load_verdicts(path: Path) -> pd.DataFrame:
    """Return reviewed verdicts; dtypes are those of ``reports.audit.DTYPES``.

    Raises:
        ReportError: the file cannot be read, or has other columns.
    """
    dtypes = {name: AUDIT_DTYPES[name] for name in _VERDICTS}
    return _read(path, dtypes, "zoobench audit --update", required=_VERDICTS)


def merged(cells: pd.DataFrame, reviewed: pd.DataFrame) -> pd.DataFrame:
    """Return the cells' verdicts, and the reviewed ones of the tables that were not audited."""
    others = reviewed[~reviewed["table"].isin(cells["table"].unique())]
    both = pd.concat([others, cells[list(_VERDICTS)]])
    return both.sort_values("table", kind="stable").reset_index(drop=True)


def lost(cells: pd.DataFrame, reviewed: pd.DataFrame) -> pd.DataFrame:
    """Return the cells that were reproduced when reviewed and are not, or are not there, now.

    The column ``now`` holds the verdict, or is absent where the table lost the cell itself.
    """
    audited = reviewed[reviewed["table"].isin(cells["table"].unique())]
    return _changed(audited, cells)


def gained(cells: pd.DataFrame, reviewed: pd.DataFrame) -> pd.DataFrame:
    """Return the cells that are reproduced and were not, or were not there, when reviewed."""
    return _changed(cells, reviewed)


def _changed(these: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Return those of ``these`` that are reproduced, and are not among ``others``."""
    reproduced = these[these["verdict"] == "reproduced"]
    known = others[[*CELL, "verdict"]].rename(columns={"verdict": "now"})
    joined = reproduced.merge(known, on=list(CELL), how="left")
    return joined[joined["now"].fillna("missing") != "reproduced"]


def _check_finite(frame: pd.DataFrame) -> None:
    """Raise ValueError if a number of a report is none that was measured."""
    for name, column in frame.select_dtypes("Float64").items():
        if not np.isfinite(column.dropna().to_numpy(float)).all():
            raise ValueError(f"column {name!r} has a number that is not finite")


def _read(
    path: Path, dtypes: dict[str, str], command: str, *, required: tuple[str, ...]
) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, dtype=dtypes, keep_default_na=False, na_values=[""])
        _check_finite(frame)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ReportError(f"{path}: cannot be read: {reason}; {command} writes one") from None
    except (ValueError, TypeError, OverflowError) as error:
        reason = first_line(error)
        raise ReportError(f"{path}: cannot be read: {reason}; {command} writes one") from None
    if missing := [name for name in required if name not in frame.columns]:
        raise ReportError(f"{path}: missing columns: {', '.join(missing)}; {command} writes one")
    for name in (name for name in frame.columns if dtypes.get(name) == "string"):
        frame[name] = frame[name].map(unguarded, na_action="ignore").astype("string")
    return frame[[name for name in dtypes if name in frame.columns]]
