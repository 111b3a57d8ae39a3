"""Names in an archive become ids without loss, or the archive is refused."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.data.archive import read_index
from bench.data.dataset import open_dataset
from tests.bench.data.miniatures import pack
from zoo.errors import DataError


def _names(path: Path) -> list[str]:
    return [member.name for member in read_index(path).members]


def test_absolute_names_keep_their_classes(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar", {"/17/a.jpg": b"1", "/27/b.jpg": b"2"})
    dataset = open_dataset(str(path), labels="folder")
    assert dataset.images == ("17/a.jpg", "27/b.jpg")
    assert (dataset.labels, dataset.classes) == ((0, 1), 2)
    path = pack(tmp_path / "b.tar", {"/data/17/a.jpg": b"1", "/data/27/b.jpg": b"2"})
    assert open_dataset(f"v2:{path}", labels="imagenet").labels == (17, 27)


@pytest.mark.parametrize("name", ["../17/a.jpg", "17/../27/a.jpg", "/../a.jpg", ".."])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    path = pack(tmp_path / "a.tar", {"27/b.jpg": b"2", name: b"1"})
    with pytest.raises(DataError, match="leads out of its folder; pack the files again"):
        open_dataset(str(path), labels="folder")


@pytest.mark.parametrize("again", ["a/x.jpg", "./a/x.jpg", "/a/x.jpg", "a//x.jpg"])
def test_a_name_that_is_there_twice_is_refused(tmp_path: Path, again: str) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in ("a/x.jpg", "b/y.jpg", again):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(DataError, match=r"a/x\.jpg is in it twice"):
        open_dataset(str(tmp_path / "a.tar"), labels="folder")


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_a_special_file_in_an_archive_is_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in ("a/x.jpg", "b/y.jpg"):
            info = tarfile.TarInfo(name)
            info.type = kind if name == "b/y.jpg" else tarfile.REGTYPE
            archive.addfile(info)
    with pytest.raises(DataError, match=r"b/y\.jpg is not a file"):
        open_dataset(str(tmp_path / "a.tar"), labels="folder")


def test_a_sparse_file_in_an_archive_is_refused(tmp_path: Path) -> None:
    """Its bytes in the archive are not the file's."""
    (tmp_path / "b").mkdir()
    with (tmp_path / "b" / "y.jpg").open("wb") as file:
        file.write(b"1")
        file.truncate(2**20)
    words = ["tar", "--sparse", "-C", str(tmp_path), "-cf", str(tmp_path / "a.tar"), "b"]
    subprocess.run(words, check=True)
    with pytest.raises(DataError, match=r"b/y\.jpg is sparse"):
        open_dataset(str(tmp_path / "a.tar"), labels="folder")


_PART = st.text(st.sampled_from("ab.1é \t\n"), min_size=1, max_size=4)


@given(names=st.sets(st.lists(_PART, min_size=1, max_size=3).map("/".join), max_size=6))
def test_every_file_is_a_member_or_named_or_the_archive_is_refused(
    tmp_path_factory: pytest.TempPathFactory, names: set[str]
) -> None:
    path = pack(tmp_path_factory.mktemp("tar") / "a.tar", dict.fromkeys(sorted(names), b"1"))
    cleaned = [[part for part in name.split("/") if part != "."] for name in names]
    if any(".." in parts for parts in cleaned) or len(set(map(tuple, cleaned))) < len(names):
        with pytest.raises(DataError, match=r"leads out|twice"):
            read_index(path)
        return
    index = read_index(path)
    assert len(set(_names(path))) == len(index.members)
    for name in names:
        clean = "/".join(part for part in name.split("/") if part != ".")
        left_out = any(f"{clean}/".startswith(f"{left}/") for left in index.left_out)
        assert (clean in _names(path)) != left_out


def test_a_tar_with_folders_around_the_classes_says_how_to_pack_it(tmp_path: Path) -> None:
    names = ["val/n01440764/a.JPEG", "train/n01440764/a.JPEG"]
    pack(tmp_path / "set.tar", dict.fromkeys(names, b""))
    with pytest.raises(DataError, match=r"alone: tar -C val -cf FILE\.tar \.$"):
        open_dataset(str(tmp_path / "set.tar"), labels="imagenet")
