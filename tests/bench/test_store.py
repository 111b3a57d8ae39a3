"""A store loses nothing: records appear whole, are never overwritten, and carry their version."""

import json
import math
import multiprocessing
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest

from bench.records import Accuracy, Complexity, Measure, Record, RowKey
from bench.store import Store
from zoo.errors import StoreError


def record(entry: str = "a", measure: Measure = "complexity", **changes: object) -> Record:
    """A record of made-up counts."""
    raw: dict[str, object] = {
        "measure": measure,
        "key": RowKey(entry=entry, network="timm/x", input_px="224x224"),
        "status": "measured",
        "evidence": Complexity(
            params=10,
            unused=(),
            macs=100,
            macs_by_operator={"mm": 100},
            uncounted={},
            macs_fvcore=100,
            fvcore_note=None,
            fvcore_uncounted={},
        ),
        "started_at": "2026-01-01T00:00:00+00:00",
        "seconds": 1.0,
        "conditions": {"torch": "2.9"},
    }
    return Record.model_validate({**raw, **changes})


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "new" / "store"))
    store.append(record("a"))
    store.append(record("b"), predictions=b"parquet")
    found = {r.key.entry: (folder, r) for folder, r in store.records()}
    assert found["a"][1] == record("a")
    assert found["b"][1].predictions == "predictions.parquet"
    assert store.read_file(found["b"][0], "predictions.parquet") == b"parquet"


