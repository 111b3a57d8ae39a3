"""The fork server: a process that has torch imported once, and from which every worker is forked.

It takes two seconds to start, so a command may start it before it knows what it will ask.
"""

import array
import fcntl
import multiprocessing
import os
import signal
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import connection, forkserver, resource_tracker
from typing import Any

from bench.conditions import worker_environment
from zoo.errors import ZoobenchError

CONTEXT = multiprocessing.get_context("forkserver")
# What ends a command. A terminal or a service manager sends it to the server too, which ignores it:
# the command cleans up.
END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PRELOAD = ["bench.preload"]


def start() -> None:
    """Start it with the workers' environment, if it is not running; do not wait for it."""
    CONTEXT.set_forkserver_preload(_PRELOAD)
    # Which it would start too, and which unblocks signals. It unlinks what a worker that was killed
    # could not; that is no news for a user.
    with _environment({"PYTHONWARNINGS": "ignore:resource_tracker"}):
        resource_tracker.ensure_running()
    with _environment(worker_environment()), _end_signals_blocked():
        forkserver.ensure_running()


class Fork:
    """A process forked from the server, in a process group of its own.

    Args:
        target: the function that it calls.
        arguments: of the function.

    Raises:
        ZoobenchError: the server died.
    """

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        start()
        self._process = CONTEXT.Process(target=_call, args=(target, *arguments))
        self._lost: bool | None = None
        try:
            self._process.start()
        except (EOFError, OSError) as error:
            raise ZoobenchError(
                f"the fork server died ({type(error).__name__}) while it started a worker; "
                "importing torch takes 1 GB of memory: free some, and give the same command again"
            ) from None

    @property
    def sentinel(self) -> int:
        """Return what becomes ready when the process ends."""
        return self._process.sentinel

    def kill(self) -> None:
        """End the process and all that it has started; wait for its end."""
        if self._lost is None:
            assert self._process.pid is not None
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:  # nobody is left in the group, or it is not made yet
                self._process.kill()
            self.join()

    def join(self) -> int | None:
        """Wait for its end. Return its exit code; None if the server died, which reports it."""
        if self._lost is None:
            connection.wait([self.sentinel])
            self._lost = _is_empty(self.sentinel)
            self._process.join()
        return None if self._lost else self._process.exitcode


def _call(target: Callable[..., None], *arguments: Any) -> None:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    target(*arguments)


def _is_empty(pipe: int) -> bool:
    """Return whether nothing is left to be read from a pipe."""
    size = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, size)
    return size[0] == 0


@contextmanager
def _end_signals_blocked() -> Iterator[None]:
    """Block what ends a command, for the server to inherit until it ignores it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, END_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set variables for a process to inherit."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
