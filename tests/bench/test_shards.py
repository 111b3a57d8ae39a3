"""Shards make a figure only together: every image of the dataset, each exactly once."""

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import shards
from bench.records import Accuracy, BadImage, Record, RowKey, Shard
from bench.shards import load_predictions, whole_records
from bench.store import Store
from reports import load_frame
from reports.side import Answers, side_of_store
from zoo.errors import StoreError

KEY = RowKey(entry="a", network="timm/x", dataset_digest="d", batch_size=2)
IMAGES = tuple(f"n{i:02}.jpg" for i in range(10))
BAD = 4
ODD = 7


@settings(deadline=None)  # the machine may be busy
@given(images=st.integers(0, 300), count=st.integers(1, 40))
def test_shards_cut_a_dataset_into_parts_that_differ_by_one_at_most(
    images: int, count: int
) -> None:
    parts = [Shard(index=i, count=count).of(images) for i in range(1, count + 1)]
    assert [place for part in parts for place in part] == list(range(images))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def _append(
    store: Store,
    index: int,
    count: int = 3,
    images: tuple[str, ...] | None = None,
    **changes: object,
) -> str:
    """Append one shard of ten images, of which one is unreadable; return its folder."""
    shard = Shard(index=index, count=count)
    own = images or tuple(IMAGES[i] for i in shard.of(len(IMAGES)))
    bad = tuple(BadImage(image=i, reason="truncated") for i in own if i == IMAGES[BAD])
    read = [image for image in own if image != IMAGES[BAD]]
    sha256 = b"".join(IMAGES.index(image).to_bytes(32, "big") for image in own)
    table = pa.table(
        {
            "image": read,
            "label": [0] * len(read),
            "pred": [1] + [0] * (len(read) - 1),
            "top5": [[1, 0]] + [[0, 1]] * (len(read) - 1),
        }
    ).replace_schema_metadata({"entry": "a", **shards.metadata(IMAGES, sha256)})
    pq.write_table(table, sink := io.BytesIO())
    raw: dict[str, object] = {
        "measure": "accuracy",
        "key": KEY.model_copy(update={"shard": shard}),
        "status": "measured",
        "evidence": Accuracy(
            dataset="val",
            dataset_kind="imagenet-folder",
            images_in_dataset=len(IMAGES),
            images=len(read),
            correct_top1=len(read) - 1,
            correct_top5=len(read),
            bad_images=bad,
            odd_images=tuple(BadImage(image=i, reason="16 bits") for i in own if i == IMAGES[ODD]),
            content_sha256="",
            end_to_end=None,
        ),
        "started_at": f"2026-01-0{index}T00:00:00+00:00",
        "seconds": 1.0,
        "conditions": {"torch": "2.14.1", "load": index},
    }
    record = Record.model_validate({**raw, **changes})
    return store.append(record, sink.getvalue()).rpartition("/")[0]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


def _joined(store: Store) -> Record:
    ((_, record),) = whole_records(store)
    return record


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_all_shards_make_one_record_whatever_their_order(
    store: Store, order: tuple[int, ...]
) -> None:
    for index in order:
        _append(store, index)
    ((folders, record),) = whole_records(store)
    assert record.key == KEY
    assert record.status == "measured"
    assert isinstance(record.evidence, Accuracy)
    assert (record.evidence.images, record.evidence.images_in_dataset) == (9, 10)
    assert (record.evidence.correct_top1, record.evidence.correct_top5) == (6, 9)
    assert [bad.image for bad in record.evidence.bad_images] == [IMAGES[BAD]]
    assert [odd.image for odd in record.evidence.odd_images] == [IMAGES[ODD]]
    assert record.seconds == 3.0
    assert record.started_at.startswith("2026-01-01")
    assert record.conditions == {"torch": "2.14.1"}  # what differs is not the whole's
    table = load_predictions(store, folders)
    assert table["image"].to_pylist() == [i for i in IMAGES if i != IMAGES[BAD]]
    assert table.schema.metadata == {b"entry": b"a"}
    row = load_frame(store.url).iloc[0]
    assert (row["status"], row["top1"]) == ("partial", 6 / 9)
    assert row["end_to_end_note"].startswith("not timed: evaluated in shards")
    assert f"odd: {IMAGES[ODD]}: 16 bits" in row["reason"]


def test_ids_with_newlines_do_not_collide() -> None:
    assert shards.ids_sha256(["a", "b"]) != shards.ids_sha256(["a\nb"])


def test_the_gate_compares_the_whole(store: Store) -> None:
    for index in (1, 2, 3):
        _append(store, index)
    (answers,) = side_of_store(store.url).items
    assert isinstance(answers, Answers)
    assert answers.key == KEY
    assert len(answers.frame) == 9
    assert side_of_store(store.url).failures == ()


def _reason(store: Store) -> str:
    record = _joined(store)
    assert record.status == "failed"
    assert record.evidence is None
    frame = load_frame(store.url)
    assert frame["top1"].isna().all()
    assert frame.loc[0, "reason"] == f"accuracy: {record.reason}"
    return record.reason or ""


