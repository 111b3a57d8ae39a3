"""``zoobench predict`` as a user types it, on the sample's photographs and weights."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.cli.main import main

Capture = pytest.CaptureFixture[str]

# The sample's dalmatian, bald eagle and goose.
DALMATIAN, EAGLE, GOOSE = 16, 17, 15


def _call(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(words))
    assert isinstance(caught.value.code, int | None)
    return caught.value.code or 0


def test_two_models_name_two_photographs_and_agree(
    photographs: list[Path], tmp_path: Path, capsys: Capture
) -> None:
    grid = tmp_path / "grid.png"
    files = [str(photographs[i]) for i in (DALMATIAN, EAGLE)]
    words = ("--models", "*lite0,*lite1", "--top", "2", "--grid", str(grid))
    assert _call("predict", *files, *words) == 0
    out, err = capsys.readouterr()
    first, second = out.strip().split("\n\n")
    assert first.startswith(files[0])
    assert "%  dalmatian (251)" in first
    assert "all 2 models agree: dalmatian" in first
    assert "all 2 models agree: bald eagle" in second
    assert sum("%" in line for line in first.splitlines()) == 4
    assert str(grid) in err
    with Image.open(grid) as image:
        assert image.format == "PNG"
        assert image.width > image.height  # two pictures side by side


def test_json_has_the_same_probabilities_as_the_evaluation(
    photographs: list[Path], tmp_path: Path, capsys: Capture
) -> None:
    import pyarrow.parquet as pq

    assert _call("predict", str(photographs[GOOSE]), "--models", "*lite0", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    store = tmp_path / "store"
    assert _call("run", "*lite0", "--figures", "top1", "--batch", "2", "--store", str(store)) == 0
    (file,) = store.glob("**/predictions.parquet")
    rows = pq.read_table(file).to_pylist()
    (row,) = [row for row in rows if row["image"] == photographs[GOOSE].name]
    top = answer["models"][0]["top"]
    assert [guess["class"] for guess in top] == list(row["top5"])
    assert top[0]["probability"] == pytest.approx(row["prob"], rel=1e-4)
    assert top[0]["name"] == "goose"
    assert answer["agree"] is None


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(
    photographs: list[Path], tmp_path: Path, capsys: Capture
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(photographs[DALMATIAN], folder / "dog.jpg")
    (folder / "cut.jpg").write_bytes(photographs[EAGLE].read_bytes()[:5000])
    words = ("--models", "*lite0", "--top", "1")
    assert _call("predict", str(folder), "missing.jpg", *words) == 1
    out, err = capsys.readouterr()
    assert "dalmatian" in out
    assert "cut.jpg: cannot be read: " in err
    assert "missing.jpg: cannot be read: No such file or directory" in err


def test_an_odd_picture_is_named(tmp_path: Path, capsys: Capture) -> None:
    Image.fromarray(np.zeros((300, 300), np.uint16)).save(tmp_path / "deep.png")
    assert _call("predict", str(tmp_path), "--models", "*lite0") == 0
    assert "deep.png: odd: PNG of more than 8 bits" in capsys.readouterr().err


def test_a_model_without_weights_is_named_and_the_others_speak(
    photographs: list[Path], tmp_path: Path, capsys: Capture
) -> None:
    manifest = tmp_path / "zoo.toml"
    preprocess = (
        "preprocess = { resize_px = 256, crop_px = 224, interpolation = 'bicubic', "
        "mean = [0.5, 0.5, 0.5], std = [0.5, 0.5, 0.5] }\n"
    )
    manifest.write_text(
        "schema = 1\n"
        "[[entry]]\nname = 'untrained'\nsource = 'timm'\narchitecture = 'resnet18'\n"
        "[[entry]]\nname = 'gone'\nsource = 'checkpoint'\nlibrary = 'timm'\n"
        f"architecture = 'resnet18'\nweights = {{ file = 'gone.pth' }}\n{preprocess}"
    )
    words = ("--manifest", str(manifest), "--json")
    assert _call("predict", str(photographs[0]), *words) == 1
    out, err = capsys.readouterr()
    assert "untrained: skipped: entry 'untrained' names no weights" in err
    assert "gone: skipped: " in err
    assert json.loads(out)["models"] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "no picture: none is named"),
        (("a.jpg", "--models", "efficientnet_lite9"), "did you mean efficientnet_lite"),
        (("a.jpg", "--grid", "grid.jpg"), "--grid"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    words: tuple[str, ...], message: str, capsys: Capture
) -> None:
    assert _call("predict", *words) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("words", [["--help"], ["PHOTO", "--models", "*lite0", "--top", "1"]])
def test_the_command_itself_loads_neither_torch_nor_pandas(
    words: list[str], photographs: list[Path]
) -> None:
    words = [str(photographs[0]) if word == "PHOTO" else word for word in words]
    code = (
        "import sys\n"
        "from bench.cli.main import main\n"
        "if __name__ == '__main__':\n"
        "    try:\n"
        f"        main({['predict', *words]!r})\n"
        "    except SystemExit as end:\n"
        "        assert not end.code, end.code\n"
        "    heavy = {'torch', 'timm', 'pandas', 'matplotlib'} & set(sys.modules)\n"
        "    assert not heavy, heavy\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_what_was_taken_from_a_file_of_weights_is_reported(
    photographs: list[Path], tmp_path: Path, capsys: Capture
) -> None:
    import timm
    import torch

    state = timm.create_model("test_resnet").state_dict()
    torch.save({"state_dict": state, "state_dict_ema": state}, tmp_path / "a.pth")
    manifest = tmp_path / "m.toml"
    manifest.write_text(
        'schema = 1\n[[entry]]\nname = "a"\nsource = "checkpoint"\nlibrary = "timm"\n'
        'architecture = "test_resnet"\nweights = { file = "a.pth" }\n[entry.preprocess]\n'
        'resize_px = 168\ncrop_px = 160\ninterpolation = "bicubic"\nmean = [0, 0, 0]\n'
        "std = [1, 1, 1]\n"
    )
    assert _call("predict", str(photographs[EAGLE]), "--manifest", str(manifest)) == 0
    err = capsys.readouterr().err
    assert "zoobench: a: EMA weights from 'state_dict_ema'" in err


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("tf_efficientnet_b0_ns", 'write architecture = "tf_efficientnet_b0", weights = { tag = '),
        ("resnet18.no_such_tag", "unknown timm tag of resnet18 'no_such_tag'"),
    ],
)
def test_a_mistake_in_an_entry_is_the_reason_why_it_is_skipped(
    photographs: list[Path], tmp_path: Path, capsys: Capture, architecture: str, message: str
) -> None:
    manifest = tmp_path / "m.toml"
    manifest.write_text(
        f'schema = 1\n[[entry]]\nname = "a"\nsource = "timm"\narchitecture = "{architecture}"\n'
    )
    assert _call("predict", str(photographs[EAGLE]), "--manifest", str(manifest)) == 1
    assert "a: skipped: entry 'a': field 'architecture': " in (err := capsys.readouterr().err)
    assert message in err


def test_what_is_not_a_file_in_a_folder_is_named(
    photographs: list[Path], tmp_path: Path, capsys: Capture
) -> None:
    shutil.copy(photographs[EAGLE], tmp_path / "eagle.jpg")
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "broken.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "folder.jpg").mkdir()
    assert _call("predict", str(tmp_path), "--models", "efficientnet_lite0") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f"zoobench: {tmp_path}/broken.jpg: cannot be read: No such file or directory",
        f"zoobench: {tmp_path}/fifo.jpg: cannot be read: a FIFO, not a file",
    ]
