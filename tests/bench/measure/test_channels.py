"""Networks of other channels than a photograph's: counted and timed, and never asked to predict."""

from pathlib import Path

import pytest

from bench.cli.main import main
from bench.data.preprocess import check_takes_photographs
from bench.store import Store
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
            with pytest.raises(MeasureError, match="does not have 4 channels: .*speed can"):
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
