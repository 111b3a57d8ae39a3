"""The formats of a report: one file a format of sheets; CSV and Parquet hold the raw frame."""

import io
from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import cast

import pandas as pd

from reports.render.sheet import Sheet
from zoo.errors import UnknownNameError
from zoo.spreadsheet import guarded
from zoo.text import printable

DataFormat = Callable[[pd.DataFrame], str | bytes]


def csv(frame: pd.DataFrame) -> str:
    """Return the whole frame, unrounded, as CSV: text on one line, and none of it a formula."""
    texts = frame.select_dtypes(["string", "object"]).map(_cell, na_action="ignore")
    return str(frame.assign(**texts).to_csv(index=False))


def _cell(value: object) -> object:
    return guarded(printable(value)) if isinstance(value, str) else value


def parquet(frame: pd.DataFrame) -> bytes:
    """Return the whole frame, unrounded and typed, as Parquet."""
    sink = io.BytesIO()
    frame.to_parquet(sink, index=False)
    return sink.getvalue()


SHEET_FORMATS = {
    "terminal": "reports.render.terminal",
    "md": "reports.render.markdown",
    "latex": "reports.render.latex",
    "html": "reports.render.html",
}
DATA_FORMATS: dict[str, DataFormat] = {"csv": csv, "parquet": parquet}


def render(
    frame: pd.DataFrame,
    sheet_of: Callable[[pd.DataFrame], Sheet],
    name: str,
    *,
    more: Mapping[str, DataFormat] = MappingProxyType({}),
) -> bytes:
    """Return a frame in a format: raw, or as the sheet that ``sheet_of`` makes of it, in UTF-8.

    Args:
        frame: what the report is of.
        sheet_of: makes it what people read.
        name: a format.
        more: data formats that this report has beside the common ones.

    Raises:
        UnknownNameError: no such format.
    """
    data = {**DATA_FORMATS, **more}
    if name in data:
        content = data[name](frame)
    elif name in SHEET_FORMATS:
        content = cast(str, import_module(SHEET_FORMATS[name]).render(sheet_of(frame)))
    else:
        raise UnknownNameError("format", name, [*SHEET_FORMATS, *data])
    return content.encode() if isinstance(content, str) else content
