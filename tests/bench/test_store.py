"""A store loses nothing: records appear whole, are never overwritten, and carry their version."""

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path

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


def test_a_foreign_file_is_named(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    path = Path(store.append(record()))
    path.write_text("{")
    with pytest.raises(StoreError, match="no zoobench record"):
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
