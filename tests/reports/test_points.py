"""Points: measured and claimed never mix, a sample is no ImageNet, and the front is the front."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import load_frame
from reports.frame import DTYPES
from reports.points import (
    Subject,
    accuracies,
    column,
    known_entries,
    matching,
    pairs,
    pareto_front,
    points,
    speed_groups,
    subjects,
)
from reports.table import render
from zoo.errors import ClaimsError, ReportError, UnknownNameError
from zoo.published import load_rows

VAL = {"dataset": "val", "dataset_kind": "imagenet-val", "dataset_digest": "v"}
SETTINGS = {
    "device": "cpu",
    "device_name": "c",
    "precision": "fp32",
    "memory_format": "contiguous",
    "compile": "eager",
    "batch_size": 8,
}


def make_frame(*rows: dict[str, Any]) -> pd.DataFrame:
    """Return a frame of these rows; figures that they leave out are absent."""
    return pd.DataFrame(list(rows), columns=list(DTYPES)).astype(DTYPES)


def top1(value: float, images: int = 50_000, **changes: Any) -> dict[str, Any]:
    """Return the cells of an accuracy measured on so many images."""
    cells = {**SETTINGS, **VAL, "images": images, "images_in_dataset": images}
    return {**cells, "top1": value, "top1_low": value - 0.01, "top1_high": value + 0.01} | changes


def focalnet_frame() -> pd.DataFrame:
    """Return the 32 rows of FocalNet's table as if they had been counted as they are printed."""
    return make_frame(
        *(
            {
                "entry": row.entry,
                "params": int(float(row.params_m) * 1e6),
                "macs": int(float(row.gflops) * 1e9),
                "images_per_s": float(row.images_per_s or 100),
                **SETTINGS,
            }
            for row in load_rows("focalnet")
        )
    )


SWIN = "swin_tiny_patch4_window7_224.ms_in1k"  # its claim is of these weights
DWNET = "dwnet_tiny"  # its claim is of the architecture: no weights are published


def _points(*rows: dict[str, Any]) -> dict[str, Any]:
    frame = make_frame(*rows)
    shown = subjects(frame, known_entries())
    found, left_out = points(shown, column(frame, "macs", 1e-9), accuracies(frame)[0])
    return {point.label: point for point in found} | {"left out": left_out}


def test_what_is_not_measured_is_claimed_and_says_of_what() -> None:
    found = _points({"entry": SWIN, "macs": 4e9}, {"entry": DWNET, "macs": 3e9})
    assert (found[SWIN].origin, found[SWIN].y) == ("exact", 81.3)
    assert (found[DWNET].origin, found[DWNET].y) == ("architecture", 81.2)
    assert found[SWIN].y_low is None


def test_what_is_measured_is_not_replaced_by_the_claim() -> None:
    found = _points({"entry": SWIN, "macs": 4e9, **top1(0.8)})
    assert (found[SWIN].origin, found[SWIN].y, found[SWIN].x) == ("measured", 80.0, 4.0)
    assert found[SWIN].y_low == pytest.approx(79)


def test_accuracy_and_cost_of_an_entry_meet_from_two_rows() -> None:
    found = _points({"entry": SWIN, "macs": 4e9}, {"entry": SWIN, **top1(0.8)})
    assert found[SWIN].origin == "measured"


def test_what_has_no_figure_is_left_out_by_name() -> None:
    found = _points({"entry": SWIN}, {"entry": "unknown", "macs": 1e9})
    assert found["left out"] == [SWIN, "unknown"]


@pytest.mark.parametrize(
    "sample",
    [
        top1(0.9, 20, dataset="sample", dataset_kind="sample"),
        top1(0.9, 500),
        top1(0.9, 49_999, images_in_dataset=50_000),
    ],
    ids=["sample", "subset", "partial"],
)
def test_a_sample_never_stands_among_imagenet_figures(sample: dict[str, Any]) -> None:
    frame = make_frame({"entry": SWIN, "macs": 4e9, **sample})
    imagenet, samples = accuracies(frame)
    assert imagenet.find(SWIN, None) is None
    (own,) = samples
    assert own.find(SWIN, None) == pytest.approx((90, 89, 91))
    assert "no ImageNet figure" in own.title
    assert own.slug.startswith("sample-")


