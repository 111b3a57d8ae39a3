"""The committed report is what its baselines say, and needs no network to be written again."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import reports.generated
from reports import load_frame
from reports.audit import audit
from reports.baseline import (
    counts_csv,
    counts_path,
    load_csv,
    load_verdicts,
    lost,
    merged,
    verdicts_csv,
    verdicts_path,
)
from reports.frame import DTYPES
from zoo.errors import ReportError
from zoo.manifest import load

COMMITTED = Path(reports.generated.__file__).parent / "generated"


def test_the_committed_report_is_what_the_baselines_say(tmp_path: Path) -> None:
    written = reports.generated.write_generated(tmp_path)
    names = {path.name for path in written}
    # Pictures change with matplotlib's releases, so only the tables are compared.
    assert names == {path.name for path in COMMITTED.iterdir() if path.suffix != ".png"}
    for name in sorted(names):
        same = (tmp_path / name).read_bytes() == (COMMITTED / name).read_bytes()
        assert same, f"{name} is not what reports/baselines says; mend it with: make report"


def test_the_committed_verdicts_are_those_of_the_committed_counts() -> None:
    cells = audit(load_csv(counts_path()))
    assert verdicts_csv(cells) == verdicts_path().read_text()
    assert lost(cells, load_verdicts(verdicts_path())).empty


def test_every_entry_of_the_manifests_has_its_counts() -> None:
    entries = {entry.name for name in ("sota", "classics") for entry in load(name).entries}
    frame = load_csv(counts_path())
    assert set(frame["entry"]) == entries
    assert frame[["params", "macs", "input_px"]].notna().all(axis=None)


def test_counts_load_back_as_the_frame_they_were_written_from() -> None:
    frame = load_frame(str(counts_path()))
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == DTYPES
    assert counts_csv(frame) == counts_path().read_text()


def test_an_update_of_one_table_keeps_the_others() -> None:
    reviewed = load_verdicts(verdicts_path())
    one = audit(load_csv(counts_path()), ["swin"])
    pd.testing.assert_frame_equal(merged(one, reviewed), reviewed)


@pytest.mark.parametrize("content", [None, "params\n1\n", "entry,params\na,many\n", ""])
def test_a_wrong_file_of_counts_is_one_line(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "counts.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ReportError, match="report --format csv writes one"):
        load_csv(path)


def test_writing_it_loads_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from reports.generated import write_generated\n"
        f"write_generated(Path({str(tmp_path)!r}))\n"
        "assert not {'torch', 'timm', 'torchvision', 'scipy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
