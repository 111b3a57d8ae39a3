"""``--data`` names sets: what was recognised is told, and each condition of ImageNet-C is a row."""

from pathlib import Path

import pytest

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
