"""``zoobench plot`` as a user types it."""

from pathlib import Path

import pytest

from bench.cli.main import main
from reports.table import render
from tests.reports.test_points import SWIN, focalnet_frame, make_frame

Capture = pytest.CaptureFixture[str]


def _call(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(words))
    assert isinstance(caught.value.code, int | None)
    return caught.value.code or 0


@pytest.fixture
def baseline(tmp_path: Path) -> str:
    path = tmp_path / "baseline.csv"
    path.write_bytes(render(focalnet_frame(), "csv"))
    return str(path)


def test_pictures_of_a_baseline_in_both_formats(
    baseline: str, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "pictures"
    words = ("--table", "focalnet", "--x", "gmacs,params", "--format", "both", "--out", str(out))
    assert _call("plot", "--store", baseline, *words) == 0
    names = [f"focalnet-top1-{x}.{kind}" for x in ("gmacs", "params") for kind in ("png", "svg")]
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    assert capsys.readouterr().out.splitlines() == [str(out / name) for name in names]


def test_patterns_narrow_the_picture_and_what_is_left_out_is_told(
    tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "baseline.csv"
    frame = make_frame({"entry": SWIN, "macs": 4e9}, {"entry": "mine"}, {"entry": "other"})
    path.write_bytes(render(frame, "csv"))
    words = ("--store", str(path), "--x", "gmacs", "--out", str(tmp_path))
    assert _call("plot", "swin*", "mine", *words) == 0
    assert "left out, for want of a figure: mine\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--x", "gmac"), "--x: unknown x 'gmac'; did you mean gmacs?"),
        (("--y", "top2"), "did you mean top1?"),
        (("--format", "pgn"), "did you mean png?"),
        (("--table", "focalnt"), "did you mean focalnet?"),
        (("swim*",), "unknown entry, tag or pattern 'swim*'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    baseline: str, words: tuple[str, ...], message: str, tmp_path: Path, capsys: Capture
) -> None:
    assert _call("plot", "--store", baseline, "--out", str(tmp_path / "no"), *words) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "no").exists()
