"""No name and no reason reaches a terminal as anything but a line of text."""

from pathlib import Path

import pandas as pd
import pytest

from tests.command import call
from tests.reports.sides import store_of
from zoo.published import COLUMNS

ESCAPE = "\x1b[31m\x1b]0;title\x07\r"


def _is_plain(capsys: pytest.CaptureFixture[str], *, lines: int | None = None) -> None:
    out, err = capsys.readouterr()
    assert not set(out + err) & set("\x1b\x07\r")
    assert r"\x1b[31m" in out + err
    assert lines is None or len((out + err).strip().splitlines()) == lines


def test_an_error_is_one_line_of_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("report", "--store", str(tmp_path / f"no{ESCAPE}\nwhere")) == 2
    _is_plain(capsys, lines=1)


def test_a_name_in_a_store_is_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = store_of(tmp_path / "store", network=f"timm/{ESCAPE}", preds=None, images_per_s=None)
    (path,) = Path(store).glob("a/*/record.json")
    path.write_text(path.read_text().replace('"entry": "a"', '"entry": "a\\u001b[31m"'))
    assert call("report", "--store", store) == 0
    _is_plain(capsys)
    other = store_of(tmp_path / "other", preds=None, images_per_s=None)
    assert call("compare", store, other) == 1
    _is_plain(capsys)


def test_a_published_row_is_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "claims.csv"
    row = dict.fromkeys(COLUMNS, "") | {
        "row": f"ResNet {ESCAPE.rstrip()}",
        "group": "[red]ConvNet",
        "img_size": "224",
        "pretrain": "in1k",
        "dataset": "imagenet-1k",
        "params_m": "25.6",
        "source": "s",
    }
    pd.DataFrame([row]).to_csv(path, index=False)
    assert call("claims", "list", str(path)) == 0, capsys.readouterr().err
    _is_plain(capsys)
    assert call("audit", str(path)) == 0  # it names only rows that an entry measures
    out, err = capsys.readouterr()
    assert not set(out + err) & set("\x1b\x07\r")


def test_an_image_that_cannot_be_read_is_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / f"{ESCAPE}\nx.jpg").write_bytes(b"no image")
    assert call("predict", str(tmp_path), "--models", "efficientnet_lite0") in (1, 2)
    _is_plain(capsys)
