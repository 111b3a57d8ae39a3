"""What is written: one frame of all rows, and its tables.

``from reports import load_frame`` gives pandas users the frame.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def load_frame(store: str) -> "pd.DataFrame":
    """Return the store's rows; columns and dtypes are those of ``reports.frame.DTYPES``."""
    from bench.store import Store
    from reports.frame import frame_of

    return frame_of(Store(store))
