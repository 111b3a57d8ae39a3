"""How many predictions another decoder changes: against the same row by the reference decoder."""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from bench.records import REFERENCE_DECODER, Record, RowKey
from bench.shards import load_predictions
from bench.store import Store

# (predictions that differ, images that both rows have)
Flips = tuple[int, int]


def flips(store: Store, found: Iterable[tuple[Sequence[str], Record]]) -> dict[RowKey, Flips]:
    """Return the flips of each key of another decoder, where the reference row was measured too.

    Args:
        store: holds the predictions.
        found: (folders, record) of the store, oldest first, as ``whole_records`` gives them.
    """
    folders = {
        record.key: where
        for where, record in found
        if record.measure == "accuracy" and record.predictions is not None
    }
    counted = {}
    for key, where in folders.items():
        reference = key.model_copy(update={"decoder": REFERENCE_DECODER})
        if key.decoder not in (None, REFERENCE_DECODER) and reference in folders:
            mine, theirs = _predictions(store, where), _predictions(store, folders[reference])
            both = mine.keys() & theirs.keys()
            counted[key] = (sum(mine[image] != theirs[image] for image in both), len(both))
    return counted


def _predictions(store: Store, folders: Sequence[str]) -> dict[str, int]:
    table = load_predictions(store, folders)
    return dict(zip(table["image"].to_pylist(), table["pred"].to_pylist(), strict=True))


def decoded(row: Any) -> str:
    """Say what decoded a row of the frame, and how many predictions that has changed."""
    if pd.isna(row["flips"]):
        return f"decoded by {row['decoder']}; no row by {REFERENCE_DECODER} to compare it with"
    changed = f"{row['flips']} of {row['flips_among']} predictions are not {REFERENCE_DECODER}'s"
    return f"decoded by {row['decoder']}; {changed}"
