"""Published figures stay as printed, in the printed order, and a wrong cell is told where it is."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from zoo.errors import ClaimsError, UnknownNameError
from zoo.published import COLUMNS, load_claims, load_rows, tables, write_rows

LINE = "ResNet-50,ConvNet,resnet50.tv_in1k,exact,,,25.0,4.1,1294,76.2,224,in1k,,params_m,paper,,"


def write(folder: Path, *lines: str, header: str = ",".join(COLUMNS)) -> str:
    file = folder / "mine.csv"
    file.write_text("\n".join([header, *lines, ""]))
    return str(file)


def test_the_three_tables_are_whole_and_in_printed_order() -> None:
    assert list(tables()) == ["convnext", "focalnet", "swin"]
    sizes = {name: len(load_rows(name)) for name in tables()}
    assert sizes == {"convnext": 35, "focalnet": 32, "swin": 24}
    rows = load_rows("focalnet")
    assert [row.position for row in rows] == list(range(1, 33))
    assert [row.row for row in rows[:2]] == ["ResNet-50", "ResNet-101"]
    # The table ends in pairs: a transformer, then the FocalNet of its size.
    assert [row.group for row in rows[-6:]] == ["Transformer", "FocalNet"] * 3


def test_every_focalnet_row_has_an_entry() -> None:
    assert all(row.entry for row in load_rows("focalnet"))


def test_rows_of_one_name_stay_apart() -> None:
    swin_b = [row for row in load_rows("swin") if row.row == "Swin-B"]
    assert [(row.img_size, row.pretrain) for row in swin_b] == [
        (224, "in1k"),
        (384, "in1k"),
        (224, "in22k"),
        (384, "in22k"),
    ]
    assert len({row.entry for row in swin_b}) == 4


@pytest.mark.parametrize(
    ("printed", "value", "tolerance"),
    [("25.0", 25.0, 0.05), ("84", 84.0, 0.5), ("1294", 1294.0, 0.5), ("76.130", 76.13, 0.0005)],
)
def test_tolerance_is_half_of_the_last_printed_digit(
    tmp_path: Path, printed: str, value: float, tolerance: float
) -> None:
    file = write(tmp_path, LINE.replace("25.0", printed))
    claim = load_claims(file)[0]
    assert (claim.figure, claim.printed) == ("params_m", printed)
    assert (claim.value, claim.tolerance) == (value, tolerance)


def test_a_claim_carries_source_conditions_and_doubt() -> None:
    claims = {claim.figure: claim for claim in load_claims("focalnet")[:4]}
    speed = claims["images_per_s"]
    assert (speed.printed, speed.source) == ("1294", "arXiv:2203.11926, Table 1")
    assert "V100, batch 128" in speed.conditions
    assert speed.single_transcription
    assert not claims["top1_pct"].single_transcription


def test_a_figure_that_is_not_printed_is_no_claim() -> None:
    claims = [claim for claim in load_claims("swin") if claim.row == "R-101x3"]
    assert [claim.figure for claim in claims] == ["params_m", "gflops", "top1_pct"]


def test_accuracy_is_compared_only_with_the_rows_own_weights() -> None:
    match = {row.row: row.entry_match for row in load_rows("focalnet")}
    assert match["ResNet-50"] == "exact"
    assert match["Mixer-B/16"] == match["PVT-Small"] == "architecture"


def test_rows_survive_writing(tmp_path: Path) -> None:
    rows = load_rows("focalnet")
    write_rows(tmp_path / "new" / "focalnet.csv", rows)
    assert load_rows(str(tmp_path / "new" / "focalnet.csv")) == rows


def test_claims_are_immutable() -> None:
    with pytest.raises(ValidationError):
        load_claims("swin")[0].printed = "1"


@pytest.mark.parametrize(
    ("line", "problems"),
    [
        (LINE.replace("4.1", "4,1").replace("4,1", '"4,1"'), ["line 3", "'gflops'", "4,1"]),
        (LINE.replace("25.0", "25e6"), ["line 3", "'params_m'", "25e6"]),
        (LINE.replace("224", "big"), ["line 3", "'img_size'", "big"]),
        (LINE.replace("exact", "nearly"), ["line 3", "'entry_match'", "nearly"]),
        (LINE.replace(",params_m,", ",speed,"), ["line 3", "'single_transcription_cells'"]),
        ("ResNet-50,ConvNet", ["line 3", "cells"]),
        (f"{LINE},more", ["line 3", "cells"]),
    ],
)
def test_a_wrong_cell_is_told_with_file_line_and_field(
    tmp_path: Path, line: str, problems: list[str]
) -> None:
    file = write(tmp_path, LINE, line)
    with pytest.raises(ClaimsError) as caught:
        load_rows(file)
    assert all(word in str(caught.value) for word in [file, *problems])


def test_a_wrong_header_is_told(tmp_path: Path) -> None:
    with pytest.raises(ClaimsError, match="line 1: missing columns: row"):
        load_rows(write(tmp_path, header=",".join(COLUMNS[1:])))
    with pytest.raises(ClaimsError, match="line 1: no such columns: top9"):
        load_rows(write(tmp_path, header=",".join([*COLUMNS, "top9"])))


def test_an_unknown_table_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean focalnet"):
        load_claims("focalnt")


def test_claims_need_neither_torch_nor_pandas() -> None:
    code = (
        "import sys, zoo.published, zoo.libraries, zoo.claims_import;"
        "zoo.published.load_claims('swin');"
        "assert not {'torch', 'timm', 'torchvision', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
