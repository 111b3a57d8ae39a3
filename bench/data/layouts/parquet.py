"""Hugging Face's parquet files: a column ``image`` (bytes, path) and a column ``label``.

An id is the image's path where each image has one of its own, else ``FILE.parquet/ROW``. Sizes are
the mean of the row group: those of single images are not stored, and would cost reading them.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bench.data.imagenet import class_names, wnids
from bench.data.listing import Found, Layout, Listing, Target, check_whole
from zoo.errors import DataError, first_line

# Row groups that are kept decoded, for the threads that read on in them.
_KEPT_BYTES = 256 * 2**20
# Names differ in a word here and there between releases of the same list.
_NAMES_AGREE = 0.9


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an image lies: a file, a row group, and a row of that group."""

    file: Path
    group: int
    row: int


def list_parquet(found: Found, labels_file: Path | None = None) -> Listing:
    """List the rows of all files in their order, without reading an image.

    Labels are those of ImageNet's order; where the schema has names of them (Hugging Face's
    metadata), these must agree with it.

    Raises:
        DataError: a file of the series is missing, is no parquet file, or lacks a column.
    """
    if labels_file is not None:
        raise DataError(f"{found.path}: the column 'label' has the labels; leave out --labels FILE")
    check_whole(found.parquets, named=found.named)
    places: list[_Place] = []
    paths: list[str | None] = []
    labels: list[Target] = []
    sizes: list[int] = []
    names: list[str] | None = None
    for path in found.parquets:
        with _open(path) as file:
            own = _label_names(path, file)
            if path != found.parquets[0] and own != names:
                raise DataError(f"{path}: its names of labels are not those of {found.parquets[0]}")
            names = own
            for group in range(file.num_row_groups):
                rows = _rows(path, file, group)
                places += [_Place(path, group, row) for row in range(len(rows))]
                paths += [row_path for row_path, _ in rows]
                labels += [label for _, label in rows]
                sizes += [_mean_size(file, group)] * len(rows)
    images = _ids(places, paths)
    return Listing(
        layout="parquet",
        root=found.path,
        images=tuple(images),
        targets=_targets(found.path, labels, names),
        sizes=tuple(sizes),
        reader=RowReader(dict(zip(images, places, strict=True))),
        archives=tuple(found.parquets),
        classes=tuple(names) if names else None,
        left_out=(*found.left_out, *found.others),
    )


class RowReader:
    """Reads images by row groups, and keeps the newest of these within a bound of memory."""

    def __init__(self, places: dict[str, _Place]) -> None:
        self._places = places
        self._kept: OrderedDict[tuple[Path, int], pa.ChunkedArray] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, image: str) -> bytes:
        """Return the image's bytes.

        Raises:
            OSError: the row has no bytes.
        """
        place = self._places[image]
        with self._lock:
            group = self._group(place)
        cell = group[place.row].as_py()
        data = cell["bytes"] if isinstance(cell, dict) else cell
        if data is None:
            raise OSError("the row has no bytes")
        return bytes(data)

    def _group(self, place: _Place) -> pa.ChunkedArray:
        key = place.file, place.group
        if key not in self._kept:
            with pq.ParquetFile(place.file) as file:
                table = file.read_row_group(place.group, columns=["image"], use_threads=False)
            self._kept[key] = table.column("image")
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and sum(a.nbytes for a in self._kept.values()) > _KEPT_BYTES:
            self._kept.popitem(last=False)
        return self._kept[key]


