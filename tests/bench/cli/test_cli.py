"""The command as a user types it: tables, exit codes, one line for each mistake."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from bench.cli.main import main

Capture = pytest.CaptureFixture[str]


def _call(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(words))
    assert isinstance(caught.value.code, int | None)
    return caught.value.code or 0


def _process(*words: str, cwd: Path) -> subprocess.Popen[str]:
    # What a shell starts in the background ignores Ctrl-C, and so do all processes below it.
    hears = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{hears}; from bench.cli.main import main; main()"
    command = [sys.executable, "-c", code, *words]
    return subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_main_job_end_to_end(here: Path, capsys: Capture) -> None:
    assert _call("run", "*lite0", "--batch", "8", "--store", "out") == 0
    out, err = capsys.readouterr()
    assert "efficientnet_lite0" in out
    assert "90.00 [69.9, 97.2]" in out
    assert "0.385" in out
    assert max(len(line) for line in out.splitlines()) <= 80
    assert "[1/1] efficientnet_lite0 batch 8: measuring accuracy" in err
    assert "out/report.md" in err
    predictions = list((here / "out").glob("**/predictions.parquet"))
    assert len(predictions) == 1
    table = pq.read_table(predictions[0])
    assert table.column_names == ["image", "label", "pred", "top5", "prob", "label_prob"]
    assert table.schema.metadata[b"entry"] == b"efficientnet_lite0"
    frame = pd.read_parquet(here / "out" / "report.parquet")
    assert frame.loc[0, "status"] == "measured"
    assert frame.loc[0, "params"] == 4_652_008
    assert bool(frame.loc[0, "counters_agree"])


def test_a_failed_row_is_in_the_table_and_the_exit_code(here: Path, capsys: Capture) -> None:
    (here / "zoo.toml").write_text(
        'schema = 1\n[[entry]]\nname = "none"\nsource = "timm"\narchitecture = "resnet18"\n'
    )
    words = ("--manifest", "zoo.toml", "--figures", "params,top1", "--data", "sample")
    assert _call("run", *words) == 1
    out, err = capsys.readouterr()
    assert "measured: complexity 1 of 1 (100.0%), accuracy 0 of 1 (0.0%)" in err
    assert "11.69" in out
    assert "names no weights: its accuracy is unknown" in " ".join(out.split())


def test_unreadable_images_are_told_marked_and_exit_1(
    here: Path, class_folders: Path, capsys: Capture
) -> None:
    folder = next(class_folders.iterdir())
    photograph = next(folder.iterdir()).read_bytes()
    (folder / "broken.jpg").write_bytes(bytes(len(photograph)))
    words = ("run", "*lite0", "--figures", "top1", "--data", str(class_folders))
    assert _call(*words) == 1
    out, err = capsys.readouterr()
    assert "90.00*" in out
    assert "partial, 1 of 21 unread" in out
    assert "broken.jpg" in err
    (folder / "broken.jpg").write_bytes(photograph)
    assert _call(*words, "--retry-failed") == 0
    assert "*" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "--data", "nowhere"], "nowhere: no such data folder"),
        (["run", "--data", "nowhere", "--figures", "params"], "nowhere: no such data folder"),
        (["run", "--figures", "params", "--store", "/etc/hostname"], "/etc/hostname: is a file"),
        (["run", "--figures", "top"], "did you mean top1?"),
        (["run", "--device", "gpu"], "choices: auto, cpu, cuda, cuda:N"),
        (["run", "--precision", "fp33"], "did you mean fp32"),
        (["run", "--memory-format", "channel_last"], "did you mean channels_last"),
        (["run", "--labels", "folders"], "did you mean folder"),
        (["run", "--batch", "0"], "positive whole numbers"),
        (["run", "--batch", "8,aut"], "positive whole numbers or auto"),
        (["run", "--target-rse", "0.5"], "at most 20%, like 0.5% or 0.005"),
        (["run", "--target-rse", "-1%"], "--target-rse '-1%': give per cent"),
        (["run", "--target-rse", "half"], "--target-rse 'half': give per cent"),
        (["run", "--figures", "trian"], "did you mean train?"),
        (["run", "--manifest", "sampel"], "did you mean sample"),
        (["run", "lite9"], "unknown entry, tag or pattern 'lite9'"),
        (["run", "--device", "cuda:99"], "'cuda:99'"),
        (["run", "--precision", "tf32", "--device", "cpu"], "CUDA devices only"),
        (["run", "--device", "cuda:0,cpu"], "several devices are GPUs"),
        (["run", "--device", "cuda:1,cuda:1"], "each named once"),
        (["run", "--shards", "21"], "there are 20 images"),
        (["run", "--workers", "999"], "this machine has"),
        (["run", "--executor", "rya"], "did you mean ray?"),
        (["run", "--store", "memory://x"], "rows are measured in others"),
        (["report", "--store", "nowhere"], "no store there"),
        (["list", "nothing*"], "unknown entry"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    here: Path, capsys: Capture, words: list[str], message: str
) -> None:
    assert _call(*words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.startswith("zoobench: error: ")
    assert err.count("\n") == 1
    assert not (here / "zoobench-results" / "efficientnet_lite0").exists()


@pytest.mark.parametrize("words", [["run", "--bogus"], ["frobnicate"], ["run", "--limit", "0"]])
def test_a_mistaken_option_is_exit_2(here: Path, capsys: Capture, words: list[str]) -> None:
    assert _call(*words) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_debug_shows_the_traceback(here: Path, capsys: Capture) -> None:
    assert _call("run", "--data", "nowhere", "--debug") == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_read_only_store_is_told_before_anything_is_measured(here: Path, capsys: Capture) -> None:
    (here / "file").write_text("")
    assert _call("run", "--figures", "params", "--store", "file/store") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_list_prints_the_entries(capsys: Capture) -> None:
    assert _call("list", "*lite1") == 0
    out = capsys.readouterr().out
    assert "efficientnet_lite1" in out
    assert "efficientnet_lite0" not in out
    assert _call("list", "--json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert json.loads(lines[0])["name"] == "efficientnet_lite0"


@pytest.mark.parametrize("words", [["--help"], ["list"], ["run", "--help"], ["report", "--help"]])
def test_what_measures_nothing_loads_no_heavy_package(words: list[str]) -> None:
    code = (
        "import sys\nfrom bench.cli.main import main\n"
        f"try: main({words!r})\nexcept SystemExit as e: assert not e.code, e.code\n"
        "heavy = {'torch', 'timm', 'torchvision', 'pandas', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_report_goes_into_a_file(here: Path, capsys: Capture) -> None:
    assert _call("run", "*lite0", "--figures", "params", "--store", "out") == 0
    for name in ("terminal", "md", "csv", "parquet"):
        words = ("--store", "out", "--format", name, "--out", f"r.{name}")
        assert _call("report", *words) == 0
        assert (here / f"r.{name}").stat().st_size > 50
    assert _call("report", "--store", "out", "--out", "no/such/r.md") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_kill_9_at_any_moment_loses_at_most_the_row_in_flight(here: Path) -> None:
    """The first run is killed after its first record; the second goes on and skips that record."""
    words = ("run", "--figures", "params,top1", "--store", "out", "--batch", "4")
    run = _process(*words, cwd=here)
    deadline = time.monotonic() + 120
    while not list((here / "out").glob("*/*/record.json")):
        assert time.monotonic() < deadline
        assert run.poll() is None
    run.send_signal(signal.SIGKILL)
    run.communicate()
    kept = {path: path.read_bytes() for path in (here / "out").glob("*/*/record.json")}
    again = _process(*words, cwd=here)
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    assert "kept from before" in err
    assert all(path.read_bytes() == content for path, content in kept.items())
    assert len(list((here / "out").glob("*/*/record.json"))) == 6
    assert out.count("90.00") == 3


def test_ctrl_c_says_that_nothing_is_lost(here: Path) -> None:
    run = _process("run", "--figures", "top1", "--store", "out", cwd=here)
    assert run.stderr is not None
    for line in run.stderr:
        if "measuring" in line:
            break
    os.kill(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "same command goes on" in err
    assert "Traceback" not in err
