"""What is written: one frame of all rows, and its tables.

``from reports import load_frame`` gives pandas users the frame.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def load_frame(store: str) -> "pd.DataFrame":
    """Return measured rows; columns and dtypes are those of ``reports.frame.DTYPES``.

    Args:
        store: a store's path or URL, or a CSV that ``zoobench report`` wrote.

    Raises:
        StoreError: no store there, or one that cannot be read.
        ReportError: the file of counts cannot be read.
    """
    from pathlib import Path

    from bench.store import Store
    from reports.baseline import load_csv
    from reports.frame import frame_of

    if store.endswith(".csv"):
        return load_csv(Path(store))
    return frame_of(Store(store))
