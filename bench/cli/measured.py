"""Which measured rows a report is made of, if the user names none."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.options import DEFAULT_STORE

if TYPE_CHECKING:
    import pandas as pd


def measured(store: str | None) -> "pd.DataFrame":
    """Return a store's rows; without one, and with none in this folder, zoobench's own counts.

    Raises:
        StoreError: no such store.
        ReportError: a file of counts cannot be read.
    """
    from reports import load_frame
    from reports.baseline import counts_path

    if store is None and not Path(DEFAULT_STORE).is_dir():
        print(
            f"zoobench: no {DEFAULT_STORE} here: the counts that come with zoobench are audited; "
            "give --store for yours",
            file=sys.stderr,
        )
        store = str(counts_path())
    return load_frame(store or DEFAULT_STORE)
