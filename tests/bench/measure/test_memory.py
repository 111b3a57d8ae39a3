"""Peak memory is that of a process of its own, although workers share pages with their server."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import conditions
from bench.executors import local
from bench.plan import Job, Settings, plan
from bench.records import Throughput
from bench.store import Store
from zoo.entry import Entry

# What a worker does, without a fork: it ends as the server does, so no clean-up adds to the peak.
ALONE = """
import sys
import bench.preload
from bench.measure import Row, throughput
from bench.plan import Job

job = Job.model_validate_json(sys.argv[1])
throughput.run(Row(job, "cpu", "", lambda done, total, unit: None))
(peak,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(int(peak.split()[1]) * 1024, flush=True)
"""


def _ignore(job: Job, event: dict[str, Any]) -> None:
    pass


def _peak_alone_bytes(job: Job) -> int:
    """Return the peak of a process of its own, by the kernel.

    ``wait4`` would say as much, but not of a child of this process: its peak begins with ours.
    """
    environment = {**os.environ, **conditions.worker_environment()}
    command = [sys.executable, "-c", ALONE, job.model_dump_json()]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/self/pagemap")
def test_a_workers_peak_is_that_of_a_process_of_its_own(tmp_path: Path, lite0: Entry) -> None:
    (job,) = plan(
        [lite0],
        figures=("memory",),
        settings=Settings(device="cpu", batch_size=2),
        batches=[2],
        store=str(tmp_path),
        data=None,
        labels="imagenet",
        limit=None,
        retry_failed=False,
    )
    assert local.run([job], timeout_s=None, listen=_ignore)
    ((_, record),) = Store(str(tmp_path)).records()
    assert isinstance(record.evidence, Throughput)
    # Within 3 % when nothing else runs; without the pages that workers share, a third is missing.
    assert record.evidence.peak_memory_bytes == pytest.approx(_peak_alone_bytes(job), rel=0.08)
