"""A baseline comes back as it was written, grows by reviewed runs, and says what is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from reports.baseline_folder import INDEX, load_baseline, side_of, write_baseline
from reports.baseline_update import MAX_RUNS, changes, updated
from reports.compare import compare
from reports.side import Answers, Speed
from tests.reports.sides import MACHINE, STEADY, answers, counts, latency, side, speed, store_of
from zoo.errors import ReportError

ROOT = Path(__file__).parents[2]
OTHER = {**MACHINE, "processor": "CPU two"}


def _runs(found: object) -> list[float]:
    return [
        run.images_per_s
        for item in found.items  # type: ignore[attr-defined]
        if isinstance(item, Speed)
        for run in item.runs
    ]


def test_it_holds_all_that_a_comparison_needs(tmp_path: Path) -> None:
    made = side(counts(), answers([0, 3, 1]), speed(STEADY), counts(entry="b"))
    write_baseline(tmp_path / "base", made)
    found = compare(load_baseline(tmp_path / "base"), made)
    assert set(found.findings["verdict"]) == {"same", "not judged"}  # the speed is its own run
    back = next(i for i in load_baseline(tmp_path / "base").items if isinstance(i, Answers))
    assert back.frame["pred"].tolist() == [0, 3, 1]
    assert back.frame["image"].tolist() == ["0.jpg", "1.jpg", "2.jpg"]


def test_writing_twice_gives_the_same_bytes_whatever_the_order(tmp_path: Path) -> None:
    items = [counts(), answers([0, 3, 1]), speed(STEADY), counts(entry="b")]
    write_baseline(tmp_path / "a", side(*items))
    write_baseline(tmp_path / "b", side(*reversed(items)))
    for path in (tmp_path / "a").rglob("*"):
        if path.is_file():
            assert (
                path.read_bytes()
                == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
            )


def test_a_run_is_added_once() -> None:
    base, run = side(speed(STEADY)), side(speed([100.2], day=2))
    once = updated(base, run)
    assert _runs(once) == [*STEADY, 100.2]
    assert _runs(updated(once, run)) == [*STEADY, 100.2]


def test_a_speed_outside_of_the_band_starts_the_runs_anew() -> None:
    assert _runs(updated(side(speed(STEADY)), side(speed([130.0], day=2)))) == [130.0]


def test_the_oldest_runs_are_dropped() -> None:
    base = side(speed([100.0 + i / 100 for i in range(MAX_RUNS)]))
    found = _runs(updated(base, side(speed([100.1], day=2))))
    assert len(found) == MAX_RUNS
    assert found[0] == 100.01


def test_each_machine_keeps_its_own_runs() -> None:
    other = speed([50.0], day=2, machine=OTHER, device_name="CPU two")
    both = updated(side(speed(STEADY)), side(other))
    assert _runs(both) == [*STEADY, 50.0]
    assert _runs(
        updated(both, side(speed([51.0], day=3, machine=OTHER, device_name="CPU two")))
    ) == [
        *STEADY,
        50.0,
        51.0,
    ]


def test_a_row_with_another_key_takes_the_place_of_the_one_that_it_stands_for() -> None:
    base = side(answers([0, 0]), answers([0, 0], entry="b"))
    new = updated(base, side(answers([0, 1], preprocess="resize 255")))
    found = {(i.key.entry, i.key.preprocess): i for i in new.items}
    assert set(found) == {("a", "resize 255"), ("b", "resize 256")}


def test_latencies_are_kept_in_seconds(tmp_path: Path) -> None:
    runs = [run / 1000 for run in STEADY]
    write_baseline(tmp_path / "old", side(latency(runs[:3])))
    write_baseline(tmp_path / "new", side(latency(runs)))
    old, new = (load_baseline(tmp_path / name) for name in ("old", "new"))
    assert new.items == (latency(runs),)
    assert next(changes(old, new)).endswith("eager, batch 8): 2 more runs: 0.1005, 0.0995 s")
    content = json.loads((tmp_path / "new" / INDEX).read_text())
    for figure in ("images_per_s", "top-7"):
        _spoil(tmp_path / "new", speeds=[{**content["speeds"][0], "figure": figure}])
        with pytest.raises(ReportError, match=r"not a baseline: speeds\.0"):
            load_baseline(tmp_path / "new")


def test_an_update_in_place_leaves_no_file_of_the_old_rows(tmp_path: Path) -> None:
    folder = tmp_path / "base"
    write_baseline(folder, side(answers([0, 0])))
    write_baseline(folder, side(answers([0, 1], preprocess="resize 255")))
    assert len(list((folder / "predictions").iterdir())) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base"]


def test_an_update_leaves_all_other_files_alone(tmp_path: Path) -> None:
    folder = tmp_path / "base"
    write_baseline(folder, side(answers([0, 0])))
    theirs = {
        folder / name: name.encode()
        for name in (
            "notes.md",
            ".hidden",
            "more/deep.txt",
            "predictions/readme.txt",
            "predictions/mine.parquet",
            "predictions/a-0123456789ab.parquet",
            "baseline.json.bak",
        )
    }
    for path, content in theirs.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    write_baseline(folder, side(answers([0, 1])))
    assert {path: path.read_bytes() for path in theirs} == theirs
    assert len(load_baseline(folder).items) == 1


def test_an_update_follows_a_link_to_the_folder(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    link.symlink_to(real)
    for preds in ([0, 0], [0, 1]):
        write_baseline(link, side(answers(preds)))
        assert link.is_symlink()
    (found,) = load_baseline(real).items
    assert isinstance(found, Answers)
    assert found.frame["pred"].tolist() == [0, 1]


def test_an_update_follows_a_link_to_the_index(tmp_path: Path) -> None:
    folder = tmp_path / "base"
    write_baseline(folder, side(counts()))
    (folder / INDEX).rename(tmp_path / "kept.json")
    (folder / INDEX).symlink_to(tmp_path / "kept.json")
    write_baseline(folder, side(counts(1001)))
    assert (folder / INDEX).is_symlink()
    assert "1001" in (tmp_path / "kept.json").read_text()


def test_predictions_that_stay_are_not_written_again(tmp_path: Path) -> None:
    folder = tmp_path / "base"
    write_baseline(folder, side(answers([0, 1])))
    before = _parquet(folder).stat()
    write_baseline(folder, side(answers([0, 1]), counts()))
    assert _parquet(folder).stat() == before
    _parquet(folder).write_bytes(b"damaged")
    write_baseline(folder, side(answers([0, 1]), counts()))
    assert len(load_baseline(folder).items) == 2


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ReportError, match=r"contains thesis\.tex, and no baseline"):
        write_baseline(tmp_path, side(counts()))
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_a_store_and_the_baseline_made_of_it_say_the_same(tmp_path: Path) -> None:
    store = side_of(store_of(tmp_path / "store"))
    write_baseline(tmp_path / "base", store)
    found = compare(side_of(str(tmp_path / "base")), store).findings
    assert dict(zip(found["figure"], found["verdict"], strict=True)) == {
        "params": "same",
        "macs": "same",
        "top1": "same",
        "images_per_s": "not judged",
        "end_to_end_images_per_s": "not judged",
    }


def _spoil(folder: Path, **changes: object) -> None:
    content = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(json.dumps({**content, **changes}))


def test_what_is_wrong_with_a_baseline_is_said_in_a_line(tmp_path: Path) -> None:
    folder = tmp_path / "base"
    with pytest.raises(ReportError, match="--update"):
        load_baseline(folder)
    write_baseline(folder, side(answers([0, 0])))
    _spoil(folder, schema_version=5)
    with pytest.raises(ReportError, match="schema 5, this zoobench reads 1 to 4"):
        load_baseline(folder)
    _spoil(folder, schema_version="4")
    with pytest.raises(ReportError, match="schema '4', this zoobench"):
        load_baseline(folder)
    _spoil(folder, schema_version=1, counts=[{"params": "many"}])
    with pytest.raises(ReportError, match=r"not a baseline: counts\.0\.key: Field required"):
        load_baseline(folder)
    for content, reason in (
        ("[]", "schema None"),
        ("null", "schema None"),
        ("[" * 100_000, "nested too deeply"),
        ('{"schema_version": NaN}', "the number NaN"),
        ("\x00", "not a baseline"),
    ):
        (folder / INDEX).write_text(content)
        with pytest.raises(ReportError, match=reason) as caught:
            load_baseline(folder)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"images": 0},
        {"correct_top1": -1},
        {"file": "../predictions.parquet"},
        {"file": ""},
    ],
)
def test_an_impossible_row_of_a_baseline_is_refused(
    changes: dict[str, object], tmp_path: Path
) -> None:
    folder = tmp_path / "base"
    write_baseline(folder, side(answers([0, 0])))
    (row,) = json.loads((folder / INDEX).read_text())["answers"]
    _spoil(folder, answers=[{**row, **changes}])
    with pytest.raises(ReportError, match=r"not a baseline: answers\.0"):
        load_baseline(folder)


def test_a_run_that_is_no_speed_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "base"
    write_baseline(folder, side(speed(STEADY)))
    (row,) = json.loads((folder / INDEX).read_text())["speeds"]
    for runs in ([], [{**row["runs"][0], "images_per_s": 0}]):
        _spoil(folder, speeds=[{**row, "runs": runs}])
        with pytest.raises(ReportError, match=r"not a baseline: speeds\.0\.runs"):
            load_baseline(folder)


def _parquet(folder: Path) -> Path:
    (path,) = (folder / "predictions").iterdir()
    return path


def test_predictions_of_another_commit_are_noticed(tmp_path: Path) -> None:
    write_baseline(tmp_path / "a", side(answers([0, 0])))
    write_baseline(tmp_path / "b", side(answers([0, 1])))
    ours, theirs = _parquet(tmp_path / "a"), _parquet(tmp_path / "b")
    ours.write_bytes(theirs.read_bytes())
    with pytest.raises(ReportError, match="cannot be read: sha256"):
        load_baseline(tmp_path / "a")
    ours.unlink()
    with pytest.raises(ReportError, match="cannot be read: No such file"):
        load_baseline(tmp_path / "a")


def _forget_digests(folder: Path) -> None:
    """Make a baseline of schema 2 of it."""
    content = json.loads((folder / INDEX).read_text())
    for row in content["answers"]:
        del row["sha256"], row["images_in_dataset"]
    (folder / INDEX).write_text(json.dumps({**content, "schema_version": 2}))


def test_an_older_baseline_is_read_unverified_and_its_counts_must_fit(tmp_path: Path) -> None:
    write_baseline(tmp_path / "a", side(answers([0, 0])))
    write_baseline(tmp_path / "b", side(answers([0, 1])))
    _forget_digests(tmp_path / "a")
    (found,) = load_baseline(tmp_path / "a").items
    assert isinstance(found, Answers)
    assert (found.verified, found.images_in_dataset) == (False, None)
    _parquet(tmp_path / "a").write_bytes(_parquet(tmp_path / "b").read_bytes())
    with pytest.raises(ReportError, match=r"1 of 2 right, and .* says 2 of 2"):
        load_baseline(tmp_path / "a")
    _parquet(tmp_path / "a").write_bytes(b"no parquet")
    with pytest.raises(ReportError, match="cannot be read"):
        load_baseline(tmp_path / "a")


def test_a_dataset_that_was_not_read_whole_stays_so(tmp_path: Path) -> None:
    write_baseline(tmp_path / "a", side(answers([0] * 9, unread=1)))
    (found,) = load_baseline(tmp_path / "a").items
    assert isinstance(found, Answers)
    assert found.unread == 1


def test_an_update_that_is_killed_at_any_step_loses_nothing(tmp_path: Path) -> None:
    """With a real SIGKILL before every change of a file or folder, and before every fsync."""
    command = [sys.executable, "-m", "tests.reports.killed_update", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
