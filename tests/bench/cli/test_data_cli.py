"""``--data`` names sets: what was recognised is told, and each condition of ImageNet-C is a row."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.dataset import Dataset
from reports import load_frame
from tests.bench.data import miniatures
from tests.command import call


@pytest.fixture
def run(tmp_path: Path) -> list[str]:
    store = str(tmp_path / "store")
    return ["run", "efficientnet_lite0", "--figures", "top1", "--batch", "1", "--store", store]


def test_each_condition_of_imagenet_c_is_a_row(
    run: list[str], tmp_path: Path, sample_set: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = miniatures.photographs_of(sample_set)[:1]
    for severity in (1, 2):
        miniatures.class_folders(tmp_path / "C" / "fog" / str(severity), pictures)
    assert call(*run, "--data", f"c:{tmp_path / 'C'}") == 0
    printed = capsys.readouterr().out
    assert "efficientnet_lite0: no mCE of 2 of 75 conditions" in printed
    frame = load_frame(run[-1])
    assert sorted(frame["dataset_kind"]) == ["imagenet-c/fog/1", "imagenet-c/fog/2"]
    assert frame["top1"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "v3:val"], "unknown set 'v3'; did you mean v2"),
        (["--data", "real:{folder}"], "ReaL's labels are found by file names"),
        (["--data", "a:{folder}"], "of classes that ImageNet-A does not have"),
        (["--data", "{folder}", "--labels", "none.csv"], "unknown labels 'none.csv'"),
        (["--data", "val:{folder}", "--labels", "folder"], "leave out --labels folder"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(
    run: list[str],
    class_folders: Path,
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(*run, *(word.format(folder=class_folders) for word in words)) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_a_run_names_what_it_leaves_out_what_is_odd_and_a_wrong_count(
    run: list[str], tmp_path: Path, sample_set: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    root = miniatures.class_folders(tmp_path / "val", miniatures.photographs_of(sample_set)[:2])
    (root / "lost+found").mkdir()
    deep = min(root.glob("n*")) / "ILSVRC2012_val_00000000.png"
    Image.fromarray(np.zeros((300, 300), np.uint16)).save(deep)
    assert call(*run, "--data", str(root)) == 0
    said = capsys.readouterr().err
    assert "warning: val: 49,997 images missing of the set's 50,000" in said
    left_out = "left out, as hidden, of the system, or not images: 1: lost+found"
    assert left_out in said
    assert left_out in load_frame(run[-1])["reason"].iloc[0]  # the row says so too
    assert f"odd: {deep.relative_to(root)}: PNG of more than 8 bits" in said
    assert "odd: " in load_frame(run[-1])["reason"].iloc[0]
