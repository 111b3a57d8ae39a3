"""Cached pixels are those that were written, or none; the cache keeps to its bound."""

import errno
import hashlib
import io
import os
import pwd
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data.pixel_cache import (
    CachedPixels,
    DamagedPixelsError,
    PixelCache,
    PixelKey,
    PixelWriter,
    default_folder,
)
from zoo.errors import DataError

SHAPE = (31, 17, 3)
SIZE = 31 * 17 * 3


def _key(name: str = "d", first: int = 0, images: int = 9) -> PixelKey:
    return PixelKey(
        dataset=name,
        dataset_digest=name,
        stamp="s",
        first=first,
        images=images,
        geometry="resize 256x256 center crop 31x17",
        decoder="pillow",
        code="c",
    )


def _pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, SHAPE, np.uint8)


def _sha(index: int) -> bytes:
    return hashlib.sha256(b"%d" % index).digest()


def _put(writer: PixelWriter, index: int) -> None:
    writer.note(index, _sha(index), writer.file.write(index, _pixels(index)))


def _read(cached: CachedPixels, indices: Sequence[int]) -> np.ndarray:
    pixels = np.ones((len(indices), *SHAPE), np.uint8)
    cached.read(indices, pixels)
    return pixels


def _fill(cache: PixelCache, key: PixelKey, bad: tuple[int, ...] = ()) -> Path:
    writer = cache.writer(key, SHAPE)
    for index in range(key.first, key.first + key.images):
        if index in bad:
            writer.note_bad(index, _sha(index), "truncated")
        else:
            _put(writer, index)
    writer.commit()
    assert writer.failure is None
    return cache.folder / key.file_name


