"""Workers whose measurements misbehave; each is a stand-in for ``bench.worker.main``."""

import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

from bench import conditions, measure, worker
from bench.measure import Result, Row
from bench.plan import Job
from zoo.errors import MeasureError

# In the store's folder: the one is open for writing as long as the model's child lives.
CHILD_LIVES = "child-lives"


def forking(job: Job, log: str, pipe: Connection) -> None:
    """Measure a row whose model forks and dies, while its child lives on."""
    measure.MEASURES["complexity"] = f"{__name__}:_fork_and_die"
    worker.main(job, log, pipe)


def sticky(job: Job, log: str, pipe: Connection) -> None:
    """Measure a row whose first measurement makes CUDA unusable."""
    measure.MEASURES["complexity"] = f"{__name__}:_break_cuda"
    measure.MEASURES["throughput"] = f"{__name__}:_fail"
    worker.main(job, log, pipe)


def harmless(job: Job, log: str, pipe: Connection) -> None:
    """Measure a row whose first measurement fails, and leaves CUDA as it was."""
    measure.MEASURES["complexity"] = measure.MEASURES["throughput"] = f"{__name__}:_fail"
    worker.main(job, log, pipe)


def with_one_core(job: Job, log: str, pipe: Connection) -> None:
    """Measure a row in a container that grants the time of one core."""
    conditions._CGROUP = Path(job.store)
    conditions._PROCESS_GROUPS = conditions._CGROUP / "groups"
    conditions._PROCESS_GROUPS.write_text("0::/\n")
    (conditions._CGROUP / "cpu.max").write_text("100000 100000\n")
    worker.main(job, log, pipe)


def sending(text: str, log: str, pipe: Connection) -> None:
    """Fork a child that keeps the pipe open; send half a message, and die."""
    if os.fork() == 0:
        signal.pause()
    os.write(pipe.fileno(), b"\x00\x00\x01\x00" + text.encode())
    os._exit(3)


def _fork_and_die(row: Row) -> Result:
    with (Path(row.job.store) / CHILD_LIVES).open("w"):  # the child has it open from its start
        if os.fork() == 0:
            signal.pause()
        os._exit(7)


def _break_cuda(row: Row) -> Result:
    cause = RuntimeError(
        f"CUDA error: an illegal memory access was encountered (in process {os.getpid()})"
    )
    raise MeasureError(str(cause)) from cause


def _fail(row: Row) -> Result:
    raise MeasureError(f"CUDA error: out of memory (in process {os.getpid()})")
