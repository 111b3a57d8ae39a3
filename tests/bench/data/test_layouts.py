"""The same photographs come out of every layout, or the layout is refused in one clear line."""

import io
import os
import shutil
import tarfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.data.dataset import Dataset, open_dataset, open_told
from bench.data.imagenet import wnids
from bench.data.labels import labels_by_number, val_number
from bench.data.scan import content_sha256, scan
from bench.data.sets.real import real_labels
from bench.measure import Row, accuracy
from bench.plan import Job, Settings
from tests.bench.data import miniatures
from tests.bench.data.miniatures import LAYOUTS, Photographs
from zoo.entry import Entry
from zoo.errors import DataError, MissingExtraError


@pytest.fixture(scope="session")
def pictures(sample_set: Dataset) -> Photographs:
    return miniatures.photographs_of(sample_set)


def _opened(path: object) -> Dataset:
    return open_dataset(str(path), labels="imagenet")


def _pairs(dataset: Dataset) -> set[tuple[bytes, int]]:
    return {(dataset.read(i), label) for i, label in enumerate(dataset.labels)}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_bytes_and_labels(
    tmp_path: Path, pictures: Photographs, layout: str
) -> None:
    dataset = _opened(LAYOUTS[layout](tmp_path / "set", pictures))
    assert len(dataset) == len(set(dataset.images)) == 20
    assert _pairs(dataset) == set(pictures)
    assert dataset.classes == 1000
    limited = dataset.limited(3)
    assert [limited.read(i) for i in range(3)] == [dataset.read(i) for i in (0, 6, 13)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_threads_may_read_at_once(tmp_path: Path, pictures: Photographs, layout: str) -> None:
    dataset = _opened(LAYOUTS[layout](tmp_path / "set", pictures))
    expected = [dataset.read(i) for i in range(20)]
    barrier = threading.Barrier(4)

    def read_all(first: int) -> list[bytes]:
        barrier.wait()
        order = [(first + 7 * i) % 20 for i in range(20)]
        found = {i: dataset.read(i) for i in order}
        return [found[i] for i in range(20)]

    with ThreadPoolExecutor(4) as pool:
        assert all(found == expected for found in pool.map(read_all, range(4)))


def test_predictions_do_not_depend_on_the_layout(
    tmp_path: Path, pictures: Photographs, lite0: Entry
) -> None:
    def predictions(path: Path) -> dict[bytes, tuple[object, ...]]:
        job = Job(
            entry=lite0,
            figures=("top1",),
            settings=Settings(batch_size=1),
            store="unused",
            data=str(path),
            labels="imagenet",
            limit=None,
            retry_failed=False,
        )
        row = Row(job, "cpu", "a processor", lambda done, total, unit: None)
        result = accuracy.run(row)
        assert result.predictions is not None
        # What the doctor tells before is what the evidence has.
        facts = scan(row.dataset, lambda *_: None)
        assert result.evidence.content_sha256 == content_sha256(facts)
        table = pq.read_table(io.BytesIO(result.predictions)).to_pydict()
        assert table["image"] == list(row.dataset.images)
        columns = zip(*(table[name] for name in ("label", "pred", "prob")), strict=True)
        return {row.dataset.read(i): values for i, values in enumerate(columns)}

    few = pictures[:6]
    reference = predictions(LAYOUTS["class_folders"](tmp_path / "folders", few))
    assert sum(label == pred for label, pred, _ in reference.values()) == 6
    for layout in ("webdataset", "parquet"):
        assert predictions(LAYOUTS[layout](tmp_path / layout, few)) == reference


def test_a_tar_of_class_folders_is_the_same_dataset_as_the_folders(
    tmp_path: Path, pictures: Photographs
) -> None:
    folders = _opened(miniatures.class_folders(tmp_path / "val", pictures))
    root = _opened(miniatures.torchvision_root(tmp_path / "root", pictures))
    archive = _opened(miniatures.tar_of_class_folders(tmp_path, pictures))
    assert folders.digest == archive.digest == root.digest
    assert folders.digest == _opened(f"val:{tmp_path / 'val.tar'}").digest


def test_ids_say_where_an_image_lies(tmp_path: Path, pictures: Photographs) -> None:
    first = miniatures.val_names(pictures)[0]
    shards = _opened(miniatures.webdataset(tmp_path / "shards", pictures))
    assert shards.images[8] == "imagenet-val-000001.tar/00000008.jpg"
    rows = _opened(miniatures.parquet(tmp_path / "rows", pictures))
    assert rows.images[0] == first.replace(".", f"_{wnids()[pictures[0][1]]}.")
    bare = _opened(miniatures.parquet(tmp_path / "bare", pictures, paths=False))
    assert bare.images[11] == "validation-00001-of-00002.parquet/1"
    assert _opened(miniatures.flat_tar(tmp_path, pictures)).images[0].startswith("ILSVRC2012_val")


def test_patterns_name_shards(tmp_path: Path, pictures: Photographs) -> None:
    root = miniatures.webdataset(tmp_path / "shards", pictures)
    assert len(_opened(root / "imagenet-val-{000000..000001}.tar")) == 16
    assert len(_opened(root / "*.tar")) == 20
    with pytest.raises(DataError, match=r"no file .*imagenet-val-000003\.tar"):
        _opened(root / "imagenet-val-{000000..000003}.tar")
    miniatures.parquet(tmp_path / "hf", pictures)
    assert len(_opened(tmp_path / "hf" / "data" / "validation-*.parquet")) == 20


def test_the_list_of_names_has_imagenets_order() -> None:
    """ReaL's labels come from elsewhere, and agree with the old ones on most images."""
    listed, real = labels_by_number(), real_labels()
    agree = [listed[i + 1] in labels for i, labels in enumerate(real) if labels]
    assert len(listed) == 50_000
    assert sum(agree) / len(agree) > 0.85


def test_a_missing_package_is_named(
    tmp_path: Path, pictures: Photographs, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels_by_number.cache_clear()
    miniature = miniatures.flat(tmp_path / "val", pictures)
    labels_by_number.cache_clear()
    monkeypatch.setattr("bench.data.labels.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'zoobench\[labels\]'"):
        _opened(miniature)


def test_the_devkits_order_is_never_guessed(tmp_path: Path, pictures: Photographs) -> None:
    root = miniatures.flat(tmp_path / "val", pictures)
    miniatures.devkit(root, meta=False)
    with pytest.raises(DataError, match=r"an order of its own, which only its meta\.mat tells"):
        _opened(root)
    (root / "meta.mat").write_bytes(b"no such file")
    with pytest.raises(DataError, match=r"is not the devkit's meta\.mat"):
        _opened(root)


def test_a_labels_file_may_lie_elsewhere(tmp_path: Path, pictures: Photographs) -> None:
    root = miniatures.flat(tmp_path / "val", pictures)
    (tmp_path / "devkit").mkdir()
    miniatures.devkit(tmp_path / "devkit")
    truth = tmp_path / "devkit" / "ILSVRC2012_validation_ground_truth.txt"
    assert _pairs(open_dataset(str(root), labels=str(truth))) == set(pictures)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("photo3.jpg,", "photo33.jpg,"), r"no label of photo3\.jpg"),
        (lambda text: text + "\nphoto99.jpg,1", r"names photo99\.jpg, not there"),
        (lambda text: text + "\nphoto3.jpg,1", r"line 22: photo3\.jpg a second time"),
        (lambda text: text + "\nphoto3.jpg", r"line 22: too few columns"),
        (lambda text: text.replace("photo3.jpg,", "photo3.jpg,9"), r"label 9\d+; .* 0 to 999"),
        (lambda text: text.replace("photo3.jpg,", "photo3.jpg,-"), r"label -\d+; .* 0 to 999"),
        (lambda text: text.replace("photo3.jpg,", "photo3.jpg,x"), r"line 5: 'x\d+' is no class"),
        (lambda text: text.replace("file,label", "a,b"), r"expected file,label"),
        (lambda text: "", r"expected file,label"),
    ],
)
def test_a_wrong_labels_file_is_refused(
    tmp_path: Path, pictures: Photographs, change: object, message: str
) -> None:
    root = miniatures.flat_with_csv(tmp_path / "set", pictures)
    path = root / "labels.csv"
    assert callable(change)
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=message):
        _opened(root)


