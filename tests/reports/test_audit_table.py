"""A published table keeps its own layout; every mark has its reason below."""

import io
from pathlib import Path

import pandas as pd
import pytest

from reports.audit import DTYPES, audit
from reports.audit_table import counts, render, sheet
from reports.baseline import counts_path, load_csv
from reports.render import terminal
from zoo.published import load_rows, tables


@pytest.fixture(scope="module")
def focalnet() -> pd.DataFrame:
    return audit(load_csv(counts_path()), ["focalnet"])


@pytest.mark.parametrize("name", tables())
def test_rows_stand_in_the_printed_order_with_the_printed_digits(name: str) -> None:
    rows = load_rows(name)
    page = sheet(audit(load_csv(counts_path()), [name]))
    written = [row for section in page.sections for row in section.rows]
    assert [row[0].text for row in written] == [row.row for row in rows]
    params = [heading.title for heading in page.headings].index("params")
    assert [row[params].text for row in written] == [row.params_m for row in rows]


@pytest.mark.parametrize("name", tables())
def test_the_terminal_needs_80_columns(name: str) -> None:
    cells = audit(load_csv(counts_path()), [name])
    # As wide as it gets: every cell has a measured figure.
    full = cells.assign(measured=cells["printed"].astype("Float64"), measured_ratio=0.5)
    for each in (cells, full):
        text = terminal.render(sheet(each), width=80)
        assert max(len(line) for line in text.splitlines()) <= 80
        assert "…" not in text


def test_80_columns_have_speeds_and_both_ratios_rather_than_our_counts(
    focalnet: pd.DataFrame,
) -> None:
    speeds = focalnet["figure"] == "images_per_s"
    cells = focalnet.assign(
        measured=focalnet["measured"].mask(speeds, focalnet["printed"].astype("Float64") * 10),
        measured_ratio=0.5,
        printed_ratio=0.57,
    )
    text = terminal.render(sheet(cells), width=80)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "too narrow for: GMACs, measured and verdict\n" in text
    (row,) = (line for line in text.splitlines() if line.startswith("FocalNet-B (LRF)"))
    assert row.split()[2:11] == [
        *("88.7", "88.75", "="),
        *("15.4", "269", "2690"),
        *("0.57", "0.50", "·"),
    ]
    wide = terminal.render(sheet(cells), width=120)
    assert "too narrow" not in wide
    (row,) = (line for line in wide.splitlines() if line.startswith("FocalNet-B (LRF)"))
    assert row.split()[5:8] == ["15.4", "15.40", "="]


def test_the_last_row_is_the_published_best(focalnet: pd.DataFrame) -> None:
    page = sheet(focalnet)
    assert [section.title for section in page.sections] == [
        "ConvNet",
        "MLP",
        "Transformer",
        "FocalNet and Transformer",
    ]
    texts = [(cell.text, cell.bold) for cell in page.sections[-1].rows[-1]]
    assert texts[0] == ("FocalNet-B (LRF)", False)
    assert ("88.7", False) in texts
    assert ("83.9", True) in texts


def test_a_difference_says_by_how_much_and_against_what(focalnet: pd.DataFrame) -> None:
    text = render(focalnet, "md").decode()
    assert (
        "≠ ResNet-101, params: 45.0 printed, 44.549 M measured (-0.451, tolerance 0.05): differs: "
        "rounded to a whole number" in text
    )
    assert "100.23 !" in text
    assert "top-1, claim only: no library has the row's weights: DW-Net-T, DW-Net-B" in text


def test_every_cell_that_is_not_reproduced_is_told_once(focalnet: pd.DataFrame) -> None:
    notes = sheet(focalnet).notes
    apart = focalnet["verdict"].isin(["differs", "erratum"]).sum()
    assert sum(note.startswith(("≠", "!")) for note in notes) == apart
    reasons = focalnet.loc[focalnet["verdict"] == "claim only", ["figure", "reason"]]
    assert sum(note.startswith("·") for note in notes) == len(reasons.drop_duplicates())


def test_data_formats_hold_the_verdicts_unrounded(focalnet: pd.DataFrame) -> None:
    again = pd.read_csv(io.BytesIO(render(focalnet, "csv")), dtype=DTYPES)
    pd.testing.assert_frame_equal(again, focalnet)
    again = pd.read_parquet(io.BytesIO(render(focalnet, "parquet")))
    pd.testing.assert_frame_equal(again, focalnet)


def test_a_verdict_that_no_cell_has_is_counted_as_0(focalnet: pd.DataFrame) -> None:
    rows = counts(focalnet).sections[0].rows
    assert [cell.text for cell in rows[0]] == ["focalnet", "params", "24", "6", "2", "0"]


def test_a_speed_is_shown_as_its_ratio(focalnet: pd.DataFrame) -> None:
    where = (focalnet["row"] == "FocalNet-B (LRF)") & (focalnet["figure"] == "images_per_s")
    changes = {"verdict": "differs", "reason": "as a ratio to ResNet-50", "measured": 640.0}
    numbers = {"printed_ratio": 0.208, "measured_ratio": 0.3, "difference": 0.092}
    cells = focalnet.copy()
    for name, value in {**changes, **numbers, "tolerance": 0.0208}.items():
        cells.loc[where, name] = value
    text = render(cells, "md").decode()
    assert "| 269 | 640 | 0.21 | 0.30 ≠ |" in text
    assert "0.208 printed, 0.300 of ResNet-50 measured (+0.092, tolerance 0.0208)" in text


def test_rows_of_one_name_are_told_apart_by_their_weights_or_their_entries() -> None:
    cells = audit(load_csv(counts_path()), ["swin"])
    same = cells.assign(row="Net")
    assert "Net (224 px, in1k), GMACs: 16.0 printed" in render(same, "md").decode()
    unnamed = render(same.assign(pretrain=""), "md").decode()
    assert "Net (224 px, regnety_160.deit_in1k), GMACs: 16.0 printed" in unnamed


def test_a_table_of_a_users_own_is_audited_alike(tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    own.write_bytes(tables()["swin"].read_bytes())
    frame = load_csv(counts_path())
    ours, theirs = audit(frame, ["swin"]), audit(frame, [str(own)])
    assert set(theirs["table"]) == {"own"}
    assert theirs["verdict"].tolist() == ours["verdict"].tolist()
