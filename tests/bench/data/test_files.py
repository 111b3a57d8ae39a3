"""What a system adds is left out and named; what is not a file is never opened."""

import os
import shutil
import socket
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from bench.data.dataset import Dataset, open_dataset, open_told
from bench.data.files import check_image_bytes, is_left_out, read_file
from bench.data.imagenet import wnids
from tests.bench.data import miniatures
from tests.bench.data.miniatures import Photographs
from zoo.errors import DataError


@pytest.fixture(scope="session")
def pictures(sample_set: Dataset) -> Photographs:
    return miniatures.photographs_of(sample_set)


def _special(path: Path, kind: str) -> None:
    if kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as server, tempfile.TemporaryDirectory() as short:
            server.bind(f"{short}/s")  # the system allows no long names
            shutil.move(f"{short}/s", path)
    else:
        path.symlink_to("/dev/zero")


KINDS = ["a FIFO", "a socket", "a device"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("make", [miniatures.class_folders, miniatures.flat_with_csv])
def test_what_is_not_a_file_is_an_image_that_cannot_be_read(
    tmp_path: Path, pictures: Photographs, make: object, kind: str, linked: bool
) -> None:
    assert callable(make)
    folder = make(tmp_path / "set", pictures)
    path = next(p for p in sorted(folder.rglob("*")) if p.suffix in (".JPEG", ".jpg"))
    path.unlink()
    if linked:
        _special(tmp_path / "special", kind)
        path.symlink_to(tmp_path / "special")
    else:
        _special(path, kind)
    dataset = open_dataset(str(folder), labels="imagenet")
    assert len(dataset) == 20
    with pytest.raises(OSError, match=f"^{kind}, not a file$"):
        dataset.read(dataset.images.index(path.relative_to(folder).as_posix()))


@pytest.mark.parametrize("target", ["a.jpg", "gone.jpg", "file/gone.jpg"])
def test_a_link_that_leads_nowhere_is_an_image_that_cannot_be_read(
    tmp_path: Path, target: str
) -> None:
    (tmp_path / "ant").mkdir()
    (tmp_path / "ant" / "file").write_bytes(b"")
    (tmp_path / "ant" / "a.jpg").symlink_to(target)
    dataset = open_dataset(str(tmp_path), labels="folder")
    assert dataset.sizes == (0, 0)
    with pytest.raises(OSError, match=r"a\.jpg"):
        dataset.read(0)


def test_a_fifo_with_a_writer_is_not_opened(tmp_path: Path) -> None:
    """Opening would let the writer go on, and its bytes would be taken for the image."""
    os.mkfifo(tmp_path / "a.jpg")
    opened = threading.Event()

    def write() -> None:
        with (tmp_path / "a.jpg").open("wb"):
            opened.set()

    threading.Thread(target=write, daemon=True).start()
    with pytest.raises(OSError, match="a FIFO"):
        read_file(tmp_path / "a.jpg")
    assert not opened.is_set()


@pytest.mark.parametrize("name", ["s-000000.tar", "a.parquet", "meta.bin", "notes"])
def test_what_is_not_a_file_among_archives_is_refused(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    for data in (tmp_path, tmp_path / f"{name[:-1]}*"):
        with pytest.raises(DataError, match=f"{name}: a FIFO, not a file"):
            open_dataset(str(data), labels="imagenet")
    with pytest.raises(DataError, match=f"{name}: a FIFO, not a data folder"):
        open_dataset(str(tmp_path / name), labels="imagenet")


def test_a_file_too_large_for_an_image_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    with path.open("wb") as file:
        file.truncate(2**40)  # sparse: takes no room on the disk
    with pytest.raises(OSError, match="1,099,511,627,776 bytes, too large for an image"):
        read_file(path)
    check_image_bytes(2**30)
    with pytest.raises(OSError, match="too large"):
        check_image_bytes(2**30 + 1)


SYSTEM_FOLDERS = [
    "@eaDir",
    ".thumbnails",
    "__MACOSX",
    "lost+found",
    "$RECYCLE.BIN",
    "System Volume Information",
]
SYSTEM_FILES = ["Thumbs.db", "desktop.ini", ".DS_Store", "._n01440764_1.JPEG"]


@pytest.mark.parametrize("name", SYSTEM_FOLDERS + SYSTEM_FILES)
def test_what_a_system_adds_is_known_in_any_case(name: str) -> None:
    assert is_left_out(name)
    assert is_left_out(name.upper())
    assert not is_left_out(f"a{name}")


@pytest.mark.parametrize("depth", ["top", "class"])
def test_what_a_system_adds_to_class_folders_is_left_out_and_named(
    tmp_path: Path, pictures: Photographs, depth: str
) -> None:
    root = miniatures.class_folders(tmp_path / "photos", pictures)
    clean = open_dataset(f"val:{root}", labels="imagenet")
    where = root if depth == "top" else min(root.iterdir())
    for name in SYSTEM_FOLDERS:
        (where / name / "a").mkdir(parents=True)
        (where / name / "a" / "thumb.jpg").write_bytes(pictures[0][0])
    for name in SYSTEM_FILES:
        (where / name).write_bytes(b"")
    opened = open_told(f"val:{root}", labels="imagenet")
    assert opened.dataset.digest == clean.digest
    assert opened.listing is not None
    found = {(root / name).relative_to(where).as_posix() for name in opened.listing.left_out}
    assert found == {*SYSTEM_FOLDERS, *SYSTEM_FILES}
    assert opened.left_out is not None
    assert "or not images: 10: " in opened.left_out
    assert opened.left_out in opened.remarks


def test_what_a_system_adds_to_own_classes_is_not_a_class(
    tmp_path: Path, pictures: Photographs
) -> None:
    for name in ("ant", "bee", "lost+found"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").write_bytes(pictures[0][0])
    assert open_dataset(str(tmp_path), labels="folder").classes == 2


def test_what_a_system_adds_to_a_tar_is_left_out_and_named(
    tmp_path: Path, pictures: Photographs
) -> None:
    whole = miniatures.tar_of_class_folders(tmp_path / "a", pictures)
    clean = open_dataset(str(whole), labels="imagenet")
    thumbs = {
        f"./val/n01440764/@eaDir/{i}.JPEG/SYNOPHOTO_THUMB_S.jpg": pictures[0][0] for i in range(3)
    }
    named = zip(miniatures.val_names(pictures), pictures, strict=True)
    files = {f"./val/{clean.images[0].split('/')[0]}/._x.JPEG": b"", "./__MACOSX/a": b"", **thumbs}
    files |= {f"./val/{wnids()[label]}/{name}": data for name, (data, label) in named}
    opened = open_told(str(miniatures.pack(tmp_path / "b" / "val.tar", files)), labels="imagenet")
    assert opened.dataset.images == clean.images
    assert opened.listing is not None
    assert len(opened.listing.left_out) == 3  # a folder is named once


def test_apple_doubles_among_shards_and_labels_are_left_out(
    tmp_path: Path, pictures: Photographs
) -> None:
    root = miniatures.webdataset(tmp_path / "shards", pictures)
    (root / "._imagenet-val-000000.tar").write_bytes(b"Mac OS X")
    for data in (root, root / "*.tar"):
        assert len(open_dataset(str(data), labels="imagenet")) == 20
    flat = miniatures.flat_with_csv(tmp_path / "flat", pictures)
    (flat / "._labels.csv").write_bytes(b"Mac OS X")
    (flat / "._photo0.jpg").write_bytes(b"Mac OS X")
    assert len(open_dataset(str(flat), labels="imagenet")) == 20


def test_files_next_to_class_folders_are_named(tmp_path: Path, pictures: Photographs) -> None:
    root = miniatures.class_folders(tmp_path / "val", pictures)
    (root / "extra.heic").write_bytes(b"")
    opened = open_told(str(root), labels="imagenet")
    assert opened.listing is not None
    assert opened.listing.left_out == ("extra.heic",)


def test_a_flat_folder_keeps_files_of_any_suffix(tmp_path: Path, pictures: Photographs) -> None:
    root = miniatures.flat_with_csv(tmp_path / "set", pictures)
    (root / "README.md").write_text("photographs")
    for old, new in (("photo3.jpg", "photo3.jfif"), ("photo4.jpg", "photo4.xyz")):
        (root / old).rename(root / new)
        text = (root / "labels.csv").read_text()
        (root / "labels.csv").write_text(text.replace(f"{old},", f"{new},"))
    opened = open_told(str(root), labels="imagenet")
    assert len(opened.dataset) == 20
    assert opened.listing is not None
    assert opened.listing.left_out == ("README.md",)
    (root / "stray.xyz").write_bytes(b"")
    with pytest.raises(DataError, match=r"has no label of stray\.xyz"):
        open_dataset(str(root), labels="imagenet")


def test_a_flat_folder_of_the_validation_set_keeps_files_of_any_suffix(
    tmp_path: Path, pictures: Photographs
) -> None:
    root = miniatures.flat(tmp_path / "val", pictures)
    first = min(root.iterdir())
    first.rename(first.with_suffix(".xyz"))
    assert len(open_dataset(str(root), labels="imagenet")) == 20


def test_a_set_with_a_wrong_count_is_warned_of(tmp_path: Path, pictures: Photographs) -> None:
    root = miniatures.class_folders(tmp_path / "val", pictures)
    remarks = open_told(str(root), labels="imagenet").remarks
    assert "warning: val: 49,980 images missing of the set's 50,000" in remarks


@pytest.mark.parametrize(
    ("whole", "said"),
    [
        (19, "warning: set: 1 images more than the set's 19"),
        (20, None),
        (21, "warning: set: 1 images missing of the set's 21"),
    ],
)
def test_a_count_that_is_not_the_sets_is_a_warning(
    tmp_path: Path, pictures: Photographs, whole: int, said: str | None
) -> None:
    opened = open_told(str(miniatures.class_folders(tmp_path / "set", pictures)), labels="imagenet")
    assert opened.label_set is not None
    known = replace(opened, label_set=replace(opened.label_set, images=whole))
    assert known.wrong_count == said
    assert (known.wrong_count in known.remarks) == (said is not None)


def test_a_url_is_not_local(tmp_path: Path) -> None:
    for url in ("s3://bucket/imagenet/val", "https://host/val.tar", "hf://datasets/imagenet-1k"):
        with pytest.raises(DataError, match=f"{url}: data must be local"):
            open_dataset(url, labels="imagenet")
