"""What a user says of a side, and the files of a git revision."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.ab.sides import checkout, commit_of, interpreter, parse_settings
from bench.records import Side
from zoo.errors import UnknownNameError, ZoobenchError


def test_settings_are_names_and_values() -> None:
    assert parse_settings("--a", "precision=bf16, memory_format=channels_last") == {
        "precision": "bf16",
        "memory_format": "channels_last",
    }
    assert parse_settings("--a", None) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("precison=bf16", "did you mean precision"),
        ("batch_size=4", "--b: unknown setting 'batch_size'"),
        ("precision=bf61", "--b: unknown precision 'bf61'; did you mean bf16"),
        ("precision", "give NAME=VALUE"),
        ("precision=fp32,precision=bf16", "stands twice"),
    ],
)
def test_a_wrong_setting_is_told_with_the_near_ones(text: str, message: str) -> None:
    with pytest.raises(ZoobenchError, match=message):
        parse_settings("--b", text)


def test_an_interpreter_is_a_program() -> None:
    assert interpreter("--a-python", None) == sys.executable
    assert interpreter("--a-python", "git").endswith("/git")
    with pytest.raises(ZoobenchError, match="--a-python nowhere/python: no such program"):
        interpreter("--a-python", "nowhere/python")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits of one file, in a folder of the repository; and a change that is in none."""
    folder = tmp_path / "repository" / "source"
    folder.mkdir(parents=True)
    _git(folder, "init", "--quiet", "--initial-branch", "trunk")
    for content in ("one", "two"):
        (folder / "file").write_text(content)
        _git(folder, "add", "--all")
        _git(folder, "commit", "--quiet", "--message", content)
    (folder / "file").write_text("three")
    return folder


def _git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=test", "-c", "user.email=test@example.invalid")
    command = ["git", "-C", str(folder), *who, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _side(repository: Path, revision: str) -> Side:
    commit = commit_of("--a-rev", repository, revision)
    return Side(settings={}, python="python", revision=revision, commit=commit)


def test_a_revision_has_its_own_files_which_are_removed(repository: Path) -> None:
    for revision, content in (("trunk~1", "one"), ("trunk", "two")):
        with checkout(repository, _side(repository, revision)) as folder:
            assert folder is not None
            assert (folder / "file").read_text() == content
        assert not folder.exists()


def test_the_repository_is_left_as_it_was(repository: Path) -> None:
    before = _git(repository, "status", "--porcelain"), _git(repository, "worktree", "list")
    with checkout(repository, _side(repository, "trunk~1")):
        pass
    assert (_git(repository, "status", "--porcelain"), _git(repository, "worktree", "list")) == (
        before
    )
    assert (repository / "file").read_text() == "three"


def test_without_a_commit_the_files_are_those_that_lie_there(repository: Path) -> None:
    with checkout(repository, Side(settings={}, python="p", revision="working tree")) as folder:
        assert folder == repository
    with checkout(repository, Side(settings={}, python="p")) as nothing:
        assert nothing is None


def test_a_revision_that_is_none_is_told_with_the_near_ones(repository: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"--a-rev.*'trunc'; did you mean trunk"):
        commit_of("--a-rev", repository, "trunc")


def test_a_folder_without_a_repository_is_told(tmp_path: Path) -> None:
    with pytest.raises(ZoobenchError, match=r"--repo .*not a git repository"):
        commit_of("--a-rev", tmp_path, "main")
