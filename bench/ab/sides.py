"""What a user says of the two sides, turned into settings, an interpreter and a folder each."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from bench.plan import Settings
from bench.records import Side
from zoo.errors import UnknownNameError, ZoobenchError

# The settings in which sides may differ.
NAMES = ("precision", "memory_format", "compile", "device")


def parse_settings(option: str, text: str | None) -> dict[str, str]:
    """Return the settings of ``NAME=VALUE[,NAME=VALUE…]``.

    Raises:
        UnknownNameError: no such setting, or no such value of it.
        ZoobenchError: not of that form, or a setting stands twice.
    """
    found: dict[str, str] = {}
    for word in (text or "").split(","):
        name, equals, value = (part.strip() for part in word.partition("="))
        if not name and not equals:
            continue
        if not value:
            raise ZoobenchError(f"{option} {text!r}: give NAME=VALUE, like precision=bf16")
        if name not in NAMES:
            raise UnknownNameError("setting", name, NAMES, option)
        if name in found:
            raise ZoobenchError(f"{option} {text!r}: {name} stands twice")
        found[name] = _checked(option, name, value)
    return found


def _checked(option: str, name: str, value: str) -> str:
    try:
        Settings.model_validate({name: value})
    except ValidationError as error:
        expected = ", ".join(one["ctx"]["expected"] for one in error.errors())
        choices = expected.replace("'", "").replace(" or ", ", ").split(", ")
        raise UnknownNameError(name, value, choices, option) from None
    return value


def interpreter(option: str, path: str | None) -> str:
    """Return the interpreter's path; this one's if none is given.

    Raises:
        ZoobenchError: it is no program.
    """
    if path is None:
        return sys.executable
    found = shutil.which(Path(path).expanduser())
    if found is None:
        raise ZoobenchError(f"{option} {path}: no such program; give a venv's bin/python")
    return os.path.abspath(found)  # noqa: PTH100  (a venv's link must not be resolved)


def commit_of(option: str, repository: Path, revision: str) -> str:
    """Return the commit that a revision names.

    Raises:
        UnknownNameError: it names none.
        ZoobenchError: there is no git repository.
    """
    folder = _git(repository, "rev-parse", "--show-prefix")
    if folder.returncode:
        raise ZoobenchError(f"--repo {repository}: {_complaint(folder)}")
    found = _git(repository, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if found.returncode:
        names = _git(repository, "for-each-ref", "--format=%(refname:short)").stdout.split()
        raise UnknownNameError("revision", revision, names, f"{option}, --repo {repository}")
    return found.stdout.strip()


@contextmanager
def checkout(repository: Path, side: Side) -> Iterator[Path | None]:
    """Yield a side's folder to import from: its commit's files, which are removed afterwards.

    Without a commit of its own, that is the folder itself as it is. The repository is left as it
    was: the index of the checkout lies beside it.

    Raises:
        ZoobenchError: git cannot write the files.
    """
    if side.revision is None:
        yield None
        return
    if side.commit is None:
        yield repository.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="zoobench-") as name:
        temporary = Path(name).resolve()
        files = temporary / side.commit[:12]
        files.mkdir()
        top = Path(_git(repository, "rev-parse", "--show-toplevel").stdout.strip())
        prefix = _git(repository, "rev-parse", "--show-prefix").stdout.strip()
        index = temporary / "index"
        for words in (
            ("read-tree", side.commit),
            ("checkout-index", "--all", f"--prefix={files}/"),
        ):
            done = _git(top, *words, index=index)
            if done.returncode:
                raise ZoobenchError(f"--repo {repository}, {side.revision}: {_complaint(done)}")
        yield files / prefix


def _git(
    folder: Path, *words: str, index: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **({"GIT_INDEX_FILE": str(index)} if index else {})}
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
    except FileNotFoundError:
        raise ZoobenchError("comparing revisions needs git, which is not installed") from None


def _complaint(done: "subprocess.CompletedProcess[str]") -> str:
    return (done.stderr.strip().splitlines() or ["git failed"])[0]
