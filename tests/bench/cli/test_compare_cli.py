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


def test_nothing_lost_passes_and_it_says_what_was_judged(here: Path, capsys: Capture) -> None:
    base, head = store_of(here / "base"), store_of(here / "head")
    assert call("compare", base, head, "--figures", "params,gmacs,top1") == 0
    out = capsys.readouterr().out
    assert out.startswith("passed: 3 same")
    assert "rows judged: params 1 of 1, GMACs 1 of 1, top-1 1 of 1" in out
    assert "top-1 of 1 row by McNemar's exact test: significant up to p = 0.01" in out


def test_a_speed_that_cannot_be_judged_keeps_the_gate_from_passing(
    here: Path, capsys: Capture
) -> None:
    base, head = store_of(here / "base"), store_of(here / "head", images_per_s=10)
    assert call("compare", base, head) == 3
    out, err = capsys.readouterr()
    assert out.startswith("not decided: 2 not judged, 3 same")
    assert "1 run of the base known, 5 needed" in " ".join(out.split())
    assert "not all that was asked for could be compared" in err
    assert "--figures" in err
    assert call("compare", base, head, "--figures", "speed") == 3
    assert call("compare", base, head, "--figures", "top1,train") == 3
    assert "train was asked for, and no row of it was judged" in capsys.readouterr().out


def test_steps_that_are_no_numbers_are_a_mistake_and_never_faster(
    here: Path, capsys: Capture
) -> None:
    _baseline_of_runs(here)
    for text in ("NaN", "1e999", "-1e999", "0.0", "-1.0"):
        head = store_of(here / text, preds=GOOD)
        (path,) = Path(head).glob("a/*throughput*/record.json")
        path.write_text(path.read_text().replace("0.08", text, 1))
        capsys.readouterr()
        assert call("compare", head, "--baseline", "reviewed") == 2
        err = capsys.readouterr().err
        assert str(path) in err
        assert len(err.strip().splitlines()) == 1


def test_a_changed_file_of_predictions_is_a_mistake_and_no_verdict(
    worse: tuple[str, str], capsys: Capture
) -> None:
    base, head = worse
    (good,), (bad,) = (list(Path(side).glob("a/*/predictions.parquet")) for side in (base, head))
    bad.write_bytes(good.read_bytes())
    assert call("compare", base, head) == 2
    err = capsys.readouterr().err
    assert f"{bad}: is damaged, or not the file of its record: sha256" in err
    assert len(err.strip().splitlines()) == 1


def test_a_store_without_digests_is_read_and_called_unverified(here: Path, capsys: Capture) -> None:
    base, head = store_of(here / "base"), store_of(here / "head")
    (path,) = Path(head).glob("a/*accuracy*/record.json")
    content = json.loads(path.read_text())
    del content["predictions_sha256"]
    path.write_text(json.dumps({**content, "schema_version": 2}))
    assert call("compare", base, head, "--figures", "top1") == 0
    assert "predictions unverified, as no sha256 of them was recorded: a" in " ".join(
        capsys.readouterr().out.split()
    )


def test_by_entry_new_preprocessing_is_judged_and_named(here: Path, capsys: Capture) -> None:
    base = store_of(here / "base", preds=GOOD)
    head = store_of(here / "head", preds=LOST, preprocess="resize 248")
    ask = ("--figures", "top1")
    assert call("compare", base, head, *ask) == 1
    assert "missing" in capsys.readouterr().out
    assert call("compare", base, head, *ask, "--match", "entry") == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "failed: 1 worse" in out
    assert "preprocess: resize 256 → 248" in out
    assert call("compare", head, base, *ask, "--match", "entry") == 0
    assert "passed: 1 better" in capsys.readouterr().out
    same = store_of(here / "same", preds=GOOD, preprocess="resize 248")
    assert call("compare", base, same, *ask, "--match", "entry") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "preprocess: resize 256 → 248; all 500 predictions are equal" in out


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


def test_an_update_says_what_changed_row_by_row(here: Path, capsys: Capture) -> None:
    old = store_of(here / "old", preds=GOOD, images_per_s=None)
    assert call("compare", old, "--baseline", "reviewed", "--update") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "a (params, GMACs): added: 1,000 parameters, 2,000 multiply-adds" in lines
    assert lines[-1] == "unchanged: 0"
    new = store_of(here / "new", preds=LOST, images_per_s=None, preprocess="resize 248")
    assert call("compare", new, "--baseline", "reviewed", "--update") == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        "a (top-1, cpu, CPU one, fp32, contiguous, eager, batch 8): preprocess: resize 256 → 248; "
        "top-1 100.00 % (500 of 500) → top-1 97.60 % (488 of 500), 12 of 500 predictions differ"
    ) in lines
    assert lines[-1] == "unchanged: 1"
    assert call("compare", new, "--baseline", "reviewed", "--update") == 0
    assert capsys.readouterr().out.splitlines() == ["unchanged: 3"]


