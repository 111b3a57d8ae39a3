"""Images/s of the model alone: forward passes on a batch that already lies on the device."""

import torch

from bench.measure import Result, Row
from bench.measure.execution import Execution
from bench.measure.memory import PeakMemory
from bench.measure.speed import explaining, random_batch, time_parts
from bench.records import Throughput
from zoo import build


def run(row: Row) -> Result:
    """Time forward passes. Weights do not change the work, so none are loaded.

    Raises:
        MeasureError: out of memory at this batch (the row says so; no smaller batch is tried), or
            the forward pass fails.
    """
    torch.backends.cudnn.benchmark = True  # speed is what a user gets after autotuning
    execution = Execution(build.random_network(row.entry), row.job.settings, row.device)
    memory = PeakMemory(execution.device)
    with explaining(row.batch_size, execution):
        batch = random_batch(row, execution, row.batch_size)
    found = time_parts(row, execution, (lambda: execution.forward(batch),), memory)
    return Result(Throughput(**dict(found.timed)))
