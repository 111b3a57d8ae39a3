"""The shards of an evaluation: joined to one record only if every image is there exactly once."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bench.data.dataset import one_field
from bench.records import Accuracy, Evidence, Record, RowKey, Shard
from bench.store import PREDICTIONS, Store
from zoo.errors import StoreError, first_line

# What a shard's predictions hold in their metadata, beside what all predictions do.
DATASET_IDS_SHA256 = "dataset_ids_sha256"
IMAGES_SHA256 = "images_sha256"


def ids_sha256(ids: Iterable[str]) -> str:
    """Return one digest of image ids, whatever their order."""
    return hashlib.sha256("\n".join(map(one_field, sorted(ids))).encode()).hexdigest()


def metadata(ids: Iterable[str], images_sha256: bytes) -> dict[str, str]:
    """Return what a shard's predictions say, so that the whole can be checked.

    Args:
        ids: of all images of the dataset.
        images_sha256: the digests, 32 bytes each, of the shard's encoded images in their order.
    """
    return {DATASET_IDS_SHA256: ids_sha256(ids), IMAGES_SHA256: images_sha256.hex()}


def whole_records(store: Store) -> list[tuple[tuple[str, ...], Record]]:
    """Return (folders, record) of everything in a store, oldest first, with shards joined.

    A record of its own has one folder; a joined one has those of its shards, in their order, and a
    key without a shard. Shards that are not whole are a failed record, whose reason says what is
    missing.

    Raises:
        StoreError: as ``Store.records`` does.
    """
    found: list[tuple[int, tuple[str, ...], Record]] = []
    groups: dict[tuple[RowKey, int], dict[int, tuple[str, Record]]] = defaultdict(dict)
    last: dict[tuple[RowKey, int], int] = {}
    for place, (folder, record) in enumerate(store.records()):
        shard = record.key.shard
        if shard is None:
            found.append((place, (folder,), record))
            continue
        group = record.key.model_copy(update={"shard": None}), shard.count
        earlier = groups[group].get(shard.index)
        if record.speaks_instead_of(earlier and earlier[1]):
            groups[group][shard.index] = folder, record
            last[group] = place
    for (key, count), parts in groups.items():
        folders = tuple(folder for _, (folder, _) in sorted(parts.items()))
        found.append((last[key, count], folders, _joined(store, key, count, parts)))
    return [(folders, record) for _, folders, record in sorted(found, key=lambda item: item[0])]


def load_predictions(store: Store, folders: Sequence[str]) -> pa.Table:
    """Return the predictions of a measured accuracy record, in the dataset's order.

    Args:
        store: where it lies.
        folders: its folders, as ``whole_records`` gives them.

    Raises:
        StoreError: a file is not there, or is damaged.
    """
    tables = [_read(store, folder) for folder in folders]
    about = {k: v for k, v in _metadata(tables[0]).items() if k not in _SHARDS_OWN}
    return pa.concat_tables([table.replace_schema_metadata(about) for table in tables])


_SHARDS_OWN = (DATASET_IDS_SHA256.encode(), IMAGES_SHA256.encode())


def _read(store: Store, folder: str) -> pa.Table:
    """Return the predictions of one folder, which are those that its record is of.

    Raises:
        StoreError: the file is missing or damaged, or is not what the record says.
    """
    record, content = store.record(folder), store.read_file(folder, PREDICTIONS)
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        if record.predictions_sha256 not in (None, sha256):
            raise ValueError(f"sha256 {sha256[:12]}…, not {record.predictions_sha256[:12]}…")
        table = table_of(content)
        _check_counts(table, record.evidence)
    except (pa.ArrowException, ValueError, OSError, KeyError) as error:
        raise StoreError(
            f"{folder}/{PREDICTIONS}: is damaged, or not the file of its record: "
            f"{first_line(error)}; restore it, or move the folder away and measure again"
        ) from None
    return table


def table_of(content: bytes) -> pa.Table:
    """Return the table of a Parquet file, read by this thread alone.

    Arrow reads a Python file in threads, and one that still needs the interpreter when it ends
    aborts the process.

    Raises:
        pa.ArrowException: it is damaged.
    """
    return pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)


def _check_counts(table: pa.Table, evidence: Evidence | None) -> None:
    """Raise ValueError if predictions do not add up to the counts of a record."""
    if not isinstance(evidence, Accuracy):
        raise ValueError("the record has no accuracy")
    columns = [name for name in ("image", "label", "pred") if table[name].null_count]
    if columns:
        raise ValueError(f"missing values in {', '.join(columns)}")
    wanted = [evidence.images, evidence.correct_top1, evidence.correct_top5]
    found: list[int | None] = [table.num_rows, _correct(table, table["pred"].to_pylist()), None]
    if evidence.correct_top5 is not None:
        found[2] = _correct(table, table["top5"].to_pylist())
    if found != wanted:
        raise ValueError(f"images, top-1 and top-5 are {found}, not {wanted}")


def _correct(table: pa.Table, predicted: Sequence[Any]) -> int:
    """Return the number of images of which one of the predicted classes is a right label."""
    right = table["labels" if "labels" in table.column_names else "label"].to_pylist()
    pairs = zip(predicted, right, strict=True)
    return sum(not _as_set(classes).isdisjoint(_as_set(labels)) for classes, labels in pairs)


def _as_set(classes: int | Sequence[int]) -> set[int]:
    return {classes} if isinstance(classes, int) else set(classes)


def _joined(store: Store, key: RowKey, count: int, parts: dict[int, tuple[str, Record]]) -> Record:
    """Return one record of all shards, or a failed one that says why there is none."""
    records = [record for _, (_, record) in sorted(parts.items())]
    evidence = None
    reason = _incomplete(count, {index: record for index, (_, record) in parts.items()})
    if reason is None:
        try:
            tables = [_read(store, folder) for _, (folder, _) in sorted(parts.items())]
            evidence, reason = _evidence(records, tables)
        except StoreError as error:
            reason = str(error)
    return Record(
        measure="accuracy",
        key=key,
        status="failed" if evidence is None else "measured",
        reason=reason,
        evidence=evidence,
        predictions=None if evidence is None else PREDICTIONS,
        predictions_sha256=None if evidence is None else _all_sha256(records),
        started_at=min(record.started_at for record in records),
        seconds=sum(record.seconds for record in records),
        conditions=_agreed(records),
    )


def _all_sha256(records: Sequence[Record]) -> str | None:
    """Return one digest of the predictions of all shards; None if one of them has none."""
    known = [record.predictions_sha256 for record in records if record.predictions_sha256]
    if len(known) < len(records):
        return None
    return hashlib.sha256("\n".join(known).encode()).hexdigest()


def _incomplete(count: int, records: dict[int, Record]) -> str | None:
    """Return which shards are missing or have failed, or None."""
    for index, record in sorted(records.items()):
        if record.status == "failed":
            return f"{Shard(index=index, count=count)}: {record.reason}"
    missing = [str(index) for index in range(1, count + 1) if index not in records]
    if not missing:
        return None
    words = (
        f"shard {missing[0]} of {count} is"
        if len(missing) == 1
        else (f"shards {', '.join(missing)} of {count} are")
    )
    return f"{words} missing; the same command goes on"


def _evidence(
    records: Sequence[Record], tables: Sequence[pa.Table]
) -> tuple[Accuracy | None, str | None]:
    """Return the sum of all shards, or the reason why they are no whole."""
    parts = [record.evidence for record in records if isinstance(record.evidence, Accuracy)]
    ids = [
        *(image for table in tables for image in table["image"].to_pylist()),
        *(bad.image for part in parts for bad in part.bad_images),
    ]
    if reason := _not_whole(ids, tables):
        return None, reason
    top5 = [part.correct_top5 for part in parts if part.correct_top5 is not None]
    content = bytes.fromhex("".join(_about(table, IMAGES_SHA256) for table in tables))
    return parts[0].model_copy(
        update={
            "images": sum(part.images for part in parts),
            "correct_top1": sum(part.correct_top1 for part in parts),
            "correct_top5": sum(top5) if len(top5) == len(parts) else None,
            "bad_images": tuple(bad for part in parts for bad in part.bad_images),
            "odd_images": tuple(odd for part in parts for odd in part.odd_images),
            "content_sha256": hashlib.sha256(content).hexdigest(),
        }
    ), None


def _not_whole(ids: Sequence[str], tables: Sequence[pa.Table]) -> str | None:
    """Return what keeps the images from being the dataset's, each once; None if nothing does."""
    twice = [image for image, times in Counter(ids).items() if times > 1]
    if twice:
        return f"{len(twice)} images are in more than one shard, {twice[0]} among them"
    expected = {_about(table, DATASET_IDS_SHA256) for table in tables}
    if expected != {ids_sha256(ids)}:
        return f"the {len(ids)} images of the shards are not those of the dataset"
    return None


def _about(table: pa.Table, name: str) -> str:
    return _metadata(table).get(name.encode(), b"").decode()


def _metadata(table: pa.Table) -> dict[bytes, bytes]:
    return table.schema.metadata or {}


def _agreed(records: Sequence[Record]) -> dict[str, Any]:
    """Return the conditions that all shards share; what differs is none of the whole's."""
    first, *others = (record.conditions for record in records)
    return {
        name: value
        for name, value in first.items()
        if all(other.get(name) == value for other in others)
    }
