"""The store: append-only, one folder a record, on a local path or any fsspec URL.

A record is there when its ``record.json`` is: evidence is written first, and each file appears
whole or not at all. Nothing is ever overwritten; the newest record of a key and measure speaks.
"""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import MAXYEAR, UTC, datetime, timedelta
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from bench import strict_json
from bench.durable import write_durably
from bench.records import SCHEMA_VERSION, Measure, Record, RowKey, now
from zoo.errors import StoreError, first_line

RECORD = "record.json"
PREDICTIONS = "predictions.parquet"
# How the name of a record's folder begins: the time at which it was added, which orders records.
_STAMP = "%Y%m%dT%H%M%S%f"
_NO_TIME = datetime.min.replace(tzinfo=UTC)


class Store:
    """Records under one root.

    Args:
        url: a local path, or any URL that fsspec knows (``s3://bucket/path``).
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self._fs, self._root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError, TypeError, OSError) as error:
            reason = first_line(error)
            raise StoreError(f"{url}: no store can be opened there: {reason}") from None

    def check_writable(self) -> None:
        """Raise StoreError, before anything is measured, if results cannot be kept here."""
        if isinstance(self._fs, MemoryFileSystem):
            raise StoreError(
                f"{self.url}: lies in the memory of one process, and rows are measured in "
                "others; give a folder or another URL"
            )
        if isinstance(self._fs, LocalFileSystem) and Path(self._root).is_file():
            raise StoreError(f"{self.url}: is a file; a store is a folder: give another --store")
        probe = f".probe-{secrets.token_hex(4)}"
        self._write(f"{self._root}/{probe}", b"zoobench")
        self.remove(probe)

    def append(self, record: Record, predictions: bytes | None = None) -> str:
        """Add a record, and the Parquet file of its predictions; return the record's path.

        It comes after all that the entry has, also where a clock that was ahead has dated an
        earlier record in the future.
        """
        entry = f"{self._root}/{record.key.entry}"
        folder = f"{entry}/{_folder_name(record, self._stamp_for(entry))}"
        if predictions is not None:
            self._write(f"{folder}/{PREDICTIONS}", predictions)
            sha256 = hashlib.sha256(predictions).hexdigest()
            record = record.model_copy(
                update={"predictions": PREDICTIONS, "predictions_sha256": sha256}
            )
        path = f"{folder}/{RECORD}"
        self._write(path, record.model_dump_json(indent=1).encode())
        return path

    def records(self, entry: str | None = None) -> Iterator[tuple[str, Record]]:
        """Yield (folder, record) of all entries or one, oldest first.

        A record that is dated in the future comes first: its clock was wrong, and it must not
        supersede what was measured by a right one.

        Raises:
            StoreError: the store is not there, or holds a file that this zoobench cannot read.
        """
        root = self._root if entry is None else f"{self._root}/{entry}"
        if entry is None and not self._fs.isdir(root):
            raise StoreError(f"{self.url}: no store there; zoobench run makes one")
        found = [path for path in self._fs.find(root) if path.endswith(f"/{RECORD}")]
        time = now()
        read = [(path.removesuffix(f"/{RECORD}"), self._read(path)) for path in found]
        yield from sorted(read, key=lambda item: _place_in_time(item[0], item[1], time))

    def record(self, folder: str) -> Record:
        """Return the record of a folder.

        Raises:
            StoreError: there is none that this zoobench can read.
        """
        return self._read(f"{folder}/{RECORD}")

    def newest(self, measure: Measure, key: RowKey) -> Record | None:
        """Return the record that speaks of this measurement for this key, if there is one."""
        wanted = key.of(measure)
        match = None
        for _, record in self.records(key.entry):
            same = record.measure == measure and record.key == wanted
            if same and record.speaks_instead_of(match):
                match = record
        return match

    def read_file(self, folder: str, name: str) -> bytes:
        """Return a file that lies beside a record."""
        with self._explained(f"{folder}/{name}"):
            return bytes(self._fs.cat_file(f"{folder}/{name}"))

    def write_report(self, name: str, content: bytes) -> str:
        """Write a file into the store's root, replacing an older one; return its path."""
        path = f"{self._root}/{name}"
        self._write(path, content)
        return path

    def holds(self, name: str) -> bool:
        """Return whether a file lies in the store's root."""
        with self._explained(name):
            return bool(self._fs.exists(f"{self._root}/{name}"))

    def remove(self, name: str) -> None:
        """Remove a file from the store's root; records stay for ever."""
        with self._explained(name):
            self._fs.rm_file(f"{self._root}/{name}")

    def _read(self, path: str) -> Record:
        with self._explained(path):
            stored = self._fs.cat_file(path)
        try:
            content = strict_json.loads(stored)
            _check_schema(path, content)
            return Record.model_validate(content)
        except (ValueError, RecursionError) as error:
            reason = strict_json.problem(error) if isinstance(error, ValueError) else "too deep"
            raise StoreError(f"{path}: not a zoobench record: {reason}; move it away") from None

    def _stamp_for(self, entry: str) -> str:
        """Return the stamp of a new record: now, or just after the newest record of the entry."""
        with self._explained(entry):
            names = self._fs.ls(entry, detail=False) if self._fs.isdir(entry) else []
        time = datetime.now(UTC)
        newest = max((_added_at(name.split("/")[-1]) for name in names), default=_NO_TIME)
        return max(time, newest + timedelta(microseconds=1)).strftime(_STAMP)

    def _write(self, path: str, content: bytes) -> None:
        with self._explained(path):
            if not isinstance(self._fs, LocalFileSystem):
                self._pipe(path, content)
                return
            write_durably(Path(path), content)

    def _pipe(self, path: str, content: bytes) -> None:
        """Write a remote file at once: an object store shows an object whole or not at all."""
        try:
            self._fs.pipe_file(path, content)
        except FileNotFoundError:  # no object store: it has folders, which have to be made
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._fs.pipe_file(path, content)

    @contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, NotImplementedError) as error:  # others of remote systems
            reason = getattr(error, "strerror", None) or first_line(error)
            raise StoreError(
                f"{path}: cannot be written or read: {reason}; results so far are kept: mend it "
                "(space, permissions) and run the same command again, or give another --store"
            ) from None


def _check_schema(path: str, content: object) -> None:
    """Raise StoreError or ValueError if a record is not of a schema that can be read."""
    if not isinstance(content, dict):
        raise ValueError(f"{type(content).__name__} instead of an object")
    version = content.get("schema_version")
    if type(version) is not int or version < 1:
        raise ValueError(f"schema_version {version!r} is not a whole number from 1")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path}: written by a newer zoobench (schema {version}, this one reads "
            f"{SCHEMA_VERSION}); upgrade zoobench, or use another --store"
        )


def _place_in_time(folder: str, record: Record, time: str) -> tuple[bool, str]:
    """Return what orders records: those that are dated after ``time`` come first."""
    return record.started_at <= time, folder.split("/")[-1]


def _added_at(folder: str) -> datetime:
    """Return when a record was added, by the name of its folder; else the beginning of time."""
    try:
        added_at = datetime.strptime(folder.partition("-")[0], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return _NO_TIME
    return added_at if added_at.year < MAXYEAR else _NO_TIME


def _folder_name(record: Record, stamp: str) -> str:
    digest = hashlib.sha256(record.key.model_dump_json().encode()).hexdigest()[:12]
    return f"{stamp}-{record.measure}-{digest}-{secrets.token_hex(2)}"