def test_a_missing_shard_is_named_and_there_is_no_figure(store: Store) -> None:
    _append(store, 1)
    assert _reason(store) == "shards 2, 3 of 3 are missing; the same command goes on"
    _append(store, 3)
    assert _reason(store) == "shard 2 of 3 is missing; the same command goes on"


def test_a_failed_shard_gives_its_reason(store: Store) -> None:
    _append(store, 1)
    _append(store, 2, status="failed", evidence=None, reason="out of memory")
    assert _reason(store) == "shard 2 of 3: out of memory"


def test_an_image_in_two_shards_is_no_whole(store: Store) -> None:
    _append(store, 1)
    _append(store, 2)
    _append(store, 3, images=(*IMAGES[6:], IMAGES[0]))
    assert _reason(store) == "1 images are in more than one shard, n00.jpg among them"


def test_an_image_that_no_shard_has_is_missed(store: Store) -> None:
    _append(store, 1)
    _append(store, 2)
    _append(store, 3, images=IMAGES[6:9])
    assert _reason(store) == "the 9 images of the shards are not those of the dataset"


def _whole(store: Store) -> tuple[str, Path]:
    """Append an evaluation in one piece; return its folder and its predictions."""
    folder = _append(store, 1, count=1, key=KEY)
    return folder, Path(folder, "predictions.parquet")


def _forget_sha256(folder: str) -> None:
    """Make a record of schema 2 of it."""
    path = Path(folder, "record.json")
    content = json.loads(path.read_text())
    del content["predictions_sha256"]
    path.write_text(json.dumps({**content, "schema_version": 2}))


def _changed(path: Path, **columns: list[object]) -> None:
    table = pq.read_table(path)
    for name, values in columns.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(values, table[name].type))
    pq.write_table(table, path)


def test_a_flipped_bit_of_predictions_is_noticed_wherever_it_is(store: Store) -> None:
    folder, path = _whole(store)
    content = path.read_bytes()
    for place in range(0, len(content), 97):
        path.write_bytes(bytes([*content[:place], content[place] ^ 1, *content[place + 1 :]]))
        with pytest.raises(StoreError, match=r"predictions\.parquet: is damaged, or not the file"):
            load_predictions(store, [folder])
    path.write_bytes(content)
    assert load_predictions(store, [folder]).num_rows == 9


def test_predictions_of_another_row_are_noticed(store: Store) -> None:
    folder, path = _whole(store)
    _changed(path, pred=[2, *[0] * 8])  # the same number of right answers
    with pytest.raises(StoreError, match="sha256"):
        load_predictions(store, [folder])


@pytest.mark.parametrize(
    "columns",
    [
        {"pred": [0] * 9},
        {"pred": [1, 1, *[0] * 7]},
        {"top5": [[1, 2], *[[0, 1]] * 8]},
        {"image": [None, *"bcdefghi"]},
    ],
)
def test_an_older_record_is_read_and_its_predictions_must_fit_its_counts(
    store: Store, columns: dict[str, list[object]]
) -> None:
    folder, path = _whole(store)
    _forget_sha256(folder)
    assert load_predictions(store, [folder]).num_rows == 9
    assert _joined(store).predictions_sha256 is None
    _changed(path, **columns)
    with pytest.raises(StoreError, match="is damaged, or not the file of its record"):
        load_predictions(store, [folder])


def test_a_whole_is_verified_if_every_shard_is(store: Store) -> None:
    folders = [_append(store, index) for index in (1, 2, 3)]
    assert _joined(store).predictions_sha256 is not None
    _forget_sha256(folders[1])
    assert _joined(store).predictions_sha256 is None


def test_damaged_predictions_make_no_figure(store: Store) -> None:
    folders = [_append(store, index) for index in (1, 2, 3)]
    path = Path(folders[1], "predictions.parquet")
    path.write_bytes(path.read_bytes()[:-9])
    assert "damaged" in _reason(store)
    path.unlink()
    assert "predictions.parquet" in _reason(store)
    with pytest.raises(StoreError):
        load_predictions(store, folders)


def test_a_shard_measured_twice_counts_once_and_survives_a_later_failure(store: Store) -> None:
    for index in (1, 2, 2, 3):
        _append(store, index)
    _append(store, 1, status="failed", evidence=None, reason="killed")
    record = _joined(store)
    assert isinstance(record.evidence, Accuracy)
    assert record.evidence.images == 9


def test_other_cuts_and_keys_are_never_mixed(store: Store) -> None:
    for index in (1, 2, 3):
        _append(store, index)
    _append(store, 1, count=2)
    other = KEY.model_copy(update={"batch_size": 4, "shard": Shard(index=2, count=3)})
    _append(store, 2, key=other)
    found = {(r.key.batch_size, r.status) for _, r in whole_records(store)}
    assert found == {(2, "measured"), (2, "failed"), (4, "failed")}
    frame = load_frame(store.url)
    # An unfinished cut does not take back what another has measured.
    assert frame.set_index("batch_size")["status"].to_dict() == {2: "partial", 4: "failed"}