def test_speed_meets_only_an_accuracy_of_its_own_precision() -> None:
    imagenet, _ = accuracies(
        make_frame({"entry": SWIN, **top1(0.8)}, {"entry": SWIN, **top1(0.7, precision="bf16")})
    )
    assert imagenet.find(SWIN, "bf16") == pytest.approx((70, 69, 71))
    assert imagenet.find(SWIN, "fp16") is None
    assert imagenet.find(SWIN, None) == pytest.approx((80, 79, 81))


def test_speeds_of_other_settings_are_other_groups() -> None:
    speeds = [
        {"entry": name, "images_per_s": 10.0, **SETTINGS, "batch_size": batch}
        for name in ("a", "b")
        for batch in (8, 64)
    ]
    groups = speed_groups(make_frame(*speeds))
    assert [settings["batch_size"] for settings, _ in groups] == [8, 64]
    assert [list(group["entry"]) for _, group in groups] == [["a", "b"]] * 2


def test_rows_of_a_published_table_have_its_names_and_sizes() -> None:
    shown = subjects(focalnet_frame(), known_entries(), "focalnet")
    assert len(shown) == 32
    assert shown[0].label == "ResNet-50"
    frame = make_frame({"entry": "convnext_xlarge.fb_in22k_ft_in1k_384"})
    assert subjects(frame, {}, "convnext")[0].label == "ConvNeXt-XL 384 in22k"


def test_a_table_without_results_says_what_to_run() -> None:
    with pytest.raises(ClaimsError, match=r"no entry of table 'swin'.*zoobench run"):
        subjects(make_frame({"entry": "a"}), {}, "swin")


def test_patterns_match_names_and_tags() -> None:
    shown = subjects(focalnet_frame(), known_entries())
    entries = known_entries()
    assert {s.family for s in matching(shown, ["swin_*"], entries)} == {"Swin"}
    assert len(matching(shown, ["focalnet"], entries)) == 32  # a tag
    with pytest.raises(UnknownNameError, match="swin_tiny"):
        matching(shown, ["swin_tinny_patch4_window7_224.ms_in1k"], entries)


def test_accuracy_is_compared_only_with_claims_of_the_same_weights() -> None:
    shown = subjects(make_frame({"entry": SWIN}, {"entry": DWNET}), known_entries())
    assert [p.label for p in pairs(shown, {SWIN: 81.3, DWNET: 80.0}, "top1_pct")] == [SWIN]
    assert len(pairs(shown, {SWIN: 28.0, DWNET: 24.0}, "params_m")) == 2


def test_rounding_of_the_print_is_no_deviation() -> None:
    row = load_rows("focalnet")[0]  # 25.0 M, counted 25.557 M
    shown = [Subject("a", "a", "f", None, row, "exact")]
    (near,) = pairs(shown, {"a": 25.049}, "params_m")
    (far,) = pairs(shown, {"a": 25.557}, "params_m")
    assert near.rounds_to_claim
    assert not far.rounds_to_claim
    assert far.deviation_pct == pytest.approx(2.228)


marks = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=30)


@given(marks, st.booleans())
def test_the_front_is_what_nothing_equals_or_beats(
    given_marks: list[tuple[float, float]], more_x: bool
) -> None:
    def beats(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return a != b and a[1] >= b[1] and (a[0] >= b[0] if more_x else a[0] <= b[0])

    front = pareto_front(given_marks, more_x=more_x)
    expected = {m for m in given_marks if not any(beats(other, m) for other in given_marks)}
    assert front == sorted(expected)


def test_a_baseline_is_a_report_as_csv(tmp_path: Path) -> None:
    frame = make_frame({"entry": SWIN, "macs": 4e9, **top1(0.8)})
    path = tmp_path / "report.csv"
    path.write_bytes(render(frame, "csv"))
    pd.testing.assert_frame_equal(load_frame(str(path)), frame)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("a,b\n1,2\n", "missing columns: entry"),
        ("", "cannot be read: No columns"),
    ],
)
def test_a_wrong_baseline_is_one_line(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "report.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ReportError, match=message):
        load_frame(str(path))
