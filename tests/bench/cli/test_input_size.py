"""``run --input-size``: the size is chosen, or the published one, and the row says which."""

import json
from pathlib import Path

import pandas as pd
import pytest

from bench.store import Store
from tests.command import call

Capture = pytest.CaptureFixture[str]
# Trained at 176 px, tested at 224 px.
MODEL = "timm:resnet14t.c3_in1k"


def _rows(store: Path) -> dict[str, str]:
    """Return the notes of each row by the size of its input."""
    return {
        str(record.key.input_px): "; ".join(record.conditions["notes"])
        for _, record in Store(str(store)).records()
    }


def test_the_default_is_the_published_size_and_each_size_is_a_row(
    tmp_path: Path, capsys: Capture
) -> None:
    store = tmp_path / "store"
    command = ("run", "--zoo", MODEL, "--figures", "params", "--store", str(store))
    assert call(*command) == 0
    assert list(_rows(store)) == ["224x224"]
    assert call(*command, "--input-size", "test") == 0
    assert list(_rows(store)) == ["224x224"]  # the same row, kept
    assert call(*command, "--input-size", "train") == 0
    rows = _rows(store)
    assert rows["224x224"].startswith("input: test size, resize 235, crop 224 (not the train size")
    assert rows["176x176"].startswith("input: train size, resize 201, crop 176 (not the test size")
    out, err = capsys.readouterr()
    assert "input: train size" in err
    assert "input: train size" in out
    table = pd.read_csv(store / "report.csv")
    assert set(table["notes"]) == set(rows.values())


def test_an_entry_chooses_and_the_command_overrides(tmp_path: Path) -> None:
    manifest = tmp_path / "m.toml"
    manifest.write_text(
        'schema = 1\n[[entry]]\nname = "a"\nsource = "timm"\narchitecture = "resnet14t"\n'
        'weights = { tag = "c3_in1k" }\ninput_size = "train"\n'
    )
    command = ("run", "--manifest", str(manifest), "--figures", "params", "--store")
    assert call(*command, str(tmp_path / "a")) == 0
    assert list(_rows(tmp_path / "a")) == ["176x176"]
    assert call(*command, str(tmp_path / "b"), "--input-size", "test") == 0
    assert list(_rows(tmp_path / "b")) == ["224x224"]


def test_entries_that_state_pixels_are_named(tmp_path: Path, capsys: Capture) -> None:
    store = str(tmp_path / "store")
    command = ("run", "*lite0", "--figures", "params", "--store", store, "--input-size", "train")
    assert call(*command) == 0
    assert "--input-size: the manifest states pixels for efficientnet_lite0" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--zoo", MODEL, "--input-size", "large"), "unknown input size 'large'"),
        (
            ("--zoo", "torchvision:alexnet.*", "--input-size", "train"),
            "torchvision states no train size; leave out input_size and --input-size",
        ),
    ],
)
def test_a_size_that_cannot_be_had_is_one_line(
    tmp_path: Path, capsys: Capture, words: tuple[str, ...], message: str
) -> None:
    assert call("run", *words, "--figures", "params", "--store", str(tmp_path / "store")) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(lines) == 1
    assert message in lines[0]


def test_the_weights_taken_are_in_the_record(tmp_path: Path) -> None:
    import timm
    import torch

    model = timm.create_model("test_resnet", num_classes=1000)
    torch.save({"state_dict_ema": model.state_dict()}, tmp_path / "a.pth")
    manifest = tmp_path / "m.toml"
    manifest.write_text(
        'schema = 1\n[[entry]]\nname = "a"\nsource = "checkpoint"\nlibrary = "timm"\n'
        'architecture = "test_resnet"\nweights = { file = "a.pth" }\n[entry.preprocess]\n'
        'resize_px = 168\ncrop_px = 160\ninterpolation = "bicubic"\nmean = [0, 0, 0]\n'
        "std = [1, 1, 1]\n"
    )
    store = tmp_path / "store"
    figures = ("--figures", "params,top1", "--data", "sample", "--limit", "2")
    assert call("run", "--manifest", str(manifest), *figures, "--store", str(store)) == 0
    notes = {r.measure: r.conditions["notes"] for _, r in Store(str(store)).records()}
    taken = "EMA weights from 'state_dict_ema'"
    assert notes == {"complexity": [], "accuracy": [taken]}
    line = json.loads(pd.read_csv(store / "report.csv").iloc[0].to_json())
    assert line["notes"] == taken
