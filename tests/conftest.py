"""What all tests share: real photographs and weights, from the packages of the extra `sample`."""

import ctypes
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings

from bench.data.dataset import Dataset, open_dataset
from bench.data.imagenet import wnids
from zoo.entry import Entry
from zoo.manifest import load


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep decoded pixels out of the user's cache, in workers too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _workers_allocator() -> None:
    """Keep freed memory, as workers do by their environment: networks run several times faster."""
    with suppress(AttributeError, OSError):  # another C library than glibc
        libc = ctypes.CDLL(None)
        for option, value in ((-8, 1), (-3, 2**30), (-1, 2**30), (-2, 2**28)):
            libc.mallopt(option, value)  # arenas, mmap threshold, trim threshold, top pad


# A busy machine is no failure.
settings.register_profile("zoobench", deadline=None)
settings.load_profile("zoobench")


@pytest.fixture(scope="session")
def sample_set() -> Dataset:
    return open_dataset("sample", labels="imagenet")


@pytest.fixture(scope="session")
def photographs(sample_set: Dataset) -> list[Path]:
    return [sample_set.root / image for image in sample_set.images]


@pytest.fixture(scope="session")
def lite_entries() -> tuple[Entry, ...]:
    return load("sample").entries


@pytest.fixture
def lite0(lite_entries: tuple[Entry, ...]) -> Entry:
    return lite_entries[0]


@pytest.fixture
def class_folders(tmp_path: Path, sample_set: Dataset) -> Path:
    """The sample set as a folder of class folders named by WordNet id."""
    root = tmp_path / "val"
    for image, label in zip(sample_set.images, sample_set.labels, strict=True):
        folder = root / wnids()[label]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(sample_set.root / image, folder / image)
    return root