def _open(path: Path) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: no whole parquet file: {first_line(error)}") from None
    schema = file.schema_arrow
    missing = [name for name in ("image", "label") if name not in schema.names]
    if missing:
        raise DataError(
            f"{path}: has no column {missing[0]!r}; its columns are {', '.join(schema.names)}"
        )
    kind = schema.field("image").type
    has_bytes = pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
    if not (has_bytes or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise DataError(f"{path}: the column 'image' is {kind}; expected struct<bytes, path>")
    if not pa.types.is_integer(schema.field("label").type):
        raise DataError(f"{path}: the column 'label' is {schema.field('label').type}, no integer")
    return file


def _rows(path: Path, file: pq.ParquetFile, group: int) -> list[tuple[str | None, int]]:
    """Return the path and the label of each row of a group."""
    kind = file.schema_arrow.field("image").type
    has_path = pa.types.is_struct(kind) and kind.get_field_index("path") >= 0
    columns = ["label", "image.path"] if has_path else ["label"]
    table = file.read_row_group(group, columns=columns, use_threads=False)
    labels = table.column("label").to_pylist()
    if None in labels:
        raise DataError(f"{path}: row {labels.index(None)} of row group {group} has no label")
    cells = table.column("image").to_pylist() if has_path else [None] * len(labels)
    return [
        (cell["path"] if cell else None, label) for cell, label in zip(cells, labels, strict=True)
    ]


def _mean_size(file: pq.ParquetFile, group: int) -> int:
    """Return the bytes of a row group over its rows."""
    metadata = file.metadata.row_group(group)
    return int(metadata.total_byte_size // max(metadata.num_rows, 1))


def _ids(places: Sequence[_Place], paths: Sequence[str | None]) -> list[str]:
    given = [path for path in paths if path]
    if len(set(given)) == len(places):
        return given
    rows: dict[Path, int] = {}
    images = []
    for place in places:
        row = rows.get(place.file, 0)
        rows[place.file] = row + 1
        images.append(f"{place.file.name}/{row}")
    return images


def _label_names(path: Path, file: pq.ParquetFile) -> list[str] | None:
    """Return the names of the labels in Hugging Face's metadata, if it has them."""
    stored = (file.schema_arrow.metadata or {}).get(b"huggingface")
    if stored is None:
        return None
    try:
        features: Any = json.loads(stored).get("info", {}).get("features", {})
        names: list[str] | None = features.get("label", {}).get("names")
    except (ValueError, AttributeError) as error:
        raise DataError(
            f"{path}: its metadata 'huggingface' has no names of labels: {first_line(error)}"
        ) from None
    return names


def _targets(path: Path, labels: Sequence[Target], names: list[str] | None) -> tuple[Target, ...]:
    """Return labels as class names where these are WordNet ids or own ones, else as they are.

    Raises:
        DataError: there are 1000 names, and they are not ImageNet's in its order.
    """
    if names is None:
        return tuple(labels)
    odd = [label for label in labels if not 0 <= int(label) < len(names)]
    if odd:
        raise DataError(f"{path}: label {odd[0]}, of {len(names)} names of labels")
    by_name = tuple(names[int(label)] for label in labels)
    if len(names) != len(wnids()) or set(names) <= set(wnids()):
        return by_name
    pairs = list(zip(names, class_names(), strict=True))
    odd_places = {
        place for place, (theirs, ours) in enumerate(pairs) if _bare(theirs) != _bare(ours)
    }
    # Another spelling names no other class; a name that was moved names one that lacks its own.
    place_of = {_bare(ours): place for place, (_, ours) in enumerate(pairs)}
    moved = {place for place in odd_places if place_of.get(_bare(names[place])) in odd_places}
    if moved or len(odd_places) > (1 - _NAMES_AGREE) * len(pairs):
        first = min(moved or odd_places)
        raise DataError(
            f"{path}: its labels are not in ImageNet's order: label {first} is {names[first]!r}, "
            f"expected {class_names()[first]!r} ({len(odd_places)} differ)"
        )
    return tuple(labels)


def _bare(name: str) -> str:
    """Return the first of a class's names, in plain letters."""
    return name.partition(",")[0].replace("_", " ").strip().lower()


def _fits(found: Found) -> bool:
    return bool(found.parquets) and not (found.folders or found.images or found.tars)


LAYOUT = Layout(
    "Hugging Face's parquet files, DIR/validation-00000-of-00014.parquet", _fits, list_parquet
)
