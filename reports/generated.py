"""The committed report: written from the baselines alone, so that a test can write it again."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd

from reports import audit_table, table
from reports.audit import audit
from reports.baseline import counts_path, load_csv
from reports.render import render
from reports.render.sheet import Sheet
from zoo.errors import ReportError
from zoo.published import tables

# Formats of the committed report, and the ends of its files' names.
_FORMATS = {"md": "md", "latex": "tex", "html": "html"}


def write_generated(folder: Path, counts: Path | None = None) -> list[Path]:
    """Write every audited table and the table of all counts; return the files.

    Args:
        folder: where to; it is made if it is not there.
        counts: a file of counts; default: the one that comes with zoobench.

    Raises:
        ReportError: the counts cannot be read, or the folder cannot be written.
    """
    frame = load_csv(counts or counts_path())
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents(frame):
            path = folder / name
            path.write_bytes(content)
            written.append(path)
    except OSError as error:
        raise ReportError(f"{folder}: cannot be written: {error.strerror}") from None
    return written


def contents(frame: pd.DataFrame) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file."""
    for name in tables():
        cells = audit(frame, [name])
        for format_name, end in _FORMATS.items():
            yield f"{name}.{end}", audit_table.render(cells, format_name)
    for format_name, end in _FORMATS.items():
        yield f"complexity.{end}", render(frame, _complexity, format_name)


def _complexity(frame: pd.DataFrame) -> Sheet:
    caption = "Parameters and multiply-adds of one image, of every network of the manifests"
    return replace(table.sheet(frame), caption=caption)
