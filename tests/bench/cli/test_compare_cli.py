"""``zoobench compare``: what a CI job sees of it."""

import json
from pathlib import Path

import junitparser
import pandas as pd
import pytest

from tests.command import call
from tests.reports.sides import failed, store_of

Capture = pytest.CaptureFixture[str]
GOOD = (0,) * 500
LOST = (0,) * 488 + (1,) * 12  # 2.4 %


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def worse(here: Path) -> tuple[str, str]:
    """A base, and a head that lost 12 of 500 images."""
    return store_of(here / "base", preds=GOOD), store_of(here / "head", preds=LOST)


def _baseline_of_runs(here: Path, runs: int = 6) -> None:
    for i in range(runs):
        at = f"2026-01-01T00:00:{i:02}+00:00"
        store = store_of(here / f"run{i}", preds=GOOD, images_per_s=100 + i % 2, at=at)
        assert call("compare", store, "--baseline", "reviewed", "--update") == 0


def test_a_loss_fails_and_is_told_at_80_columns(worse: tuple[str, str], capsys: Capture) -> None:
    assert call("compare", *worse, "--flips", "flips.csv") == 1
    out, _ = capsys.readouterr()
    assert max(len(line) for line in out.splitlines()) <= 80
    assert out.startswith("failed: 1 worse, 2 not judged, 2 same")
    assert "12 of 500 predictions differ, 12 right to wrong" in " ".join(out.split())
    assert list(pd.read_csv("flips.csv")["image"]) == [f"{i}.jpg" for i in range(488, 500)]


def test_nothing_lost_passes(here: Path, capsys: Capture) -> None:
    base, head = store_of(here / "base"), store_of(here / "head")
    assert call("compare", base, head) == 0
    assert capsys.readouterr().out.startswith("passed: 2 not judged, 3 same")


def test_where_all_is_the_same_it_says_how_small_a_loss_is_seen(
    here: Path, capsys: Capture
) -> None:
    _baseline_of_runs(here)
    at = "2026-02-01T00:00:00+00:00"
    head = store_of(here / "head", preds=GOOD, images_per_s=100, at=at)
    capsys.readouterr()
    assert call("compare", head, "--baseline", "reviewed") == 0
    for form in ((), ("--format", "md")):
        call("compare", head, "--baseline", "reviewed", *form)
    out = capsys.readouterr().out
    assert "verdict" not in out  # no table without a row
    assert (
        " ".join(out.split()).count("same: img/s of 1 row, within noise bands that reach 2.") == 3
    )


def test_an_update_says_which_runs_begin_anew(here: Path, capsys: Capture) -> None:
    _baseline_of_runs(here)
    assert "anew" not in capsys.readouterr().err
    at = "2026-02-01T00:00:00+00:00"
    faster = store_of(here / "faster", preds=GOOD, images_per_s=200, at=at)
    assert call("compare", faster, "--baseline", "reviewed", "--update") == 0
    err = capsys.readouterr().err
    assert "(images_per_s): outside of the noise band, so its runs begin anew" in err


def test_junit_is_read_back_with_the_same_outcomes(worse: tuple[str, str], here: Path) -> None:
    assert call("compare", *worse, "--format", "junit", "--out", "gate.xml") == 1
    (suite,) = junitparser.JUnitXml.fromfile("gate.xml")
    assert (suite.tests, suite.failures, suite.skipped, suite.errors) == (5, 1, 2, 0)
    results = {case.name: [type(r) for r in case.result] for case in suite}
    assert results == {
        "params": [],
        "macs": [],
        "top1": [junitparser.Failure],
        "images_per_s": [junitparser.Skipped],
        "end_to_end_images_per_s": [junitparser.Skipped],
    }
    told = next(case.result[0].message for case in suite if case.name == "top1")
    assert "worse: 100.00 in the base, 97.60 in the head" in told


def test_json_holds_every_finding_and_every_flip(worse: tuple[str, str], capsys: Capture) -> None:
    assert call("compare", *worse, "--format", "json") == 1
    content = json.loads(capsys.readouterr().out)
    assert content["fails"] is True
    assert content["verdicts"]["worse"] == 1
    assert len(content["findings"]) == 5
    assert len(content["flips"]) == 12
    top1 = next(row for row in content["findings"] if row["figure"] == "top1")
    assert (top1["base"], top1["head"], top1["lost"], top1["gained"]) == (1.0, 0.976, 12, 0)
    assert top1["low"] is None


