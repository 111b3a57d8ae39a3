"""Where the rows of a plan are measured: one file an executor, named here."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Protocol, cast

from bench.plan import Job, Settings
from zoo.entry import Entry, Model

EXECUTORS = {"local": "bench.executors.local", "ray": "bench.executors.ray"}

# (job, event): what a worker said, as it says it.
Listener = Callable[[Job, dict[str, Any]], None]


class Placement(Model):
    """Where rows may run: on which devices of a machine, and how many at once on its CPU."""

    devices: tuple[str, ...] = ("auto",)
    workers: int = 1


class Executor(Protocol):
    """What each module of this room offers."""

    def check(
        self, entries: Sequence[Entry], settings: Settings, placement: Placement, *, where: str
    ) -> str | None:
        """Raise ZoobenchError for what a user has to mend before anything is measured.

        Return what there is to say of the machines.
        """

    def run(
        self,
        jobs: Sequence[Job],
        *,
        placement: Placement,
        timeout_s: float | None,
        listen: Listener,
    ) -> bool:
        """Measure the rows; return whether every one of them was measured."""


def executor(name: str) -> Executor:
    """Return the executor of a name of ``EXECUTORS``.

    Raises:
        MissingExtraError: it needs a package that is not installed.
    """
    return cast(Executor, import_module(EXECUTORS[name]))
