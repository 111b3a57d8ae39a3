"""Which measured rows a report is made of, if the user names none."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.options import DEFAULT_STORE

if TYPE_CHECKING:
    import pandas as pd


def measured(store: str | None) -> "pd.DataFrame":
    """Return a store's rows; if none is named, this folder's and the counts that zoobench ships.

    The shipped counts stand in only for entries that this folder's store did not count.

    Raises:
        StoreError: no such store.
        ReportError: a file of counts cannot be read.
    """
    from reports import load_frame
    from reports.baseline import counts_path

    if store is not None:
        return load_frame(store)
    counts = load_frame(str(counts_path()))
    if not Path(DEFAULT_STORE).is_dir():
        print(
            "zoobench: of the counts that come with zoobench; --store takes yours", file=sys.stderr
        )
        return counts
    import pandas as pd

    own = load_frame(DEFAULT_STORE)
    others = counts[~counts["entry"].isin(own.loc[_counted(own), "entry"])]
    print(
        f"zoobench: of {DEFAULT_STORE}, and for {len(others)} entries that it did not count, "
        "of the counts that come with zoobench",
        file=sys.stderr,
    )
    return pd.concat([own, others], ignore_index=True)


def _counted(own: "pd.DataFrame") -> "pd.Series[bool]":
    """Return which rows were counted, or tried to be."""
    return own["params"].notna() | own["reason"].str.contains("complexity: ", na=False)