def test_a_table_beside_the_folder_is_no_labels_file(tmp_path: Path, pictures: Photographs) -> None:
    root = miniatures.flat(tmp_path / "val", pictures)
    (tmp_path / "results.csv").write_text("entry,top1\nx,0.5\n")
    assert _pairs(_opened(root)) == set(pictures)
    shutil.copy(tmp_path / "results.csv", tmp_path / "val.csv")
    with pytest.raises(DataError, match=r"val\.csv: its first line is 'entry,top1'; expected"):
        _opened(root)


def test_two_labels_files_are_ambiguous(tmp_path: Path, pictures: Photographs) -> None:
    root = miniatures.flat_with_csv(tmp_path / "set", pictures)
    shutil.copy(root / "labels.csv", root / "other.csv")
    with pytest.raises(DataError, match=r"several files .* --labels FILE"):
        _opened(root)
    assert len(open_dataset(str(root), labels=str(root / "other.csv"))) == 20


@pytest.mark.parametrize("share", [0.3, 0.97])
def test_a_tar_cut_short_is_refused(tmp_path: Path, pictures: Photographs, share: float) -> None:
    path = miniatures.tar_of_class_folders(tmp_path, pictures)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DataError, match=r"val\.tar: cut short after \d+ files"):
        _opened(path)


