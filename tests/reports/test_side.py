"""What a store holds for a comparison: the newest of each row, and every run of its speed."""

import subprocess
import sys
from pathlib import Path

from bench.records import GpuState, Record, Throughput
from bench.store import Store
from reports.baseline_folder import write_baseline
from reports.side import Answers, Speed, of_kind, side_of_store
from tests.reports.sides import store_of

ROOT = Path(__file__).parents[2]


def test_the_newest_predictions_speak_and_all_runs_are_kept(tmp_path: Path) -> None:
    store_of(tmp_path, preds=(0, 0), images_per_s=90, at="2026-01-01T00:00:00+00:00")
    store = store_of(tmp_path, preds=(0, 1), images_per_s=110, at="2026-01-02T00:00:00+00:00")
    found = side_of_store(store)
    (answers,) = (item for item in found.items if isinstance(item, Answers))
    assert answers.frame["pred"].tolist() == [0, 1]
    (speed,) = of_kind(found.items, "images_per_s")
    assert isinstance(speed, Speed)
    assert [round(run.images_per_s) for run in speed.runs] == [90, 110]


def test_a_latency_is_its_median_request(tmp_path: Path) -> None:
    ((_, record),) = Store(store_of(tmp_path, preds=None, params=None)).records()
    assert record.evidence is not None
    requests = {"kind": "latency", "steps_s": (0.3, 0.1, 0.2), "batch_size": 8}
    evidence = {**record.evidence.model_dump(exclude={"launch_s"}), **requests}
    content = {**record.model_dump(), "measure": "latency", "evidence": evidence}
    other = Store(str(tmp_path / "other"))
    other.append(Record.model_validate(content))
    (found,) = side_of_store(other.url).items
    assert isinstance(found, Speed)
    assert found.figure == "latency_p50_s"
    assert [run.value for run in found.runs] == [0.2]


def test_a_run_on_a_gpu_that_was_slowed_down_is_no_speed(tmp_path: Path) -> None:
    store = Store(store_of(tmp_path, preds=None, params=None))
    ((_, record),) = store.records()
    slowed = GpuState(samples=(), throttled_steps=(3, 4), energy_j=None, note=None)
    assert isinstance(record.evidence, Throughput)
    evidence = record.evidence.model_copy(update={"gpu": slowed})
    other = Store(str(tmp_path / "slowed"))
    other.append(Record.model_validate({**record.model_dump(), "evidence": evidence.model_dump()}))
    found = side_of_store(other.url)
    assert found.items == ()
    assert [(figure, why) for figure, _, why in found.notes] == [
        ("images_per_s", "2 steps ran while the GPU was slowed down")
    ]


def test_a_pass_from_cached_pixels_is_no_end_to_end_speed(tmp_path: Path) -> None:
    store = Store(store_of(tmp_path / "files", params=None, images_per_s=None))
    ((folder, record),) = store.records()
    content = record.model_dump()
    content["evidence"]["end_to_end"]["pixels"] = "cache"
    other = Store(str(tmp_path / "cached"))
    other.append(Record.model_validate(content), store.read_file(folder, "predictions.parquet"))
    found = side_of_store(other.url)
    assert of_kind(found.items, "end_to_end_images_per_s") == []
    assert [why for _, _, why in found.notes] == [
        "from cached pixels, which is no end-to-end figure"
    ]


def test_predictions_that_were_superseded_are_not_read(tmp_path: Path) -> None:
    store_of(tmp_path, preds=(0, 0), params=None, images_per_s=None)
    (old,) = tmp_path.glob("a/*/predictions.parquet")
    store = store_of(tmp_path, preds=(0, 1), params=None, images_per_s=None)
    old.write_bytes(b"damaged")
    (answers,) = (item for item in side_of_store(store).items if isinstance(item, Answers))
    assert answers.frame["pred"].tolist() == [0, 1]
    assert answers.verified
    assert answers.images_in_dataset == 2


def test_predictions_are_read_without_threads_that_could_outlive_python(tmp_path: Path) -> None:
    """One that lets go of Python's bytes while the process ends aborts it, with exit code 134."""
    store = store_of(tmp_path / "store")
    write_baseline(tmp_path / "reviewed", side_of_store(store))
    code = (
        "import os, sys; from reports.baseline_folder import side_of; "
        "before = len(os.listdir('/proc/self/task')); "
        "[side_of(where) for where in sys.argv[1:]]; "
        "sys.exit(len(os.listdir('/proc/self/task')) - before)"
    )
    words = [sys.executable, "-c", code, store, str(tmp_path / "reviewed")]
    assert subprocess.run(words, cwd=ROOT, check=False).returncode == 0
