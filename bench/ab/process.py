"""The parent's end of a side: an interpreter that serves rows, and what becomes of it."""

import json
import os
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

from bench.ab import worker
from bench.conditions import ALLOCATOR_ENVIRONMENT
from bench.executors.local import last_words
from zoo.errors import MeasureError

# Waiting threads spin by default, for the core that a neighbour's process needs: on two loaded
# cores a step took ten times as long as with threads that sleep. The order in which Python hashes
# decides where its objects lie.
ENVIRONMENT = {**ALLOCATOR_ENVIRONMENT, "OMP_WAIT_POLICY": "PASSIVE", "PYTHONHASHSEED": "0"}
# The longest path that Linux takes.
_PATH_MAX = 4096


class SideProcess:
    """An interpreter that has torch imported, and a fork of it for the row under way.

    Args:
        name: ``a`` or ``b``, for messages.
        python: the interpreter.
        folder: goes first on its import path, if there is a revision.
    """

    def __init__(self, name: str, python: str, folder: Path | None) -> None:
        self._name = name
        self._python = python
        # Closed by ``end``; both ends write where it ends.
        self._log = cast(IO[str], tempfile.TemporaryFile("a+", prefix="zoobench-"))  # noqa: SIM115
        self._row_starts_at = 0
        self._in_row = False
        self._ready: str | None = None  # once known: why it is not, or nothing
        self._process = subprocess.Popen(
            [python, worker.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**ENVIRONMENT, **os.environ, "ZOOBENCH_PAD": _pad(python)},
            start_new_session=True,  # so that it is ended with its forks, and Ctrl-C is ours alone
        )
        with suppress(MeasureError):  # ``check`` will say so
            self._say({"revision": None if folder is None else str(folder)})

    def check(self) -> None:
        """Wait until everything is imported.

        Raises:
            MeasureError: this interpreter cannot be a side.
        """
        if self._ready is None:
            try:
                self._hear()
                self._ready = ""
            except MeasureError as error:
                self._ready = str(error)
        if self._ready:
            raise MeasureError(self._ready)

    def begin_row(self, request: dict[str, Any]) -> None:
        """Ask for a row's network; ``opened`` waits for it."""
        self._row_starts_at = os.fstat(self._log.fileno()).st_size
        self._say(request)
        self._in_row = True

    def opened(self) -> dict[str, Any]:
        """Return what the fork says of its row once the network has run.

        Raises:
            MeasureError: it cannot be built or run, or the fork died.
        """
        return self._hear()

    def turn(self, steps: int) -> list[float]:
        """Return the seconds of so many steps.

        Raises:
            MeasureError: the forward pass failed, or the fork died.
        """
        self._say({"steps": steps})
        return cast(list[float], self._hear()["steps_s"])

    def use_threads(self, threads: int) -> None:
        """Run the coming steps with so many threads."""
        self._say({"threads": threads})
        self._hear()

    def end_row(self) -> None:
        """End the row's fork, if it lives."""
        if self._in_row:
            with suppress(MeasureError):
                self._say({"end": True})
                self._hear()
            self._in_row = False

    def end(self) -> None:
        """End it and its forks, whatever they do.

        Its pipes are closed, not read to their end: a process that a model started in a session of
        its own would keep them open.
        """
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        with suppress(OSError):  # what was never read by a dead process
            cast(IO[str], self._process.stdin).close()
        cast(IO[str], self._process.stdout).close()
        self._log.close()

    def _say(self, message: dict[str, Any]) -> None:
        stream = cast(IO[str], self._process.stdin)
        try:
            stream.write(json.dumps(message) + "\n")
            stream.flush()
        except OSError:
            raise self._dead(self._process.wait()) from None

    def _hear(self) -> dict[str, Any]:
        line = cast(IO[str], self._process.stdout).readline()
        if not line:
            raise self._dead(self._process.wait())
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:
            raise MeasureError(
                f"side {self._name}: {self._python} answers {line.strip()!r}, which is no Python "
                "interpreter's answer; give a venv's bin/python"
            ) from None
        if "ended" in answer:
            self._in_row = False
            raise self._dead(answer["ended"])
        if "failed" in answer:
            raise MeasureError(f"side {self._name}: {answer['failed']}")
        return answer

    def _dead(self, code: int) -> MeasureError:
        self._in_row = False
        self._log.seek(self._row_starts_at)
        return MeasureError(f"side {self._name}: {last_words(code, self._log.read())}")


def _pad(python: str) -> str:
    """Return what makes the strings on a new process's stack equally long for every interpreter.

    They lie above everything else there, and twice hold the interpreter's path: as what is
    executed, and as its first argument.
    """
    return "." * 2 * (_PATH_MAX - len(python))