def test_a_tar_cut_between_two_files_is_refused(tmp_path: Path, pictures: Photographs) -> None:
    path = miniatures.flat_tar(tmp_path, pictures)
    whole = path.read_bytes()
    size = len(pictures[0][0])
    path.write_bytes(whole[: 512 + -(-size // 512) * 512])
    with pytest.raises(DataError, match=r"cut short after 1 files: no end of the archive"):
        _opened(path)


def test_a_compressed_tar_is_refused(tmp_path: Path, pictures: Photographs) -> None:
    import gzip

    path = miniatures.flat_tar(tmp_path, pictures)
    path.write_bytes(gzip.compress(path.read_bytes(), 1))
    with pytest.raises(DataError, match=r"a compressed one must be unpacked first"):
        _opened(path)


def test_wrong_shards_are_refused(tmp_path: Path, pictures: Photographs) -> None:
    root = miniatures.webdataset(tmp_path / "shards", pictures)
    (root / "imagenet-val-000001.tar").unlink()
    with pytest.raises(DataError, match=r"shards are missing: 1 \(1 in all\)"):
        _opened(root)
    miniatures.pack(root / "imagenet-val-000001.tar", {"a.cls": b"1", "b.jpg": b"2", "b.cls": b"3"})
    with pytest.raises(DataError, match=r"000001\.tar: sample a has no image"):
        _opened(root)
    miniatures.pack(root / "imagenet-val-000001.tar", {"a.jpg": b"1", "b.jpg": b"2", "b.cls": b"3"})
    with pytest.raises(DataError, match=r"000001\.tar: sample a has no class"):
        _opened(root)
    (root / "imagenet-val-000001.tar").rename(root / "train-000001.tar")
    with pytest.raises(DataError, match=r"files of several sets: .* name one, like"):
        _opened(root)


def _sample_names(path: Path, files: dict[str, bytes]) -> list[tuple[str, int]]:
    dataset = _opened(miniatures.pack(path / "s-000000.tar", files).parent)
    return list(zip(dataset.images, dataset.labels, strict=True))


def test_a_webdataset_key_ends_at_the_first_dot(tmp_path: Path) -> None:
    files = {
        "a.image.jpg": b"1",
        "a.label.cls": b"7",
        "x.y/b.v2.JPG": b"2",  # dots of a folder are none of the key's
        "x.y/b.v2.Cls": b"8",
        "x.y/b.json": b"{}",
    }
    expected = [("s-000000.tar/a.image.jpg", 7), ("s-000000.tar/x.y/b.v2.JPG", 8)]
    assert _sample_names(tmp_path, files) == expected


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["a.v2.1.jpg", "a.v2.1.cls", "a.v2.2.jpg", "a.v2.2.cls"], "sample a has 2 images"),
        (["a.jpg", "a.png", "a.cls"], "sample a has 2 images"),
        (["a.jpg", "a.cls", "a.label.cls"], r"sample a has 2 classes \(.cls\)"),
        (["a.cls", "a.jpg", "b.heic", "b.label"], r"sample b has no image .*b\.heic, b\.label"),
        (["a.cls", "a.jpg", "b.jpg", "b.label"], "sample b has no class"),
        (["a.cls", "a.jpg", "b.xyz", "b.cls"], "sample b has no image"),
    ],
)
def test_a_webdataset_sample_that_would_be_lost_is_refused(
    tmp_path: Path, files: list[str], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        _sample_names(tmp_path, dict.fromkeys(files, b"1"))


def test_a_webdataset_member_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s-000000.tar", "w") as archive:
        for name in ("a.cls", "a.jpg", "a.cls"):
            archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(DataError, match=r"a\.cls is in it twice"):
        _opened(tmp_path)


@pytest.mark.parametrize("text", [b"", b" \n"])
def test_an_empty_class_is_refused(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(DataError, match=r"a\.cls is empty"):
        _sample_names(tmp_path, {"a.cls": text, "a.jpg": b"1"})


def test_files_without_a_webdataset_key_are_named(tmp_path: Path) -> None:
    files = {"a.cls": b"1", "a.jpg": b"1", "LICENSE": b"", "__info__.json__": b"", ".x.jpg": b""}
    miniatures.pack(tmp_path / "s-000000.tar", files)
    listing = open_told(str(tmp_path), labels="imagenet").listing
    assert listing is not None
    names = {"LICENSE", "__info__.json__", ".x.jpg"}
    assert set(listing.left_out) == {f"s-000000.tar/{name}" for name in names}


def test_classes_with_and_without_names_are_refused(tmp_path: Path) -> None:
    miniatures.pack(
        tmp_path / "s-000000.tar", {"a.cls": b"0", "a.jpg": b"1", "b.cls": b"ant", "b.jpg": b"2"}
    )
    with pytest.raises(DataError, match="with and without names: 0, ant"):
        open_dataset(str(tmp_path), labels="folder")


def test_columns_that_contradict_each_other_are_refused(
    tmp_path: Path, pictures: Photographs
) -> None:
    root = miniatures.flat_with_csv(tmp_path / "set", pictures)
    rows = [(f"photo{i}.jpg", label) for i, (_, label) in enumerate(pictures)]

    def write(wrong: int | None) -> None:
        lines = [
            f"{name},{label},{wnids()[(label + (i == wrong)) % 1000]}"
            for i, (name, label) in enumerate(rows)
        ]
        (root / "labels.csv").write_text("\n".join(["file,label,wnid", *lines]))

    write(None)
    assert _pairs(_opened(root)) == set(pictures)
    write(3)
    label = rows[3][1]
    said = (
        rf"labels\.csv, line 5: photo3\.jpg has label {label} and wnid "
        rf"{wnids()[label + 1]} \(class {label + 1}\)"
    )
    with pytest.raises(DataError, match=said):
        _opened(root)


def test_boxes_of_two_classes_contradict_each_other(tmp_path: Path, pictures: Photographs) -> None:
    folder = miniatures.flat_with_kaggles_csv(tmp_path, pictures)
    path = tmp_path / "LOC_val_solution.csv"
    lines = path.read_text().splitlines()
    same = lines[1].partition(",")[2].strip()
    path.write_text("\n".join([lines[0], f"{lines[1]}{same}", *lines[2:]]))
    assert len(_opened(folder)) == 20
    path.write_text("\n".join([lines[0], f"{lines[1]}n01440764 1 2 3 4", *lines[2:]]))
    with pytest.raises(DataError, match=r"line 2: .* and PredictionString n01440764"):
        _opened(folder)


def _write(path: Path, columns: dict[str, object]) -> Path:
    path.mkdir(parents=True)
    pq.write_table(pa.table(columns), path / "a.parquet")
    return path


def test_wrong_parquet_files_are_refused(tmp_path: Path, pictures: Photographs) -> None:
    with pytest.raises(DataError, match=r"has no column 'label'; its columns are image, class"):
        _opened(_write(tmp_path / "a", {"image": [b"x"], "class": [1]}))
    with pytest.raises(DataError, match=r"'image' is string; expected struct<bytes, path>"):
        _opened(_write(tmp_path / "b", {"image": ["x"], "label": [1]}))
    with pytest.raises(DataError, match=r"'label' is string, no integer"):
        _opened(_write(tmp_path / "c", {"image": [b"x"], "label": ["1"]}))
    with pytest.raises(DataError, match=r"label 1000; .* 0 to 999"):
        _opened(_write(tmp_path / "d", {"image": [b"x"], "label": [1000]}))
    root = miniatures.parquet(tmp_path / "e", pictures)
    (root / "data" / "validation-00001-of-00002.parquet").unlink()
    with pytest.raises(DataError, match=r"shards are missing: 1"):
        _opened(root)
    file = root / "data" / "validation-00000-of-00002.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"no whole parquet file"):
        _opened(file)


def test_parquets_names_of_labels_are_checked(tmp_path: Path, pictures: Photographs) -> None:
    from bench.data.imagenet import class_names

    turned = [*class_names()[1:], class_names()[0]]
    with pytest.raises(DataError, match=r"not in ImageNet's order: label 0 is 'goldfish"):
        _opened(miniatures.parquet(tmp_path / "a", pictures, names=turned))
    by_wnid = [*wnids()[1:], wnids()[0]]
    shifted = _opened(miniatures.parquet(tmp_path / "b", pictures, names=by_wnid, paths=False))
    assert shifted.labels == tuple((label + 1) % 1000 for _, label in pictures)
    swapped = [class_names()[1], class_names()[0], *class_names()[2:]]
    with pytest.raises(DataError, match=r"label 0 is 'goldfish.*\(2 differ\)"):
        _opened(miniatures.parquet(tmp_path / "c", pictures, names=swapped))
    respelt = ["tenches", *class_names()[1:]]
    assert len(_opened(miniatures.parquet(tmp_path / "d", pictures, names=respelt))) == 20


def test_parquet_files_that_name_labels_differently_are_refused(
    tmp_path: Path, pictures: Photographs
) -> None:
    one = miniatures.parquet(tmp_path / "one", pictures)
    names = [*wnids()[1:], wnids()[0]]
    other = miniatures.parquet(tmp_path / "other", pictures, names=names)
    second = "data/validation-00001-of-00002.parquet"
    shutil.copy(other / second, one / second)
    with pytest.raises(DataError, match="names of labels are not those of"):
        _opened(one)


@pytest.mark.parametrize("metadata", ["no json", "[]", '{"info": {"features": null}}'])
def test_parquet_metadata_of_another_shape_is_one_line(
    tmp_path: Path, pictures: Photographs, metadata: str
) -> None:
    folder = miniatures.parquet(tmp_path, pictures, files=1)
    (path,) = (folder / "data").iterdir()
    pq.write_table(pq.read_table(path).replace_schema_metadata({"huggingface": metadata}), path)
    with pytest.raises(DataError, match="no names of labels"):
        _opened(folder)


def test_parquet_with_a_digest_in_its_name_is_one_set(
    tmp_path: Path, pictures: Photographs
) -> None:
    folder = miniatures.parquet(tmp_path, pictures)
    for path, digest in zip(
        sorted((folder / "data").iterdir()), ("e3b0c442", "98fc1c14"), strict=True
    ):
        path.rename(path.with_name(f"{path.stem}-{digest}.parquet"))
    assert len(_opened(folder)) == 20


def test_an_image_that_fits_a_pattern_twice_is_there_once(
    tmp_path: Path, pictures: Photographs
) -> None:
    folder = miniatures.webdataset(tmp_path / "set", pictures, shard=1)
    assert len(_opened(folder / "*{00000..000019}.tar")) == 20
    assert len(_opened(folder / "imagenet-val-{000000..000019}*.tar")) == 20
    for path in sorted(folder.iterdir()):
        path.rename(path.with_name(f"s{int(path.stem[-6:])}.tar"))
    assert len(_opened(folder / "s{0..19}*.tar")) == 20  # s1* is s10.tar too


@pytest.mark.parametrize("make", [miniatures.class_folders, miniatures.flat_with_csv])
def test_a_broken_link_is_an_image_that_cannot_be_read(
    tmp_path: Path, pictures: Photographs, make: Callable[..., Path]
) -> None:
    folder = make(tmp_path / "set", pictures)
    path = next(path for path in sorted(folder.rglob("*")) if path.suffix in (".JPEG", ".jpg"))
    path.unlink()
    path.symlink_to(tmp_path / "gone")
    dataset = _opened(folder)
    assert len(dataset) == 20
    with pytest.raises(FileNotFoundError):
        dataset.read(dataset.images.index(path.relative_to(folder).as_posix()))


def test_links_that_would_hide_images_are_refused(tmp_path: Path, pictures: Photographs) -> None:
    folder = miniatures.class_folders(tmp_path / "set", pictures)
    (folder / "n01440764x").symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match="n01440764x: a link to nothing"):
        _opened(folder)
    (folder / "n01440764x").unlink()
    (next(folder.iterdir()) / "more").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(DataError, match="more: a link to a folder"):
        _opened(folder)


def test_a_file_name_that_is_no_utf8_is_named(tmp_path: Path, pictures: Photographs) -> None:
    folder = miniatures.class_folders(tmp_path / "set", pictures)
    path = next(folder.glob("*/*"))
    path.rename(path.with_name(os.fsdecode(b"caf\xe9.JPEG")))
    with pytest.raises(DataError, match=r"caf.*no UTF-8: rename it"):
        _opened(folder)


def test_a_tar_with_links_or_with_another_behind_it_is_refused(
    tmp_path: Path, pictures: Photographs
) -> None:
    whole = miniatures.tar_of_class_folders(tmp_path / "a", pictures)
    linked = tmp_path / "linked.tar"
    shutil.copy(whole, linked)
    with tarfile.open(linked, "a") as archive:
        info = tarfile.TarInfo("val/n01440764/link.JPEG")
        info.type, info.linkname = tarfile.SYMTYPE, "x.JPEG"
        archive.addfile(info)
    with pytest.raises(DataError, match=r"link\.JPEG is a link.*--dereference"):
        _opened(linked)
    twice = tmp_path / "twice.tar"
    twice.write_bytes(2 * whole.read_bytes())
    with pytest.raises(DataError, match="more data after its end, after 20 files"):
        _opened(twice)


@pytest.mark.parametrize(
    ("text", "said"),
    [('file,label\n"a.jpg,' + "x" * 140_000, "no CSV file"), ("file,label\na,3\n", "are alike")],
)
def test_a_csv_that_cannot_be_matched_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    for name in ("a.jpg", "a.png"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        _opened(tmp_path)


def test_parquet_keeps_few_row_groups(
    tmp_path: Path, pictures: Photographs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded, and reading in order decodes each row group once."""
    monkeypatch.setattr("bench.data.layouts.parquet._KEPT_BYTES", 1)
    dataset = _opened(miniatures.parquet(tmp_path / "set", pictures))
    reader = dataset.reader
    reads = []
    real = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_group",
        lambda self, i, **more: reads.append(i) or real(self, i, **more),
    )
    for i in range(20):
        dataset.read(i)
        assert len(reader._kept) == 1
    assert len(reads) == 8


def test_torchvisions_root_is_checked(tmp_path: Path, pictures: Photographs) -> None:
    root = miniatures.torchvision_root(tmp_path / "root", pictures)
    image = next((root / "val").glob("*/*.JPEG"))
    other = root / "val" / "n01440764"
    other.mkdir(exist_ok=True)
    image.rename(other / image.name)
    with pytest.raises(DataError, match=rf"{image.name} belongs to {image.parent.name}"):
        _opened(root)
    (root / "meta.bin").write_bytes(b"else")
    with pytest.raises(DataError, match=r"is not the meta\.bin that torchvision writes"):
        _opened(root)
    shutil.rmtree(root / "val")
    with pytest.raises(DataError, match=r"meta\.bin without val"):
        _opened(root)


def test_a_meta_bin_runs_no_code(tmp_path: Path, pictures: Photographs) -> None:
    import torch

    root = miniatures.torchvision_root(tmp_path / "root", pictures)
    torch.save((Path("harmless"), []), root / "meta.bin")
    with pytest.raises(DataError, match=r"is not the meta\.bin"):
        _opened(root)


def test_an_unknown_or_mixed_layout_is_told(tmp_path: Path, pictures: Photographs) -> None:
    root = miniatures.class_folders(tmp_path / "val", pictures)
    (root / "loose.jpg").write_bytes(pictures[0][0])
    with pytest.raises(DataError, match=r"found \d+ folders \(.*\), 1 loose image \(loose\.jpg\)"):
        _opened(root)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"no layout that is known: found .*notes\.txt.*parquet"):
        _opened(tmp_path / "notes.txt")


def test_other_names_that_lie_flat_need_labels(tmp_path: Path, pictures: Photographs) -> None:
    root = miniatures.flat_with_csv(tmp_path / "set", pictures)
    (root / "labels.csv").unlink()
    with pytest.raises(DataError, match=r"photo0\.jpg.* is no name of the validation set"):
        _opened(root)


def test_numbers_of_the_validation_set_are_read_from_names() -> None:
    names = ["ILSVRC2012_val_00000007.JPEG", "a/ILSVRC2012_val_00000007_n01440764.JPEG", "7.jpg"]
    assert [val_number(name) for name in names] == [7, 7, None]
