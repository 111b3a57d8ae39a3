"""The fork server: a process that has torch imported once, and from which every worker is forked.

It takes two seconds to start, so a command may start it before it knows what it will ask.
"""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker

from bench.conditions import worker_environment

CONTEXT = multiprocessing.get_context("forkserver")
_PRELOAD = ["bench.preload"]


def start() -> None:
    """Start it with the workers' environment, if it is not running; do not wait for it."""
    CONTEXT.set_forkserver_preload(_PRELOAD)
    resource_tracker.ensure_running()  # which it would start too, and which unblocks signals
    with _environment(worker_environment()), _no_interrupts():
        forkserver.ensure_running()


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Block Ctrl-C, for a process to inherit until it has said what it does with it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set variables, none of which is set, for a process to inherit."""
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]
