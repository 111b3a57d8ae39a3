"""The command as a process: what ends it, and what a poor terminal shows of it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import call
from tests.perf.kill import row_processes

COMMAND = [sys.executable, "-c", "from bench.cli.main import main; main()"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_the_command_its_workers_and_its_folders(
    number: signal.Signals, tmp_path: Path
) -> None:
    (scratch := tmp_path / "scratch").mkdir()
    with subprocess.Popen(
        [*COMMAND, "run", "*lite0", "--figures", "speed", "--store", str(tmp_path / "store")],
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as command:
        assert command.stderr
        assert any("measuring throughput" in line for line in command.stderr)
        (row,) = row_processes(command.pid)
        os.killpg(command.pid, number)  # as a terminal and a service manager do
        rest = command.stderr.read()
    assert command.returncode == 128 + number
    assert rest.startswith("zoobench: error: interrupted")
    assert len(rest.splitlines()) == 1
    assert not Path(f"/proc/{row}").exists()
    assert not list(scratch.glob("zoobench-*"))
    assert not list((tmp_path / "store").glob("*/*/record.json"))


def test_a_command_under_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    code = """
import os, signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)
from bench.cli import main as module
module.app = lambda *_, **__: os.kill(os.getpid(), signal.SIGHUP)
try:
    module.main([])
except SystemExit as end:
    print("ended with", end.code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "ended with 0\n"


@pytest.mark.parametrize("words", [["doctor"], ["run", "--data"]])
def test_the_home_of_an_unknown_user_is_one_line(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*words, "~nobody-has-this-name/val") == 2
    expected = "a path begins with '~', and that user has no home: write the path in full"
    assert capsys.readouterr().err == f"zoobench: error: {expected}\n"


def test_doctor_asks_for_a_model_of_a_manifest_without_the_default_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("doctor", str(tmp_path), "--manifest", "classics") == 2
    err = capsys.readouterr().err
    assert err.startswith("zoobench: error: --manifest classics without --model: unknown entry")
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [["run", "--help"], ["list", "--manifest", "classics"]])
def test_a_terminal_without_unicode_gets_likenesses(words: list[str]) -> None:
    done = subprocess.run(
        [*COMMAND, *words],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert "\\u" not in done.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("run", "--foo"), "No such option: --foo"),
        (("ruN",), "No such command 'ruN'"),
        (("run", "--limit", "x"), "Invalid value for '--limit'"),
        (("run", "--compile"), "'--compile' requires an argument"),
        (("plot", "--x"), "'--x' requires an argument"),
        (("claims", "lost"), "No such command 'lost'"),
    ],
)
def test_words_that_cannot_be_parsed_are_one_line(
    words: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("zoobench: error: ")
    assert expected in err
    assert len(err.splitlines()) == 1


def test_a_command_without_words_prints_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert call() == 2
    out, err = capsys.readouterr()
    assert "Commands" in out
    assert err == ""
