"""How many predictions another decoder changes: against the same row by the reference decoder."""

import io
from collections.abc import Iterable
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from bench.records import REFERENCE_DECODER, Record, RowKey
from bench.store import PREDICTIONS, Store

# (predictions that differ, images that both rows have)
Flips = tuple[int, int]


def flips(store: Store, found: Iterable[tuple[str, Record]]) -> dict[RowKey, Flips]:
    """Return the flips of each key of another decoder, where the reference row was measured too.

    Args:
        store: holds the predictions.
        found: (folder, record) of the store, oldest first.
    """
    folders = {
        record.key: folder
        for folder, record in found
        if record.measure == "accuracy" and record.predictions is not None
    }
    counted = {}
    for key, folder in folders.items():
        reference = key.model_copy(update={"decoder": REFERENCE_DECODER})
        if key.decoder not in (None, REFERENCE_DECODER) and reference in folders:
            mine, theirs = _predictions(store, folder), _predictions(store, folders[reference])
            both = mine.keys() & theirs.keys()
            counted[key] = (sum(mine[image] != theirs[image] for image in both), len(both))
    return counted


def _predictions(store: Store, folder: str) -> dict[str, int]:
    content = store.read_file(folder, PREDICTIONS)
    table = pq.read_table(io.BytesIO(content), columns=["image", "pred"])
    return dict(zip(table["image"].to_pylist(), table["pred"].to_pylist(), strict=True))


def decoded(row: Any) -> str:
    """Say what decoded a row of the frame, and how many predictions that has changed."""
    if pd.isna(row["flips"]):
        return f"decoded by {row['decoder']}; no row by {REFERENCE_DECODER} to compare it with"
    changed = f"{row['flips']} of {row['flips_among']} predictions are not {REFERENCE_DECODER}'s"
    return f"decoded by {row['decoder']}; {changed}"
