"""The gate fails when a reproduced cell is lost, and only then; every mistake is one line."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from bench.cli.main import main
from reports.baseline import counts_path
from tests.command import call

Capture = pytest.CaptureFixture[str]


def _call(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(words))
    assert isinstance(caught.value.code, int | None)
    return caught.value.code or 0


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _counts_without(name: str) -> str:
    frame = pd.read_csv(counts_path())
    frame[frame["entry"] != name].to_csv("counts.csv", index=False)
    return "counts.csv"


def test_a_table_is_printed_beside_the_counts_that_come_with_zoobench(
    here: Path, capsys: Capture
) -> None:
    assert _call("report", "--table", "focalnet") == 0
    out, err = capsys.readouterr()
    assert "100.23 !" in out
    assert "FocalNet-B (LRF)" in out
    assert max(len(line) for line in out.splitlines()) <= 80
    assert "counts that come with zoobench" in err


def test_an_audit_prints_the_verdicts_and_every_other_cell(here: Path, capsys: Capture) -> None:
    assert _call("audit") == 0
    out, _ = capsys.readouterr()
    assert "erratum" in out
    assert "23.0 printed, 100.231 G measured" in out
    assert max(len(line) for line in out.splitlines()) <= 80


def test_an_audit_fails_on_a_lost_cell_and_says_how_to_mend_it(here: Path, capsys: Capture) -> None:
    store = _counts_without("pvt_small")
    assert _call("audit", "focalnet", "--store", store) == 1
    _, err = capsys.readouterr()
    assert "no longer reproduced: focalnet: PVT-Small (224 px, in1k) params_m: claim only" in err
    assert "zoobench audit --update" in err
    # It stands in no other table.
    assert _call("audit", "swin", "convnext", "--store", store) == 0


def test_an_update_is_what_the_next_audit_is_held_to(here: Path, capsys: Capture) -> None:
    words = ("audit", "focalnet", "--baseline", "verdicts.csv")
    assert _call(*words) == 2
    assert "zoobench audit --update writes one" in capsys.readouterr().err
    store = _counts_without("pvt_small")
    assert _call(*words, "--store", store, "--update") == 0
    assert _call(*words, "--store", store) == 0
    capsys.readouterr()
    assert _call(*words, "--store", str(counts_path())) == 0
    assert "2 cells are reproduced that verdicts.csv does not hold" in capsys.readouterr().err


def test_the_files_suffix_says_the_format(here: Path) -> None:
    assert _call("report", "--table", "focalnet", "--out", "focalnet.csv") == 0
    assert len(pd.read_csv("focalnet.csv")) > 10


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("report", "--table", "focalnett"), "did you mean focalnet?"),
        (("report", "--table", "focalnet", "--format", "pdf"), "choices: csv, html"),
        (("report", "--table", "focalnet", "--store", "none"), "no store there"),
        (("report", "--store", "."), "holds no records"),
        (("report", "--table", "swin", "--store", "none.csv"), "cannot be read"),
        (("report", "--table", "swin", "--out", "no/where.md"), "cannot be written"),
        (("audit", "focalnett"), "did you mean focalnet?"),
        (("audit", "--update", "--baseline", "/dev/null/x.csv"), "cannot be written"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    here: Path, capsys: Capture, words: tuple[str, ...], message: str
) -> None:
    assert _call(*words) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("zoobench: error: ")
    assert message in last


def test_the_committed_report_is_written_where_it_is_asked_for(here: Path, capsys: Capture) -> None:
    assert _call("report", "--generated", "out") == 0
    assert (here / "out" / "focalnet.tex").is_file()
    assert "out/focalnet.tex" in capsys.readouterr().err


def test_an_audit_loads_no_torch(here: Path) -> None:
    code = (
        "import sys\nfrom bench.cli.main import main\n"
        "try: main(['audit'])\nexcept SystemExit as e: assert not e.code, e.code\n"
        "heavy = {'torch', 'timm', 'torchvision'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a,n,1x1,-1,5,", "params: Input should be greater than or equal to 0"),
        ("a,n,1x1,99999999999999999999999,5,", "too large"),
        ("a,n,1x1,5.5,5,", "cannot safely cast"),
        ("a,,1x1,5,5,", "network: Input should be a valid string"),
        ("a,n,1x1,5,5,inf", "column 'top1' has a number that is not finite"),
        ("a,n,1x1,5,5,1e999", "column 'top1' has a number that is not finite"),
    ],
)
def test_an_odd_csv_is_one_line(
    line: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(f"entry,network,input_px,params,macs,top1\n{line}\n")
    assert call("compare", str(path), str(path)) == 2
    err = capsys.readouterr().err
    assert reason in err
    assert str(path) in err
    assert len(err.strip().splitlines()) == 1


def test_a_csv_that_lacks_columns_is_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "few.csv"
    path.write_text("entry,params\nresnet50,25557032\n")
    assert call("report", "--store", str(path)) == 0
    path.write_text("entry,top1,images\nresnet50,0.761,50000\n")
    assert call("report", "--store", str(path)) == 2
    err = capsys.readouterr().err
    assert "a row has top1, and no images_in_dataset, top1_low, top1_high" in err