def test_an_update_says_which_runs_begin_again(here: Path, capsys: Capture) -> None:
    _baseline_of_runs(here)
    assert "again" not in capsys.readouterr().out
    capsys.readouterr()
    at = "2026-02-01T00:00:00+00:00"
    faster = store_of(here / "faster", preds=GOOD, images_per_s=200, at=at)
    assert call("compare", faster, "--baseline", "reviewed", "--update") == 0
    out = capsys.readouterr().out
    assert "a (images_per_s, cpu, CPU one, fp32, contiguous, eager, batch 8): outside of" in out
    assert "so its runs begin again: 200 images/s" in out


def test_junit_is_read_back_with_the_same_outcomes(worse: tuple[str, str], here: Path) -> None:
    assert call("compare", *worse, "--format", "junit", "--out", "gate.xml") == 1
    (suite,) = junitparser.JUnitXml.fromfile("gate.xml")
    assert (suite.tests, suite.failures, suite.skipped, suite.errors) == (5, 1, 1, 1)
    results = {case.name: [type(r) for r in case.result] for case in suite}
    assert results == {
        "params": [],
        "macs": [],
        "top1": [junitparser.Failure],
        "images_per_s": [junitparser.Error],  # which was asked for
        "end_to_end_images_per_s": [junitparser.Skipped],
    }
    told = next(case.result[0].message for case in suite if case.name == "top1")
    assert "worse: 100.00 in the base, 97.60 in the head" in told


def test_json_holds_every_finding_and_every_flip(worse: tuple[str, str], capsys: Capture) -> None:
    assert call("compare", *worse, "--format", "json") == 1
    content = json.loads(capsys.readouterr().out)
    assert (content["fails"], content["decided"]) == (True, False)
    assert content["judged"]["images_per_s"] == {"judged": 0, "asked": 1}
    assert content["levels"]["mcnemar"] == 0.01
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
    more = ("--figures", "params,gmacs,top1")
    assert call("compare", fast, "--baseline", "reviewed.new", *more) == 0


@pytest.mark.parametrize("name", [".", "../reviewed", "../reviewed/"])
def test_a_baseline_may_be_named_in_any_way(
    name: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = store_of(here / "base", preds=LOST, images_per_s=None)
    (here / "reviewed").mkdir()
    monkeypatch.chdir(here / "reviewed")
    assert call("compare", base, "--baseline", name, "--update") == 0
    better = store_of(here / "better", preds=GOOD, images_per_s=None)
    assert call("compare", better, "--baseline", name) == 0
    assert sorted(path.name for path in here.iterdir()) == [
        "base",
        "better",
        "reviewed",
        "reviewed.new",
    ]
    assert sorted(path.name for path in Path().iterdir()) == ["baseline.json", "predictions"]


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
    assert call("compare", base, head, "--figures", "params,gmacs,top1") == 0
    assert "3 unexpected" in capsys.readouterr().out


def test_two_processors_are_not_comparable_and_counts_alone_do_not_pass(
    here: Path, capsys: Capture
) -> None:
    base = store_of(here / "base")
    head = store_of(here / "head", device_name="CPU two", images_per_s=10, preds=(1,) * 20)
    assert call("compare", base, head) == 3
    out = " ".join(capsys.readouterr().out.split())
    assert "not decided: 3 not comparable, 2 same" in out
    assert "device_name CPU one → CPU two" in out
    assert call("compare", base, head, "--match", "entry", "--figures", "top1") == 1


def test_if_nothing_can_be_judged_the_gate_is_not_green(here: Path, capsys: Capture) -> None:
    base = store_of(here / "base", params=None)
    head = store_of(here / "head", params=None, device_name="CPU two")
    assert call("compare", base, head) == 3
    assert "not all that was asked for could be compared" in capsys.readouterr().err


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
        (("store", "--baseline", ""), "--baseline '': is empty"),
        (("", "store"), "BASE or HEAD '': is empty"),
        (("store", "--baseline", "."), ".: no baseline there; make it with"),
        (("store", "--baseline", "store"), "a store to compare with is given as BASE"),
        (("store", "store", "--match", "name"), "unknown match 'name'; choices: entry, key"),
        (("store", "store", "--figures", "top2"), "unknown figures 'top2'; did you mean top1"),
        (("store", "--baseline", "s3://b/x", "--update"), "the folder to write to"),
        (("store", "--baseline", "store", "--update"), "contains a, and no baseline"),
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