def test_markdown_is_a_table(worse: tuple[str, str], capsys: Capture) -> None:
    assert call("compare", *worse, "--format", "md") == 1
    out, err = capsys.readouterr()
    assert "| a | top-1 % | 100.00 | 97.60 | -2.40 | worse |" in out
    assert err.startswith("zoobench: failed: 1 worse")


def test_a_baseline_is_made_and_grown_by_one_command_and_judges_speed(
    here: Path, capsys: Capture
) -> None:
    _baseline_of_runs(here)
    slow = store_of(here / "slow", preds=GOOD, images_per_s=90)
    assert call("compare", slow, "--baseline", "reviewed") == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "failed: 1 slower" in out
    assert "a img/s 100.5 90.0 -10.4 % slower" in out
    assert "the noise band of 6 runs is" in out
    assert not Path("reviewed.new").exists()


def test_an_improvement_is_told_and_written_beside_never_over(here: Path, capsys: Capture) -> None:
    _baseline_of_runs(here)
    before = {path: path.read_bytes() for path in Path("reviewed").rglob("*") if path.is_file()}
    fast = store_of(here / "fast", preds=GOOD, images_per_s=130)
    capsys.readouterr()
    assert call("compare", fast, "--baseline", "reviewed") == 0
    out, err = capsys.readouterr()
    assert "1 faster" in out
    assert "reviewed.new" in err
    assert {path: path.read_bytes() for path in before} == before
    assert call("compare", fast, "--baseline", "reviewed.new") == 0


def test_a_missing_row_fails_with_the_reason_that_the_head_gives(
    here: Path, capsys: Capture
) -> None:
    base = store_of(here / "base")
    head = store_of(here / "head", images_per_s=None)
    failed(head, "throughput", "out of memory at batch 8")
    assert call("compare", base, head) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "missing: a (img/s): failed: out of memory at batch 8" in out


def test_an_unexpected_row_is_told_and_does_not_fail(here: Path, capsys: Capture) -> None:
    base, head = store_of(here / "base"), store_of(here / "head")
    store_of(here / "head", entry="b")
    assert call("compare", base, head) == 0
    assert "5 unexpected" in capsys.readouterr().out


def test_two_processors_are_not_comparable_and_counts_still_are(
    here: Path, capsys: Capture
) -> None:
    base = store_of(here / "base")
    head = store_of(here / "head", device_name="CPU two", images_per_s=10, preds=(1,) * 20)
    assert call("compare", base, head) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "passed: 3 not comparable, 2 same" in out
    assert "device_name CPU one, CPU two in the head" in out


def test_if_nothing_can_be_judged_the_gate_is_not_green(here: Path, capsys: Capture) -> None:
    base = store_of(here / "base", params=None)
    head = store_of(here / "head", params=None, device_name="CPU two")
    assert call("compare", base, head) == 3
    assert "nothing of" in capsys.readouterr().err


def test_counts_are_held_against_a_file_of_counts(here: Path, capsys: Capture) -> None:
    store = store_of(here / "store", preds=None, images_per_s=None)
    assert call("report", "--store", store, "--format", "counts", "--out", "counts.csv") == 0
    other = store_of(here / "other", params=1001, preds=None, images_per_s=None)
    assert call("compare", store, "--baseline", "counts.csv") == 0
    assert call("compare", other, "--baseline", "counts.csv") == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "differs: a (params): 1,000 in the base, 1,001 in the head" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("store",), "compare takes two stores, BASE HEAD"),
        (("store", "store", "--baseline", "b"), "got 2 with --baseline"),
        (("store", "--update"), "--update takes one store, and --baseline DIR"),
        (("store", "--baseline", "counts.csv", "--update"), "the folder to write to"),
        (("store", "nowhere"), "nowhere: no store there"),
        (("store", "--baseline", "nowhere"), "nowhere: no baseline there; make it with"),
        (("store", "store", "--format", "pdf"), "unknown format 'pdf'"),
        (("store", "store", "--out", "no/such/folder"), "cannot be written"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    words: tuple[str, ...], message: str, here: Path, capsys: Capture
) -> None:
    store_of(here / "store")
    assert call("compare", *words) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.strip().splitlines()) == 1
