"""Networks of other channels than a photograph's: counted and timed, and never asked to predict."""

from pathlib import Path

import pytest
import timm
import torch

from bench import worker
from bench.cli.main import main
from bench.data.preprocess import check_takes_photographs
from bench.executors import local
from bench.measure import accuracy
from bench.store import Store
from tests.bench.measure.test_accuracy import _row as a_row
from zoo import build
from zoo.entry import Entry
from zoo.errors import MeasureError

ENTRY = """
[[entry]]
name = "planes{count}"
source = "timm"
architecture = "resnet10t"
arguments = {{ in_chans = {count} }}
weights = {{ tag = "c3_in1k" }}
"""


def test_a_number_of_channels_is_refused_where_photographs_are_needed() -> None:
    for channels, photographs in ((1, True), (3, True), (4, False)):
        entry = Entry(
            name="a", source="timm", architecture="resnet18", arguments={"in_chans": channels}
        )
        preprocess = build.preprocess(entry)
        if photographs:
            check_takes_photographs(preprocess)
        else:
            with pytest.raises(MeasureError, match=r"does not have 4 channels: .*speed can"):
                check_takes_photographs(preprocess)


def test_one_and_four_channels_are_counted_and_timed(tmp_path: Path) -> None:
    manifest = tmp_path / "m.toml"
    manifest.write_text("schema = 1\n" + "".join(ENTRY.format(count=n) for n in (1, 4)))
    store = tmp_path / "store"
    words = ("--figures", "params,gmacs,speed", "--batch", "1", "--store", str(store))
    with pytest.raises(SystemExit) as caught:
        main(["run", "--manifest", str(manifest), *words])
    assert caught.value.code == 0
    measured = {(r.key.entry, r.measure): r.status for _, r in Store(str(store)).records()}
    assert set(measured.values()) == {"measured"}
    assert len(measured) == 4


def test_no_row_makes_pixels_for_channels_that_it_does_not_have() -> None:
    entries = [
        Entry(name=str(n), source="timm", architecture="resnet18", arguments={"in_chans": n})
        for n in (1, 4)
    ]
    found = dict(local.ask(worker.preprocess_main, entries))
    assert found["1"].channels == "gray"
    assert found["4"] is None


def test_predictions_of_four_channels_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.pth"
    torch.save(timm.create_model("test_resnet", in_chans=4).state_dict(), file)
    entry = Entry.model_validate(
        {
            "name": "a",
            "source": "checkpoint",
            "library": "timm",
            "architecture": "test_resnet",
            "arguments": {"in_chans": 4},
            "weights": {"file": file},
            "preprocess": {
                "resize_px": 168,
                "crop_px": 160,
                "interpolation": "bicubic",
                "channels": 4,
                "mean": [0.5] * 4,
                "std": [0.5] * 4,
            },
        }
    )
    with pytest.raises(MeasureError, match="does not have 4 channels"):
        accuracy.run(a_row(entry))
