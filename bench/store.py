"""The store: append-only, one folder a record, on a local path or any fsspec URL.

A record is there when its ``record.json`` is: evidence is written first, and each file appears
whole or not at all. Nothing is ever overwritten; the newest record of a key and measure speaks.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from pydantic import ValidationError

from bench.records import SCHEMA_VERSION, Measure, Record, RowKey
from zoo.errors import StoreError, first_line

RECORD = "record.json"
PREDICTIONS = "predictions.parquet"


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
        """Add a record, and the Parquet file of its predictions; return the record's path."""
        folder = f"{self._root}/{record.key.entry}/{_folder_name(record)}"
        if predictions is not None:
            self._write(f"{folder}/{PREDICTIONS}", predictions)
            record = record.model_copy(update={"predictions": PREDICTIONS})
        path = f"{folder}/{RECORD}"
        self._write(path, record.model_dump_json(indent=1).encode())
        return path

    def records(self, entry: str | None = None) -> Iterator[tuple[str, Record]]:
        """Yield (folder, record) of all entries or one, oldest first.

        Raises:
            StoreError: the store is not there, or holds a file that this zoobench cannot read.
        """
        root = self._root if entry is None else f"{self._root}/{entry}"
        if entry is None and not self._fs.isdir(root):
            raise StoreError(f"{self.url}: no store there; zoobench run makes one")
        found = [path for path in self._fs.find(root) if path.endswith(f"/{RECORD}")]
        for path in sorted(found, key=lambda p: p.split("/")[-2]):
            yield path.removesuffix(f"/{RECORD}"), self._read(path)

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
            content: dict[str, Any] = json.loads(stored)
            version = content.get("schema_version", 0)
            if version > SCHEMA_VERSION:
                raise StoreError(
                    f"{path}: written by a newer zoobench (schema {version}, this one reads "
                    f"{SCHEMA_VERSION}); upgrade zoobench, or use another --store"
                )
            return Record.model_validate(content)
        except (json.JSONDecodeError, UnicodeDecodeError, ValidationError, AttributeError) as error:
            raise StoreError(
                f"{path}: no zoobench record: {str(error).splitlines()[0]}; move it away"
            ) from None

    def _write(self, path: str, content: bytes) -> None:
        with self._explained(path):
            if not isinstance(self._fs, LocalFileSystem):
                self._pipe(path, content)
                return
            target = Path(path)
            _make_folder(target.parent)
            part = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
            try:
                with part.open("wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
                part.replace(target)
                _sync_folder(target.parent)
            finally:
                part.unlink(missing_ok=True)

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


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, so that they outlive a crash of the machine."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Have the system write a folder's names to disk: a file's own fsync does not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _folder_name(record: Record) -> str:
    digest = hashlib.sha256(record.key.model_dump_json().encode()).hexdigest()[:12]
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    return f"{stamp}-{record.measure}-{digest}-{secrets.token_hex(2)}"
