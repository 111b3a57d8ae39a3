"""Each test set's labels, order and mask, on the sample's photographs in the set's real layout."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.data.dataset import Dataset, each_of, open_dataset, open_told
from bench.data.imagenet import wnids
from bench.data.labels import labels_by_number
from bench.data.sets.masked import classes_of
from bench.data.sets.real import real_labels
from bench.measure import scoring
from bench.records import EndToEnd, Stages
from tests.bench.data import miniatures
from tests.bench.data.miniatures import Photographs
from zoo.errors import DataError, UnknownNameError
from zoo.imagenet_c import SEVERITIES


@pytest.fixture(scope="session")
def pictures(sample_set: Dataset) -> Photographs:
    return miniatures.photographs_of(sample_set)


def _opened(path: object) -> Dataset:
    return open_dataset(str(path), labels="imagenet")


def _write(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def _scored(dataset: Dataset, logits: np.ndarray) -> tuple[scoring.Predictions, object]:
    """Score made-up logits (images, classes) as a run does."""
    predictions = scoring.Predictions.empty(len(dataset), 5)
    every = np.arange(len(dataset))
    tensor = torch.from_numpy(logits.astype(np.float32))
    read = scoring.read_out(tensor, len(dataset), list(every), every, dataset)
    predictions.top[:], predictions.prob[:], predictions.label_prob[:] = read
    predictions.readable[:] = True
    stages = Stages(read_decode_s=1, resize_s=1, copy_s=1, model_s=1)
    timed = EndToEnd(images=1, seconds=1, lanes=1, stages=stages)
    return predictions, scoring.evidence(dataset, predictions, timed, len(dataset))


def _logits(choices: list[list[int]]) -> np.ndarray:
    """Logits whose largest are the choices of each image, in their order."""
    logits = np.zeros((len(choices), 1000))
    for row, classes in zip(logits, choices, strict=True):
        row[classes] = 10 - np.arange(len(classes))
    return logits


# ImageNet-1k's validation set


def test_the_validation_set_is_known_by_its_names(tmp_path: Path, pictures: Photographs) -> None:
    opened = open_told(str(miniatures.class_folders(tmp_path / "x", pictures)), labels="imagenet")
    assert opened.dataset.kind == "imagenet-val"
    assert opened.recognised
    assert "validation set, recognised by its names, 20 of 50,000 images" in opened.describe()
    assert _opened(miniatures.parquet(tmp_path / "hf", pictures)).kind == "imagenet-val"


def test_other_images_of_its_classes_do_not_pass_for_it(
    class_folders: Path, tmp_path: Path
) -> None:
    dataset = _opened(class_folders)
    assert dataset.kind == "imagenet-labels"
    claimed = _opened(f"val:{class_folders}")
    assert claimed.kind == "imagenet-val"
    assert claimed.images == dataset.images
    assert claimed.digest != dataset.digest  # so that no row is kept under the other's name


# ReaL


def test_real_takes_any_right_label_and_leaves_out_images_without(
    tmp_path: Path, pictures: Photographs
) -> None:
    data = pictures[0][0]
    real = real_labels()
    none, one, several = (
        next(i for i, labels in enumerate(real) if condition(labels))
        for condition in (lambda x: not x, lambda x: len(x) == 1, lambda x: len(x) >= 2)
    )
    names = {i: f"n01440764/ILSVRC2012_val_{i + 1:08d}.JPEG" for i in (none, one, several)}
    dataset = _opened(f"real:{_write(tmp_path / 'val', dict.fromkeys(names.values(), data))}")
    assert dataset.kind == "imagenet-real"
    assert set(dataset.images) == {names[one], names[several]}
    assert dataset.note == "1 images without a right label left out"
    place = dataset.images.index(names[several])
    assert dataset.right_labels is not None
    assert dataset.right_labels[place] == tuple(real[several])
    assert dataset.labels[place] == real[several][0]

    wrong = next(label for label in range(1000) if label not in real[one] + real[several])
    choices = [[wrong]] * 2
    choices[place] = [real[several][-1]]
    predictions, evidence = _scored(dataset, _logits(choices))
    assert evidence.correct_top1 == 1
    assert evidence.images == evidence.images_in_dataset == 2
    choices[1 - place] = [wrong, *real[one]]
    assert _scored(dataset, _logits(choices))[1].correct_top5 == 2

    import io

    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(scoring.parquet("x", dataset, predictions))).to_pydict()
    assert table["labels"][place] == real[several]
    assert table["label"][place] == real[several][0]


def test_real_has_46837_labelled_images() -> None:
    from bench.data.sets.real import SET

    assert SET.images == sum(1 for labels in real_labels() if labels)


def test_real_needs_the_names_of_the_validation_set(class_folders: Path) -> None:
    with pytest.raises(DataError, match=r"ReaL's labels are found by file names like"):
        _opened(f"real:{class_folders}")


def test_a_limit_keeps_right_labels_beside_their_images(
    tmp_path: Path, pictures: Photographs
) -> None:
    dataset = _opened(f"real:{miniatures.class_folders(tmp_path / 'val', pictures)}")
    limited = dataset.limited(3)
    assert limited.right_labels is not None
    assert dataset.right_labels is not None
    for image, right in zip(limited.images, limited.right_labels, strict=True):
        assert right == dataset.right_labels[dataset.images.index(image)]


# V2


def test_v2s_folders_are_class_indices_not_alphabetical(
    tmp_path: Path, pictures: Photographs
) -> None:
    files = {f"{label}/{i}.jpeg": data for i, (data, label) in enumerate(pictures)}
    root = _write(tmp_path / "imagenetv2-matched-frequency-format-val", files)
    dataset = _opened(f"v2:{root}")
    assert dataset.kind == "imagenet-v2"
    assert {(dataset.read(i), n) for i, n in enumerate(dataset.labels)} == set(pictures)
    with pytest.raises(DataError, match=r"v2:DIR takes numbers as"):
        _opened(root)
    for label in range(1000):
        (root / str(label)).mkdir(exist_ok=True)
    whole = open_told(str(root), labels="imagenet")
    assert (whole.dataset.kind, whole.recognised) == ("imagenet-v2", True)
    assert whole.dataset.labels == dataset.labels
    alphabetical = open_dataset(str(root), labels="folder").labels
    assert alphabetical != dataset.labels


def test_v2_by_wordnet_ids_is_v2_too(class_folders: Path) -> None:
    assert _opened(f"v2:{class_folders}").labels == _opened(class_folders).labels
    (class_folders / "12").mkdir()
    with pytest.raises(DataError, match=r"folders with and without numbers"):
        _opened(f"v2:{class_folders}")


# A and R


@pytest.mark.parametrize("letter", ["a", "r"])
def test_a_and_r_are_predicted_among_their_200_classes(
    tmp_path: Path, pictures: Photographs, letter: str
) -> None:
    data = pictures[0][0]
    theirs = classes_of(letter)
    root = _write(tmp_path / "set", {f"{wnid}/art_{i}.jpg": data for i, wnid in enumerate(theirs)})
    opened = open_told(str(root), labels="imagenet")
    dataset = opened.dataset
    assert (dataset.kind, opened.recognised) == (f"imagenet-{letter}", True)
    assert "predictions among its 200 classes" in opened.describe()
    assert dataset.mask == tuple(sorted(wnids().index(wnid) for wnid in theirs))
    assert len(dataset.mask) == 200

    outside = next(label for label in range(1000) if label not in dataset.mask)
    logits = _logits([[outside, label] for label in dataset.labels])
    predictions, evidence = _scored(dataset, logits)
    assert evidence.correct_top1 == 200
    assert set(predictions.top.ravel().tolist()) <= set(dataset.mask)
    # The label's probability is 1 / (1 + 199 e^-9), of 200 outputs.
    assert predictions.label_prob == pytest.approx(1 / (1 + 199 * np.exp(-9)), rel=1e-5)
    unmasked = replace(dataset, mask=None)
    assert _scored(unmasked, logits)[1].correct_top1 == 0
    assert unmasked.digest != dataset.digest


def test_a_prefix_is_enough_for_a_part_of_a(tmp_path: Path, pictures: Photographs) -> None:
    data = pictures[0][0]
    root = _write(tmp_path / "set", {f"{wnid}/1.jpg": data for wnid in classes_of("a")[:3]})
    assert _opened(root).mask is None
    assert len(_opened(f"a:{root}").mask or ()) == 200
    other = next(wnid for wnid in wnids() if wnid not in classes_of("a"))
    _write(root, {f"{other}/1.jpg": data})
    with pytest.raises(DataError, match=rf"ImageNet-A does not have, such as {other}/1\.jpg"):
        _opened(f"a:{root}")


def test_the_validation_sets_images_of_as_classes_are_not_a(
    tmp_path: Path, pictures: Photographs
) -> None:
    files = {
        f"{wnids()[label]}/ILSVRC2012_val_{number:08d}.JPEG": pictures[0][0]
        for number, label in labels_by_number().items()
        if wnids()[label] in classes_of("a")
    }
    assert _opened(_write(tmp_path / "set", files)).kind == "imagenet-val"


def test_the_validation_sets_names_under_other_labels_are_refused(
    tmp_path: Path, pictures: Photographs
) -> None:
    files = {"n01440764/ILSVRC2012_val_00000001.JPEG": pictures[0][0]}  # a sea snake
    with pytest.raises(DataError, match=r"has the label n01440764.*of that name has n01751748"):
        _opened(_write(tmp_path / "set", files))


# Sketch


def test_sketch_is_known_by_its_names(tmp_path: Path, pictures: Photographs) -> None:
    files = {f"{wnids()[label]}/sketch_{i}.JPEG": d for i, (d, label) in enumerate(pictures)}
    dataset = _opened(_write(tmp_path / "sketch", files))
    assert dataset.kind == "imagenet-sketch"
    assert {(dataset.read(i), n) for i, n in enumerate(dataset.labels)} == set(pictures)


# C


def test_c_is_a_dataset_a_condition(tmp_path: Path, pictures: Photographs) -> None:
    root = tmp_path / "ImageNet-C"
    for corruption in ("gaussian_noise", "fog", "speckle_noise"):
        for severity in SEVERITIES:
            miniatures.class_folders(root / corruption / str(severity), pictures[:2])
    found = each_of(f"c:{root}")
    assert len(found) == 15
    assert found == each_of(str(root))
    assert found[0] == f"c:{root}/gaussian_noise/1"
    dataset = _opened(found[2])
    assert (dataset.name, dataset.kind) == ("gaussian_noise/3", "imagenet-c/gaussian_noise/3")
    # Its images have the validation set's names, and are not the validation set.
    assert _opened(root / "fog" / "2").kind == "imagenet-c/fog/2"
    assert _opened(found[2]).digest != _opened(found[3]).digest


def test_c_needs_a_corruption_and_a_severity(class_folders: Path) -> None:
    with pytest.raises(DataError, match=r"expected a corruption and a severity"):
        _opened(f"c:{class_folders}")


# a user's own


def test_own_classes_are_alphabetical(tmp_path: Path, pictures: Photographs) -> None:
    files = {f"{name}/{i}.jpg": pictures[i][0] for i, name in enumerate(["wolf", "ant", "bee"])}
    dataset = open_dataset(str(_write(tmp_path / "own", files)), labels="folder")
    assert (dataset.kind, dataset.classes, dataset.labels) == ("own", 3, (0, 1, 2))
    with pytest.raises(DataError, match=r"leave out --labels folder"):
        open_dataset(f"val:{tmp_path / 'own'}", labels="folder")


def test_splits_are_not_classes(tmp_path: Path, pictures: Photographs) -> None:
    files = {f"{split}/a.jpg": pictures[0][0] for split in ("train", "val")}
    with pytest.raises(DataError, match=r"splits, not classes: give one, like .*/val$"):
        open_dataset(str(_write(tmp_path, files)), labels="folder")
    (tmp_path / "ant").mkdir()
    assert open_dataset(str(tmp_path), labels="folder").classes == 3


def test_numbers_of_v2_are_written_in_one_way(tmp_path: Path, pictures: Photographs) -> None:
    files = {f"{number}/a.jpg": pictures[0][0] for number in ("7", "007")}
    with pytest.raises(DataError, match="the folder 007 is not a class index: write 7"):
        _opened(f"v2:{_write(tmp_path, files)}")


def test_two_files_of_one_number_are_refused(tmp_path: Path, pictures: Photographs) -> None:
    root = miniatures.class_folders(tmp_path / "val", pictures)
    first = min(root.glob("*/*"))
    (first.parent / f"{first.stem}_copy.JPEG").write_bytes(b"")
    with pytest.raises(DataError, match=f"{first.name} and .*_copy.JPEG have the same number"):
        _opened(root)


def test_own_parquet_has_the_order_of_its_schema(tmp_path: Path, pictures: Photographs) -> None:
    own = [(data, i % 3) for i, (data, _) in enumerate(pictures[:6])]
    root = miniatures.parquet(tmp_path / "own", own, names=["wolf", "ant", "bee"], paths=False)
    dataset = open_dataset(str(root), labels="folder")
    assert (dataset.classes, dataset.labels) == (3, (0, 1, 2, 0, 1, 2))


# all


def test_a_wrong_prefix_is_answered_with_the_nearest(class_folders: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown set 'sketchy'; did you mean sketch"):
        _opened(f"sketchy:{class_folders}")


def test_labels_are_a_word_or_a_file(class_folders: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean folder"):
        open_dataset(str(class_folders), labels="folders")


def test_the_sample_set_is_no_other(tmp_path: Path) -> None:
    assert each_of("sample") == ["sample"]
    assert open_told("sample", labels="imagenet").dataset.kind == "sample"


def test_a_set_of_the_validation_sets_size_is_asked_about(class_folders: Path) -> None:
    opened = open_told(str(class_folders), labels="imagenet")
    assert not opened.unclaimed_val
    many = opened.dataset.chosen([i % 20 for i in range(50_000)], "")
    assert f"say val:{class_folders}" in replace(opened, dataset=many).describe()
    claimed = open_told(f"val:{class_folders}", labels="imagenet")
    assert not replace(claimed, dataset=many).unclaimed_val
