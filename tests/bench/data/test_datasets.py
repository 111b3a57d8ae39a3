"""A dataset's labels are right or it is refused; it never shrinks in silence."""

import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.data.dataset import Dataset, one_field, open_dataset, open_told
from bench.data.imagenet import class_names, labels_named, wnids
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
        (
            lambda root: (root / "cats").mkdir(parents=True),
            "not ImageNet-1k's: cats",
        ),
        (lambda root: (root / "n01440764").mkdir(parents=True), "no images in it; expected class"),
        (
            lambda root: (root / "n01440764" / ".a").mkdir(parents=True),
            r"no images in it \(val: left out, .*: 1: n01440764/\.a\); expected class",
        ),
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


def _dataset(rows: list[tuple[str, int, int]]) -> Dataset:
    images, labels, sizes = zip(*rows, strict=True)
    return Dataset("x", "own", Path(), images, labels, sizes, classes=10)


def test_names_with_tabs_and_newlines_do_not_collide() -> None:
    two = _dataset([("a", 1, 2), ("b", 3, 4)])
    assert two.digest != _dataset([("a\t1\t2\nb", 3, 4)]).digest
    encoded = one_field("a\tb")
    assert _dataset([("a\tb", 1, 2)]).digest != _dataset([(encoded, 1, 2)]).digest


def test_the_digest_of_ordinary_names_is_as_in_earlier_releases() -> None:
    expected = "f12466bc2443f3cdbf78716df4927bc28ab48e81b084156c825adc6731525e46"
    assert _dataset([("n01440764/é 'x'.JPEG", 1, 2), ("b", 3, 4)]).digest == expected


@given(st.lists(st.text(st.sampled_from('ab\t\n"\\'), min_size=1), min_size=2, max_size=2))
def test_a_field_is_one_line_and_different_for_each_name(names: list[str]) -> None:
    fields = [one_field(name) for name in names]
    assert not set("\t\n") & set("".join(fields))
    assert (fields[0] == fields[1]) == (names[0] == names[1])


# Names of classes


def _class_folder(root: Path, names: list[str], photograph: Path) -> str:
    for name in names:
        (root / name).mkdir(parents=True)
        shutil.copy(photograph, root / name)
    return str(root)


def test_class_names_in_words_are_matched(tmp_path: Path, photographs: list[Path]) -> None:
    names = ["tench", "Great_White_Shark", "goldfish, Carassius auratus", "n01494475"]
    opened = open_told(_class_folder(tmp_path, names, photographs[0]), labels="imagenet")
    folders = [image.split("/")[0] for image in opened.dataset.images]
    found = dict(zip(folders, opened.dataset.labels, strict=True))
    assert found == {
        "tench": 0,
        "Great_White_Shark": 2,
        "goldfish, Carassius auratus": 1,
        "n01494475": 4,
    }
    assert any("3 folders matched to ImageNet's classes by name" in r for r in opened.remarks)


@given(label=st.integers(0, 999))
def test_a_name_in_words_is_its_class_or_several(label: int) -> None:
    name = class_names()[label]
    for word in (name, name.partition(",")[0], name.partition(",")[0].replace(" ", "_").upper()):
        assert label in labels_named(word)
    assert labels_named(wnids()[label]) == (label,)


@pytest.mark.parametrize(
    ("names", "advice", "never"),
    [
        (["crane"], "'crane' is the name of 2 classes: rename it to n02012849 or n03126707", ""),
        (["N01440764"], "write WordNet ids in lower case: n01440764", "--labels folder"),
        (["n01440764", "copies"], "move them away if they are not classes", "--labels folder"),
        (["tench", "my goldfish"], "rename these to WordNet ids", "--labels folder"),
        (["cat", "dog"], "for classes of your own, --labels folder", ""),
        (["²"], "rename them to WordNet ids", ""),
    ],
)
def test_advice_about_names_leads_to_right_labels(
    tmp_path: Path, photographs: list[Path], names: list[str], advice: str, never: str
) -> None:
    data = _class_folder(tmp_path, names, photographs[0])
    with pytest.raises(DataError) as caught:
        open_dataset(data, labels="imagenet")
    assert advice in str(caught.value)
    assert not never or never not in str(caught.value)


def test_a_class_without_images_may_have_any_name(tmp_path: Path, photographs: list[Path]) -> None:
    data = _class_folder(tmp_path, ["tench"], photographs[0])
    (tmp_path / "crane 2").mkdir()
    assert open_dataset(data, labels="imagenet").labels == (0,)


@pytest.mark.parametrize(("own", "warned"), [(0, True), (90, True), (110, False)])
def test_imagenet_in_words_numbered_alphabetically_is_warned_of(
    tmp_path: Path, photographs: list[Path], own: int, warned: bool
) -> None:
    """Also if a few of 1000 folders have other names, as ``crane 517`` has."""
    root = tmp_path / "words"
    for label, name in enumerate(class_names()):
        word = name.partition(",")[0].replace("/", " ")
        is_own = len(labels_named(word)) > 1 or 1 <= label <= own
        (root / (f"{word} {label}" if is_own else word)).mkdir(parents=True)
    shutil.copy(photographs[0], root / "tench")
    remarks = open_told(str(root), labels="folder").remarks
    said = ["not ImageNet's order: leave it out" in remark for remark in remarks]
    assert said == ([True] if warned else [])


def test_a_few_names_of_imagenet_among_own_classes_are_no_matter(
    tmp_path: Path, photographs: list[Path]
) -> None:
    own = _class_folder(tmp_path / "own", ["ant", "bee"], photographs[0])
    assert not open_told(own, labels="folder").remarks
