"""A dataset's labels are right or it is refused; it never shrinks in silence."""

import random
import shutil
from pathlib import Path

import pytest

from bench.data.dataset import Dataset, open_dataset
from bench.data.imagenet import class_names, wnids
from zoo.errors import DataError


def test_wnid_folders_have_imagenets_labels_whatever_subset_is_there(
    class_folders: Path, sample_set: Dataset
) -> None:
    dataset = open_dataset(str(class_folders), labels="imagenet")
    found = {
        Path(image).name: label for image, label in zip(dataset.images, dataset.labels, strict=True)
    }
    assert found == dict(zip(sample_set.images, sample_set.labels, strict=True))
    assert dataset.classes == 1000


def test_the_class_list_is_imagenets() -> None:
    assert len(set(wnids())) == 1000
    assert (wnids()[0], wnids()[207]) == ("n01440764", "n02099601")
    assert "golden_retriever" in class_names()[207].replace(" ", "_")


def test_the_sample_sets_labels_are_those_of_its_file_names(sample_set: Dataset) -> None:
    assert len(sample_set) == 20
    assert sample_set.images[0] == "imagenet_00_243.jpg"
    assert sample_set.labels[:3] == (243, 559, 438)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: None, "no such data folder"),
        (lambda root: root.mkdir(), "no images in it; expected class folders"),
        (lambda root: (root / "cats").mkdir(parents=True), "no ImageNet-1k WordNet ids: cats"),
        (lambda root: (root / "n01440764").mkdir(parents=True), "no images in it; expected class"),
    ],
)
def test_a_wrong_folder_is_refused(tmp_path: Path, make: object, message: str) -> None:
    assert callable(make)
    make(tmp_path / "val")
    with pytest.raises(DataError, match=message):
        open_dataset(str(tmp_path / "val"), labels="imagenet")


def test_a_misspelt_folder_is_offered(class_folders: Path) -> None:
    with pytest.raises(DataError, match=f"did you mean {class_folders}"):
        open_dataset(f"{class_folders}l", labels="imagenet")


def test_other_names_are_numbered_only_when_asked(tmp_path: Path, photographs: list[Path]) -> None:
    for name, path in zip(["zebra", "ant"], photographs, strict=False):
        (tmp_path / name).mkdir()
        shutil.copy(path, tmp_path / name)
    dataset = open_dataset(str(tmp_path), labels="folder")
    assert [image.split("/")[0] for image in dataset.images] == ["ant", "zebra"]
    assert (dataset.labels, dataset.classes) == ((0, 1), 2)


def test_every_visible_file_counts_as_an_image(class_folders: Path) -> None:
    """A stray text file is named when it is read, rather than left out in silence."""
    before = len(open_dataset(str(class_folders), labels="imagenet"))
    folder = next(class_folders.iterdir())
    (folder / "notes.txt").write_text("hello")
    (folder / ".DS_Store").write_text("hidden")
    assert len(open_dataset(str(class_folders), labels="imagenet")) == before + 1


def test_the_digest_sees_names_labels_and_sizes(class_folders: Path) -> None:
    def digest() -> str:
        return open_dataset(str(class_folders), labels="imagenet").digest

    first = digest()
    assert digest() == first
    image = next(class_folders.glob("*/*.jpg"))
    image.write_bytes(image.read_bytes() + b"\0")
    second = digest()
    image.rename(image.with_name("renamed.jpg"))
    assert len({first, second, digest()}) == 3


def test_a_limit_spreads_over_the_classes(sample_set: Dataset) -> None:
    limited = sample_set.limited(5)
    assert limited.images == sample_set.images[::4]
    assert limited.digest != sample_set.digest
    assert sample_set.limited(99) is sample_set


def test_the_order_on_disk_does_not_matter(tmp_path: Path, photographs: list[Path]) -> None:
    names = [f"{wnid}/{i}.jpg" for wnid in random.Random(0).sample(wnids(), 5) for i in (10, 9, 1)]
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        shutil.copy(photographs[0], path)
    assert list(open_dataset(str(tmp_path), labels="imagenet").images) == sorted(names)
