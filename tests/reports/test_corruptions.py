"""The mean corruption error is the paper's, of whole conditions only."""

import pandas as pd
import pytest

from reports.corruptions import corruption_errors, notes
from reports.frame import DTYPES
from reports.table import render
from zoo.imagenet_c import ALEXNET_ERRORS, CORRUPTIONS, SEVERITIES


def _frame(errors: dict[str, float], images: int = 50_000, **more: object) -> pd.DataFrame:
    rows = [
        {
            "entry": "alexnet",
            "network": "torchvision:alexnet",
            "device": "cpu",
            "dataset": condition,
            "dataset_kind": f"imagenet-c/{condition}",
            "dataset_digest": condition,
            "images": images,
            "images_in_dataset": images,
            "top1": 1 - error,
            "top1_low": 0.0,
            "top1_high": 1.0,
            "status": "measured",
            **more,
        }
        for condition, error in errors.items()
    ]
    return pd.DataFrame(rows, columns=list(DTYPES)).astype(DTYPES)


def _alexnets() -> dict[str, float]:
    """Errors whose mean over the severities is AlexNet's published one."""
    shifts = {1: -0.04, 2: -0.02, 3: 0.0, 4: 0.02, 5: 0.04}
    return {
        f"{corruption}/{severity}": ALEXNET_ERRORS[corruption] + shifts[severity]
        for corruption in CORRUPTIONS
        for severity in SEVERITIES
    }


def test_alexnets_own_is_100_percent() -> None:
    (row,) = corruption_errors(_frame(_alexnets())).to_dict("records")
    assert row["conditions"] == 75
    assert row["mce"] == pytest.approx(1)
    assert row["mean_error"] == pytest.approx(sum(ALEXNET_ERRORS.values()) / 15)
    (note,) = notes(_frame(_alexnets()))
    assert note.startswith("alexnet: mCE 100.0 % of AlexNet's errors")
    assert "mean error 78.9 % without this normaliser" in note


def test_corruptions_weigh_alike() -> None:
    errors = _alexnets()
    for severity in SEVERITIES:
        errors[f"brightness/{severity}"] /= 2
    (row,) = corruption_errors(_frame(errors)).to_dict("records")
    assert row["mce"] == pytest.approx(14.5 / 15)


def test_nothing_is_computed_of_a_part() -> None:
    errors = _alexnets()
    del errors["fog/3"]
    (row,) = corruption_errors(_frame(errors)).to_dict("records")
    assert pd.isna(row["mce"])
    assert pd.isna(row["mean_error"])
    assert notes(_frame(errors)) == [
        "alexnet: no mCE of 74 of 75 conditions; not measured whole: fog/3"
    ]


def test_an_unread_image_makes_a_condition_a_part() -> None:
    frame = _frame(_alexnets())
    frame.loc[7, "images"] = 49_999
    (row,) = corruption_errors(frame).to_dict("records")
    assert pd.isna(row["mce"])


def test_two_copies_of_the_images_are_not_mixed() -> None:
    other = _frame(_alexnets()).iloc[[3]]
    (row,) = corruption_errors(pd.concat([_frame(_alexnets()), other], ignore_index=True)).to_dict(
        "records"
    )
    assert pd.isna(row["mce"])
    assert "2 copies" in row["reason"]


def test_extra_corruptions_do_not_count() -> None:
    errors = {**_alexnets(), "speckle_noise/1": 0.99}
    (row,) = corruption_errors(_frame(errors)).to_dict("records")
    assert row["mce"] == pytest.approx(1)


def test_a_limited_run_is_no_figure_and_not_mixed_in() -> None:
    frame = pd.concat([_frame(_alexnets()), _frame(_alexnets(), images=10)], ignore_index=True)
    first, second = notes(frame)
    assert "no ImageNet-C figure" not in first
    assert second.endswith("of 10 images a condition: no ImageNet-C figure")


def test_other_settings_are_other_rows() -> None:
    frame = pd.concat([_frame(_alexnets()), _frame(_alexnets(), precision="bf16")])
    assert len(corruption_errors(frame)) == 2


def test_the_table_tells_it_and_other_sets_have_none() -> None:
    printed = render(_frame(_alexnets()), "md").decode()
    assert "alexnet: mCE 100.0 %" in printed
    assert notes(_frame({"x": 0.5}, dataset_kind="imagenet-val")) == []