@contextmanager
def _files_at_most(size: int) -> Iterator[None]:
    """Make every larger file an error, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@settings(deadline=None, max_examples=50)
@given(indices=st.lists(st.integers(5, 13), min_size=1, max_size=9, unique=True))
def test_any_images_come_back_as_they_went_in(
    tmp_path_factory: pytest.TempPathFactory, indices: list[int]
) -> None:
    cache = PixelCache(tmp_path_factory.getbasetemp() / "roundtrip")
    key = _key(first=5)
    if not (cache.folder / key.file_name).exists():
        _fill(cache, key, bad=(7,))
    cached = cache.open(key, SHAPE)
    assert cached is not None
    pixels = _read(cached, indices)
    for place, index in enumerate(indices):
        expected = np.zeros(SHAPE, np.uint8) if index == 7 else _pixels(index)
        assert np.array_equal(pixels[place], expected)
        assert cached.reason(index) == ("truncated" if index == 7 else None)
    assert cached.sha256(indices).tobytes() == b"".join(map(_sha, indices))
    cached.close()


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    cache = PixelCache(tmp_path)
    writer = cache.writer(_key(), SHAPE)
    for index in range(8):
        _put(writer, index)
    assert cache.open(_key(), SHAPE) is None
    writer.commit()  # one image is missing
    assert writer.failure == "not all images were evaluated"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keep", [0, 10, SIZE, 9 * SIZE, -1])
def test_a_truncated_file_is_removed(tmp_path: Path, keep: int) -> None:
    cache = PixelCache(tmp_path)
    path = _fill(cache, _key())
    path.write_bytes(path.read_bytes()[:keep])
    assert cache.open(_key(), SHAPE) is None
    assert not path.exists()


@pytest.mark.parametrize("call", ["seek", "read"])
def test_a_file_that_cannot_be_read_stays_and_is_listed(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = PixelCache(tmp_path)
    path = _fill(cache, _key())
    before = path.read_bytes()

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    failing = type("Failing", (io.BufferedReader,), {call: fail})
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda path, mode: failing(io.FileIO(path)))
        assert cache.open(_key(), SHAPE) is None
        assert [(file.key, file.size_bytes) for file in cache.files()] == [(None, len(before))]
    assert path.read_bytes() == before
    cached = cache.open(_key(), SHAPE)
    assert cached is not None
    cached.close()


def test_an_index_that_was_changed_is_noticed(tmp_path: Path) -> None:
    cache = PixelCache(tmp_path)
    path = _fill(cache, _key())
    content = bytearray(path.read_bytes())
    content[9 * SIZE + 200] ^= 1
    path.write_bytes(content)
    assert cache.open(_key(), SHAPE) is None


def test_one_changed_pixel_is_noticed_and_the_file_removed(tmp_path: Path) -> None:
    cache = PixelCache(tmp_path)
    path = _fill(cache, _key())
    content = bytearray(path.read_bytes())
    content[5 * SIZE + 7] ^= 1
    path.write_bytes(content)
    cached = cache.open(_key(), SHAPE)
    assert cached is not None
    _read(cached, range(4))
    with pytest.raises(DamagedPixelsError, match="damaged"):
        _read(cached, range(4, 8))
    assert not path.exists()
    cached.close()


def test_another_key_is_another_file(tmp_path: Path) -> None:
    cache = PixelCache(tmp_path)
    _fill(cache, _key())
    for change in ({"stamp": "t"}, {"decoder": "x"}, {"geometry": "y"}, {"first": 1}):
        assert cache.open(_key().model_copy(update=change), SHAPE) is None


def test_a_writer_that_was_killed_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from tests.bench.data.test_pixel_cache import *
from tests.bench.data.test_pixel_cache import _key, _put
writer = PixelCache(Path({str(tmp_path)!r})).writer(_key(), SHAPE)
_put(writer, 0)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    cache = PixelCache(tmp_path)
    assert [file.key for file in cache.files()] == [None]
    _fill(cache, _key())
    cached = cache.open(_key(), SHAPE)
    assert cached is not None
    assert np.array_equal(_read(cached, [0])[0], _pixels(0))
    cached.close()
    assert len(list(tmp_path.iterdir())) == 1


def test_two_writers_of_the_same_do_no_harm(tmp_path: Path) -> None:
    cache = PixelCache(tmp_path)
    first = cache.writer(_key(), SHAPE)
    with pytest.raises(DataError, match="another run is writing the same pixels"):
        PixelCache(tmp_path).writer(_key(), SHAPE)
    for index in range(9):
        _put(first, index)
    first.commit()
    cached = cache.open(_key(), SHAPE)
    assert cached is not None
    cached.close()


def test_the_least_recently_used_makes_room_and_never_one_in_use(tmp_path: Path) -> None:
    cache = PixelCache(tmp_path, max_bytes=4 * 9 * SIZE)
    names = ("a", "b", "c")
    for second, name in enumerate(names):
        os.utime(_fill(cache, _key(name)), (second, second))
    used = cache.open(_key("b"), SHAPE)  # now the last used, and in use
    assert used is not None
    os.utime(tmp_path / _key("b").file_name, (0, 0))
    _fill(cache, _key("d"))
    assert not (tmp_path / _key("a").file_name).exists()
    assert {file.key.dataset for file in cache.files() if file.key} == {"b", "c", "d"}
    assert [f.in_use for f in cache.files() if f.key and f.key.dataset == "b"] == [True]
    used.close()
    _fill(cache, _key("e"))
    assert {file.key.dataset for file in cache.files() if file.key} == {"c", "d", "e"}


def test_what_does_not_fit_is_refused_and_says_how_to_mend_it(tmp_path: Path) -> None:
    cache = PixelCache(tmp_path, max_bytes=9 * SIZE - 1)
    with pytest.raises(DataError, match="larger --cache-size"):
        cache.writer(_key(), SHAPE)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_known_before_anything_is_written(tmp_path: Path) -> None:
    with _files_at_most(9 * SIZE - 1), pytest.raises(DataError, match="File too large"):
        PixelCache(tmp_path).writer(_key(), SHAPE)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_later_costs_the_file_alone(tmp_path: Path) -> None:
    cache = PixelCache(tmp_path)
    writer = cache.writer(_key(), SHAPE)
    for index in range(4):
        _put(writer, index)
    with _files_at_most(4 * SIZE), pytest.raises(OSError, match="File too large"):
        _put(writer, 4)
    writer.fail("File too large")
    writer.commit()
    assert list(tmp_path.iterdir()) == []


def test_clear_leaves_what_is_in_use(tmp_path: Path) -> None:
    cache = PixelCache(tmp_path)
    _fill(cache, _key("a"))
    _fill(cache, _key("b"))
    used = cache.open(_key("a"), SHAPE)
    assert used is not None
    count, freed = cache.clear()
    assert count == 1
    assert freed > 9 * SIZE
    used.close()
    assert cache.clear()[0] == 1
    assert cache.files() == []


def test_the_default_bound_is_half_of_what_is_free(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    bound = PixelCache(tmp_path / "not" / "there").bound_bytes()
    assert bound <= 50 * 10**9
    assert bound == pytest.approx(min(50e9, free / 2), rel=0.1)


def test_the_folder_is_that_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert default_folder() == Path("/x/zoobench/pixels")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert default_folder() == Path("/home/me/.cache/zoobench/pixels")


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(user: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {user}")

    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(DataError, match="this user has no home: set HOME or XDG_CACHE_HOME"):
        default_folder()
