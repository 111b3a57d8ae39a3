"""An update of a baseline that is killed at its n-th step, for every n, and then run again.

A process of its own: the children are forked, which a process with threads should not be.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reports.baseline_folder import load_baseline, write_baseline
from reports.side import Side
from tests.reports.sides import STEADY, answers, counts, speed

# What Python tells before it asks the system to change a file or a folder.
_STEPS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.truncate")


def sides() -> tuple[Side, Side]:
    """Return what a baseline has, and what it is to have: a row stays, one changes, one is new."""
    stays = (counts(), speed(STEADY), answers([0, 1], entry="stays"))
    old = Side("old", (*stays, answers([0] * 5)))
    new = (answers([0, 0, 0, 0, 1], preprocess="resize 255"), answers([0], entry="new"))
    return old, Side("new", (*stays, *new))


def contents(folder: Path) -> dict[str, object]:
    """Return all that a baseline says, by row."""
    return {
        f"{item.kind} {item.key}": item.frame["pred"].tolist() if hasattr(item, "frame") else item
        for item in load_baseline(folder).items
    }


def killed_at(step: int, work: Callable[[], None]) -> bool:
    """Do the work in a child that is killed before its n-th step; return whether it was."""
    child = os.fork()
    if child == 0:
        _die_at(step)
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _die_at(step: int) -> None:
    steps = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal steps
        if event in _STEPS and not (event == "open" and arguments[1] == "r"):
            steps += 1
            if steps == step:
                os.kill(os.getpid(), signal.SIGKILL)

    real = os.fsync

    def fsync(descriptor: int) -> None:
        count("os.rename", ())
        real(descriptor)

    os.fsync = fsync
    sys.addaudithook(count)


def main(root: Path) -> None:
    """Kill an update, and the making of a new baseline, at every step; print how many there were.

    Whatever the moment, the folder reads as before or as after, and the same call ends the work
    and leaves nothing behind.
    """
    old, new = sides()
    write_baseline(root / "old", old)
    write_baseline(root / "new", new)
    before, after = contents(root / "old"), contents(root / "new")
    steps = 0
    for updating in (True, False):
        for step in range(1, 1000):
            folder = root / f"{updating}-{step}"
            if updating:
                write_baseline(folder, old)
            was_killed = killed_at(step, lambda folder=folder: write_baseline(folder, new))  # type: ignore[misc]
            if updating:
                assert contents(folder) in (before, after), step
            write_baseline(folder, new)
            assert contents(folder) == after, step
            files = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.*")}
            wanted = (root / "new").rglob("*.*")
            assert files == {str(p.relative_to(root / "new")): p.read_bytes() for p in wanted}
            if not was_killed:
                break
            steps += 1
    print(steps)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
