"""``zoobench ab`` as a user types it: verdicts, exit codes and mistakes."""

import json
from pathlib import Path

import pytest

from tests.command import call


def test_a_comparison_is_printed_and_its_rounds_are_kept(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One side of twice the work is not the same; what it is called depends on the machine."""
    words = "--a precision=fp32 --b precision=fp32,memory_format=channels_last --budget 1"
    code = call(
        "ab", "--zoo", "timm:test_resnet", *words.split(), "--batch", "1", "--format", "json",
        "--store", str(tmp_path),
    )  # fmt: skip
    out, err = capfd.readouterr()
    document = json.loads(out)
    row = document["rows"][0]
    assert row["entry"].startswith("test_resnet")
    expected = {"slower": 1, "failed": 1, "ambiguous": 3, "same": 0, "faster": 0}
    assert code == expected[row["verdict"]]
    assert row["verdict"] != "failed"
    assert document["b"]["settings"] == {"precision": "fp32", "memory_format": "channels_last"}
    path = err.strip().splitlines()[-1].removeprefix("rounds: ")
    kept = json.loads(Path(path).read_text())
    assert len(kept["rows"][0]["pairs"]) == row["pairs"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "say how the sides differ"),
        (["--b", "precison=bf16"], "did you mean precision"),
        (["--b", "precision=bf16", "--threshold", "much"], "give a percentage above 0, like 5%"),
        (["--b", "precision=bf16", "--threshold", "0"], "give a percentage above 0"),
        (["--b", "precision=bf16", "--threshold", "nan"], "give a percentage above 0"),
        (["--b", "precision=bf16", "--budget", "inf"], "--budget inf: give a number of seconds"),
        (["--b", "precision=bf16", "--format", "mdd"], "did you mean md"),
        (["--b-python", "nowhere/python"], "--b-python nowhere/python: no such program"),
        (["--b-rev", "no-such-branch"], "--b-rev"),
        (["nothing*", "--b", "precision=bf16"], "unknown entry, tag or pattern"),
    ],
)
def test_mistakes_are_told_before_anything_runs(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    assert call("ab", *words, "--store", str(store)) == 2
    assert message in capsys.readouterr().err
    assert not list(store.glob("ab/*"))
