"""Decoded pixels on disk, so that an image is decoded once for all rows and runs that need it.

A file holds the uint8 crops (images, height, width, channels) of one dataset, geometry and decoder
from its first byte on, and behind them an index with a digest of each crop. It is written under
another name, and appears whole or not at all. Locks mark the files that are in use, by whichever
process; the system drops them when a process dies.
"""

import fcntl
import hashlib
import io
import json
import os
import shutil
import struct
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from bench.data.preprocess import Pixels
from zoo.entry import Model
from zoo.errors import DataError, first_line

_SUFFIX = ".pixels"
_PART = ".part"
# Of an image in the index: two digests.
_INDEX_BYTES = 64
_MAGIC = b"zoobench-pixels1"
# The index's length and sha256, and the magic.
_TAIL = struct.Struct("<Q32s16s")
# The default bound, if the disk has that much to spare.
DEFAULT_BYTES = 50 * 10**9


class DamagedPixelsError(DataError):
    """Cached pixels are not those that were written; the file has been removed."""


class PixelKey(Model):
    """What pixels depend on.

    ``stamp`` tells files that changed and kept their sizes, ``code`` a preprocessing that changed.
    """

    dataset: str
    dataset_digest: str
    stamp: str
    first: int
    images: int
    geometry: str
    decoder: str
    code: str

    @property
    def file_name(self) -> str:
        """Return the name of the file that holds the pixels."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:24] + _SUFFIX


@dataclass(frozen=True)
class CacheFile:
    """One file of the cache; ``key`` is None if it cannot be read."""

    path: Path
    key: PixelKey | None
    size_bytes: int
    used_at: datetime
    in_use: bool


def default_folder() -> Path:
    """Return where decoded pixels are kept: below ``$XDG_CACHE_HOME``, or ``~/.cache``.

    Raises:
        DataError: neither exists, as for a container's user without a home.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "zoobench" / "pixels"
    except RuntimeError:
        raise DataError(
            "no folder for decoded pixels, because this user has no home: set HOME or "
            "XDG_CACHE_HOME"
        ) from None


