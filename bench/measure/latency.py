"""Latency: how long a request takes, when the next one is sent after its answer."""

import torch

from bench.measure import Result, Row
from bench.measure.execution import Execution
from bench.measure.memory import PeakMemory
from bench.measure.speed import budget_for, explaining, random_network, time_parts
from bench.measure.timing import CpuClock
from bench.records import Latency

# p99 is the largest but one of this many.
_MIN_REQUESTS = 100


def run(row: Row) -> Result:
    """Time requests: a forward pass on a batch on the device, and the wait for its end.

    A request has one image, unless a batch was asked for. Weights do not change the work, so none
    are loaded.

    Raises:
        MeasureError: out of memory at this batch, or the forward pass fails.
    """
    torch.backends.cudnn.benchmark = True
    execution = Execution(random_network(row), row.job.settings, row.device)
    memory = PeakMemory(execution.device)
    with explaining(row.request_size, execution):
        batch = execution.noise(row.request_size, row.preprocess)

    def request() -> None:
        execution.forward(batch)
        execution.synchronize()

    found = time_parts(
        row,
        execution,
        (request,),
        memory,
        batch_size=row.request_size,
        clock=CpuClock(),
        budget=budget_for(row, execution, min_steps=_MIN_REQUESTS),
    )
    return Result(Latency(**dict(found.timed)))
