"""The mean corruption error, of rows that were measured on ImageNet-C's conditions.

By Hendrycks and Dietterich (2019): the top-1 errors of a corruption's five severities, added and
divided by AlexNet's, are its corruption error; the mean over the 15 corruptions is the mCE. Without
the division it is the mean error, which tables print under the same name at times.
"""

from typing import Any

import pandas as pd

from bench.records import ROW_FIELDS
from zoo.imagenet_c import ALEXNET_ERRORS, CORRUPTIONS, KIND, SEVERITIES

# What a whole condition has.
IMAGES = 50_000
_CONDITIONS = [f"{corruption}/{severity}" for corruption in CORRUPTIONS for severity in SEVERITIES]
_SAME = [name for name in ROW_FIELDS if name != "dataset_digest"]
COLUMNS = (*_SAME, "images", "conditions", "mce", "mean_error", "reason")


def corruption_errors(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each entry and its conditions of measurement, in the frame's order.

    ``mce`` and ``mean_error`` are fractions, and missing unless all 15 x 5 conditions are measured
    without an unread image; ``reason`` then says what is lacking. ``images`` are those of one
    condition: published figures are of 50,000.

    Args:
        frame: as ``reports.load_frame`` returns it.
    """
    kinds = frame["dataset_kind"].fillna("")
    own = frame[kinds.str.startswith(f"{KIND}/") & frame["top1"].notna()]
    keys = [*_SAME, "images_in_dataset"]
    groups = own.groupby(keys, dropna=False, sort=False)
    rows = [_row(dict(zip(keys, key, strict=True)), group) for key, group in groups]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(key: dict[str, Any], group: pd.DataFrame) -> dict[str, Any]:
    condition = group["dataset_kind"].str.removeprefix(f"{KIND}/")
    whole = group["images"] == group["images_in_dataset"]
    copies = int(condition[whole].value_counts().max()) if whole.any() else 0
    errors = dict(zip(condition[whole], 1 - group["top1"][whole].astype(float), strict=True))
    images = key.pop("images_in_dataset")
    missing = [name for name in _CONDITIONS if name not in errors]
    row = {**key, "images": images, "conditions": len(_CONDITIONS) - len(missing)}
    if copies > 1:
        return {**row, "reason": f"conditions were measured on {copies} copies of the dataset"}
    if missing:
        more = " …" if len(missing) > 3 else ""
        return {**row, "reason": f"not measured whole: {', '.join(missing[:3])}{more}"}
    means = {
        corruption: sum(errors[f"{corruption}/{severity}"] for severity in SEVERITIES)
        / len(SEVERITIES)
        for corruption in CORRUPTIONS
    }
    ratios = [means[corruption] / ALEXNET_ERRORS[corruption] for corruption in CORRUPTIONS]
    mean_error = sum(means.values()) / len(means)
    return {**row, "mce": sum(ratios) / len(ratios), "mean_error": mean_error}


def notes(frame: pd.DataFrame) -> list[str]:
    """Return a line for each entry that was measured on ImageNet-C."""
    return [_note(row) for row in corruption_errors(frame).to_dict("records")]


def _note(row: dict[Any, Any]) -> str:
    if pd.isna(row["mce"]):
        known = f"{row['conditions']} of {len(_CONDITIONS)} conditions"
        return f"{row['entry']}: no mCE of {known}; {row['reason']}"
    text = (
        f"{row['entry']}: mCE {100 * row['mce']:.1f} % of AlexNet's errors (Hendrycks and "
        f"Dietterich 2019), mean error {100 * row['mean_error']:.1f} % without this normaliser"
    )
    part = row["images"] != IMAGES
    return f"{text}; of {row['images']} images a condition: no ImageNet-C figure" if part else text