def test_nothing_is_overwritten_and_the_newest_speaks(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.append(record(status="failed", reason="first", evidence=None))
    store.append(record())
    assert len(list(store.records())) == 2
    newest = store.newest("complexity", record().key)
    assert newest is not None
    assert newest.status == "measured"
    assert store.newest("throughput", record().key) is None


def test_a_failure_does_not_take_back_what_was_measured(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.append(record())
    store.append(record(status="failed", reason="killed", evidence=None))
    newest = store.newest("complexity", record().key)
    assert newest is not None
    assert newest.status == "measured"


@pytest.mark.parametrize("url", ["zip://nothing", "data:abc", "reference://x"])
def test_a_url_of_no_store_is_one_line(url: str) -> None:
    with pytest.raises(StoreError, match="store"):
        Store(url).check_writable()


def test_an_object_store_works_like_a_folder() -> None:
    store = Store("memory://bucket/zoo")
    store.append(record("a"), predictions=b"p")
    assert [r.key.entry for _, r in store.records()] == ["a"]


def test_the_memory_of_one_process_is_no_store_for_a_run() -> None:
    with pytest.raises(StoreError, match="rows are measured in others"):
        Store("memory://bucket/zoo").check_writable()


def test_a_remote_file_system_with_folders_works_from_several_processes(tmp_path: Path) -> None:
    """Whatever is no local path goes through fsspec alone; here it ends on this disk."""
    url = f"simplecache::file://{tmp_path}/remote"
    Store(url).check_writable()
    _in_two_processes(_append_many, url, "a")
    assert len(list(Store(url).records())) == 50
    assert len(list(Store(f"file://{tmp_path}/remote").records())) == 50


def test_names_reach_the_disk_before_a_record_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash of the machine keeps what was synced: each file, then the folder that names it."""
    synced: list[Path] = []

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr("os.fsync", fsync)
    folder = Path(Store(str(tmp_path / "new")).append(record("a"), predictions=b"p")).parent
    parts = [path for path in synced if path.name.startswith(".")]
    folders = [path for path in synced if not path.name.startswith(".")]
    assert [part.parent for part in parts] == [folder, folder]  # predictions, then the record
    assert folders[:3] == [tmp_path / "new" / "a", tmp_path / "new", tmp_path]
    assert folders[3:] == [folder, folder]
    assert synced[-1] == folder


def test_a_newer_schema_is_refused_with_the_mend(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    path = Path(store.append(record()))
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "schema_version": 99, "unknown": 1}))
    with pytest.raises(StoreError, match=r"newer zoobench \(schema 99.*upgrade"):
        list(store.records())


def _reason(store: Store) -> str:
    with pytest.raises(StoreError) as caught:
        list(store.records())
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("null", "NoneType instead of an object"),
        ("[]", "list instead of an object"),
        ('"record"', "str instead of an object"),
        ("[" * 100_000, "nested too deeply"),
        ("\x00", "Expecting value"),
        ('{"schema_version": NaN}', "the number NaN"),
        ("9" * 5000, "which no measurement yields"),
        ("{}", "schema_version None is not a whole number from 1"),
        ('{"schema_version": "2"}', "schema_version '2' is not a whole number"),
        ('{"schema_version": null}', "schema_version None is not a whole number"),
        ('{"schema_version": true}', "schema_version True is not a whole number"),
        ('{"schema_version": 0}', "schema_version 0 is not a whole number from 1"),
        ('{"schema_version": 1e400}', "the number 1e400"),
        ('{"schema_version": 3, "reason": "\\ud800"}', "surrogates not allowed"),
        ('{"schema_version": 3, "\\uDC00": 0}', "surrogates not allowed"),
    ],
)
def test_an_odd_file_is_one_line_with_its_path(content: str, reason: str, tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    path = Path(store.append(record()))
    path.write_text(content)
    assert reason in (told := _reason(store))
    assert str(path) in told


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("torch", 3),
        ("git_commit", ["x"]),
        ("notes", "one"),
        ("batch", "auto"),
        ("gpu", {"other_processes": -1}),
        ("matmul_peak_tflops", 0),
        ("matmul_peak_tflops", "fast"),
    ],
)
def test_conditions_that_no_report_could_read_are_one_line(
    name: str, value: object, tmp_path: Path
) -> None:
    store = Store(str(tmp_path))
    path = Path(store.append(record()))
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "conditions": {**content["conditions"], name: value}}))
    assert f"not a zoobench record: conditions: {name}" in _reason(store)


def test_bytes_that_are_not_text_are_one_line(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    Path(store.append(record())).write_bytes(b"\xff\xfe{")
    assert "not a zoobench record" in _reason(store)


TIMED = {
    "kind": "throughput",
    "batch_size": 8,
    "first_call_s": 1.0,
    "warmup_steps": 3,
    "steps_s": [0.1, 0.2],
    "wall_s": 0.3,
    "clock": "perf_counter",
    "peak_memory_bytes": None,
    "peak_memory_kind": None,
}
STAGES = {"read_decode_s": 1.0, "resize_s": 1.0, "copy_s": 0.0, "model_s": 1.0}
TIMED_PASS = {"images": 9, "seconds": 1.0, "lanes": 1, "stages": STAGES}
SCORED = {
    "kind": "accuracy",
    "dataset": "val",
    "dataset_kind": "imagenet-folder",
    "images_in_dataset": 10,
    "images": 9,
    "correct_top1": 6,
    "correct_top5": 8,
    "bad_images": [{"image": "a.jpg", "reason": "truncated"}],
    "content_sha256": "c",
    "end_to_end": TIMED_PASS,
}
COUNTED = record().model_dump(mode="json")["evidence"]
REFERENCE = {"version": 1, "seconds": [0.1, 0.1], "stretches": [2]}


@pytest.mark.parametrize(
    ("evidence", "changes"),
    [
        (TIMED, {"steps_s": [0.1, math.nan]}),
        (TIMED, {"steps_s": [0.1, math.inf]}),
        (TIMED, {"steps_s": [0.1, "nan"]}),
        (TIMED, {"steps_s": [0.1, -0.1]}),
        (TIMED, {"steps_s": [0.1, 0.0]}),
        (TIMED, {"steps_s": [0.1, 1e-10]}),
        (TIMED, {"steps_s": [0.1, 1e10]}),
        (TIMED, {"steps_s": []}),
        (TIMED, {"wall_s": 0.0}),
        (TIMED, {"batch_size": 0}),
        (TIMED, {"batch_size": 2**63}),
        (TIMED, {"warmup_steps": -1}),
        (TIMED, {"peak_memory_bytes": -1}),
        (TIMED, {"reference": {**REFERENCE, "stretches": [1]}}),
        (TIMED, {"reference": {**REFERENCE, "seconds": [0.1]}}),
        (TIMED, {"reference": {**REFERENCE, "seconds": [0.1, 0.0]}}),
        (SCORED, {"correct_top1": -1}),
        (SCORED, {"correct_top1": 9}),
        (SCORED, {"correct_top5": 10}),
        (SCORED, {"correct_top1": 10, "correct_top5": None}),
        (SCORED, {"images": 0}),
        (SCORED, {"images": 10}),
        (SCORED, {"images_in_dataset": 9}),
        (SCORED, {"end_to_end": {**TIMED_PASS, "seconds": 0.0}}),
        (SCORED, {"end_to_end": {**TIMED_PASS, "stages": dict.fromkeys(STAGES, 0.0)}}),
        (COUNTED, {"params": -1}),
        (COUNTED, {"macs": 10**19}),
        (COUNTED, {"macs_by_operator": {"mm": -1}}),
    ],
)
def test_numbers_that_no_measurement_yields_are_refused_on_reading(
    evidence: dict[str, Any], changes: dict[str, Any], tmp_path: Path
) -> None:
    store = Store(str(tmp_path))
    path = Path(store.append(record()))
    content = {**json.loads(path.read_text()), "measure": evidence["kind"], "evidence": evidence}
    path.write_text(json.dumps(content))
    assert len(list(store.records())) == 1
    path.write_text(json.dumps({**content, "evidence": {**evidence, **changes}}))
    assert "not a zoobench record" in _reason(store)


@pytest.mark.parametrize(
    "changes",
    [
        {"evidence": None},
        {"measure": "throughput"},
        {"status": "failed"},
        {"seconds": -1},
        {"conditions": {"load": math.nan}},
    ],
)
def test_a_record_that_contradicts_itself_is_refused(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    store = Store(str(tmp_path))
    path = Path(store.append(record()))
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    assert "not a zoobench record" in _reason(store)


def _ahead(monkeypatch: pytest.MonkeyPatch, years: int) -> None:
    """Set the clock that stamps records ahead."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(days=365 * years)

    monkeypatch.setattr("bench.store.datetime", Clock)


def test_a_record_from_the_future_does_not_supersede_what_comes_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(str(tmp_path))
    store.append(record(seconds=1))
    with monkeypatch.context() as clock:
        _ahead(clock, 70)
        store.append(record(seconds=2, started_at="2099-01-01T00:00:00+00:00"))
    (newest,) = (store.newest("complexity", record().key),)
    assert newest is not None
    assert newest.seconds == 1  # of a clock that was right
    store.append(record(seconds=3))
    assert [r.seconds for _, r in store.records()] == [2, 1, 3]
    # When its time has come, the record is still older than what was added after it.
    monkeypatch.setattr("bench.store.now", lambda: "2100-01-01T00:00:00+00:00")
    assert [r.seconds for _, r in store.records()] == [1, 2, 3]


@pytest.mark.parametrize("name", ["notes", "99991231T235959999999-x", "20269999T000000000000-x"])
def test_a_foreign_folder_does_not_disturb_the_order(name: str, tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.append(record(seconds=1))
    (tmp_path / "a" / name).mkdir()
    store.append(record(seconds=2))
    assert [r.seconds for _, r in store.records()] == [1, 2]


def test_a_foreign_file_is_named(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    path = Path(store.append(record()))
    path.write_text("{")
    with pytest.raises(StoreError, match="not a zoobench record"):
        list(store.records())


def test_a_half_written_record_is_not_seen(tmp_path: Path) -> None:
    """What a kill leaves between evidence and record: a folder without record.json."""
    store = Store(str(tmp_path))
    path = Path(store.append(record(), predictions=b"p"))
    path.rename(path.with_name(".record.json.0123abcd"))
    assert list(store.records()) == []


def test_a_store_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store there"):
        list(Store(str(tmp_path / "nowhere")).records())


def test_a_place_that_cannot_be_written_is_told_before_measuring(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file: is a file; .* another --store"):
        Store(str(tmp_path / "file")).check_writable()
    with pytest.raises(StoreError, match=r"cannot be written.*another --store"):
        Store(str(tmp_path / "file" / "below")).check_writable()


def test_a_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.append(record("a"))
    full = Store("/dev/full/zoo")
    with pytest.raises(StoreError):
        full.append(record("b"))
    assert len(list(store.records())) == 1


def _append_many(root: str, entry: str) -> None:
    for _ in range(25):
        Store(root).append(record(entry))


def _in_two_processes(target: Callable[..., None], *arguments: str) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=target, args=arguments) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]


def test_two_writers_do_no_harm(tmp_path: Path) -> None:
    _in_two_processes(_append_many, str(tmp_path), "a")
    assert len(list(Store(str(tmp_path)).records())) == 50


def test_a_key_keeps_only_what_a_measurement_depends_on() -> None:
    key = RowKey(entry="a", network="n", input_px="1x1", device="cpu", weights_sha256="0")
    assert key.of("complexity") == RowKey(entry="a", network="n", input_px="1x1")
    assert key.of("throughput").device == "cpu"
    assert key.of("throughput").weights_sha256 is None
    assert key.of("accuracy") == key


def test_evidence_is_told_apart_by_its_kind() -> None:
    text = record().model_dump_json()
    assert isinstance(Record.model_validate_json(text).evidence, Complexity)
    assert "accuracy" in str(Accuracy.model_fields["kind"].default)