class PixelCache:
    """A folder of pixel files, bounded in size.

    Args:
        folder: made when the first file is written.
        max_bytes: None for the default: 50 GB, and never more than half of what the disk has free.
    """

    def __init__(self, folder: Path, max_bytes: int | None = None) -> None:
        self.folder = folder
        self._max_bytes = max_bytes

    def open(self, key: PixelKey, shape: tuple[int, int, int]) -> "CachedPixels | None":
        """Return the pixels of a key, or None; a file that is not whole is removed.

        One that cannot be read, as over a network that is down, stays.

        Args:
            key: what they depend on.
            shape: (height, width, channels) of one image.
        """
        path = self.folder / key.file_name
        try:
            stream = path.open("rb")
        except OSError:
            return None
        try:
            _lock(stream, fcntl.LOCK_SH)
            index = _read_index(stream)
        except OSError:
            stream.close()
            return None
        if index is None or index.key != key or index.offset != key.images * _size(shape):
            stream.close()
            path.unlink(missing_ok=True)
            return None
        with suppress(OSError):
            os.utime(path)
        return CachedPixels(path, stream, index, shape)

    def writer(
        self, key: PixelKey, shape: tuple[int, int, int], keep: Collection[str] = ()
    ) -> "PixelWriter":
        """Return a writer with room for the pixels of a key.

        Files that were used least recently make room, if need be; never one in use, nor ``keep``.

        Raises:
            DataError: there is no room, or another process writes the same.
        """
        size = key.images * (_size(shape) + _INDEX_BYTES)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with _alone_in(self.folder):  # until its room is taken, nobody else looks for any
                self._make_room(size, {*keep, key.file_name})
                return PixelWriter(self.folder / key.file_name, key, shape)
        except OSError as error:
            reason = error.strerror or first_line(error)
            raise DataError(f"{self.folder}: {size / 1e9:.3g} GB of pixels: {reason}") from None

    def files(self) -> list[CacheFile]:
        """Return what lies in the cache, the most recently used first."""
        found = [_look_at(path) for path in self._paths()]
        return sorted((file for file in found if file), key=lambda file: file.used_at, reverse=True)

    def clear(self) -> tuple[int, int]:
        """Remove every file that nobody uses; return how many and how many bytes they had."""
        sizes = [size for path in self._paths() if (size := _remove_unused(path)) is not None]
        return len(sizes), sum(sizes)

    def bound_bytes(self) -> int:
        """Return how large the cache may grow."""
        if self._max_bytes is not None:
            return self._max_bytes
        place = self.folder
        while not place.exists():
            place = place.parent
        return min(DEFAULT_BYTES, (shutil.disk_usage(place).free + self._used_bytes()) // 2)

    def _make_room(self, wanted: int, keep: set[str]) -> None:
        bound = self.bound_bytes()
        excess = self._used_bytes() + wanted - bound
        for path in sorted(self._paths(), key=_modified):
            if excess <= 0:
                return
            if path.name not in keep:
                excess -= _remove_unused(path) or 0
        if excess > 0:
            raise DataError(
                f"{wanted / 1e9:.3g} GB of pixels do not fit into the cache's "
                f"{bound / 1e9:.3g} GB: give a larger --cache-size"
            )

    def _used_bytes(self) -> int:
        return sum(_bytes_of(path) for path in self._paths())

    def _paths(self) -> Iterator[Path]:
        for pattern in (f"*{_SUFFIX}", f"*{_SUFFIX}{_PART}"):
            yield from self.folder.glob(pattern)


class CachedPixels:
    """Pixels in the cache, locked against removal until they are closed."""

    def __init__(
        self, path: Path, stream: BinaryIO, index: "_Index", shape: tuple[int, int, int]
    ) -> None:
        self._path = path
        self._stream = stream
        self._index = index
        self._shape = shape

    def sha256(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Return (n, 32): the digests of the encoded images, as they were when they were read."""
        return self._index.encoded[self._local(indices)]

    def reason(self, index: int) -> str | None:
        """Return why an image could not be decoded, or None if it could."""
        return self._index.bad.get(index - self._index.key.first)

    def odd(self, index: int) -> str | None:
        """Return what is odd about an image, if anything is."""
        return self._index.odd.get(index - self._index.key.first)

    def read(self, indices: Sequence[int], target: Pixels) -> None:
        """Fill ``target`` (n, H, W, C) with the pixels of images.

        Raises:
            DamagedPixelsError: they are not those that were written.
        """
        for pixels, number in zip(target, self._local(indices), strict=True):
            os.preadv(self._stream.fileno(), [pixels], int(number) * _size(self._shape))
            if hashlib.sha256(pixels).digest() != self._index.pixels[number].tobytes():
                self._path.unlink(missing_ok=True)
                raise DamagedPixelsError(f"{self._path}: damaged")

    def close(self) -> None:
        """Let go of the file."""
        self._stream.close()

    def _local(self, indices: Sequence[int]) -> NDArray[np.intp]:
        return np.asarray(indices, np.intp) - self._index.key.first


class PixelFile:
    """The file that a writer fills; forks of its process write to it too."""

    def __init__(self, path: Path, first: int, image_bytes: int) -> None:
        self._path = path
        self._first = first
        self._image_bytes = image_bytes
        self._stream = path.open("r+b", buffering=0)

    def write(self, index: int, pixels: Pixels) -> bytes:
        """Write the pixels (H, W, C) of an image of the dataset; return their sha256.

        Raises:
            OSError: the disk is full.
        """
        content = pixels.tobytes()
        _write_all(self._stream.fileno(), content, (index - self._first) * self._image_bytes)
        return hashlib.sha256(content).digest()

    def close(self) -> None:
        """Let go of the file."""
        self._stream.close()


class PixelWriter:
    """Collects the pixels of a key in any order, from any number of threads and processes.

    Whoever decodes an image writes its pixels to ``file``; the writer, in one process, takes note
    of each image. What goes wrong while writing, like a full disk, is kept in ``failure``, and the
    rest is let go: a row does not fail because its pixels cannot be kept.

    Raises:
        DataError: another process writes the same.
        OSError: there is no room.
    """

    def __init__(self, path: Path, key: PixelKey, shape: tuple[int, int, int]) -> None:
        self.failure: str | None = None
        self._path = path
        self._part = path.with_name(path.name + _PART)
        self._key = key
        self._image_bytes = _size(shape)
        self._encoded = np.zeros((key.images, 32), np.uint8)
        self._digests = np.zeros((key.images, 32), np.uint8)
        self._bad: dict[int, str] = {}
        self._odd: dict[int, str] = {}
        self._written = np.zeros(key.images, np.bool_)
        self._blank = hashlib.sha256(bytes(self._image_bytes)).digest()
        self._lock = threading.Lock()
        self._stream = _own(self._part)
        self.file = PixelFile(self._part, key.first, self._image_bytes)
        try:
            _reserve(self._stream.fileno(), key.images * self._image_bytes)
        except OSError:
            self.abandon()
            raise

    def note(self, index: int, encoded_sha256: bytes, pixels_sha256: bytes) -> None:
        """Take note of an image whose pixels are in the file."""
        number = index - self._key.first
        self._digests[number] = np.frombuffer(pixels_sha256, np.uint8)
        self._encoded[number] = np.frombuffer(encoded_sha256, np.uint8)
        self._written[number] = True

    def note_bad(self, index: int, encoded_sha256: bytes, reason: str) -> None:
        """Take note of why an image cannot be decoded; its pixels are zeros."""
        with self._lock:
            self._bad[index - self._key.first] = reason
        self.note(index, encoded_sha256, self._blank)

    def note_odd(self, index: int, what: str) -> None:
        """Take note of what is odd about an image that has pixels."""
        with self._lock:
            self._odd[index - self._key.first] = what

    def fail(self, reason: str) -> None:
        """Give up; ``commit`` will remove the file."""
        with self._lock:
            self.failure = self.failure or reason

    def commit(self) -> None:
        """Make the file appear, if all images are in it; else remove it, and say why."""
        if self.failure is None and not self._written.all():
            self.fail("not all images were evaluated")
        if self.failure is None:
            try:
                self._write_index()
                self._part.replace(self._path)
            except OSError as error:
                self.fail(error.strerror or first_line(error))
        if self.failure is not None:
            self.abandon()
        self._close()

    def abandon(self) -> None:
        """Remove what has been written."""
        self._part.unlink(missing_ok=True)
        self._close()

    def _close(self) -> None:
        self.file.close()
        self._stream.close()

    def _write_index(self) -> None:
        head = {"key": self._key.model_dump(), "bad": self._bad, "odd": self._odd}
        packed = io.BytesIO()
        text = np.frombuffer(json.dumps(head).encode(), np.uint8)
        np.savez(packed, head=text, encoded=self._encoded, pixels=self._digests)
        index = packed.getvalue()
        tail = _TAIL.pack(len(index), hashlib.sha256(index).digest(), _MAGIC)
        _write_all(self._stream.fileno(), index + tail, self._key.images * self._image_bytes)
        os.fsync(self._stream.fileno())


@dataclass(frozen=True)
class _Index:
    key: PixelKey
    bad: dict[int, str]  # by position in the file
    odd: dict[int, str]
    encoded: NDArray[np.uint8]  # (images, 32)
    pixels: NDArray[np.uint8]  # (images, 32)
    offset: int  # bytes of pixels before it


def _read_index(stream: BinaryIO) -> _Index | None:
    """Return the index behind the pixels, or None if the file is not whole.

    Raises:
        OSError: it cannot be read.
    """
    end = stream.seek(0, os.SEEK_END) - _TAIL.size
    if end < 0:
        return None
    stream.seek(end)
    length, digest, magic = _TAIL.unpack(stream.read(_TAIL.size))
    offset = end - length
    if magic != _MAGIC or offset < 0:
        return None
    stream.seek(offset)
    packed = stream.read(length)
    if hashlib.sha256(packed).digest() != digest:
        return None
    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
            head = json.loads(arrays["head"].tobytes())
            bad, odd = (
                {int(number): text for number, text in head[name].items()}
                for name in ("bad", "odd")
            )
            key = PixelKey.model_validate(head["key"])
            return _Index(key, bad, odd, arrays["encoded"], arrays["pixels"], offset)
    except (ValueError, KeyError, ValidationError):  # of another version's making
        return None


def _own(part: Path) -> BinaryIO:
    """Open a file to be written by this process alone; one left by a dead process is emptied.

    Raises:
        DataError: another process writes it.
    """
    stream = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+b")
    # Whoever held it may have finished and renamed it, or removed it, before it was locked here.
    if _lock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB) and _is_same_file(stream, part):
        stream.truncate(0)
        return stream
    stream.close()
    raise DataError("another run is writing the same pixels")


def _is_same_file(stream: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except OSError:
        return False


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes that ask for it out of a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _lock(stream: BinaryIO | int, how: int) -> bool:
    """Lock a file; return False if another process has it. A system without locks says True."""
    try:
        fcntl.flock(stream, how)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _reserve(descriptor: int, size: int) -> None:
    """Take the room on the disk now, so that a full one is known before anything is decoded."""
    if size and hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)


def _write_all(descriptor: int, content: bytes, offset: int) -> None:
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _remove_unused(path: Path) -> int | None:
    """Remove a file unless somebody uses it; return its bytes, or None if it is still there."""
    try:
        with path.open("rb") as stream:
            if not _lock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB):
                return None
            size = os.fstat(stream.fileno()).st_size
            path.unlink()
            return size
    except OSError:
        return None


def _look_at(path: Path) -> CacheFile | None:
    try:
        with path.open("rb") as stream:
            free = _lock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            status = os.fstat(stream.fileno())
            index = None
            with suppress(OSError):  # it is listed all the same
                index = _read_index(stream)
    except OSError:
        return None
    used_at = datetime.fromtimestamp(status.st_mtime, UTC)
    return CacheFile(path, index.key if index else None, status.st_size, used_at, not free)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _size(shape: tuple[int, int, int]) -> int:
    height, width, channels = shape
    return height * width * channels
