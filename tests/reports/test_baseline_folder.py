"""A baseline comes back as it was written, grows by reviewed runs, and says what is wrong."""

import json
from pathlib import Path

import pytest

from reports.baseline_folder import INDEX, MAX_RUNS, load_baseline, side_of, updated, write_baseline
from reports.compare import compare
from reports.side import Answers, Speed
from tests.reports.sides import MACHINE, STEADY, answers, counts, side, speed, store_of
from zoo.errors import ReportError

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


def test_an_update_in_place_leaves_no_file_of_the_old_rows(tmp_path: Path) -> None:
    folder = tmp_path / "base"
    write_baseline(folder, side(answers([0, 0])))
    write_baseline(folder, side(answers([0, 1], preprocess="resize 255")))
    assert len(list((folder / "predictions").iterdir())) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base"]


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ReportError, match="other files than a baseline"):
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
    _spoil(folder, schema_version=3)
    with pytest.raises(ReportError, match="schema 3, this zoobench reads 1 to 2"):
        load_baseline(folder)
    _spoil(folder, schema_version=1, counts=[{"params": "many"}])
    with pytest.raises(ReportError, match="no baseline"):
        load_baseline(folder)
    (folder / INDEX).write_text("[]")
    with pytest.raises(ReportError, match="schema None"):
        load_baseline(folder)


def test_predictions_of_another_commit_are_noticed(tmp_path: Path) -> None:
    write_baseline(tmp_path / "a", side(answers([0, 0])))
    write_baseline(tmp_path / "b", side(answers([0, 1])))
    theirs = next((tmp_path / "b" / "predictions").iterdir())
    next((tmp_path / "a" / "predictions").iterdir()).write_bytes(theirs.read_bytes())
    with pytest.raises(ReportError, match=r"1 of 2 right, and .* says 2 of 2"):
        load_baseline(tmp_path / "a")
    theirs = next((tmp_path / "a" / "predictions").iterdir())
    theirs.write_bytes(b"no parquet")
    with pytest.raises(ReportError, match="no baseline"):
        load_baseline(tmp_path / "a")
    theirs.unlink()
    with pytest.raises(ReportError, match="cannot be read"):
        load_baseline(tmp_path / "a")
